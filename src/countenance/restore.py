"""Restoring: a backup, today's keys, and the erasure ledger between the two.

The records are put together under another name, and everything erased since the backup is removed from them; only then
do they get the name under which a vault is opened. Cut short at any instruction, nothing is there that serves, and the
same command can be run again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from countenance import errors
from countenance.audit import log, manifest
from countenance.audit.recall import recall
from countenance.records import Entry
from countenance.store import ledger, replay, shelf, slots, snapshot, standing, state
from countenance.store.database import Database
from countenance.store.keys import Keys
from countenance.store.shelf import MANIFESTS, PIECES, Shelf

RECORDS = "records.db"

_NEW = "records.db.restoring"
_LEFT = {_NEW, f"{_NEW}-wal", f"{_NEW}-shm", "vault.toml.restoring"}  # by a restore that was cut short


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore did."""

    path: Path
    backup: str  # name of the manifest; empty for a copy of the records
    at: str  # when the backup was made
    epoch_before: int
    epoch: int
    lines: int  # of the log, in the backup
    lines_missing: int  # at least so many were written after it
    replayed: replay.Replayed
    orders: int  # brought back to where they stood: in force, or lifted


@dataclass(frozen=True, slots=True, kw_only=True)
class _Origin:
    """Where records come from, and what they were in step with."""

    name: str
    at: str
    epoch: int
    log_size: int
    log_root: str


def restore(
    source: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    keys: str | os.PathLike[str] | None = None,
    at: str | None = None,
    passphrase: str | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    dry_run: bool = False,
) -> Restored:
    """Restore a backup into a folder that is new, or holds only today's `keys/` (and `vault.toml`).

    `source` is where the backup lies, or a vault's folder whose records.db was put back from an old copy, which is then
    brought to today where it is (`source` and `path` the same). `keys` is a live replica's folder, which is copied in
    and stays a replica. `at` names a backup; otherwise it is the newest. A dry run does it all and leaves nothing.

    Raises `KeysMissing`, `WrongKey`, `KeysOld`, `LedgerBroken`, `BackupDamaged`, `VaultExists`. Nothing is left then.
    """
    folder, keys = Path(path), Path(keys).expanduser().resolve() if keys else None
    in_place = _is_folder(source, folder) and (folder / RECORDS).is_file()
    with _alone(folder), _undone(folder, always=dry_run):
        _demand_room(folder, in_place=in_place)
        if keys is not None:
            _copy_keys(keys, folder / "keys")
        opened = Keys.open(folder / "keys", passphrase)
        try:
            if keys is not None:
                opened.adopt(keys)
            if not dry_run:
                with suppress(errors.ReplicaUnreachable):  # the vault says so when it is opened
                    opened.align()
            origin = _copied(folder, opened) if in_place else _fetched(shelf.find(source), folder, opened, at)
            done = _replayed(folder, opened, origin, clock)
            if not dry_run:
                _show(folder)
        finally:
            opened.close()
    return done


def _fetched(place: Shelf, folder: Path, keys: Keys, at: str | None) -> _Origin:
    """Put a backup's pieces together, each checked against the signed manifest."""
    names = sorted(place.names(MANIFESTS))
    if not names:
        raise errors.NotFound(noun="backup at", name="this place")
    name = at or names[-1]
    if name not in names:
        raise errors.NotFound(noun="backup named", name=name)
    found = manifest.verify(place.read(f"{MANIFESTS}/{name}"), name, keys.public_key())
    _demand_ledger(keys, found.epoch)
    with _new(folder / _NEW) as file:
        for piece in found.pieces:
            file.write(_piece(place, piece))
        if file.tell() != found.size:
            raise errors.BackupDamaged(what=f"the manifest {name} contradicts itself")
    if not (folder / "vault.toml").exists():
        with _new(folder / "vault.toml.restoring") as file:
            file.write(_piece(place, found.about))
    return _Origin(name=name, at=found.at, epoch=found.epoch, log_size=found.log_size, log_root=found.log_root)


def _copied(folder: Path, keys: Keys) -> _Origin:
    """Copy records that were put back from an old copy."""
    snapshot.copy(folder / RECORDS, folder / _NEW)
    said = snapshot.said(folder / _NEW)
    if said["epoch"] == keys.epoch:
        raise errors.UsageError("The records are in step with the keys already. Nothing was changed.")
    _demand_ledger(keys, said["epoch"])
    return _Origin(name="", at="", epoch=said["epoch"], log_size=said["log_size"], log_root=said["log_root"])


def _demand_ledger(keys: Keys, epoch: int) -> list[ledger.Record]:
    """The ledger from an epoch to today's; raises `KeysOld` or `LedgerBroken`."""
    if keys.epoch < epoch:
        raise errors.KeysOld(path=keys.folder)
    found = ledger.since(keys.history(), epoch, keys.epoch)
    if found is None:
        raise errors.LedgerBroken(first=epoch + 1, last=keys.epoch)
    return found


def _replayed(folder: Path, keys: Keys, origin: _Origin, clock: Callable[[], datetime]) -> Restored:
    """Remove from the records what was erased since, all in one transaction, and say so in the log."""
    records = _demand_ledger(keys, origin.epoch)
    known = max([origin.log_size, *(each.log_size for each in keys.history())])
    database = Database(folder / _NEW, keys, clock)
    try:
        database.check_format()
        if wrong := database.integrity():
            raise errors.BackupDamaged(what=f"its records are not whole ({wrong[0]})")
        with database.write() as tx:
            if standing.epoch(tx) != origin.epoch:
                raise errors.BackupDamaged(what="its manifest and its records are of different epochs")
            done = replay.replay(tx, records)
            public = {
                "backup-at": origin.at,
                "log-size": origin.log_size,
                "log-root": origin.log_root,
                "known-size": known,
                "epoch-before": origin.epoch,
                "epoch": keys.epoch,
                "erasures": done.erasures,
            }
            log.append(tx, Entry(kind="vault:restored", public=public))
            orders = recall(tx, keys.history())
        if not database.truncate_wal():
            raise errors.VaultBusy(seconds=0)
    finally:
        database.close()
    return Restored(
        path=folder,
        backup=origin.name,
        at=origin.at,
        epoch_before=origin.epoch,
        epoch=keys.epoch,
        lines=origin.log_size,
        lines_missing=known - origin.log_size,
        replayed=done,
        orders=orders,
    )


def _show(folder: Path) -> None:
    """Give the records the name under which they serve: the last step, and the only one that shows anything."""
    descriptor = os.open(folder / _NEW, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if (folder / "vault.toml.restoring").exists():
        (folder / "vault.toml.restoring").replace(folder / "vault.toml")
    for name in (f"{RECORDS}-wal", f"{RECORDS}-shm"):  # a write-ahead log of other records must not meet these
        (folder / name).unlink(missing_ok=True)
    state.sync(folder)
    (folder / _NEW).replace(folder / RECORDS)
    state.sync(folder)


def _copy_keys(replica: Path, folder: Path) -> None:
    """Make a replica's keys an original, its slots last; the replica stays one."""
    found = slots.read(replica / state.SLOTS)
    if not found:
        raise errors.KeysMissing(path=replica)
    if there := slots.read(folder / state.SLOTS):
        if there[0] not in found:
            raise errors.VaultExists(path=folder)
        return  # a restore that was cut short has copied them already
    if folder.exists():
        shutil.rmtree(folder)  # a copy that was cut short before its slots: no key is in it
    folder.mkdir(mode=0o700)
    for file in [*replica.glob("state.*"), replica / ledger.NAME]:
        if file.exists():
            state.write_file(folder / file.name, file.read_bytes())
    slots.create(folder / state.SLOTS)
    state.sync(folder)
    for slot in found:
        slots.write(folder / state.SLOTS, slot)


def _piece(place: Shelf, name: str) -> bytes:
    try:
        data = place.read(f"{PIECES}/{name}")
    except errors.NotFound:
        raise errors.BackupDamaged(what=f"the piece {name[:16]}… is missing") from None
    if hashlib.sha256(data).hexdigest() != name:
        raise errors.BackupDamaged(what=f"the piece {name[:16]}… was changed")
    return data


def _is_folder(source: str | os.PathLike[str], folder: Path) -> bool:
    text = os.fspath(source)
    return (
        not text.startswith(shelf.SCHEMES) and folder.is_dir() and Path(text).expanduser().resolve() == folder.resolve()
    )


def _demand_room(folder: Path, *, in_place: bool) -> None:
    """Raise `VaultExists` if anything but the keys is there, and remove what a restore that was cut short left."""
    for name in _LEFT:
        (folder / name).unlink(missing_ok=True)
    if not in_place and {path.name for path in folder.iterdir()} - {"keys", "vault.toml"}:
        raise errors.VaultExists(path=folder)


@contextmanager
def _new(path: Path) -> Iterator[BinaryIO]:
    """A new file, readable by its owner only, synced at the end."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder against other restores; one that was made for this and stays empty goes again."""
    made = not folder.exists()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        if made:
            with suppress(OSError):
                folder.rmdir()
        os.close(descriptor)


@contextmanager
def _undone(folder: Path, *, always: bool) -> Iterator[None]:
    """Remove again what was made in the folder, if it fails."""
    before = {path.name for path in folder.iterdir()}
    try:
        yield
    except BaseException:
        _remove(folder, before)
        raise
    if always:
        _remove(folder, before)


def _remove(folder: Path, before: set[str]) -> None:
    for path in list(folder.iterdir()):
        if path.name in before:
            continue
        if not path.is_dir():
            path.unlink()
            continue
        with suppress(OSError, errors.VaultError):  # a copy of the keys: overwritten before it goes
            for number in (0, 1):
                slots.clear(path / state.SLOTS, number)
        shutil.rmtree(path)
