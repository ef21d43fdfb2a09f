"""Collections in the store."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Any

from sqlalchemy import Row, or_, select, update

from countenance import errors
from countenance.records import Collection
from countenance.store.database import Tx
from countenance.store.tables import collection

DATES = ("declared_on", "purpose_ends")


def insert(tx: Tx, record: Collection) -> None:
    """Store a new collection; `UsageError` if the name is taken."""
    token = _name_token(tx, record.name)
    if tx.sql.execute(select(collection.c.id).where(collection.c.name_token == token)).first():
        raise errors.UsageError(f"There is a collection named {record.name} already. Nothing was changed.")
    item = tx.take_items(1)
    tx.sql.execute(
        collection.insert().values(
            id=record.id, item=item, name_token=token, enrolments=0, fields=tx.seal("collection", item, _fields(record))
        )
    )


def replace(tx: Tx, record: Collection) -> None:
    """Store new fields for a collection that is there."""
    item = item_of(tx, record.id)
    tx.sql.execute(
        update(collection)
        .where(collection.c.id == record.id)
        .values(name_token=_name_token(tx, record.name), fields=tx.seal("collection", item, _fields(record)))
    )


def find(tx: Tx, name_or_id: str) -> Collection:
    """Return the collection with this name or id; `NotFound` if there is none."""
    row = tx.sql.execute(
        select(collection).where(
            or_(collection.c.id == name_or_id, collection.c.name_token == _name_token(tx, name_or_id))
        )
    ).first()
    if row is None:
        raise errors.NotFound(noun="collection", name=name_or_id)
    return _record(tx, row)


def every(tx: Tx) -> list[Collection]:
    """All collections, oldest first."""
    return [_record(tx, row) for row in tx.sql.execute(select(collection).order_by(collection.c.row))]


def item_of(tx: Tx, collection_id: str) -> int:
    """The collection's leaf in the key tree; its transform and its log details hang on it."""
    return int(tx.sql.execute(select(collection.c.item).where(collection.c.id == collection_id)).scalar_one())


def enrolments(tx: Tx, collection_id: str) -> int:
    """How many enrolments the collection has had: photos looked at before the last one are looked at again."""
    query = select(collection.c.enrolments).where(collection.c.id == collection_id)
    return int(tx.sql.execute(query).scalar_one())


def count_enrolment(tx: Tx, collection_id: str) -> None:
    """Note that a subject was enrolled."""
    tx.sql.execute(
        update(collection).where(collection.c.id == collection_id).values(enrolments=collection.c.enrolments + 1)
    )


def _name_token(tx: Tx, name: str) -> bytes:
    return tx.keys.lookup_token("collection-name", name.casefold().encode())


def _fields(record: Collection) -> dict[str, Any]:
    fields = asdict(record)
    del fields["id"]
    return fields | {name: day.isoformat() for name in DATES if (day := fields[name])}


def _record(tx: Tx, row: Row[Any]) -> Collection:
    fields = tx.unseal("collection", row.item, row.fields)
    dates = {name: date.fromisoformat(fields[name]) for name in DATES if fields[name]}
    return Collection(id=row.id, **fields | dates | {"takes_in": tuple(fields["takes_in"])})
