"""Photos in the store, and how one that was seen before is recognised."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, bindparam, delete, func, insert, select, update

from countenance import errors
from countenance.records import Address, Evidence, Photo
from countenance.store import faces
from countenance.store.database import Tx, among
from countenance.store.tables import discarded, evidence, face, photo

# Asked for every photo of a scan: building a statement costs five times what running it does, so this one is built once.
_KNOWN = select(photo).where(photo.c.source_id == bindparam("source"), photo.c.address_token == bindparam("token"))


DISCARDED = -1  # instead of the count of enrolments: the photo was looked at when strangers' faces were discarded


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the store remembers of an address."""

    row: int
    id: str
    item: int
    state: str
    unchanged: bool  # same size and time of change as when it was looked at
    content: bytes | None  # the content's look-up token
    enrolments: int


def known(tx: Tx, source_id: str, address: Address) -> Known | None:
    """Return what is stored for this address of the source, if anything."""
    token = address_token(tx, source_id, address.path)
    row = tx.sql.execute(_KNOWN, {"source": source_id, "token": token}).first()
    if row is None:
        return None
    return Known(
        row=row.row,
        id=row.id,
        item=row.item,
        state=row.state,
        unchanged=row.stat_token == stat_token(tx, source_id, address),
        content=row.content_token,
        enrolments=row.enrolments,
    )


def put(
    tx: Tx,
    record: Photo,
    *,
    stat: bytes,
    content: bytes | None,
    sha256: bytes,
    scan: int,
    enrolments: int,
    extra: dict[str, Any] | None = None,
) -> int:
    """Store a photo and its evidence and return its item.

    `stat` and `content` are tokens, `sha256` the content's hash, which is sealed; `extra` joins the
    sealed fields (such as coordinates).
    """
    item = tx.take_items(1)
    fields = {
        "address": record.address,
        "width": record.width,
        "height": record.height,
        "taken_at": record.taken_at,
        "sha256": sha256.hex(),
        **(extra or {}),
    }
    tx.sql.execute(
        insert(photo),
        {
            "id": record.id,
            "item": item,
            "collection_id": record.collection_id,
            "source_id": record.source_id,
            "state": record.state,
            "reason": record.reason,
            "address_token": address_token(tx, record.source_id, record.address),
            "content_token": content,
            "stat_token": stat,
            "scan": scan,
            "enrolments": enrolments,
            "faces_seen": record.faces,
            "added_at": int(record.added_at.timestamp()),
            "expires_at": int(record.expires_at.timestamp()),
            "fields": tx.seal("photo", item, fields),
        },
    )
    if record.evidence:
        tx.sql.execute(
            insert(evidence),
            [
                {"photo_id": record.id, "kind": e.kind, "territory": e.territory, "origin": e.origin}
                for e in record.evidence
            ],
        )
    return item


def renew(tx: Tx, photo_id: str, **columns: Any) -> None:
    """Set columns of a stored photo, such as `scan` or `state`."""
    tx.sql.execute(update(photo).where(photo.c.id == photo_id).values(**columns))


def met(tx: Tx, photo_ids: Iterable[str], scan: int) -> None:
    """Note that this scan met these photos unchanged; one that had vanished is held again.

    A later scan that another process began, and that met one already, stands.
    """
    ids = list(photo_ids)
    tx.sql.execute(update(photo).where(among(photo.c.id, ids), photo.c.scan < scan).values(scan=scan))
    tx.sql.execute(update(photo).where(among(photo.c.id, ids), photo.c.state == "vanished").values(state="held"))


def mark_vanished(tx: Tx, source_id: str, scan: int) -> int:
    """Mark held photos of the source that this scan did not meet, and return how many were marked now."""
    done = tx.sql.execute(
        update(photo)
        .where(photo.c.source_id == source_id, photo.c.scan < scan, photo.c.state == "held")
        .values(state="vanished")
    )
    return int(done.rowcount)


def find(tx: Tx, photo_id: str) -> Photo:
    """Return the photo with this id; `NotFound` if there is none."""
    row = tx.sql.execute(select(photo).where(photo.c.id == photo_id)).first()
    if row is None:
        raise errors.NotFound(noun="photo", name=photo_id)
    return _record(tx, row)


def of_source(tx: Tx, source_id: str) -> list[Photo]:
    """All photos of a source that no erasure has stopped, oldest first."""
    query = select(photo).where(photo.c.source_id == source_id, photo.c.state != "stopped").order_by(photo.c.row)
    return [_record(tx, row) for row in tx.sql.execute(query).all()]


def refused(tx: Tx, source_id: str) -> list[Photo]:
    """The source's refused photos, oldest first."""
    query = select(photo).where(photo.c.source_id == source_id, photo.c.state == "refused").order_by(photo.c.row)
    return [_record(tx, row) for row in tx.sql.execute(query).all()]


def items(tx: Tx, photo_ids: Iterable[str]) -> dict[str, int]:
    """Each photo's leaf in the key tree."""
    query = select(photo.c.id, photo.c.item).where(among(photo.c.id, photo_ids))
    return {row.id: row.item for row in tx.sql.execute(query)}


def tokens(tx: Tx, photo_id: str) -> tuple[bytes, bytes | None]:
    """The photo's address token and content token."""
    row = tx.sql.execute(select(photo.c.address_token, photo.c.content_token).where(photo.c.id == photo_id)).one()
    return row.address_token, row.content_token


def discard(tx: Tx, photo_id: str) -> None:
    """Drop a photo whose file was replaced, with its faces; the next rotation of the keys punctures their leaves."""
    rows = tx.sql.execute(select(face.c.id, face.c.item).where(face.c.photo_id == photo_id)).all()
    faces.stop(tx, [row.id for row in rows])
    for row in rows:
        faces.remove(tx, row.id)
    for item in [row.item for row in rows] + list(items(tx, [photo_id]).values()):
        tx.sql.execute(discarded.insert().values(item=item))
    remove(tx, photo_id)


def remove(tx: Tx, photo_id: str) -> None:
    """Delete a photo's row and evidence. Its faces must be gone."""
    tx.sql.execute(delete(evidence).where(evidence.c.photo_id == photo_id))
    tx.sql.execute(delete(photo).where(photo.c.id == photo_id))


def note(tx: Tx, photo_id: str, **values: Any) -> None:
    """Set sealed fields of the photo."""
    row = tx.sql.execute(select(photo.c.item, photo.c.fields).where(photo.c.id == photo_id)).one()
    opened = tx.unseal("photo", row.item, row.fields) | values
    tx.sql.execute(update(photo).where(photo.c.id == photo_id).values(fields=tx.seal("photo", row.item, opened)))


def rewritten(tx: Tx, photo_id: str, address: Address, sha256: bytes) -> None:
    """Note that the photo's file was written again: it is known by this content, size and time."""
    source_id = tx.sql.execute(select(photo.c.source_id).where(photo.c.id == photo_id)).scalar_one()
    note(tx, photo_id, sha256=sha256.hex(), size=address.size, modified_ns=address.modified_ns)
    renew(tx, photo_id, content_token=content_token(tx, sha256), stat_token=stat_token(tx, source_id, address))


def address_of(tx: Tx, photo_id: str) -> Address:
    """The photo's address as the source listed it."""
    opened = fields(tx, photo_id)
    return Address(path=opened["address"], size=opened["size"], modified_ns=opened["modified_ns"])


def fields(tx: Tx, photo_id: str) -> dict[str, Any]:
    """The photo's sealed fields, open."""
    row = tx.sql.execute(select(photo.c.item, photo.c.fields).where(photo.c.id == photo_id)).one()
    opened: dict[str, Any] = tx.unseal("photo", row.item, row.fields)
    return opened


def look_again(tx: Tx, collection_id: str) -> None:
    """Have the next scan look again at every held photo: from now on strangers' faces are kept."""
    of_it = (photo.c.collection_id == collection_id) & photo.c.state.in_(["held", "vanished"])
    tx.sql.execute(update(photo).where(of_it).values(enrolments=DISCARDED))


def counts(tx: Tx, collection_id: str) -> dict[str, int]:
    """Photos of the collection by state, and `faces`."""
    query = select(photo.c.state, func.count().label("n")).where(photo.c.collection_id == collection_id)
    held = {row.state: row.n for row in tx.sql.execute(query.group_by(photo.c.state))}
    return held | {"faces": faces.count(tx, collection_id)}


def address_token(tx: Tx, source_id: str, path: str) -> bytes:
    """The look-up token of an address in a source."""
    return tx.keys.lookup_token("address", source_id.encode() + b"\0" + os.fsencode(path))


def stat_token(tx: Tx, source_id: str, address: Address) -> bytes:
    """The look-up token of an address with its size and time of change."""
    stat = f"{source_id}\0{address.size}\0{address.modified_ns}\0".encode()
    return tx.keys.lookup_token("stat", stat + os.fsencode(address.path))


def content_token(tx: Tx, sha256: bytes) -> bytes:
    """The look-up token of a photo's content hash."""
    return tx.keys.lookup_token("content", sha256)


def _record(tx: Tx, row: Row[Any]) -> Photo:
    opened = tx.unseal("photo", row.item, row.fields)
    found = tx.sql.execute(select(evidence).where(evidence.c.photo_id == row.id).order_by(evidence.c.row))
    return Photo(
        id=row.id,
        collection_id=row.collection_id,
        source_id=row.source_id,
        address=opened["address"],
        state=row.state,
        reason=row.reason,
        width=opened["width"],
        height=opened["height"],
        taken_at=opened["taken_at"],
        added_at=datetime.fromtimestamp(row.added_at, UTC),
        expires_at=datetime.fromtimestamp(row.expires_at, UTC),
        evidence=tuple(Evidence(kind=e.kind, territory=e.territory, origin=e.origin) for e in found),
        faces=row.faces_seen,
    )
