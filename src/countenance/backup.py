"""Backing up: a snapshot of the records, cut into pieces that are stored once each, and a signed manifest that names them.

::

    manifests/<time>-<log>-<hash>  what belongs to one backup, written last
    pieces/<sha256>                one MiB of records.db each; what did not change since the last backup is there already

Nothing of `keys/` is ever written: a backup alone opens nothing, and what was erased since it was made stays erased.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from countenance import errors
from countenance.audit import log, manifest
from countenance.records import Entry
from countenance.store import entries, shelf, snapshot, standing
from countenance.store.database import Database
from countenance.store.lock import held
from countenance.store.shelf import MANIFESTS, PIECES, Shelf

PIECE = 1 << 20
"""Bytes a piece: a small change costs a few of them, and 10 GB are 10,000 names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a backup is."""

    done: int  # bytes
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What a backup holds and what it took."""

    name: str  # of its manifest
    pieces: int
    new: int  # pieces written now
    bytes: int
    bytes_written: int
    dropped: int  # older backups removed


def backup(
    database: Database,
    destination: str | os.PathLike[str],
    *,
    keep: int | None,
    report: Callable[[Progress], None],
) -> Backup:
    """Write what is new; see `Vault.backup`."""
    if keep is not None and keep < 1:
        raise errors.UsageError("At least one backup is kept. Nothing was changed.")
    place = shelf.find(destination)
    _demand_outside(database, place)
    if not database.dry_run and isinstance(place, shelf.Folder):
        place.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with held(database.path.parent / snapshot.LOCK, wait=False) as mine:
        if not mine:
            raise errors.UsageError("Another backup of this vault is under way. Nothing was changed.")
        with place.lock():
            last = _last(database, place)
            if last and _unchanged(database, last):
                size = last.size
                done = Backup(name=last.name, pieces=len(last.pieces), new=0, bytes=size, bytes_written=0, dropped=0)
            else:
                done = _write(database, place, report)
            return _drop(database, place, done, keep) if keep else done


def _write(database: Database, place: Shelf, report: Callable[[Progress], None]) -> Backup:
    with database.write() as tx:
        log.append(tx, Entry(kind="vault:backed-up", public={"epoch": standing.epoch(tx)}))
        at = log.moment(tx)
    about = (database.path.parent / "vault.toml").read_bytes()
    known = set(place.names(PIECES))
    written: dict[str, int] = {}
    pieces: list[str] = []

    def put(data: bytes) -> str:
        name = hashlib.sha256(data).hexdigest()
        if name not in known:
            known.add(name)
            written[name] = len(data)
            if not database.dry_run:
                place.write(f"{PIECES}/{name}", data)
        return name

    with snapshot.take(database.path) as taken:
        for data in _cut(taken.file):
            pieces.append(put(data))
            report(Progress(done=min(len(pieces) * PIECE, taken.size), total=taken.size))
    made = manifest.Manifest(
        format=manifest.FORMAT,
        at=at,
        public_key=database.keys.public_key().hex(),
        epoch=taken.epoch,
        generation=taken.generation,
        next_item=taken.next_item,
        log_size=taken.log_size,
        log_root=taken.log_root,
        about=put(about),
        size=taken.size,
        pieces=tuple(pieces),
    )
    signed = manifest.sign(made, database.keys.signing_key())
    if not database.dry_run:
        place.write(f"{MANIFESTS}/{made.name}", signed)
    return Backup(
        name=made.name,
        pieces=len(pieces),
        new=len(written),
        bytes=taken.size,
        bytes_written=sum(written.values()) + len(signed),
        dropped=0,
    )


def _cut(file: BinaryIO) -> Iterator[bytes]:
    while data := file.read(PIECE):
        yield data


def _last(database: Database, place: Shelf) -> manifest.Manifest | None:
    """The newest backup there; `UsageError` if it is another vault's."""
    names = sorted(place.names(MANIFESTS))
    try:
        return _manifest(database, place, names[-1]) if names else None
    except errors.BackupDamaged:
        raise errors.UsageError(
            f"The newest backup there ({names[-1]}) is of another vault, or was changed. Nothing was written; choose an "
            "empty folder, or remove that manifest."
        ) from None


def _unchanged(database: Database, last: manifest.Manifest) -> bool:
    """Whether nothing was written to the records since a backup."""
    with database.read() as tx:
        now = (database.generation_in(tx), standing.epoch(tx), entries.head(tx).size)
        return now == (last.generation, last.epoch, last.log_size) and log.grown(tx).root().hex() == last.log_root


def _drop(database: Database, place: Shelf, done: Backup, keep: int) -> Backup:
    """Remove all but the newest backups, manifests first, then the pieces that none of those kept names."""
    names = sorted({*place.names(MANIFESTS), done.name})
    kept = [_manifest(database, place, name) for name in names[-keep:] if name != done.name or not database.dry_run]
    if not database.dry_run:
        for name in names[:-keep]:
            place.remove(f"{MANIFESTS}/{name}")
        named = {piece for each in kept for piece in (*each.pieces, each.about)}
        for name in place.names(PIECES):
            if name not in named:
                place.remove(f"{PIECES}/{name}")
    return replace(done, dropped=len(names[:-keep]))


def _manifest(database: Database, place: Shelf, name: str) -> manifest.Manifest:
    return manifest.verify(place.read(f"{MANIFESTS}/{name}"), name, database.keys.public_key())


def _demand_outside(database: Database, place: Shelf) -> None:
    """A backup inside the vault would be lost with it, and an erasure would find in it what must be gone."""
    if isinstance(place, shelf.Folder) and place.path.resolve().is_relative_to(database.path.parent.resolve()):
        raise errors.UsageError("A backup inside the vault is lost with it. Nothing was changed; choose another place.")
