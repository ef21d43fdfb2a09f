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
    Column("fields", LargeBinary, nullable=False),
    UniqueConstraint("source_id", "address_token"),
)

evidence = _table(
    "evidence",
    Column("photo_id", ForeignKey("photo.id", ondelete="CASCADE"), nullable=False, index=True),
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
    Column("template", LargeBinary, nullable=False),  # float32, little-endian, transformed, sealed
    Column("fields", LargeBinary, nullable=False),
    Column("crop", LargeBinary),
)

gone = _table(  # faces that every index drops when it follows the generation
    "gone",
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
    Column("collection_id", ForeignKey("collection.id"), nullable=False, index=True),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),  # slug: photo, face, subject, source, search, consent-withdrawn
    Column("progress", LargeBinary, nullable=False),  # counts, hashes, times, and who approved
    Column("bundle", LargeBinary),  # the certificate's zip, which names who approved
)

erased = _table(  # the ledger: what an erasure reached, by number only
    "erased",
    Column("erasure_id", ForeignKey("erasure.id"), nullable=False, index=True),
    Column("kind", Text, nullable=False),  # photo, face, subject, source; "reseal": a neighbour that gets a new key
    Column("id", Text, nullable=False),
    Column("item", Integer, nullable=False),
    UniqueConstraint("erasure_id", "item"),
)

discarded = _table(  # leaves whose records were replaced or finished with: the next rotation punctures them too
    "discarded",
    Column("item", Integer, nullable=False, unique=True),
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
    Column("kind", Text, nullable=False),  # content, address
    Column("erasure_id", ForeignKey("erasure.id"), nullable=False),
)

entry = Table(
    "entry",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),  # from 0
    Column("kind", Text, nullable=False, index=True),
    Column("leaf", LargeBinary, nullable=False),  # canonical JSON
    Column("hash", LargeBinary, nullable=False),
)

part = _table(
    "part",
    Column("entry", ForeignKey("entry.number"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("item", Integer, nullable=False, index=True),  # whose key seals it
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
