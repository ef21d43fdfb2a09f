"""Sources in the store."""

from __future__ import annotations

import os
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, exists, select, update

from countenance import errors
from countenance.records import Source
from countenance.store.database import Tx
from countenance.store.tables import erased, source


def insert(tx: Tx, record: Source) -> None:
    """Store a new source; `UsageError` if the collection has this location already."""
    token = _location_token(tx, record.location)
    if tx.sql.execute(
        select(source.c.id).where(source.c.collection_id == record.collection_id, source.c.location_token == token)
    ).first():
        raise errors.UsageError(f"{record.location} is a source of this collection already. Nothing was changed.")
    item = tx.take_items(1)
    fields = {"location": record.location, "controller": record.controller, "evidence": record.evidence}
    fields["evidence_sha256"] = record.evidence_sha256
    tx.sql.execute(
        source.insert().values(
            id=record.id,
            item=item,
            collection_id=record.collection_id,
            kind=record.kind,
            country=record.country,
            on_erase=record.on_erase,
            location_token=token,
            scan=0,
            fields=tx.seal("source", item, fields),
        )
    )


def find(tx: Tx, source_id: str) -> Source:
    """Return the source with this id; `NotFound` if there is none."""
    row = tx.sql.execute(select(source).where(source.c.id == source_id)).first()
    if row is None:
        raise errors.NotFound(noun="source", name=source_id)
    return _record(tx, row)


def at(tx: Tx, collection_id: str, location: str) -> Source | None:
    """Return the collection's source at this location, if it has one."""
    row = tx.sql.execute(
        select(source).where(
            source.c.collection_id == collection_id,
            source.c.location_token == _location_token(tx, location),
            ~_reached(),
        )
    ).first()
    return _record(tx, row) if row else None


def every(tx: Tx, collection_id: str | None = None) -> list[Source]:
    """All sources, or those of one collection, oldest first, without any that an erasure reaches."""
    query = select(source).where(~_reached()).order_by(source.c.row)
    if collection_id:
        query = query.where(source.c.collection_id == collection_id)
    return [_record(tx, row) for row in tx.sql.execute(query)]


def item_of(tx: Tx, source_id: str) -> int:
    """The source's leaf in the key tree."""
    return int(tx.sql.execute(select(source.c.item).where(source.c.id == source_id)).scalar_one())


def standing(tx: Tx, source_id: str) -> bool:
    """Whether the source is registered and no erasure reaches it, not even one that is still under way."""
    return tx.sql.execute(select(source.c.id).where(source.c.id == source_id, ~_reached())).first() is not None


def begin_scan(tx: Tx, source_id: str) -> int:
    """Count a new scan of the source and return its number."""
    query = update(source).where(source.c.id == source_id).values(scan=source.c.scan + 1).returning(source.c.scan)
    return int(tx.sql.execute(query).scalar_one())


def remove(tx: Tx, source_id: str) -> None:
    """Delete a source's row. Its photos must be gone."""
    tx.sql.execute(delete(source).where(source.c.id == source_id))


def _reached() -> ColumnElement[bool]:
    return exists().where(erased.c.kind == "source", erased.c.id == source.c.id)


def _location_token(tx: Tx, location: str) -> bytes:
    return tx.keys.lookup_token("source-location", os.fsencode(location))


def _record(tx: Tx, row: Row[Any]) -> Source:
    return Source(
        id=row.id,
        collection_id=row.collection_id,
        kind=row.kind,
        country=row.country,
        on_erase=row.on_erase,
        **tx.unseal("source", row.item, row.fields),
    )
