"""The schema. Ids, states, country codes, counts and dates stand in the clear; everything else is sealed bytes.

`item` is a record's leaf in the key tree: whatever is sealed in its row opens with that leaf's key and no other.
`*_token` columns are HMACs under the lookup key, so that a value can be found without being stored.
Times are whole seconds since the epoch, UTC, but for the log's, which are ISO text.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

FORMAT = 2

metadata = MetaData()


def _row() -> Column[int]:
    return Column("row", Integer, primary_key=True, autoincrement=True)


def _id() -> Column[str]:
    return Column("id", Text, nullable=False, unique=True)


def _item() -> Column[int]:
    return Column("item", Integer, nullable=False, unique=True)


def _table(name: str, *columns: Column[int] | Column[str] | Column[bytes] | Column[bool] | UniqueConstraint) -> Table:
    # AUTOINCREMENT: a row number is never given twice, so an index that remembers the last one misses nothing.
    return Table(name, metadata, _row(), *columns, sqlite_autoincrement=True)


vault = Table(
    "vault",
    metadata,
    Column("one", Integer, primary_key=True),
    Column("format", Integer, nullable=False),
    Column("generation", Integer, nullable=False),  # grows with every write; other processes follow it
    Column("next_item", Integer, nullable=False),  # 40 bits, never reused
    Column("log_size", Integer, nullable=False),
    Column("log_frontier", LargeBinary, nullable=False),
    Column("log_at", Text, nullable=False),  # time of the last line: the log's time never goes back
    Column("checkpoint", Text, nullable=False),
    Column("cosigned", Text, nullable=False),  # the last checkpoint that witnesses signed too, or nothing
    Column("epoch", Integer, nullable=False),  # the key epoch that these records are in step with
    Column("restored", Integer, nullable=False),  # how many times they came back from a backup
)

collection = _table(
    "collection",
    _id(),
    _item(),
    Column("name_token", LargeBinary, nullable=False, unique=True),
    Column("enrolments", Integer, nullable=False),  # grows with each enrolment: photos seen before are looked at again
    Column("fields", LargeBinary, nullable=False),
)

source = _table(
    "source",
    _id(),
    _item(),
    Column("collection_id", ForeignKey("collection.id"), nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("country", Text),
    Column("on_erase", Text, nullable=False),
    Column("location_token", LargeBinary, nullable=False),
    Column("scan", Integer, nullable=False),  # number of the last scan begun
    Column("fields", LargeBinary, nullable=False),
    UniqueConstraint("collection_id", "location_token"),
)

photo = _table(
    "photo",
    _id(),
    _item(),
    Column("collection_id", ForeignKey("collection.id"), nullable=False, index=True),
    Column("source_id", ForeignKey("source.id"), nullable=False),
    Column("state", Text, nullable=False),  # held, refused, vanished, stopped
    Column("reason", Text),  # slug of the refusal
    Column("address_token", LargeBinary, nullable=False),
    Column("content_token", LargeBinary, index=True),
    Column("stat_token", LargeBinary, nullable=False),  # address, size and time of change: the same means unchanged
    Column("scan", Integer, nullable=False),  # the last scan that met it
    Column("enrolments", Integer, nullable=False),  # the collection's count when it was looked at
    Column("faces_seen", Integer, nullable=False),
    Column("added_at", Integer, nullable=False),
    Column("expires_at", Integer, nullable=False),
    Column("stopped_by", Text, index=True),  # the order or restriction that hid it; NULL: an erasure, for good
    Column("fields", LargeBinary, nullable=False),
    UniqueConstraint("source_id", "address_token"),
)

evidence = _table(
    "evidence",
    Column("photo_id", ForeignKey("photo.id", ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("territory", Text, nullable=False, index=True),
    Column("origin", Text, nullable=False),
)

subject = _table(
    "subject",
    _id(),
    _item(),
    Column("collection_id", ForeignKey("collection.id"), nullable=False, index=True),
    Column("state", Text, nullable=False),  # held, stopped
    Column("name_token", LargeBinary, nullable=False),
    Column("consent_from", Integer, nullable=False),
    Column("consent_until", Integer, nullable=False),
    Column("fields", LargeBinary, nullable=False),
    UniqueConstraint("collection_id", "name_token"),
)

face = _table(
    "face",
    _id(),
    _item(),
    Column("collection_id", ForeignKey("collection.id"), nullable=False, index=True),
    Column("photo_id", ForeignKey("photo.id"), nullable=False, index=True),
    Column("subject_id", ForeignKey("subject.id"), index=True),
    Column("enrolled", Boolean, nullable=False),  # an enrolment photo of its subject
    Column("state", Text, nullable=False),  # held, stopped
    Column("model", Text, nullable=False),
    Column("expires_at", Integer, nullable=False),
    Column("stopped_by", Text, index=True),  # as for photos
    Column("template", LargeBinary, nullable=False),  # float32, little-endian, transformed, sealed
    Column("fields", LargeBinary, nullable=False),
    Column("crop", LargeBinary),
)

gone = _table(  # faces that every index drops when it follows the generation
    "gone",
    Column("generation", Integer, nullable=False, index=True),
    Column("face_row", Integer, nullable=False),
)

back = _table(  # hidden faces that an index takes up again, because the order that hid them was lifted
    "back",
    Column("generation", Integer, nullable=False, index=True),
    Column("face_row", Integer, nullable=False),
)

search = _table(
    "search",
    _id(),
    Column("collection_id", ForeignKey("collection.id"), nullable=False, index=True),
    Column("at", Integer, nullable=False),
    Column("expires_at", Integer, nullable=False),
)

hit = _table(
    "hit",
    Column("search_id", ForeignKey("search.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("probe", Integer, nullable=False),
    Column("face_id", ForeignKey("face.id"), nullable=False, index=True),
)

erasure = _table(
    "erasure",
    _id(),
    _item(),
    Column("collection_id", Text, nullable=False, index=True),  # a restore may know of one that its backup has not
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),  # slug: photo, face, subject, source, search, order, request, expired
    Column("progress", LargeBinary, nullable=False),  # counts, hashes, times, and who approved
    Column("bundle", LargeBinary),  # the certificate's zip, which names who approved
)

erased = _table(  # the ledger: what an erasure reached, by number only
    "erased",
    Column("erasure_id", ForeignKey("erasure.id"), nullable=False, index=True),
    Column("kind", Text, nullable=False),  # photo, face, subject, source; "resealed": a photo or neighbour that stays
    Column("id", Text, nullable=False),
    Column("item", Integer, nullable=False),
    UniqueConstraint("erasure_id", "item"),
)

discarded = _table(  # leaves whose records were replaced or finished with: the next rotation punctures them too
    "discarded",
    Column("item", Integer, nullable=False, unique=True),
)

export = _table(  # files outside the vault that it wrote, such as contact sheets; they show faces
    "export",
    _id(),
    _item(),
    Column("collection_id", ForeignKey("collection.id"), nullable=False, index=True),
    Column("search_id", Text, nullable=False),  # which may have expired
    Column("at", Integer, nullable=False),
    Column("fields", LargeBinary, nullable=False),  # path, SHA-256 and size of what was written
)

shown = _table(
    "shown",
    Column("export_id", ForeignKey("export.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("face_id", Text, nullable=False, index=True),  # which may be gone
)

orders = _table(  # of authorities, courts and the operator
    "orders",
    _id(),
    _item(),
    Column("state", Text, nullable=False),  # drafted, approved, stopped, erased, completed, lifted
    Column("country", Text, nullable=False),
    Column("issued", Text, nullable=False),  # ISO 8601 days
    Column("cease_from", Text),
    Column("delete_by", Text),
    Column("fields", LargeBinary, nullable=False),  # the file, what it says, who approved and signed
)

restriction = _table(  # records that are kept and not used, at a person's request (Art. 18 GDPR)
    "restriction",
    _id(),
    _item(),
    Column("ground", Text, nullable=False),  # slug
    Column("at", Integer, nullable=False),
    Column("ended_at", Integer),  # NULL while it is in force
    Column("fields", LargeBinary, nullable=False),  # who, why, whose request; when it ended, why and how that was told
)

restricted = _table(  # what a restriction names: a photo with all its faces, or one face
    "restricted",
    Column("restriction_id", ForeignKey("restriction.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("photo_id", ForeignKey("photo.id"), index=True),
    Column("face_id", ForeignKey("face.id"), index=True),
)

link = _table(  # "not the same": this face is not that subject, or not the person of that other face
    "link",
    _id(),
    _item(),
    Column("at", Integer, nullable=False),
    Column("face_id", ForeignKey("face.id"), index=True),  # NULL once the face is not kept: its place is still barred
    Column("other_id", ForeignKey("face.id"), index=True),
    Column("subject_id", ForeignKey("subject.id"), index=True),
    Column("place_token", LargeBinary, nullable=False, index=True),  # the address_token of the face's photo
    Column("fields", LargeBinary, nullable=False),  # the face's box, who, why, whose request
)

work = _table(  # what a person must do by hand at a source that cannot be written
    "work",
    _id(),
    _item(),
    Column("erasure_id", ForeignKey("erasure.id"), nullable=False, index=True),
    Column("source_id", Text, nullable=False),
    Column("action", Text, nullable=False),  # delete, redact
    Column("fields", LargeBinary, nullable=False),
)

suppression = _table(
    "suppression",
    Column("token", LargeBinary, nullable=False, unique=True),
    Column("kind", Text, nullable=False),  # content, address, picture, expired
    Column("erasure_id", ForeignKey("erasure.id"), nullable=False),
)

band = Table(  # of a suppressed picture's imprint: enough of them in common, and it is the same picture
    "band",
    metadata,
    Column("token", Integer, primary_key=True, autoincrement=False),  # 64 bits, signed
    Column("suppression", ForeignKey("suppression.row"), primary_key=True),
    sqlite_with_rowid=False,
)

request = _table(  # what a person asked for: who asks and every step of it are sealed
    "request",
    _id(),
    _item(),
    Column("kind", Text, nullable=False),
    Column("law", Text, nullable=False),
    Column("state", Text, nullable=False),  # opened, paused, extended, answered, closed
    Column("received_at", Integer, nullable=False),
    Column("due_at", Integer, nullable=False),
    Column("expires_at", Integer, nullable=False),
    Column("fields", LargeBinary, nullable=False),
)

answer = _table(  # to a request, made before an erasure reaches what it tells; gone when the request is closed
    "answer",
    _item(),
    Column("request_id", ForeignKey("request.id"), nullable=False, unique=True),
    Column("bundle", LargeBinary, nullable=False),
)

receipt = _table(  # what a person was given to be found by again; the receipt's own number is not kept
    "receipt",
    Column("token", LargeBinary, nullable=False, unique=True),
    Column("about", Text, nullable=False, index=True),  # id of a request, a subject or a photo
)

wish = _table(  # a person's own wish to be kept out; in no index, searched by nothing
    "wish",
    _id(),
    _item(),
    Column("model", Text, nullable=False),
    Column("begins_at", Integer, nullable=False),
    Column("ends_at", Integer, nullable=False),
    Column("template", LargeBinary, nullable=False),  # float32, little-endian, untransformed, sealed
    Column("fields", LargeBinary, nullable=False),
)

entry = Table(
    "entry",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),  # from 0
    Column("kind", Text, nullable=False, index=True),
    Column("leaf", LargeBinary, nullable=False),  # canonical JSON
    Column("hash", LargeBinary, nullable=False),
)

node = Table(  # the log's tree above its lines: the root of each complete subtree of 256**level lines
    "node",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),  # from 1
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)

part = _table(
    "part",
    Column("entry", ForeignKey("entry.number"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("item", Integer, nullable=False, index=True),  # whose key seals it
    Column("bound", LargeBinary, nullable=False),  # HMAC over line, number, item and commitment, 16 bytes
    Column("detail", LargeBinary),  # NULL once erased
    UniqueConstraint("entry", "number"),
)

process = _table(
    "process",
    _id(),
    Column("pid", Integer, nullable=False),
    Column("host", Text, nullable=False),
    Column("born", Text, nullable=False),  # the kernel's start time of the pid: a reused pid is another process
    Column("epoch", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
)

Index("face_of_collection", face.c.collection_id, face.c.row)
Index("photo_of_source", photo.c.source_id, photo.c.scan)
# Whatever `counts` asks of many rows stands in these, so that it reads no sealed bytes.
ENDS = ("collection_id", "expires_at", "state", "stopped_by")
Index("photo_ends", *(photo.c[name] for name in (*ENDS, "source_id", "id")))
Index("face_ends", *(face.c[name] for name in (*ENDS, "subject_id")))
Index("evidence_of_photo", evidence.c.photo_id, evidence.c.territory, evidence.c.kind)
