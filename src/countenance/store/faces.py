"""Faces in the store: templates go in transformed and sealed, and come out straight into the index's memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from sqlalchemy import Row, Table, bindparam, func, insert, select, update
from sqlalchemy import delete as sql_delete

from countenance import errors
from countenance.records import Box, Face, Landmarks, Quality, SeenFace, Template
from countenance.store import links, restrictions
from countenance.store.database import Tx, among
from countenance.store.seal import seal, unseal, unseal_into
from countenance.store.tables import back, face, gone, hit, photo, vault

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


def several(tx: Tx, face_ids: Iterable[str]) -> list[Face]:
    """Those of the faces that no erasure has reached, be they hidden by an order; oldest first."""
    free = (face.c.state == "held") | face.c.stopped_by.is_not(None)
    rows = tx.sql.execute(select(face).where(among(face.c.id, face_ids), free).order_by(face.c.row)).all()
    return [_record(tx, row) for row in rows]


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


def template(tx: Tx, face_id: str) -> Template:
    """The template of a held face, transformed, shape (d,)."""
    row = tx.sql.execute(
        select(face.c.item, face.c.template).where(face.c.id == face_id, face.c.state == "held")
    ).first()
    if row is None:
        raise errors.NotFound(noun="face", name=face_id)
    return np.frombuffer(unseal(tx.keys.item_key(row.item), "template", row.item, row.template), "<f4")


def hidden_boxes(tx: Tx, photo_id: str) -> list[Box]:
    """Where in a photo faces are that an order or a restriction hides."""
    query = select(face.c.id).where(face.c.photo_id == photo_id, face.c.stopped_by.is_not(None))
    return [one.box for one in several(tx, tx.sql.execute(query).scalars())]


def crop(tx: Tx, face_id: str) -> bytes:
    """A face's crop as JPEG; empty if none is kept."""
    row = tx.sql.execute(select(face.c.item, face.c.crop).where(face.c.id == face_id)).one()
    return unseal(tx.keys.item_key(row.item), "crop", row.item, row.crop) if row.crop else b""


def contents(tx: Tx, face_ids: Iterable[str]) -> Iterator[tuple[Template, bytes]]:
    """Template and crop of each of these faces, in any state, oldest first; see `template` and `crop`."""
    query = select(face.c.item, face.c.template, face.c.crop).where(among(face.c.id, face_ids)).order_by(face.c.row)
    for row in tx.sql.execute(query):
        key = tx.keys.item_key(row.item)
        opened = np.frombuffer(unseal(key, "template", row.item, row.template), "<f4")
        yield opened, unseal(key, "crop", row.item, row.crop) if row.crop else b""


def boxes(tx: Tx, photo_ids: Iterable[str]) -> dict[str, list[Box]]:
    """The boxes of the faces that an erasure stopped in each of these photos, oldest first."""
    query = select(face.c.photo_id, face.c.item, face.c.state, face.c.stopped_by, face.c.fields).order_by(face.c.row)
    found: dict[str, list[Box]] = {}
    for row in tx.sql.execute(query.where(among(face.c.photo_id, photo_ids))):
        if row.state == "stopped" and row.stopped_by is None:  # asked of SQLite, it would walk all that nothing stopped
            found.setdefault(row.photo_id, []).append(tuple(tx.unseal("face", row.item, row.fields)["box"]))
    return found


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

    What an order or a restriction hides comes back when that is lifted; what an erasure hides, be it hidden already,
    does not.
    """
    of_them = among(face.c.id, list(face_ids))
    if order is None:
        tx.sql.execute(update(face).where(of_them, face.c.stopped_by.is_not(None)).values(stopped_by=None))
    hide = update(face).where(of_them, face.c.state == "held").values(state="stopped", stopped_by=order)
    _tell(tx, gone, [row.row for row in tx.sql.execute(hide.returning(face.c.row))])


def hidden_by(tx: Tx, order: str) -> set[str]:
    """Ids of the photos of which an order hides faces, or all."""
    faces_of = select(face.c.photo_id).where(face.c.stopped_by == order)
    return set(tx.sql.execute(faces_of.union(select(photo.c.id).where(photo.c.stopped_by == order))).scalars())


def give_back(
    tx: Tx, photo_ids: Iterable[str], order: str, heir: str | None = None, subjects: Iterable[str] = ()
) -> int:
    """Show the faces of photos that an order hid again, or leave them to `heir`, another order; return how many.

    Every index takes them up when it follows the generation. `subjects` limits it to these subjects' faces.
    """
    hidden = among(face.c.photo_id, photo_ids) & (face.c.stopped_by == order)
    if chosen := list(subjects):
        hidden &= face.c.subject_id.in_(chosen)
    if heir:
        return int(tx.sql.execute(update(face).where(hidden).values(stopped_by=heir)).rowcount)
    shown = update(face).where(hidden).values(state="held", stopped_by=None).returning(face.c.row)
    rows = [row.row for row in tx.sql.execute(shown)]
    _tell(tx, back, rows)
    return len(rows)


def end_at(tx: Tx, ends: Mapping[str, int]) -> None:
    """Let no face of these photos be kept beyond an end, in seconds since the epoch by photo; every index follows."""
    later = (face.c.photo_id == bindparam("of")) & (face.c.expires_at > bindparam("end"))
    query = update(face).where(later).values(expires_at=bindparam("end"))
    if ends:
        tx.sql.execute(query, [{"of": photo_id, "end": end} for photo_id, end in ends.items()])
        held = among(face.c.photo_id, ends) & (face.c.state == "held")
        _tell(tx, back, list(tx.sql.execute(select(face.c.row).where(held)).scalars()))


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
    """Delete the rows of faces, their places in cached search results, and what restricts or links them."""
    ids = list(face_ids)
    restrictions.forget(tx, face_ids=ids)
    links.loosen(tx, ids)
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
