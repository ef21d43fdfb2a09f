"""Erasures: their state, their ledger of items, and the work they leave to people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from countenance import errors
from countenance.store.database import Tx
from countenance.store.seal import seal, unseal
from countenance.store.tables import discarded as discarded_items
from countenance.store.tables import erased, erasure, work

EXPIRED = "expired"  # the reason of an erasure of what is past its time: the holder's files are not touched
FINISHED = ("certified", "replayed")  # replayed: certified once, in records that were lost; a restore did it again


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One erasure as the store keeps it."""

    id: str
    collection_id: str
    state: str
    reason: str
    progress: dict[str, Any]
    bundle: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """One line of the ledger."""

    kind: str
    id: str
    item: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a person must do by hand."""

    id: str
    erasure_id: str
    source_id: str
    action: str
    address: str
    location: str
    why: str  # a sentence


def insert_planned(  # noqa: PLR0917
    tx: Tx, erasure_id: str, collection_id: str, reason: str, progress: dict[str, Any], ledger: Iterable[Reached]
) -> None:
    """Store a new erasure in state planned with everything it reaches."""
    item = tx.take_items(1)
    tx.sql.execute(
        erasure.insert().values(
            id=erasure_id,
            item=item,
            collection_id=collection_id,
            state="planned",
            reason=reason,
            progress=tx.seal("erasure", item, progress),
        )
    )
    reach(tx, erasure_id, *ledger)


def reach(tx: Tx, erasure_id: str, *reached: Reached) -> None:
    """Add lines to the erasure's ledger; twice is the same as once."""
    lines = [{"erasure_id": erasure_id, "kind": each.kind, "id": each.id, "item": each.item} for each in reached]
    if lines:
        tx.sql.execute(insert(erased).on_conflict_do_nothing(), lines)


def advance(tx: Tx, erasure_id: str, state: str, progress: dict[str, Any], bundle: bytes | None = None) -> None:
    """Move the erasure to a state with all that is known of its steps so far."""
    item = tx.sql.execute(select(erasure.c.item).where(erasure.c.id == erasure_id)).scalar_one()
    values: dict[str, Any] = {"state": state, "progress": tx.seal("erasure", item, progress)}
    if bundle is not None:
        values["bundle"] = seal(tx.keys.item_key(item), "bundle", item, bundle)
    tx.sql.execute(update(erasure).where(erasure.c.id == erasure_id).values(**values))


def find(tx: Tx, erasure_id: str) -> Stored:
    """Return the erasure with this id; `NotFound` if there is none."""
    row = tx.sql.execute(select(erasure).where(erasure.c.id == erasure_id)).first()
    if row is None:
        raise errors.NotFound(noun="erasure", name=erasure_id)
    return _record(tx, row)


def every(tx: Tx) -> list[Stored]:
    """All erasures, oldest first."""
    return [_record(tx, row) for row in tx.sql.execute(select(erasure).order_by(erasure.c.row))]


def unfinished(tx: Tx) -> list[Stored]:
    """Erasures that a crash or another process left between planned and certified."""
    return [found for found in every(tx) if found.state not in FINISHED]


def ledger(tx: Tx, erasure_id: str) -> list[Reached]:
    """Everything the erasure reaches, in the order it was planned."""
    query = select(erased).where(erased.c.erasure_id == erasure_id).order_by(erased.c.row)
    return [Reached(kind=row.kind, id=row.id, item=row.item) for row in tx.sql.execute(query)]


def erased_items(tx: Tx) -> int:
    """How many leaves all finished erasures reached."""
    query = select(func.count()).select_from(erased.join(erasure)).where(erasure.c.state.in_(FINISHED))
    return int(tx.sql.execute(query).scalar_one())


def add_work(tx: Tx, record: Work) -> None:
    """Put something on the worklist."""
    item = tx.take_items(1)
    tx.sql.execute(
        work.insert().values(
            id=record.id,
            item=item,
            erasure_id=record.erasure_id,
            source_id=record.source_id,
            action=record.action,
            fields=tx.seal("work", item, {"address": record.address, "location": record.location, "why": record.why}),
        )
    )


def worklist(tx: Tx, erasure_id: str | None = None) -> list[Work]:
    """What is still to be done by hand, oldest first."""
    query = select(work).order_by(work.c.row)
    if erasure_id:
        query = query.where(work.c.erasure_id == erasure_id)
    return [
        Work(
            id=row.id,
            erasure_id=row.erasure_id,
            source_id=row.source_id,
            action=row.action,
            **tx.unseal("work", row.item, row.fields),
        )
        for row in tx.sql.execute(query)
    ]


def finish_work(tx: Tx, work_id: str) -> None:
    """Take a line off the worklist; its leaf goes with the next rotation. `NotFound` if there is none."""
    row = tx.sql.execute(select(work.c.item).where(work.c.id == work_id)).first()
    if row is None:
        raise errors.NotFound(noun="line of the worklist", name=work_id)
    tx.sql.execute(delete(work).where(work.c.id == work_id))
    discard(tx, row.item)


def discarded(tx: Tx) -> list[int]:
    """Leaves of records that were replaced or finished with and whose keys are still there."""
    return [row.item for row in tx.sql.execute(select(discarded_items.c.item).order_by(discarded_items.c.row))]


def discard(tx: Tx, item: int) -> None:
    """Leave an item's key to the next rotation."""
    tx.sql.execute(insert(discarded_items).values(item=item).on_conflict_do_nothing())


def clear_discarded(tx: Tx, items: Iterable[int]) -> None:
    """Note that these leaves were punctured."""
    tx.sql.execute(delete(discarded_items).where(discarded_items.c.item.in_(list(items))))


def _record(tx: Tx, row: Row[Any]) -> Stored:
    return Stored(
        id=row.id,
        collection_id=row.collection_id,
        state=row.state,
        reason=row.reason,
        progress=tx.unseal("erasure", row.item, row.progress),
        bundle=unseal(tx.keys.item_key(row.item), "bundle", row.item, row.bundle) if row.bundle else None,
    )
