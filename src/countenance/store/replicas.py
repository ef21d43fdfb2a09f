"""Live replicas of the key state: the same files in another folder, overwritten in place when the original is.

::

    keys/replicas             where the replicas are, sealed: a path can say what an erasure must find nowhere
    replica/replica.json      whose replica this is: the vault's public key
    replica/epoch.slots, state.<n>, ledger

The original leads. A new epoch's state and slot are in every replica before the original takes them up, and a replica
loses the old slot only after the original has: so a replica never holds just an epoch that the original has not, unless
the original was put back from an old copy.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from countenance.errors import KeysOld, ReplicaUnreachable, UsageError, VaultDamaged, VaultError, VaultExists
from countenance.store import ledger, slots, state
from countenance.store.seal import seal, unseal

LIST = "replicas"
MARK = "replica.json"

_NEW = ".new"  # ends the name of a file that is not whole yet


@dataclass(frozen=True, slots=True)
class Source:
    """What a replica is to hold."""

    folder: Path  # of the original: its state file and ledger are copied
    slot: slots.Slot
    public_key: str  # hex
    list_key: bytes = field(repr=False)  # seals the list of replicas


def key(lasting: bytes | bytearray) -> bytes:
    """Return the key of the list, made of the keys that last (HKDF, RFC 5869)."""
    return HKDF(SHA256(), 32, None, b"countenance replicas 1").derive(lasting)


def listed(source: Source) -> list[Path]:
    """The replicas of the original's keys."""
    sealed = _bytes(source.folder / LIST)
    if not sealed:
        return []
    try:
        return [Path(os.fsdecode(path)) for path in unseal(source.list_key, "replicas", 0, sealed).split(b"\0") if path]
    except VaultDamaged:
        raise VaultError(
            f"The list of replicas ({source.folder / LIST}) cannot be read. Nothing was changed. Delete it and name each "
            "replica again with `countenance keys replicate`."
        ) from None


def enlist(source: Source, replicas: list[Path]) -> None:
    """Write the list of replicas, whole or not at all."""
    clear = b"\0".join(os.fsencode(path) for path in replicas)
    _put(source.folder / LIST, seal(source.list_key, "replicas", 0, clear))


def begin(source: Source, replica: Path) -> None:
    """Make an empty replica in a folder that is new, empty, or one of this vault already, and list it.

    It is listed before any key is in it, so that no copy of the keys is ever forgotten. Raises `VaultExists`.
    """
    home = source.folder.resolve().parent
    if replica.is_relative_to(home) or home.is_relative_to(replica):
        raise UsageError(
            "A replica inside the vault is lost with it. Nothing was changed; choose another disk or machine."
        )
    if replica.exists() and not _is_of(replica, source.public_key) and not _is_empty(replica):
        raise VaultExists(path=replica)
    with _reaching(replica):
        replica.mkdir(mode=0o700, parents=True, exist_ok=True)
        _put(replica / MARK, json.dumps({"public_key": source.public_key}).encode())
        with suppress(FileExistsError):
            slots.create(replica / state.SLOTS)
        state.sync(replica)
    enlist(source, [*(path for path in listed(source) if path != replica), replica])


def destroy(replica: Path, public_key: str) -> bool:
    """Overwrite a replica's slots and remove its files; False if it cannot be reached."""
    try:
        with _reaching(replica):
            _demand(replica, public_key)
            for number in (0, 1):
                slots.clear(replica / state.SLOTS, number)
            files = [*replica.glob("state.*"), *(replica / name for name in (ledger.NAME, state.SLOTS, MARK))]
            for path in files:
                path.unlink(missing_ok=True)
            state.sync(replica)
    except ReplicaUnreachable:
        return False
    return True


def align(source: Source, replica: Path) -> None:
    """Bring a replica in step with the original's one epoch, and leave no other epoch in it.

    Raises `ReplicaUnreachable`, or `KeysOld` if the replica is the newer one.
    """
    with _reaching(replica):
        _demand(replica, source.public_key)
        found = slots.read(replica / state.SLOTS)
        if source.slot not in found and found and found[0].epoch >= source.slot.epoch:
            raise KeysOld(path=source.folder)
    ready(source, replica)
    finish(source.slot.epoch, replica)


def ready(source: Source, replica: Path) -> None:
    """Put the epoch's ledger, state and slot into a replica, synced and read back. What else it holds stays."""
    with _reaching(replica):
        _demand(replica, source.public_key)
        _extend(replica / ledger.NAME, _bytes(source.folder / ledger.NAME))
        name = state.file(source.folder, source.slot.epoch).name
        sealed = (source.folder / name).read_bytes()
        if _bytes(replica / name) != sealed:
            _put(replica / name, sealed, "state.new")
        if source.slot not in slots.read(replica / state.SLOTS):
            slots.write(replica / state.SLOTS, source.slot)


def finish(epoch: int, replica: Path) -> None:
    """Leave no epoch but this one in a replica: first the other slot, then the states that nothing opens any more."""
    with _reaching(replica):
        state.clear_away(replica, epoch)


def take_back(epoch: int, replica: Path) -> None:
    """Overwrite the slot of an epoch that never came to be, if the replica can still be reached."""
    with suppress(ReplicaUnreachable), _reaching(replica):
        slots.clear(replica / state.SLOTS, epoch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a replica looks like from here."""

    reachable: bool
    in_step: bool
    clean: bool  # no epoch in it but its newest


def look(source: Source, replica: Path) -> Look:
    """Look at a replica; nothing is changed."""
    try:
        with _reaching(replica):
            _demand(replica, source.public_key)
            found = slots.read(replica / state.SLOTS)
            names = (state.file(source.folder, source.slot.epoch).name, ledger.NAME)
            same = all(_bytes(replica / name) == _bytes(source.folder / name) for name in names)
            clean = len(found) == 1 and slots.clean(replica / state.SLOTS, found[0].epoch + 1)
            return Look(reachable=True, in_step=found == [source.slot] and same, clean=clean)
    except ReplicaUnreachable:
        return Look(reachable=False, in_step=False, clean=False)


@contextmanager
def _reaching(replica: Path) -> Iterator[None]:
    """Whatever the system refuses here means that the replica is out of reach."""
    try:
        yield
    except OSError as error:
        raise ReplicaUnreachable(path=replica, why=(error.strerror or "no reason given").lower()) from None
    except VaultError as error:
        if isinstance(error, KeysOld | ReplicaUnreachable):
            raise
        raise ReplicaUnreachable(path=replica, why=str(error)) from None


def _demand(replica: Path, public_key: str) -> None:
    """Another disk may be mounted where the replica was, with another vault's keys on it."""
    if not _is_of(replica, public_key):
        raise ReplicaUnreachable(path=replica, why="no replica of this vault is there")


def _is_of(replica: Path, public_key: str) -> bool:
    try:
        return bool(json.loads((replica / MARK).read_text("utf-8"))["public_key"] == public_key)
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return False


def _is_empty(folder: Path) -> bool:
    """Whether nothing is in a folder but the first file of a replica whose making was cut short."""
    return folder.is_dir() and {path.name for path in folder.iterdir()} <= {f"{MARK}{_NEW}"}


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _put(path: Path, data: bytes, through: str | None = None) -> None:
    """Write a file under another name and rename it, both synced. Nothing written here is a key in the clear."""
    temporary = path.with_name(through or path.name + _NEW)
    temporary.unlink(missing_ok=True)
    state.write_file(temporary, data)
    temporary.replace(path)
    state.sync(path.parent)


def _extend(path: Path, data: bytes) -> None:
    """Make a file hold `data` by appending; what it holds beyond the part that both share is cut off first."""
    held = _bytes(path)
    if held == data:
        return
    shared = len(os.path.commonprefix([held, data]))  # noqa: RUF071 - byte by byte is what is meant
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.ftruncate(descriptor, shared)
        while shared < len(data):
            shared += os.pwrite(descriptor, data[shared:], shared)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    state.sync(path.parent)
