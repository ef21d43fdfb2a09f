"""Files outside the vault that it wrote, and which faces they show, so that an erasure reaches them too."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, delete, func, select

from countenance import errors
from countenance.store import erasures
from countenance.store.database import Tx, among
from countenance.store.tables import export, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """One file, as it was written."""

    id: str
    collection_id: str
    search_id: str  # the search that it shows; it may have expired
    at: datetime
    path: str  # absolute; a name that is not UTF-8 is surrogate-escaped
    sha256: str  # hex
    size: int  # bytes
    faces: int  # how many it shows


def put(tx: Tx, record: Export, face_ids: Iterable[str]) -> int:
    """Store an export with the faces it shows and return its item."""
    item = tx.take_items(1)
    fields = {"path": record.path, "sha256": record.sha256, "size": record.size}
    tx.sql.execute(
        export.insert().values(
            id=record.id,
            item=item,
            collection_id=record.collection_id,
            search_id=record.search_id,
            at=int(record.at.timestamp()),
            fields=tx.seal("export", item, fields),
        )
    )
    rows = [{"export_id": record.id, "face_id": face_id} for face_id in face_ids]
    if rows:
        tx.sql.execute(shown.insert(), rows)
    return item


def find(tx: Tx, export_id: str) -> Export:
    """Return the export with this id; `NotFound` if there is none."""
    row = tx.sql.execute(select(export).where(export.c.id == export_id)).first()
    if row is None:
        raise errors.NotFound(noun="export", name=export_id)
    return _record(tx, row)


def every(tx: Tx) -> list[Export]:
    """All exports that are not known to be gone, oldest first."""
    return [_record(tx, row) for row in tx.sql.execute(select(export).order_by(export.c.row)).all()]


def showing(tx: Tx, face_ids: Iterable[str]) -> list[Export]:
    """Exports that show one of these faces, oldest first."""
    which = select(shown.c.export_id).where(among(shown.c.face_id, face_ids))
    query = select(export).where(export.c.id.in_(which)).order_by(export.c.row)
    return [_record(tx, row) for row in tx.sql.execute(query).all()]


def remove(tx: Tx, export_id: str) -> None:
    """Delete the record; its leaf goes with the next rotation. `NotFound` if there is none."""
    item = tx.sql.execute(select(export.c.item).where(export.c.id == export_id)).scalar()
    if item is None:
        raise errors.NotFound(noun="export", name=export_id)
    tx.sql.execute(delete(shown).where(shown.c.export_id == export_id))
    tx.sql.execute(delete(export).where(export.c.id == export_id))
    erasures.discard(tx, item)


def _record(tx: Tx, row: Row[Any]) -> Export:
    faces = tx.sql.execute(select(func.count()).where(shown.c.export_id == row.id)).scalar_one()
    return Export(
        id=row.id,
        collection_id=row.collection_id,
        search_id=row.search_id,
        at=datetime.fromtimestamp(row.at, UTC),
        faces=faces,
        **tx.unseal("export", row.item, row.fields),
    )
