"""Restrictions in the store: what they name, and who goes on hiding it when one that hid it ends.

A record is shown again only when nothing hides it any more: no order in force reaches it and no restriction in force
names it. `stopped_by` says who hides it now; when that one ends, it passes on to the next.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import CompoundSelect, Row, Select, delete, insert, or_, select, union, update

from countenance import errors
from countenance.store import erasures
from countenance.store.database import Tx, among
from countenance.store.tables import face, photo, restricted, restriction

GROUNDS = {
    "accuracy": "the person contests that it is right, Art. 18(1)(a) GDPR",
    "unlawful": "it is unlawful, and the person wants it kept, Art. 18(1)(b) GDPR",
    "claims": "the person needs it for legal claims, Art. 18(1)(c) GDPR",
    "objection": "the person objected, Art. 21 GDPR, and that is being examined, Art. 18(1)(d) GDPR",
    "operator": "the operator's own decision",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """That a restriction was lifted, why, and how the person was told before (Art. 18(3) GDPR)."""

    at: datetime
    by: str
    reason: str
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Restriction:
    """Photos and faces that are kept and not used."""

    id: str
    ground: str  # a key of GROUNDS
    at: datetime
    by: str
    reason: str
    request: str | None  # id of the request that it answers
    photos: tuple[str, ...] = field(default=())  # ids: with every face in them
    faces: tuple[str, ...] = field(default=())  # ids
    ended: Ended | None = None


def put(tx: Tx, record: Restriction) -> int:
    """Store a new restriction with what it names and return its item."""
    item = tx.take_items(1)
    fields = {"by": record.by, "reason": record.reason, "request": record.request, "ended": None}
    tx.sql.execute(
        insert(restriction).values(
            id=record.id,
            item=item,
            ground=record.ground,
            at=int(record.at.timestamp()),
            ended_at=None,
            fields=tx.seal("restriction", item, fields),
        )
    )
    named = [{"photo_id": name, "face_id": None} for name in record.photos]
    named += [{"photo_id": None, "face_id": name} for name in record.faces]
    tx.sql.execute(insert(restricted), [{"restriction_id": record.id, **one} for one in named])
    return item


def find(tx: Tx, restriction_id: str) -> Restriction:
    """Return the restriction with this id; `NotFound` if there is none."""
    row = tx.sql.execute(select(restriction).where(restriction.c.id == restriction_id)).first()
    if row is None:
        raise errors.NotFound(noun="restriction", name=restriction_id)
    return _record(tx, row)


def every(tx: Tx) -> list[Restriction]:
    """All restrictions, those that ended too, oldest first."""
    return [_record(tx, row) for row in tx.sql.execute(select(restriction).order_by(restriction.c.row)).all()]


def naming(tx: Tx, photo_id: str, face_id: str | None = None) -> list[Restriction]:
    """Restrictions, ended ones too, that name this photo, or this face in it; without a face, any face in it."""
    in_it = select(face.c.id).where(face.c.photo_id == photo_id)
    faces = restricted.c.face_id == face_id if face_id else restricted.c.face_id.in_(in_it)
    named = select(restricted.c.restriction_id).where(or_(restricted.c.photo_id == photo_id, faces))
    query = select(restriction).where(restriction.c.id.in_(named)).order_by(restriction.c.row)
    return [_record(tx, row) for row in tx.sql.execute(query).all()]


def end(tx: Tx, record: Restriction, ended: Ended) -> None:
    """Note that a restriction ended. What it hid must then be shown or passed on (`orders.issue.release`)."""
    item = item_of(tx, record.id)
    said = {"at": ended.at.isoformat(), "by": ended.by, "reason": ended.reason, "told": ended.told}
    fields = {"by": record.by, "reason": record.reason, "request": record.request, "ended": said}
    values = {"ended_at": int(ended.at.timestamp()), "fields": tx.seal("restriction", item, fields)}
    tx.sql.execute(update(restriction).where(restriction.c.id == record.id).values(**values))


def item_of(tx: Tx, restriction_id: str) -> int:
    """The restriction's leaf in the key tree."""
    return int(tx.sql.execute(select(restriction.c.item).where(restriction.c.id == restriction_id)).scalar_one())


def faces_under(tx: Tx, face_ids: Iterable[str]) -> set[str]:
    """Those of these faces that a restriction in force names, by themselves or with their photo."""
    by_face, by_photo = _named(restricted.c.face_id), _named(restricted.c.photo_id)
    query = select(face.c.id).where(among(face.c.id, face_ids), face.c.id.in_(by_face) | face.c.photo_id.in_(by_photo))
    return set(tx.sql.execute(query).scalars())


def photos_named() -> CompoundSelect[Any]:
    """A query for the ids of the photos that a restriction in force names, by themselves or by a face in them."""
    by_face = select(face.c.photo_id).where(face.c.id.in_(_named(restricted.c.face_id)))
    return union(_named(restricted.c.photo_id), by_face)


def inherit(tx: Tx, holder: str, photo_ids: Iterable[str]) -> set[str]:
    """Leave what `holder`, which ends, hid of these photos to the restrictions in force that name it, oldest first.

    Returns the photos that stay hidden as a whole. A face that is named alone stays hidden in a photo that is shown.
    """
    ids = list(photo_ids)
    whole: set[str] = set()
    in_them = select(face.c.id).where(among(face.c.photo_id, ids))
    named = or_(among(restricted.c.photo_id, ids), restricted.c.face_id.in_(in_them))
    query = (
        select(restricted).join(restriction).where(restriction.c.ended_at.is_(None), named).order_by(restricted.c.row)
    )
    for row in tx.sql.execute(query).all():
        if row.restriction_id == holder:
            continue
        hidden = face.c.photo_id == row.photo_id if row.photo_id else face.c.id == row.face_id
        heir = {"stopped_by": row.restriction_id}
        tx.sql.execute(update(face).where(hidden, face.c.stopped_by == holder).values(**heir))
        if row.photo_id:
            whole.add(row.photo_id)
            tx.sql.execute(update(photo).where(photo.c.id == row.photo_id, photo.c.stopped_by == holder).values(**heir))
    return whole


def forget(tx: Tx, *, photo_ids: Iterable[str] = (), face_ids: Iterable[str] = ()) -> None:
    """Take photos and faces that go out of every restriction; one that names nothing any more goes with them.

    Its leaf goes with the next rotation, which is the erasure's own if that is under way.
    """
    gone = or_(among(restricted.c.photo_id, photo_ids), among(restricted.c.face_id, face_ids))
    touched = set(tx.sql.execute(delete(restricted).where(gone).returning(restricted.c.restriction_id)).scalars())
    left = select(restricted.c.restriction_id)
    empty = among(restriction.c.id, touched) & restriction.c.id.not_in(left)
    for item in tx.sql.execute(delete(restriction).where(empty).returning(restriction.c.item)).scalars().all():
        erasures.discard(tx, item)


def _named(column: Any) -> Select[Any]:
    query = select(column).join(restriction, restriction.c.id == restricted.c.restriction_id)
    return query.where(restriction.c.ended_at.is_(None), column.is_not(None))


def _record(tx: Tx, row: Row[Any]) -> Restriction:
    opened = tx.unseal("restriction", row.item, row.fields)
    said = opened["ended"]
    query = select(restricted.c.photo_id, restricted.c.face_id).where(restricted.c.restriction_id == row.id)
    named = tx.sql.execute(query.order_by(restricted.c.row)).all()
    return Restriction(
        id=row.id,
        ground=row.ground,
        at=datetime.fromtimestamp(row.at, UTC),
        by=opened["by"],
        reason=opened["reason"],
        request=opened["request"],
        photos=tuple(one.photo_id for one in named if one.photo_id),
        faces=tuple(one.face_id for one in named if one.face_id),
        ended=said and Ended(**said | {"at": datetime.fromisoformat(said["at"])}),
    )
