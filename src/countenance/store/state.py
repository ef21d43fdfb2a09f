"""One epoch of the keys: what it holds in memory, its sealed state file, and which epoch a folder is in."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from countenance.errors import DiskFull, KeysMissing, VaultDamaged
from countenance.store import ledger, slots, tree
from countenance.store.provider import unwrap
from countenance.store.seal import OVERHEAD, seal, unseal_into
from countenance.store.system import spoken

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from countenance.ids import Random
    from countenance.store.provider import Secret

SLOTS = "epoch.slots"
KEY = 32
LASTING = 3 * KEY

_MAGIC = b"CNSTAT2\n"
_HEAD = len(_MAGIC) + LASTING


@dataclass(frozen=True, slots=True)
class Epoch:
    """What is in memory of one epoch. Bytearrays, so that they can be overwritten there."""

    number: int  # from 1
    key: bytearray = field(repr=False)
    lasting: bytearray = field(repr=False)  # look-up, suppression and signing key, the same in every epoch
    items: tree.Tree = field(repr=False)
    state_hash: str = ""  # SHA-256 of the sealed state
    recorded: bytes = ledger.NONE  # SHA-256 of the last frame of the erasure ledger
    path: tree.Path = field(default_factory=tree.Path, repr=False, compare=False)

    def derived(self, label: str) -> bytes:
        """Return a 32-byte key that dies with the epoch (HKDF, RFC 5869)."""
        return HKDF(SHA256(), KEY, None, b"countenance epoch 1 " + label.encode()).derive(self.key)


def wipe(old: Epoch, keep: Epoch | None) -> None:
    """Overwrite in memory what `old` does not share with `keep`."""
    tree.wipe(old.items, keep.items if keep else None)
    for mine, kept in ((old.key, keep and keep.key), (old.lasting, keep and keep.lasting)):
        if mine is not kept:
            mine[:] = bytes(len(mine))


def write(folder: Path, epoch: Epoch, random: Random) -> Epoch:
    """Write the sealed state of an epoch, synced; return the epoch with its hash."""
    clear = bytearray().join((_MAGIC, epoch.lasting, epoch.recorded, tree.dump(epoch.items)))
    sealed = seal(epoch.derived("state"), "key state", epoch.number, clear, random=random)
    clear[:] = bytes(len(clear))
    path = file(folder, epoch.number)
    try:
        write_file(path, sealed)
        sync(folder)
    except OSError as error:
        with suppress(OSError):
            path.unlink()
        if error.errno == errno.ENOSPC:
            raise DiskFull from None
        raise
    return replace(epoch, state_hash=sha256(sealed).hexdigest())


def settle(folder: Path, secret: Secret, held: Epoch | None = None) -> Epoch:
    """Return the newest epoch that opens and clear away every other. Only under the lock.

    That finishes a rotation whose new slot was whole, and takes back one that had not come so far. `held` is what is in
    memory already; if it is still the newest, it is not read again.
    """
    damage = None
    for slot in valid(folder):
        try:
            now = _load(folder, slot, secret, held)
        except VaultDamaged as error:
            damage = damage or error
        else:
            clear_away(folder, now.number)
            return now
    assert damage is not None  # there was at least one slot
    raise damage


def valid(folder: Path) -> list[slots.Slot]:
    """Return the valid slots, newest first; raise `KeysMissing` if there is none."""
    found = slots.read(folder / SLOTS)
    if not found:
        raise KeysMissing(path=folder)
    return found


def file(folder: Path, number: int) -> Path:
    """Return where the sealed state of an epoch lies."""
    return folder / f"state.{number}"


def sync(folder: Path) -> None:
    """Make names made and removed in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder against other processes and threads; the system lets go when the holder dies."""
    with spoken("the folder of the keys"):
        try:
            descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            raise KeysMissing(path=folder) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def clear_away(folder: Path, number: int) -> None:
    """Leave no epoch but this one: first the other slot, whole or torn, then states that nothing opens any more."""
    if not slots.clean(folder / SLOTS, number + 1):
        slots.clear(folder / SLOTS, number + 1)
    stale = [path for path in folder.glob("state.*") if path != file(folder, number)]
    for path in stale:
        path.unlink()
    if stale:
        sync(folder)


def write_file(path: Path, data: bytes) -> None:
    """Write a new file, synced, readable by its owner only."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _load(folder: Path, slot: slots.Slot, secret: Secret, held: Epoch | None) -> Epoch:
    key = unwrap(secret, slot.epoch, slot.payload)
    if held and (held.number, held.key) == (slot.epoch, key):
        return held
    damaged = VaultDamaged(what=f"the sealed key state of epoch {slot.epoch} is missing or does not open")
    try:
        sealed = file(folder, slot.epoch).read_bytes()
    except FileNotFoundError:
        raise damaged from None
    clear = bytearray(max(0, len(sealed) - OVERHEAD))
    epoch = Epoch(slot.epoch, key, bytearray(LASTING), tree.Tree({}), sha256(sealed).hexdigest())
    try:
        unseal_into(epoch.derived("state"), "key state", slot.epoch, sealed, clear)
        if not clear.startswith(_MAGIC):
            raise damaged
        epoch.lasting[:] = clear[len(_MAGIC) : _HEAD]
        nodes = tree.load(memoryview(clear)[_HEAD + len(ledger.NONE) :])
        return replace(epoch, items=nodes, recorded=bytes(clear[_HEAD:][: len(ledger.NONE)]))
    except (tree.Malformed, VaultDamaged):
        raise damaged from None
    finally:
        clear[:] = bytes(len(clear))
