"""The erasure ledger and the records: what a rotation notes of them, and bringing an old copy of them to today.

A copy from before an erasure still has the rows of what was erased, sealed under keys that no longer exist. Replaying
removes them, puts back what keeps their content out, and notes each erasure as *replayed*.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, replace

from sqlalchemy import Table, delete, select, update

from countenance.store import (
    entries,
    erasures,
    faces,
    ledger,
    orders,
    photos,
    restrictions,
    standing,
    subjects,
    suppressions,
    tables,
    tree,
)
from countenance.store.database import Tx, among
from countenance.store.erasures import Reached, Stored
from countenance.store.suppressions import Suppressed

GAP = 2**30
"""Items passed over at a restore. Numbers given between the last rotation and the loss of the records stand nowhere any
more, but bytes sealed under them may: given again, a number would give their key to another record. A thousand million
is more than any vault adds between two rotations, and of 2**40 numbers it leaves room for a thousand restores."""

_NOT_ROWS = {"erased", "part", "discarded"}  # `item` there names the leaf of something else


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a replay did."""

    erasures: int
    photos: int
    faces: int
    tokens: int
    details: int  # of the log


def record(tx: Tx, erasure: Stored | None = None, reached: Iterable[Reached] = ()) -> ledger.Record:
    """What the ledger is to say of the rotation that comes now, for an erasure or for none."""
    head = entries.head(tx)
    suppressed = suppressions.of(tx, erasure.id) if erasure else []
    return ledger.Record(
        erasure=erasure.id if erasure else None,
        collection=erasure.collection_id if erasure else "",
        reason=erasure.reason if erasure else "",
        reached=tuple((each.kind, each.id, each.item) for each in reached),
        tokens=tuple((row.kind, row.token.hex(), row.bands.hex()) for row in suppressed),
        next_item=standing.next_item(tx),
        log_size=head.size,
        log_root=base64.b64decode(head.checkpoint.split("\n")[2]).hex(),
    )


def order(tx: Tx, order_id: str) -> ledger.Record:
    """What the ledger is to say of an order as it stands now."""
    return replace(record(tx), order=orders.row_of(tx, order_id))


def recall(tx: Tx, records: Iterable[ledger.Record]) -> list[orders.Stored]:
    """Bring orders to where the ledger has them, and return those that these records did not know to be there.

    What a lifted one hid is shown again, unless a restriction names it; every other order that stands is approved again,
    so that it hides its own.
    """
    newest = {each.order["id"]: each.order for each in records if each.order}
    found = [orders.put_back(tx, row) for row in newest.values() if orders.behind(tx, row)]
    for stored in found:
        if stored.state == "lifted" and (hid := faces.hidden_by(tx, stored.id)):
            free = set(hid) - restrictions.inherit(tx, stored.id, hid)
            faces.give_back(tx, free, stored.id)
            photos.give_back(tx, free, stored.id)
            for other in orders.in_force(tx):
                orders.advance(tx, orders.find(tx, other.id), "approved")
    return found


def replay(tx: Tx, records: list[ledger.Record]) -> Replayed:
    """Bring records that come from a copy in step with the keys: see above. `records` are all since the copy."""
    highest = max([standing.next_item(tx), *(each.next_item for each in records)])
    next_item = min(highest + GAP, tree.ITEMS)  # at the end there are none left, but none is given twice
    values = {"epoch": tx.keys.epoch, "next_item": next_item, "restored": tables.vault.c.restored + 1}
    tx.sql.execute(update(tables.vault).values(**values, cosigned=""))
    tx.sql.execute(delete(tables.process))  # those of the machine that the copy was made on
    for each in records:
        _note(tx, each)
    gone = {item for each in records for item in each.items}
    photos_gone, faces_gone = _remove_pictures(tx, gone)
    for subject_id in _ids(tx, tables.subject, gone):
        subjects.remove(tx, subject_id)
    for table in reversed(tables.metadata.sorted_tables):
        if "item" in table.c and table.name not in _NOT_ROWS:
            tx.sql.execute(delete(table).where(among(table.c.item, gone)))
    tx.sql.execute(delete(tables.discarded).where(among(tables.discarded.c.item, gone)))
    return Replayed(
        erasures=sum(each.erasure is not None for each in records),
        photos=photos_gone,
        faces=faces_gone,
        tokens=sum(len(each.tokens) for each in records),
        details=entries.erase_parts(tx, gone),
    )


def _note(tx: Tx, each: ledger.Record) -> None:
    """Put an erasure of the ledger into the records, with what it reached and what it keeps out."""
    if each.erasure is None:
        return
    known = tx.sql.execute(select(tables.erasure.c.state).where(tables.erasure.c.id == each.erasure)).scalar()
    if known is None:
        erasures.insert_planned(tx, each.erasure, each.collection, each.reason, {"states": []}, ())
    tx.sql.execute(update(tables.erasure).where(tables.erasure.c.id == each.erasure).values(state="replayed"))
    for kind, record_id, item in each.reached:
        erasures.reach(tx, each.erasure, Reached(kind=kind, id=record_id, item=item))
    suppressions.put_back(
        tx,
        (
            Suppressed(kind=kind, token=bytes.fromhex(token), erasure_id=each.erasure, bands=bytes.fromhex(bands))
            for kind, token, bands in each.tokens
        ),
    )


def _remove_pictures(tx: Tx, gone: set[int]) -> tuple[int, int]:
    """Remove photos and faces whose keys are gone, and whatever hangs on them; return how many of each.

    A group photo of which one face was erased got a new key, and so did faces beside that one: of those the copy holds
    only what nothing opens any more. They go too, and the next scan finds the photo as it is now.
    """
    table = tables.photo
    photo_ids = _ids(tx, table, gone)
    sources = _ids(tx, tables.source, gone)
    photo_ids += [
        row.id
        for row in tx.sql.execute(select(table.c.id).where(among(table.c.source_id, sources)))
        if row.id not in photo_ids
    ]
    going = {face.id: face.photo_id for face in faces.stored(tx, item=gone)}
    going |= {face.id: face.photo_id for face in faces.stored(tx, photo_id=photo_ids)}
    faces.remove(tx, going)
    photos.remove(tx, photo_ids)
    for photo_id in set(going.values()) - set(photo_ids):
        left = len(faces.stored(tx, photo_id=photo_id))
        photos.renew(tx, photo_id, faces_seen=left, enrolments=photos.DISCARDED)
    return len(photo_ids), len(going)


def _ids(tx: Tx, table: Table, items: set[int]) -> list[str]:
    return [row.id for row in tx.sql.execute(select(table.c.id).where(among(table.c.item, items)))]
