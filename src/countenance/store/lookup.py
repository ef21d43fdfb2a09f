"""How records are found by what a person can name: an address, a content, a name, or by opening each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import select

from countenance.store import photos, subjects
from countenance.store.database import Tx, among
from countenance.store.seal import unseal
from countenance.store.tables import collection, photo, subject

_THERE = (photo.c.state != "stopped") | photo.c.stopped_by.is_not(None)
"""A photo that no erasure has stopped. What an order hides is found: a stop takes nobody's right to an answer."""

BATCH = 4096  # rows opened at a time: the shared paths of the key tree are walked once a batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What of a photo is compared with what a person names."""

    photo_id: str
    address: str
    taken_at: str  # ISO 8601 without zone; empty if unknown
    imprint: str  # hexadecimal; empty if none is kept


def at_address(tx: Tx, source_id: str, path: str) -> str | None:
    """The id of the photo at exactly this address of the source."""
    token = photos.address_token(tx, source_id, path)
    return tx.sql.execute(
        select(photo.c.id).where(photo.c.source_id == source_id, photo.c.address_token == token)
    ).scalar()


def with_content(tx: Tx, sha256: bytes) -> list[str]:
    """Ids of the photos whose file has this SHA-256, in every collection."""
    query = select(photo.c.id).where(photo.c.content_token == photos.content_token(tx, sha256)).order_by(photo.c.row)
    return [row.id for row in tx.sql.execute(query)]


def present(tx: Tx, photo_ids: Iterable[str]) -> list[str]:
    """Those of the photos that are there and that no erasure has stopped, oldest first."""
    query = select(photo.c.id).where(among(photo.c.id, photo_ids), _THERE).order_by(photo.c.row)
    return [row.id for row in tx.sql.execute(query)]


def subjects_named(tx: Tx, name: str, collection_id: str | None) -> list[str]:
    """Ids of the held subjects with this name, one for each collection that has one."""
    everywhere = [row.id for row in tx.sql.execute(select(collection.c.id))]
    tokens = [subjects.name_token(tx, one, name) for one in ([collection_id] if collection_id else everywhere)]
    query = (
        select(subject.c.id).where(subject.c.name_token.in_(tokens), subject.c.state == "held").order_by(subject.c.row)
    )
    return [row.id for row in tx.sql.execute(query)]


def every(tx: Tx, source_id: str) -> Iterator[Seen]:
    """Each photo of a source that no erasure has stopped, oldest first."""
    query = (
        select(photo.c.id, photo.c.item, photo.c.fields)
        .where(photo.c.source_id == source_id, _THERE)
        .order_by(photo.c.row)
    )
    for rows in tx.sql.execute(query).partitions(BATCH):
        keys = tx.keys.item_keys([row.item for row in rows])
        for row, key in zip(rows, keys, strict=True):
            opened = json.loads(unseal(key, "photo", row.item, row.fields))
            yield Seen(
                photo_id=row.id,
                address=opened["address"],
                taken_at=opened["taken_at"] or "",
                imprint=opened.get("imprint") or "",
            )
