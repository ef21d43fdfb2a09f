"""Signed states of the log: C2SP tlog-checkpoint text in a C2SP signed note. `verify.open_checkpoint` reads them.

A witness adds a line of its own to the note, a C2SP tlog-cosignature: it has seen the log grow to this state and no other.
"""

from __future__ import annotations

import base64
import hashlib
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from countenance.audit.verify import (
    Checkpoint,
    Key,
    open_checkpoint,
    open_note,
    parse_key,
    signature_holds,
    unbase64,
)
from countenance.errors import UsageError

_LAST = 253_402_300_799  # the last second of the year 9999
_COSIGNATURE = 0x04  # C2SP signed-note's type of a timestamped Ed25519 cosignature


class Cosigner(NamedTuple):
    """A witness's public key and the name that it signs under. As text it is a C2SP vkey of type 0x04."""

    name: str
    public: bytes  # 32 bytes, Ed25519

    @property
    def keyid(self) -> bytes:
        """The 4 bytes that a cosignature of this key begins with."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([_COSIGNATURE]) + self.public).digest()[:4]

    def __str__(self) -> str:
        public = base64.b64encode(bytes([_COSIGNATURE]) + self.public).decode()
        return f"{self.name}+{self.keyid.hex()}+{public}"


def parse_cosigner(text: str) -> Cosigner:
    """Read the vkey text of a witness in its one spelling. Raises ValueError, also for a key with which anybody signs."""
    name, _, rest = text.partition("+")
    cosigner = Cosigner(name, unbase64(rest.partition("+")[2], 33)[1:])
    parse_key(str(Key(name, cosigner.public)))  # the same demands on name and key
    if str(cosigner) != text:
        raise ValueError("it is not the key of a witness (name+hash+key of type 4, which it prints when it starts)")
    return cosigner


def cosign(text: str, name: str, private_key: Ed25519PrivateKey, at: int) -> str:
    """The signature line by which a witness says that it saw the log in the state of this note text, `at` seconds."""
    cosigner = Cosigner(name, private_key.public_key().public_bytes_raw())
    signature = cosigner.keyid + at.to_bytes(8, "big") + private_key.sign(_witnessed(text, at))
    return f"\N{EM DASH} {name} {base64.b64encode(signature).decode()}\n"


def cosigned_at(note: str, log: Key, cosigner: Cosigner) -> int:
    """When the witness signed this checkpoint of the log, in seconds since the epoch.

    Raises ValueError unless both signed it. Signatures of others are passed over.
    """
    text = open_note(note.encode(), log)
    times = []
    for line in note[len(text) + 1 :].splitlines():
        _, name, signed = line.split(" ")
        signature = unbase64(signed)
        if (name, signature[:4]) == (cosigner.name, cosigner.keyid):
            at = int.from_bytes(signature[4:12], "big")
            if not 0 < at <= _LAST or not signature_holds(cosigner.public, signature[12:], _witnessed(text, at)):
                raise ValueError("the witness's signature does not hold")
            times.append(at)
    if not times:
        raise ValueError("this witness did not sign it")
    return max(times)


def _witnessed(text: str, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}".encode()


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
        found = open_checkpoint(signed.encode(), Key(origin, public), alone=True)
    except ValueError as error:
        return [f"the checkpoint cannot be relied on: {error}"]
    facts = zip(Checkpoint._fields, found, (origin, size, root), strict=True)
    return [f"the checkpoint's {name} is not the log's" for name, said, is_so in facts if said != is_so]
