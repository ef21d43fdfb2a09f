"""Sealed bytes: AES-256-GCM (NIST SP 800-38D) under one item's key, bound to what they are.

A sealed object is a random nonce (12 bytes), the ciphertext and the tag (16). Its associated data names the item, the
kind and the version, so that no sealed bytes can stand in for others. Templates are sealed as little-endian float32.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from countenance.errors import VaultDamaged

if TYPE_CHECKING:
    from countenance.ids import Random

    Buffer = bytes | bytearray | memoryview

NONCE = 12
OVERHEAD = NONCE + 16
"""Bytes that sealing adds."""


def seal(key: Buffer, kind: str, item: int, clear: Buffer, *, random: Random = os.urandom, version: int = 1) -> bytes:
    """Return `clear` sealed under a 32-byte key, `OVERHEAD` bytes longer."""
    nonce = random(NONCE)
    return nonce + AESGCM(key).encrypt(nonce, clear, _bound(kind, item, version))


def unseal(key: Buffer, kind: str, item: int, sealed: Buffer, *, version: int = 1) -> bytes:
    """Return what was sealed; raise `VaultDamaged` if these bytes were not sealed as this under this key."""
    cipher = AESGCM(key)
    try:
        return cipher.decrypt(sealed[:NONCE], sealed[NONCE:], _bound(kind, item, version))
    except (InvalidTag, ValueError):
        raise _damaged(kind) from None


def unseal_into(key: Buffer, kind: str, item: int, sealed: Buffer, buffer: Any, *, version: int = 1) -> None:
    """Open sealed bytes into `buffer`: a bytearray, memoryview or C-contiguous array as long as the clear text.

    The one copy in the clear is then where the caller can overwrite it. After a refusal the buffer is all zero.
    Raises `VaultDamaged` as `unseal` does.
    """
    cipher = AESGCM(key)
    into = memoryview(buffer).cast("B")
    try:
        cipher.decrypt_into(sealed[:NONCE], sealed[NONCE:], _bound(kind, item, version), into)
    except (InvalidTag, ValueError):
        into[:] = bytes(len(into))
        raise _damaged(kind) from None


def _damaged(kind: str) -> VaultDamaged:
    return VaultDamaged(what=f"a sealed {kind} does not open under its key")


def _bound(kind: str, item: int, version: int) -> bytes:
    """Return the associated data: numbers of fixed width, then the kind, so that no two triples spell the same."""
    return struct.pack(">BQ", version, item) + kind.encode()
