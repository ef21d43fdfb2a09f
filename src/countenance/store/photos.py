"""Photos in the store, and how one that was seen before is recognised."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Row, Select, bindparam, case, delete, exists, func, insert, select, update

from countenance import errors
from countenance.records import Address, Evidence, Photo, Source
from countenance.store import collections, faces, requests, restrictions
from countenance.store.database import Tx, among
from countenance.store.tables import discarded, evidence, face, photo

# Asked for every photo of a scan: building a statement costs five times what running it does, so this one is built once.
_KEPT = exists().where(face.c.photo_id == photo.c.id, face.c.stopped_by.is_not(None))
_KNOWN = select(photo, _KEPT.label("kept")).where(
    photo.c.source_id == bindparam("source"), photo.c.address_token == bindparam("token")
)


DISCARDED = -1  # instead of the count of enrolments: the collection has changed so that the photo is looked at again


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
    kept: bool  # a face in it is hidden by an order or a restriction: the record stays as it is until that ends


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
        kept=row.kept,
    )


def standing(tx: Tx, source: Source, address: Address) -> Literal["new", "changed", "again", "unchanged"]:
    """How an address stands to what is stored; "again": subjects were enrolled since it was looked at."""
    found = known(tx, source.id, address)
    return how(tx, source, found) if found else "new"


def how(tx: Tx, source: Source, known: Known) -> Literal["changed", "again", "unchanged"]:
    """The same of an address that is stored."""
    if known.state == "stopped" or known.kept:
        return "unchanged"
    if not known.unchanged:
        return "changed"
    return "again" if behind(tx, source, known) else "unchanged"


def behind(tx: Tx, source: Source, known: Known) -> bool:
    """Whether faces of the photo might be kept now that were not: more are enrolled, or the collection has changed."""
    if known.state == "refused":
        return known.enrolments == DISCARDED
    if known.state == "stopped":
        return False
    if collections.find(tx, source.collection_id).mode == "all":
        return known.enrolments == DISCARDED
    return known.enrolments < collections.enrolments(tx, source.collection_id)


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
    for found in record.evidence:
        add_evidence(tx, record.id, found)
    return item


def add_evidence(tx: Tx, photo_id: str, found: Evidence) -> None:
    """Add a piece of evidence to a photo."""
    values = {"photo_id": photo_id, "kind": found.kind, "territory": found.territory, "origin": found.origin}
    tx.sql.execute(insert(evidence), values)


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
    return several(tx, [photo_id])[photo_id]


def several(tx: Tx, photo_ids: Iterable[str]) -> dict[str, Photo]:
    """The photos with these ids, by id; `NotFound` if there is none with one of them."""
    ids = list(photo_ids)
    found = {record.id: record for record in _records(tx, select(photo).where(among(photo.c.id, ids)))}
    for photo_id in ids:
        if photo_id not in found:
            raise errors.NotFound(noun="photo", name=photo_id)
    return found


def of_source(tx: Tx, source_id: str) -> list[Photo]:
    """All photos of a source that no erasure has stopped, oldest first."""
    free = (photo.c.state != "stopped") | photo.c.stopped_by.is_not(None)
    return _records(tx, select(photo).where(photo.c.source_id == source_id, free).order_by(photo.c.row))


def refused(tx: Tx, source_id: str) -> list[Photo]:
    """The source's refused photos, oldest first."""
    query = select(photo).where(photo.c.source_id == source_id, photo.c.state == "refused").order_by(photo.c.row)
    return _records(tx, query)


def stop(tx: Tx, photo_ids: Iterable[str], order: str) -> None:
    """Hide photos in the name of an order or a restriction, but for those that are hidden already."""
    of_them = among(photo.c.id, photo_ids) & (photo.c.state != "stopped")
    tx.sql.execute(update(photo).where(of_them).values(state="stopped", stopped_by=order))


def showing_only(tx: Tx, photo_ids: Iterable[str], subject_ids: Iterable[str]) -> list[str]:
    """Those of the photos in which nobody else was seen than these subjects."""
    theirs = (face.c.photo_id == photo.c.id) & face.c.subject_id.in_(list(subject_ids))
    count = select(func.count()).select_from(face).where(theirs).scalar_subquery()
    query = select(photo.c.id).where(among(photo.c.id, photo_ids), photo.c.faces_seen <= count)
    return list(tx.sql.execute(query).scalars())


def reach(tx: Tx, photo_ids: Iterable[str]) -> None:
    """Hide photos for an erasure, also those that an order had hidden."""
    tx.sql.execute(update(photo).where(among(photo.c.id, photo_ids)).values(state="stopped", stopped_by=None))


def give_back(tx: Tx, photo_ids: Iterable[str], order: str, heir: str | None = None) -> int:
    """Show photos that an order hid again, or leave them to `heir`, another order; return how many.

    Whether a file has vanished meanwhile the next scan says.
    """
    state = case((photo.c.reason.is_not(None), "refused"), else_="held")
    values = {"stopped_by": heir} if heir else {"stopped_by": None, "state": state}
    query = update(photo).where(among(photo.c.id, photo_ids), photo.c.stopped_by == order).values(**values)
    return int(tx.sql.execute(query).rowcount)


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
    faces.remove(tx, [row.id for row in rows])
    for item in [row.item for row in rows] + list(items(tx, [photo_id]).values()):
        tx.sql.execute(discarded.insert().values(item=item))
    remove(tx, [photo_id])


def remove(tx: Tx, photo_ids: Iterable[str]) -> None:
    """Delete the rows and evidence of photos, and forget the receipts about them. Their faces must be gone."""
    ids = list(photo_ids)
    requests.forget_receipts(tx, ids)
    restrictions.forget(tx, photo_ids=ids)
    tx.sql.execute(delete(evidence).where(among(evidence.c.photo_id, ids)))
    tx.sql.execute(delete(photo).where(among(photo.c.id, ids)))


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


def reseal(tx: Tx, photo_id: str, new_item: int) -> int:
    """Seal a photo's record under a new leaf and return the old one, so that it can be punctured."""
    row = tx.sql.execute(select(photo.c.item, photo.c.fields).where(photo.c.id == photo_id)).one()
    sealed = tx.seal("photo", new_item, tx.unseal("photo", row.item, row.fields))
    tx.sql.execute(update(photo).where(photo.c.id == photo_id).values(item=new_item, fields=sealed))
    return int(row.item)


def address_of(tx: Tx, photo_id: str) -> Address:
    """The photo's address as the source listed it."""
    return listed(fields(tx, photo_id))


def listed(opened: dict[str, Any]) -> Address:
    """The address in a photo's open fields, as the source listed it."""
    return Address(path=opened["address"], size=opened["size"], modified_ns=opened["modified_ns"])


def fields(tx: Tx, photo_id: str) -> dict[str, Any]:
    """The photo's sealed fields, open."""
    return fields_of(tx, [photo_id])[photo_id]


def fields_of(tx: Tx, photo_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The sealed fields of photos, open, by photo."""
    query = select(photo.c.id, photo.c.item, photo.c.fields).where(among(photo.c.id, photo_ids))
    return {row.id: tx.unseal("photo", row.item, row.fields) for row in tx.sql.execute(query)}


def look_again(tx: Tx, collection_id: str) -> None:
    """Have the next scan look again at every held photo: from now on strangers' faces are kept."""
    of_it = (photo.c.collection_id == collection_id) & photo.c.state.in_(["held", "vanished"])
    tx.sql.execute(update(photo).where(of_it).values(enrolments=DISCARDED))


def reconsider(tx: Tx, reasons: Iterable[str], **of: str) -> None:
    """Have the next scan look again at photos with these columns (`id`, `collection_id`) that were refused for a reason."""
    query = update(photo).where(photo.c.state == "refused", among(photo.c.reason, reasons)).filter_by(**of)
    tx.sql.execute(query.values(enrolments=DISCARDED))


def corrected(tx: Tx, source_id: str) -> dict[tuple[str, str], tuple[Evidence, ...]]:
    """What operators said of where the photos of a source are from, by address and content (SHA-256 in hexadecimal)."""
    ids = select(evidence.c.photo_id).where(evidence.c.kind == "operator")
    query = select(photo).where(photo.c.source_id == source_id, photo.c.id.in_(ids))
    hashes = {row.id: tx.unseal("photo", row.item, row.fields)["sha256"] for row in tx.sql.execute(query)}
    return {
        (record.address, hashes[record.id]): tuple(each for each in record.evidence if each.kind == "operator")
        for record in _records(tx, query)
    }


def faces_seen(tx: Tx, collection_id: str) -> int:
    """How many faces were seen in the collection's photos, kept or not."""
    query = select(func.sum(photo.c.faces_seen)).where(photo.c.collection_id == collection_id)
    return int(tx.sql.execute(query).scalar() or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """What decides until when a photo may be kept."""

    photo_id: str
    added_at: datetime
    expires_at: datetime
    evidence: frozenset[Evidence]


def terms(tx: Tx, collection_id: str, photo_ids: Iterable[str] | None = None) -> list[Term]:
    """The terms of a collection's photos, all or these; nothing sealed is opened."""
    of_it = photo.c.collection_id == collection_id
    if photo_ids is not None:
        of_it &= among(photo.c.id, photo_ids)
    found: dict[str, set[Evidence]] = {}
    joined = select(evidence).join(photo, photo.c.id == evidence.c.photo_id).where(of_it)
    for e in tx.sql.execute(joined):
        found.setdefault(e.photo_id, set()).add(Evidence(kind=e.kind, territory=e.territory, origin=e.origin))
    rows = tx.sql.execute(select(photo.c.id, photo.c.added_at, photo.c.expires_at).where(of_it))
    return [
        Term(
            photo_id=row.id,
            added_at=datetime.fromtimestamp(row.added_at, UTC),
            expires_at=datetime.fromtimestamp(row.expires_at, UTC),
            evidence=frozenset(found.get(row.id, ())),
        )
        for row in rows
    ]


def end_at(tx: Tx, ends: Mapping[str, int]) -> None:
    """Set the ends of photos, in seconds since the epoch by id."""
    query = update(photo).where(photo.c.id == bindparam("of")).values(expires_at=bindparam("end"))
    if ends:
        tx.sql.execute(query, [{"of": photo_id, "end": end} for photo_id, end in ends.items()])


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


def _records(tx: Tx, query: Select[Any]) -> list[Photo]:
    rows = tx.sql.execute(query).all()
    recorded: dict[str, list[Evidence]] = {row.id: [] for row in rows}
    of_them = select(evidence).where(among(evidence.c.photo_id, recorded)).order_by(evidence.c.row)
    for e in tx.sql.execute(of_them):
        recorded[e.photo_id].append(Evidence(kind=e.kind, territory=e.territory, origin=e.origin))
    return [_record(row, tx.unseal("photo", row.item, row.fields), recorded[row.id]) for row in rows]


def _record(row: Row[Any], opened: dict[str, Any], recorded: list[Evidence]) -> Photo:
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
        evidence=tuple(recorded),
        faces=row.faces_seen,
    )
