"""Who keeps the epoch key: what a slot's payload is, and what it takes to get the key back out of it.

`slot-file`: the payload is the key. `passphrase`: the payload is scrypt's parameters and salt (RFC 7914), and the key
sealed under what scrypt makes of the passphrase. Either way the key dies when its slot is overwritten.
"""

from __future__ import annotations

import os
import struct
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from countenance.errors import UsageError, VaultDamaged, WrongKey
from countenance.store.seal import seal, unseal

if TYPE_CHECKING:
    from collections.abc import Callable

    from countenance.ids import Random

COST = 2**17
"""scrypt's n; with r = 8 and p = 1 it takes 128 MiB and about 0.4 s a guess (OWASP's password storage cheat sheet)."""

_SCRYPT = struct.Struct(">IBB16s")  # n, r, p, salt
_LIMIT = 2**20  # n beyond this, 1 GiB, is a damaged file and not our parameters


@dataclass(frozen=True, slots=True)
class Secret:
    """What opens this vault's slots while it is open: for a passphrase, the key made of it."""

    provider: str
    header: bytes  # of each payload; the salt stays the same, so a new epoch needs no passphrase
    key: bytes | None = field(repr=False)


def begin(provider: str, passphrase: str | None, random: Random, cost: int = COST) -> Secret:
    """Return the secret of a new vault."""
    if provider not in PROVIDERS:
        raise UsageError(f"There is no key provider {provider}; choose one of: {', '.join(PROVIDERS)}.")
    if (provider == "passphrase") != bool(passphrase):
        raise UsageError("The provider passphrase needs a passphrase, and no other provider takes one.")
    header = _SCRYPT.pack(cost, 8, 1, random(16)) if passphrase else b""
    return PROVIDERS[provider][1](header, passphrase)


def recall(provider: str, payload: bytes, passphrase: str | None) -> Secret:
    """Return the secret of a vault from a slot's payload; a wrong passphrase shows only in `unwrap`."""
    if provider not in PROVIDERS:
        raise VaultDamaged(what="its keys are kept by a provider that this version does not know")
    size, make = PROVIDERS[provider]
    return make(payload[:size], passphrase)


def wrap(secret: Secret, epoch: int, key: bytes | bytearray, random: Random = os.urandom) -> bytes:
    """Return the payload that holds an epoch's key."""
    return secret.header + (seal(secret.key, "epoch key", epoch, key, random=random) if secret.key else key)


def unwrap(secret: Secret, epoch: int, payload: bytes) -> bytearray:
    """Return the epoch's key; raise `WrongKey` if the secret does not open it."""
    header, rest = payload[: len(secret.header)], payload[len(secret.header) :]
    if header != secret.header:
        raise WrongKey
    if secret.key is None:
        return bytearray(rest)
    try:
        return bytearray(unseal(secret.key, "epoch key", epoch, rest))
    except VaultDamaged:
        raise WrongKey from None


def _slot_file(header: bytes, _passphrase: str | None) -> Secret:
    return Secret("slot-file", header, None)


def _passphrase(header: bytes, passphrase: str | None) -> Secret:
    n, r, p, salt = _SCRYPT.unpack(header.ljust(_SCRYPT.size, b"\0"))
    if not (1 < n <= _LIMIT and n & (n - 1) == 0 and (r, p) == (8, 1)):
        raise VaultDamaged(what="the passphrase's parameters are out of range")
    if not passphrase:
        raise WrongKey
    text = unicodedata.normalize("NFC", passphrase).encode()  # as RFC 8265: one passphrase, however it was typed
    return Secret("passphrase", header, Scrypt(salt, 32, n, r, p).derive(text))


PROVIDERS: dict[str, tuple[int, Callable[[bytes, str | None], Secret]]] = {  # length of the header, and its reader
    "slot-file": (0, _slot_file),
    "passphrase": (_SCRYPT.size, _passphrase),
}
