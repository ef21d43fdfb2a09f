"""The sweep: what is past its time is erased, with a certificate, and what still stays is counted, with why.

Nothing past its time is searched or shown in any case (promise P8): the sweep makes it go. What goes is what the vault
holds; the holder's own files at the sources are not touched (docs/decisions/0010-expiry.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from countenance import custody, wish
from countenance.audit import log
from countenance.orders import erase, scope
from countenance.records import Entry, Erasure
from countenance.requests import desk
from countenance.store import collections, erasures, expiry, faces, requests, searches, subjects, wishes
from countenance.store.database import Database, Tx
from countenance.store.expiry import Due
from countenance.store.lock import held

PIECE = 5_000  # photos an erasure: what it must search the files for is in memory, about 3 kB a face


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep did, or would do."""

    photos: int
    faces: int  # of photos that stay, such as of somebody whose consent has ended
    subjects: int  # whose consent has ended
    searches: int  # whose hits are no longer kept
    wishes: int
    requests: int
    leaves: int  # keys of records that were replaced or finished with
    erasures: tuple[str, ...] = ()
    stays: dict[str, int] = field(default_factory=dict)  # photos past their time that stay: why -> how many


def look(database: Database) -> Swept:
    """What a sweep would do now. Nothing is changed."""
    with database.read() as tx:
        stay = expiry.kept(tx)
        found = [due for each in collections.every(tx) if (due := expiry.due(tx, each.id, stay))]
        return Swept(
            photos=sum(len(due.photos) for due in found),
            faces=sum(len(due.faces) for due in found),
            subjects=sum(len(due.subjects) for due in found),
            searches=searches.past(tx),
            wishes=len(wishes.ended(tx)),
            requests=len(requests.expired(tx)),
            leaves=len(erasures.discarded(tx)),
            stays=expiry.stays(tx, stay),
        )


def sweep(
    database: Database,
    *,
    process_id: str,
    by: str,
    finish: Callable[[str], Erasure],
    freeze: Callable[[Iterable[str]], object],
) -> Swept:
    """Erase what is past its time, in pieces of one collection each. Can be cut short at any point and called again.

    `finish` takes a planned erasure through every step; `freeze` keeps the answers that people wait for.
    """
    if database.dry_run:
        return look(database)
    lock = database.path.parent / "erase.lock"
    before = look(database)
    with held(lock):
        wish.end(database)
        desk.sweep(database)
        with database.write() as tx:
            searches.expire(tx)
    done: list[str] = []
    while erasure := _piece(database, lock, by=by, finish=finish, freeze=freeze):
        done.append(erasure.id)
    with held(lock):
        with database.read() as tx:
            left = bool(erasures.discarded(tx))
        if left:
            custody.rotate(database, process_id)
    swept = replace(before, erasures=tuple(done))
    with database.write() as tx:
        names = ("photos", "faces", "subjects", "searches", "wishes", "requests", "leaves", "stays")
        log.append(tx, Entry(kind="vault:swept", public={name: getattr(swept, name) for name in names}))
    return swept


def _piece(
    database: Database,
    lock: Path,
    *,
    by: str,
    finish: Callable[[str], Erasure],
    freeze: Callable[[Iterable[str]], object],
) -> Erasure | None:
    """One erasure of what is past its time; None if nothing is left. Other erasures get in between two pieces."""
    with held(lock):
        with database.read() as tx:
            stay = expiry.kept(tx)
            due = next(
                (found for each in collections.every(tx) if (found := expiry.due(tx, each.id, stay, PIECE))), None
            )
        if due is None:
            return None
        freeze([*due.photos, *due.faces])
        with database.write() as tx:
            _unlink(tx, due)
            reached = scope.of_expired(tx, due)
        return finish(erase.plan(database, reached, ground="no-longer-needed", by=by))


def _unlink(tx: Tx, due: Due) -> None:
    """Take a subject's name from faces that stay: they are held on the collection's own basis, not on that consent."""
    going = set(due.faces) | {face.id for face in faces.stored(tx, photo_id=due.photos)}
    staying = [face for face in faces.stored(tx, subject_id=due.subjects) if face.id not in going and due.subjects]
    for face in staying:
        faces.link(tx, face.id, None)
    if staying:
        parts = tuple((subjects.item_of(tx, name), {"subject": name}) for name in due.subjects)
        public = {"collection": due.collection_id, "faces": len(staying)}
        log.append(tx, Entry(kind="subject:unlinked", public=public, parts=parts))
