"""Not-same links in the store: this face is not that subject, or does not show the person of that other face.

A link with a subject bars a place: the face's box in the photo at that address. So it outlasts the face's own record,
which is not kept where faces of nobody may not be, and a file that is written again. It goes when the photo, the face
or the subject is erased.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, insert, or_, select, update

from countenance.records import Box
from countenance.store import erasures
from countenance.store.database import Tx, among
from countenance.store.tables import face, link, photo


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One record that two are not the same."""

    id: str
    at: datetime
    face_id: str | None  # None once the face is not kept
    other_id: str | None  # the other face, or
    subject_id: str | None  # the subject
    box: Box
    by: str
    reason: str
    request: str | None  # id of the request that it answers


def put(tx: Tx, record: Link, photo_id: str) -> int:
    """Store a new link of a face in this photo and return its item."""
    item = tx.take_items(1)
    fields = {"box": record.box, "by": record.by, "reason": record.reason, "request": record.request}
    place = select(photo.c.address_token).where(photo.c.id == photo_id).scalar_subquery()
    tx.sql.execute(
        insert(link).values(
            id=record.id,
            item=item,
            at=int(record.at.timestamp()),
            face_id=record.face_id,
            other_id=record.other_id,
            subject_id=record.subject_id,
            place_token=place,
            fields=tx.seal("link", item, fields),
        )
    )
    return item


def every(tx: Tx) -> list[Link]:
    """All links, oldest first."""
    return _records(tx, link.c.row > 0)


def find(tx: Tx, link_id: str) -> list[Link]:
    """The link with this id, or none."""
    return _records(tx, link.c.id == link_id)


def of_face(tx: Tx, face_id: str) -> list[Link]:
    """The links of a face."""
    return _records(tx, or_(link.c.face_id == face_id, link.c.other_id == face_id))


def of_subject(tx: Tx, subject_id: str) -> list[Link]:
    """The links of a subject."""
    return _records(tx, link.c.subject_id == subject_id)


def apart(tx: Tx, face_ids: Iterable[str], subject_id: str | None) -> frozenset[int]:
    """Row numbers of the faces that are not the person of these faces, who is this subject, if any."""
    ids = list(face_ids)
    others = [
        select(link.c.other_id).where(among(link.c.face_id, ids), link.c.other_id.is_not(None)),
        select(link.c.face_id).where(among(link.c.other_id, ids), link.c.face_id.is_not(None)),
        select(link.c.face_id).where(among(link.c.subject_id, [subject_id]), link.c.face_id.is_not(None)),
    ]
    theirs = select(link.c.subject_id).where(among(link.c.face_id, ids), link.c.subject_id.is_not(None))
    query = select(face.c.row).where(or_(*(face.c.id.in_(some) for some in others), face.c.subject_id.in_(theirs)))
    return frozenset(tx.sql.execute(query).scalars())


def barred(tx: Tx, photo_id: str) -> list[tuple[Box, str]]:
    """The places in a photo, as boxes, at which the face is not this subject."""
    here = photo.c.address_token == link.c.place_token
    query = select(link).join(photo, here).where(photo.c.id == photo_id, link.c.subject_id.is_not(None))
    return [(one.box, str(one.subject_id)) for one in (_record(tx, row) for row in tx.sql.execute(query).all())]


def loosen(tx: Tx, face_ids: Iterable[str]) -> None:
    """Let go of faces whose records go though nobody erased them: links with subjects stay, those between faces go."""
    ids = list(face_ids)
    _drop(tx, link.c.other_id.is_not(None) & (among(link.c.face_id, ids) | among(link.c.other_id, ids)))
    tx.sql.execute(update(link).where(among(link.c.face_id, ids)).values(face_id=None))


def forget(
    tx: Tx, *, face_ids: Iterable[str] = (), subject_ids: Iterable[str] = (), photo_ids: Iterable[str] = ()
) -> None:
    """Delete the links of what is erased; their leaves go with the erasure's own rotation of the keys."""
    ids = list(face_ids)
    places = select(photo.c.address_token).where(among(photo.c.id, photo_ids))
    _drop(
        tx,
        or_(
            among(link.c.face_id, ids),
            among(link.c.other_id, ids),
            among(link.c.subject_id, subject_ids),
            link.c.place_token.in_(places),
        ),
    )


def _drop(tx: Tx, which: ColumnElement[bool]) -> None:
    for item in tx.sql.execute(delete(link).where(which).returning(link.c.item)).scalars().all():
        erasures.discard(tx, item)


def _records(tx: Tx, which: ColumnElement[bool]) -> list[Link]:
    return [_record(tx, row) for row in tx.sql.execute(select(link).where(which).order_by(link.c.row)).all()]


def _record(tx: Tx, row: Row[Any]) -> Link:
    opened = tx.unseal("link", row.item, row.fields)
    left, top, width, height = opened.pop("box")
    return Link(
        id=row.id,
        at=datetime.fromtimestamp(row.at, UTC),
        face_id=row.face_id,
        other_id=row.other_id,
        subject_id=row.subject_id,
        box=(left, top, width, height),
        **opened,
    )
