"""Signed states of the log: C2SP tlog-checkpoint text in a C2SP signed note. `verify.open_checkpoint` reads them."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from countenance.audit.verify import Checkpoint, Key, open_checkpoint, parse_key
from countenance.errors import UsageError


def key_of(name: str, private_key: Ed25519PrivateKey) -> Key:
    """The public half of a signing key under a name; `str()` of it is the C2SP vkey text.

    Raises UsageError for a name that cannot stand in a note.
    """
    key = Key(name, private_key.public_key().public_bytes_raw())
    try:
        return parse_key(str(key))
    except ValueError:
        raise UsageError("A log's name has 1 to 255 characters and no space, plus sign or control character.") from None


def sign(origin: str, size: int, root: bytes, private_key: Ed25519PrivateKey, name: str | None = None) -> str:
    """The signed checkpoint of a log of `size` entries with that 32-byte root, by the log itself or a named witness."""
    key_of(origin, private_key)
    key = key_of(name or origin, private_key)
    text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
    signature = bytes.fromhex(key.keyid[-8:]) + private_key.sign(text.encode())
    return f"{text}\n\N{EM DASH} {key.name} {base64.b64encode(signature).decode()}\n"


def problems(signed: str, origin: str, size: int, root: bytes, public: bytes) -> list[str]:
    """What is wrong with a checkpoint that should be this log's, signed under its origin; empty if nothing is."""
    try:
        found = open_checkpoint(signed.encode(), Key(origin, public))
    except ValueError as error:
        return [f"the checkpoint cannot be relied on: {error}"]
    facts = zip(Checkpoint._fields, found, (origin, size, root), strict=True)
    return [f"the checkpoint's {name} is not the log's" for name, said, is_so in facts if said != is_so]
