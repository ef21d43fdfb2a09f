"""The custody of the keys: whether records and keys are in step, rotating the keys, and their replicas."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from countenance import errors
from countenance.audit import log
from countenance.records import Entry
from countenance.store import entries, erasures, ledger, medium, processes, replay, standing
from countenance.store.database import Database, Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One folder that holds the keys."""

    path: Path
    role: Literal["original", "replica"]
    reachable: bool
    in_step: bool  # it holds the epoch of the original, its state and its ledger
    clean: bool  # nothing of another epoch is in it
    medium: str  # A, B or C
    note: str
    same_disk: bool  # a replica on the original's file system


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How the keys stand."""

    epoch: int
    provider: str
    places: tuple[Place, ...]
    ledger: int  # records in the erasure ledger that count
    ledger_whole: bool
    warnings: tuple[str, ...]


def demand_in_step(database: Database) -> None:
    """Raise `RecordsOld` or `KeysOld` unless records and keys are of one time.

    Keys may be ahead of the records by a rotation that a crash cut short: the erasure that asked for it is still there,
    stopped, or the log is where the rotation left it.
    """
    keys = database.keys
    with database.read() as tx:
        epoch = standing.epoch(tx)
        if keys.epoch < epoch:  # another process may have moved both on since these keys were opened
            keys.reload()
        if keys.epoch < epoch:
            raise errors.KeysOld(path=keys.folder)
        if keys.epoch > epoch:
            missing = ledger.since(keys.history(), epoch, keys.epoch)
            if missing is None or not all(_under_way(tx, record) for record in missing):
                raise errors.RecordsOld(found=epoch, now=keys.epoch)


def finish_rotation(database: Database, process_id: str) -> None:
    """Bring records in step with a rotation without erasure that a crash cut short. Only under the erase lock."""
    with database.read() as tx:
        missing = ledger.since(database.keys.history(), standing.epoch(tx), database.keys.epoch)
    if missing and missing[-1].erasure is None:
        _rotated(database, process_id, missing[-1])


def rotate(database: Database, process_id: str) -> int:
    """Begin a new key epoch without the leaves that were discarded, and return its number. Only under the erase lock.

    Raises `ReplicaUnreachable` as an erasure does.
    """
    keys = database.keys
    with database.read() as tx:
        discarded, record = erasures.discarded(tx), replay.record(tx)
    keys.advance(discarded, record)
    _rotated(database, process_id, [each for each in keys.history() if each.order is None][-1])
    return keys.epoch


def replicate(database: Database, folder: Path) -> None:
    """Keep a live replica of the keys in a folder from now on, and log that there is one more."""
    with database.write() as tx:
        log.append(tx, Entry(kind="keys:replicated", public={"epoch": database.keys.epoch}))
    database.keys.replicate(folder)


def remove_replica(database: Database, folder: Path) -> bool:
    """Keep no replica in a folder any more; return whether the one there was destroyed."""
    destroyed = database.keys.forget(folder)
    with database.write() as tx:
        log.append(tx, Entry(kind="keys:replica-removed", public={"destroyed": destroyed}))
    return destroyed


def status(database: Database) -> Status:
    """How the keys, their replicas and the ledger stand. Nothing is changed."""
    keys = database.keys
    history = keys.history()
    whole = ledger.since(history, 1, keys.epoch) is not None
    places = [
        Place(
            path=keys.folder,
            role="original",
            reachable=True,
            in_step=True,
            clean=keys.clean(),
            medium=keys.medium.cls,
            note=keys.medium.note,
            same_disk=False,
        )
    ]
    for path, look in keys.look().items():
        kind = medium.classify(path)
        places.append(
            Place(
                path=path,
                role="replica",
                reachable=look.reachable,
                in_step=look.in_step,
                clean=look.clean,
                medium=kind.cls,
                note=kind.note,
                same_disk=look.reachable and path.stat().st_dev == keys.folder.stat().st_dev,
            )
        )
    return Status(
        epoch=keys.epoch,
        provider=keys.provider,
        places=tuple(places),
        ledger=sum(each.order is None for each in history),
        ledger_whole=whole,
        warnings=tuple(_warnings(places, whole=whole)),
    )


def _warnings(places: list[Place], *, whole: bool) -> list[str]:
    found = []
    if len(places) == 1:
        found.append(
            "There is no replica: if this folder is lost, everything that the vault holds is lost, and so is every backup."
        )
    for place in places[1:]:
        if not place.reachable:
            found.append(f"The replica in {place.path} cannot be reached: no erasure can be finished without it.")
        elif not (place.in_step and place.clean):
            found.append(f"The replica in {place.path} is not in step. Opening the vault brings it there.")
        if place.same_disk:
            found.append(
                f"The replica in {place.path} is on the same file system as the original, and is lost with it."
            )
    if not whole:
        found.append("The erasure ledger is not whole: a backup from before the gap can no longer be restored.")
    return found


def _under_way(tx: Tx, record: ledger.Record) -> bool:
    """Whether these records are from after a rotation began that they do not know the end of."""
    if record.erasure is None:
        size = record.log_size
        return entries.head(tx).size >= size and log.grown(tx, size).root().hex() == record.log_root
    found = [stored for stored in erasures.unfinished(tx) if stored.id == record.erasure]
    return bool(found) and found[0].state == "stopped" and found[0].progress.get("epoch") == record.epoch - 1


def _rotated(database: Database, process_id: str, record: ledger.Record) -> None:
    with database.write() as tx:
        erasures.clear_discarded(tx, record.items)
        details = entries.erase_parts(tx, record.items)
        standing.follow(tx, record.epoch)
        processes.follow(tx, process_id, database.keys.epoch, database.generation_in(tx))
        public = {"epoch": record.epoch, "items": len(record.items), "log-details": details}
        log.append(tx, Entry(kind="keys:rotated", public=public))
