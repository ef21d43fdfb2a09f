"""Faces in the store: templates go in transformed and sealed, and come out straight into the index's memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from sqlalchemy import Row, Table, func, insert, select, update
from sqlalchemy import delete as sql_delete

from countenance import errors
from countenance.records import Box, Face, Landmarks, Quality, SeenFace, Template
from countenance.store.database import Tx, among
from countenance.store.seal import seal, unseal, unseal_into
from countenance.store.tables import back, face, gone, hit, vault

BATCH = 4096  # rows opened at a time: bounds memory, and the shared paths of the key tree are walked once a batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Where a face is kept."""

    row: int
    id: str
    item: int
    photo_id: str
    subject_id: str | None


def put(
    tx: Tx,
    face_id: str,
    seen: SeenFace,
    *,
    template: Template,
    photo_id: str,
    collection_id: str,
    subject_id: str | None,
    enrolled: bool,
    model: str,
    expires_at: datetime,
) -> int:
    """Store one face under a new leaf and return its item. `template` is transformed already."""
    item = tx.take_items(1)
    key = tx.keys.item_key(item)
    fields = {
        "box": seen.box,
        "landmarks": seen.landmarks,
        "crop_box": seen.crop_box,
        "quality": [getattr(seen.quality, name) for name in Quality.__slots__],
    }
    tx.sql.execute(
        insert(face),
        {
            "id": face_id,
            "item": item,
            "collection_id": collection_id,
            "photo_id": photo_id,
            "subject_id": subject_id,
            "enrolled": enrolled,
            "state": "held",
            "model": model,
            "expires_at": int(expires_at.timestamp()),
            "template": seal(key, "template", item, np.ascontiguousarray(template, "<f4").tobytes()),
            "fields": tx.seal("face", item, fields),
            "crop": seal(key, "crop", item, seen.crop),
        },
    )
    return item


def find(tx: Tx, face_id: str) -> Face:
    """Return the face with this id; `NotFound` if there is none that is held."""
    row = tx.sql.execute(select(face).where(face.c.id == face_id, face.c.state == "held")).first()
    if row is None:
        raise errors.NotFound(noun="face", name=face_id)
    return _record(tx, row)


def stored(tx: Tx, **where: Any) -> list[Stored]:
    """Faces whose columns equal `where`, in any state; a list as value means any of it."""
    query = select(face.c.row, face.c.id, face.c.item, face.c.photo_id, face.c.subject_id).order_by(face.c.row)
    for name, value in where.items():
        column = face.c[name]
        query = query.where(among(column, value) if isinstance(value, list | tuple | set) else column == value)
    return [
        Stored(row=r.row, id=r.id, item=r.item, photo_id=r.photo_id, subject_id=r.subject_id)
        for r in tx.sql.execute(query)
    ]


def of_photo(tx: Tx, photo_id: str) -> list[Face]:
    """The photo's held faces, oldest first."""
    query = select(face).where(face.c.photo_id == photo_id, face.c.state == "held").order_by(face.c.row)
    return [_record(tx, row) for row in tx.sql.execute(query)]


def by_rows(tx: Tx, rows: Iterable[int], now: int) -> dict[int, Face]:
    """The held, unexpired faces with these row numbers."""
    query = select(face).where(among(face.c.row, rows), face.c.state == "held", face.c.expires_at > now)
    return {row.row: _record(tx, row) for row in tx.sql.execute(query)}


def template(tx: Tx, face_id: str, state: str = "held") -> Template:
    """The template of a face in this state, transformed, shape (d,)."""
    row = tx.sql.execute(
        select(face.c.item, face.c.template).where(face.c.id == face_id, face.c.state == state)
    ).first()
    if row is None:
        raise errors.NotFound(noun="face", name=face_id)
    return np.frombuffer(unseal(tx.keys.item_key(row.item), "template", row.item, row.template), "<f4")


def crop(tx: Tx, face_id: str) -> bytes:
    """A face's crop as JPEG; empty if none is kept."""
    row = tx.sql.execute(select(face.c.item, face.c.crop).where(face.c.id == face_id)).one()
    return unseal(tx.keys.item_key(row.item), "crop", row.item, row.crop) if row.crop else b""


def sealed_bytes(tx: Tx, face_ids: Iterable[str]) -> list[bytes]:
    """Everything sealed that is stored of these faces, as it stands in the files."""
    query = select(face.c.template, face.c.fields, face.c.crop).where(among(face.c.id, face_ids))
    return [sealed for row in tx.sql.execute(query) for sealed in row if sealed]


def fields(tx: Tx, face_id: str) -> dict[str, Any]:
    """A face's sealed fields, open."""
    row = tx.sql.execute(select(face.c.item, face.c.fields).where(face.c.id == face_id)).one()
    opened: dict[str, Any] = tx.unseal("face", row.item, row.fields)
    return opened


def count(tx: Tx, collection_id: str, after_row: int = 0) -> int:
    """How many faces are held with a row number above `after_row`."""
    query = select(func.count()).where(
        face.c.collection_id == collection_id, face.c.row > after_row, face.c.state == "held"
    )
    return int(tx.sql.execute(query).scalar_one())


def open_templates(
    tx: Tx, collection_id: str, after_row: int, dimension: int, only: Iterable[int] | None = None
) -> Iterator[tuple[list[int], np.ndarray[Any, Any], list[int]]]:
    """Yield batches (row numbers, templates of shape (n, d) float32, expiry seconds) of held faces, by row number.

    `only` limits them to these rows.
    Templates are decrypted into one matrix a batch; the caller overwrites it when it has taken them.
    """
    query = (
        select(face.c.row, face.c.item, face.c.template, face.c.expires_at)
        .where(face.c.collection_id == collection_id, face.c.row > after_row, face.c.state == "held")
        .order_by(face.c.row)
    )
    if only is not None:
        query = query.where(among(face.c.row, only))
    for rows in tx.sql.execute(query).partitions(BATCH):
        matrix = np.empty((len(rows), dimension), "<f4")
        keys = tx.keys.item_keys([row.item for row in rows])
        for n, (row, key) in enumerate(zip(rows, keys, strict=True)):
            unseal_into(key, "template", row.item, row.template, matrix[n])
        yield [row.row for row in rows], matrix, [row.expires_at for row in rows]


def stop(tx: Tx, face_ids: Iterable[str], *, order: str | None = None) -> None:
    """Hide faces at once: their state changes and every index drops them when it follows the generation.

    What an order hides comes back when that is lifted; what an erasure hides, be it hidden already, does not.
    """
    of_them = among(face.c.id, list(face_ids))
    if order is None:
        tx.sql.execute(update(face).where(of_them, face.c.stopped_by.is_not(None)).values(stopped_by=None))
    hide = update(face).where(of_them, face.c.state == "held").values(state="stopped", stopped_by=order)
    _tell(tx, gone, [row.row for row in tx.sql.execute(hide.returning(face.c.row))])


def give_back(tx: Tx, photo_ids: Iterable[str], order: str, heir: str | None = None) -> int:
    """Show the faces of photos that an order hid again, or leave them to `heir`, another order; return how many.

    Every index takes them up when it follows the generation.
    """
    hidden = among(face.c.photo_id, photo_ids) & (face.c.stopped_by == order)
    if heir:
        return int(tx.sql.execute(update(face).where(hidden).values(stopped_by=heir)).rowcount)
    shown = update(face).where(hidden).values(state="held", stopped_by=None).returning(face.c.row)
    rows = [row.row for row in tx.sql.execute(shown)]
    _tell(tx, back, rows)
    return len(rows)


def beyond_stop(tx: Tx, face_ids: Iterable[str]) -> set[str]:
    """Those of these faces that an erasure may still take: held, or hidden by an order only."""
    free = (face.c.state == "held") | face.c.stopped_by.is_not(None)
    return set(tx.sql.execute(select(face.c.id).where(among(face.c.id, face_ids), free)).scalars())


def _tell(tx: Tx, table: Table, rows: list[int]) -> None:
    """Have every index drop these rows, or take them up again, when it follows the generation that this one makes."""
    if rows:
        generation = tx.sql.execute(select(vault.c.generation + 1)).scalar_one()
        tx.sql.execute(table.insert(), [{"generation": generation, "face_row": row} for row in rows])


def back_since(tx: Tx, generation: int) -> list[int]:
    """Row numbers of faces that were shown again after this generation."""
    return [row.face_row for row in tx.sql.execute(select(back.c.face_row).where(back.c.generation > generation))]


def gone_since(tx: Tx, generation: int) -> list[int]:
    """Row numbers of faces that were hidden after this generation."""
    return [row.face_row for row in tx.sql.execute(select(gone.c.face_row).where(gone.c.generation > generation))]


def remove(tx: Tx, face_ids: Iterable[str]) -> None:
    """Delete the rows of faces and their places in cached search results."""
    ids = list(face_ids)
    tx.sql.execute(sql_delete(hit).where(among(hit.c.face_id, ids)))
    tx.sql.execute(sql_delete(face).where(among(face.c.id, ids)))


def reseal(tx: Tx, face_id: str, item: int, redacted_crop: bytes | None) -> None:
    """Give a face that stays a new leaf, with a crop that shows nobody else, so that the old leaf can be punctured."""
    row = tx.sql.execute(select(face).where(face.c.id == face_id)).one()
    old, new = tx.keys.item_key(row.item), tx.keys.item_key(item)
    tx.sql.execute(
        update(face)
        .where(face.c.id == face_id)
        .values(
            item=item,
            template=seal(new, "template", item, unseal(old, "template", row.item, row.template)),
            fields=seal(new, "face", item, unseal(old, "face", row.item, row.fields)),
            crop=seal(new, "crop", item, redacted_crop) if redacted_crop else None,
        )
    )


def link(tx: Tx, face_id: str, subject_id: str | None) -> None:
    """Set which subject a face belongs to."""
    tx.sql.execute(update(face).where(face.c.id == face_id).values(subject_id=subject_id))


def _record(tx: Tx, row: Row[Any]) -> Face:
    opened = tx.unseal("face", row.item, row.fields)
    box: Box = tuple(opened["box"])
    crop_box: Box = tuple(opened["crop_box"])
    landmarks: Landmarks = tuple((x, y) for x, y in opened["landmarks"])
    return Face(
        id=row.id,
        photo_id=row.photo_id,
        collection_id=row.collection_id,
        subject_id=row.subject_id,
        box=box,
        landmarks=landmarks,
        crop_box=crop_box,
        quality=Quality(**dict(zip(Quality.__slots__, opened["quality"], strict=True))),
        model=row.model,
        expires_at=datetime.fromtimestamp(row.expires_at, UTC),
    )
