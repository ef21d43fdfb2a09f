"""What is past its time, and what of it stays for now because an order, a restriction or a request is not done with it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, or_, select, union

from countenance.store import requests, restrictions
from countenance.store.database import Tx, among
from countenance.store.orders import IN_FORCE
from countenance.store.tables import face, orders, photo, restriction, subject

KEPT_FOR = ("restriction", requests.UNCLEAR)  # requests whose person may want that it is kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What is to be erased of one collection, by id."""

    collection_id: str
    photos: tuple[str, ...]  # with every face in them
    faces: tuple[str, ...]  # of photos that stay
    subjects: tuple[str, ...]  # whose consent has ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Why something past its time stays."""

    asked: frozenset[str]  # photos that open requests are about
    holders: dict[str, str]  # id of an order or a restriction that hides photos or faces -> "order", "restriction"


def kept(tx: Tx) -> Kept:
    """For what things stay. An order that was carried out is done with what it left."""
    under_way = select(orders.c.id).where(orders.c.state.in_([state for state in IN_FORCE if state != "completed"]))
    standing = select(restriction.c.id).where(restriction.c.ended_at.is_(None))
    holders = dict.fromkeys(tx.sql.execute(under_way).scalars(), "order")
    holders |= dict.fromkeys(tx.sql.execute(standing).scalars(), "restriction")
    waiting = [request for request in requests.every(tx, unanswered=True) if request.kind in KEPT_FOR]
    asked = frozenset(one.photo_id for request in waiting for one in request.reviews if one.verdict != "no")
    return Kept(asked=asked, holders=holders)


def due(tx: Tx, collection_id: str, stay: Kept, most: int | None = None) -> Due | None:
    """What is past its time in a collection, the oldest `most` photos, faces and subjects; None if nothing is."""
    going = select(photo.c.id).where(photo.c.collection_id == collection_id, _past(tx, photo), ~_in(photo.c.id, stay))
    lasting = select(photo.c.id).where(photo.c.expires_at > tx.second)
    alone = select(face.c.id).where(
        face.c.collection_id == collection_id,
        _past(tx, face),
        face.c.photo_id.in_(lasting),
        ~_in(face.c.photo_id, stay),
    )
    theirs = select(face.c.subject_id).where(face.c.subject_id.is_not(None), _in(face.c.photo_id, stay))
    ended = select(subject.c.id).where(
        subject.c.collection_id == collection_id,
        subject.c.state == "held",
        subject.c.consent_until <= tx.second,
        subject.c.id.not_in(theirs),
    )
    found = Due(
        collection_id=collection_id,
        photos=tuple(tx.sql.execute(going.order_by(photo.c.row).limit(most)).scalars()),
        faces=tuple(tx.sql.execute(alone.order_by(face.c.row).limit(most)).scalars()),
        subjects=tuple(tx.sql.execute(ended.order_by(subject.c.row).limit(most)).scalars()),
    )
    return found if found.photos or found.faces or found.subjects else None


def stays(tx: Tx, stay: Kept) -> dict[str, int]:
    """How many photos are past their time, or show a face that is, and stay, by why: order, restriction, request."""
    held = select(face.c.photo_id, face.c.stopped_by).where(among(face.c.stopped_by, stay.holders))
    by_face = {row.photo_id: row.stopped_by for row in tx.sql.execute(held)}
    expired = or_(_past(tx, photo), photo.c.id.in_(select(face.c.photo_id).where(_past(tx, face))))
    query = select(photo.c.id, photo.c.stopped_by).where(expired, _in(photo.c.id, stay))
    holders = ((row.stopped_by or by_face.get(row.id), row.id) for row in tx.sql.execute(query))
    return dict(Counter(stay.holders.get(holder or "", "request") for holder, _ in holders))


def _past(tx: Tx, table: Any) -> ColumnElement[bool]:
    """Past its time, and no erasure has reached it yet."""
    free = (table.c.state != "stopped") | table.c.stopped_by.is_not(None)
    past: ColumnElement[bool] = (table.c.expires_at <= tx.second) & free
    return past


def _in(photo_id: ColumnElement[str], stay: Kept) -> ColumnElement[bool]:
    """Whether a photo stays, whole: where one face of it is held, the photo is."""
    held = union(
        select(photo.c.id).where(among(photo.c.stopped_by, stay.holders)),
        select(face.c.photo_id).where(among(face.c.stopped_by, stay.holders)),
    )
    return photo_id.in_(held) | photo_id.in_(restrictions.photos_named()) | among(photo_id, stay.asked)
