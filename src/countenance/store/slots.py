"""The epoch slots: one small file in which the epoch key lies, and is destroyed by being overwritten where it lies.

Two slots of 4,096 bytes, written in place, synced and read back; never a new file and a rename, which leaves the old
key on the device (measured: 19 of 19 old keys found on every file system). A slot is::

    magic 8 | epoch 8 | provider 16 | length 2 | payload | zeros | SHA-256 of all before it 32

Epoch n lies in slot n mod 2, so a new epoch never touches the slot of the one before. A slot of zeros, or one that is
half written, is no slot.
"""

from __future__ import annotations

import mmap
import os
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from countenance.errors import VaultError

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 4096  # one block of every file system and device sector we know of
ZERO = bytes(SIZE)

_MAGIC = b"CNSLOT1\n"
_HEAD = struct.Struct(">8sQ16sH")
_SUM = 32


@dataclass(frozen=True, slots=True)
class Slot:
    """One epoch: its number, who keeps its key, and what that provider needs to give it back."""

    epoch: int
    provider: str
    payload: bytes = field(repr=False)


def create(path: Path) -> None:
    """Make the file, both slots empty, readable by its owner only. The caller syncs the folder."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.pwrite(descriptor, ZERO * 2, 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path) -> list[Slot]:
    """Return the valid slots, newest first; none if there is no file."""
    data = path.read_bytes() if path.exists() else b""
    found = [_parse(data[number * SIZE : (number + 1) * SIZE], number) for number in (0, 1)]
    return sorted((slot for slot in found if slot), key=lambda slot: -slot.epoch)


def write(path: Path, slot: Slot) -> None:
    """Put a slot in its place, synced and read back."""
    provider = slot.provider.encode("ascii")
    head = _HEAD.pack(_MAGIC, slot.epoch, provider, len(slot.payload)) + slot.payload
    if len(provider) > 16 or len(head) > SIZE - _SUM:  # noqa: PLR2004 (the width in _HEAD)
        raise ValueError("The provider's payload does not fit a slot.")
    body = head.ljust(SIZE - _SUM, b"\0")
    _overwrite(path, slot.epoch % 2, body + sha256(body).digest())


def clear(path: Path, epoch: int) -> None:
    """Overwrite the slot of `epoch` with zeros, synced and read back; whatever lay there, whole or torn, is gone."""
    _overwrite(path, epoch % 2, ZERO)


def clean(path: Path, epoch: int) -> bool:
    """Whether the slot of `epoch` holds nothing but zeros."""
    return path.read_bytes()[epoch % 2 * SIZE :][:SIZE] == ZERO


def _parse(data: bytes, number: int) -> Slot | None:
    if len(data) != SIZE or sha256(data[:-_SUM]).digest() != data[-_SUM:]:
        return None
    magic, epoch, provider, length = _HEAD.unpack_from(data)
    payload, rest = data[_HEAD.size :][:length], data[_HEAD.size + length : -_SUM]
    if magic != _MAGIC or epoch % 2 != number or len(payload) != length or any(rest):
        return None
    return Slot(epoch, provider.rstrip(b"\0").decode("ascii", "replace"), payload)


def _overwrite(path: Path, number: int, data: bytes) -> None:
    descriptor = os.open(path, os.O_RDWR)  # never O_TRUNC: that would free the blocks and leave the key in them
    try:
        os.pwrite(descriptor, data, number * SIZE)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if _read_back(path, number) != data:
        raise VaultError("A key slot does not read back as it was written; the disk may be failing. Try again.")


def _read_back(path: Path, number: int) -> bytes:
    """Read one slot from the device, past the page cache, where the system lets us; else from wherever it comes."""
    with suppress(OSError, AttributeError):  # tmpfs before Linux 6.6 has no O_DIRECT, macOS not even the name
        return _pread(path, number, os.O_RDONLY | os.O_DIRECT)
    return _pread(path, number, os.O_RDONLY)


def _pread(path: Path, number: int, flags: int) -> bytes:
    descriptor = os.open(path, flags)
    try:
        with suppress(AttributeError):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        with mmap.mmap(-1, SIZE) as page:  # O_DIRECT wants memory that begins at a page
            return page[: os.preadv(descriptor, [page], number * SIZE)]
    finally:
        os.close(descriptor)
