"""Registering collections and sources, each with its line in the log."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from countenance import errors, ids
from countenance import sources as openers
from countenance.audit import log
from countenance.gate.admit import invalid
from countenance.gate.place import canonical
from countenance.gate.rule import REFUSALS
from countenance.records import Collection, Entry, Source
from countenance.store import collections, faces, photos, sources
from countenance.store.database import Database
from countenance.terms import shorten

PUBLIC = (  # fields that stand in the log for ever
    *("art6", "art9", "retention_days", "mode", "takes_in", "established", "declared_on", "purpose_ends", "youngest"),
)
TERMS = ("retention_days", "takes_in", "established", "purpose_ends")  # fields that decide until when photos are kept
ON_ERASE = ("delete", "redact", "worklist")


def make_collection(database: Database, name: str, fields: dict[str, Any], *, by: str) -> Collection:
    """Store a new collection; `UsageError` if a field is unknown or has a value that cannot be."""
    record = Collection(id=ids.new("collection"), name=name, **_known(fields))
    return _put(database, record, by=by)


def change_collection(database: Database, collection: Collection, fields: dict[str, Any], *, by: str) -> Collection:
    """Store changed fields of a collection; `UsageError` as above."""
    changed = replace(collection, **_known(fields))
    if (collection.mode, changed.mode) == ("all", "enrolled"):
        with database.read() as tx:
            unnamed = [face.id for face in faces.stored(tx, collection_id=collection.id, subject_id=None)]
            strangers = len(faces.beyond_stop(tx, unnamed))
        if strangers:
            raise errors.UsageError(
                f"The collection holds {strangers} faces of people who are not enrolled. Nothing was changed; erase them "
                "first, or make another collection for the people who are."
            )
    return _put(database, changed, by=by, before=collection)


def register_source(
    database: Database,
    collection: Collection,
    location: str | os.PathLike[str],
    *,
    controller: str,
    evidence: str,
    by: str,
    **fields: Any,
) -> Source:
    """Store a new source of a collection; `UsageError` if something about it cannot be. Nothing of it is read yet."""
    given = os.fspath(location)
    place = os.path.realpath(Path(given).expanduser())
    if not (controller.strip() and evidence.strip()):
        raise errors.UsageError("A source needs who controls it and evidence of that. Nothing was changed.")
    if strange := set(fields) - {"country", "on_erase"}:
        raise errors.UsageError(f"A source has no field {', '.join(sorted(strange))}. Nothing was changed.")
    if fields.get("on_erase", "worklist") not in ON_ERASE:
        raise errors.UsageError(f"on_erase must be one of {', '.join(ON_ERASE)}. Nothing was changed.")
    if fields.get("country"):
        fields["country"] = canonical(fields["country"])
        if not fields["country"]:
            raise errors.UsageError("The country must be an ISO 3166 code, such as GB or US-IL. Nothing was changed.")
    try:
        kind = openers.kind_of(given if "://" in given else place)
    except errors.SourceGone as error:
        raise errors.UsageError(f"{place}: {error.facts['why']}. Nothing was registered.") from None
    file = Path(evidence).expanduser()
    is_file = len(evidence) < 1024 and file.is_file()  # noqa: PLR2004 - no path is longer
    record = Source(
        id=ids.new("source"),
        collection_id=collection.id,
        kind=kind,
        location=place,
        controller=controller,
        evidence=file.name if is_file else evidence,
        evidence_sha256=hashlib.sha256(file.read_bytes() if is_file else evidence.encode()).hexdigest(),
        **fields,
    )
    detail = {"source": record.id, "location": place, "evidence": record.evidence_sha256, "by": by}
    public = {"collection": collection.id, "kind": kind, "on_erase": record.on_erase}
    with database.write() as tx:
        sources.insert(tx, record)
        parts = ((sources.item_of(tx, record.id), detail),)
        log.append(tx, Entry(kind="source:registered", public=public, parts=parts))
    return record


def find_source(database: Database, name: str | os.PathLike[str], collection: str | None) -> Source:
    """The registered source with this id, or at this location (in the collection, if one is named)."""
    with database.read() as tx:
        if isinstance(name, str) and name.startswith("src_"):
            return sources.find(tx, name)
        place = os.path.realpath(Path(name).expanduser())
        chosen = [collections.find(tx, collection)] if collection else collections.every(tx)
        found = [source for c in chosen if (source := sources.at(tx, c.id, place))]
    if len(found) != 1:
        why_not = "is a source of several collections; say which" if found else "is not a registered source"
        raise errors.UsageError(f"{place} {why_not}. Register it with `countenance source add`. Nothing was read.")
    return found[0]


def _put(database: Database, record: Collection, *, by: str, before: Collection | None = None) -> Collection:
    if not record.name.strip():
        raise errors.UsageError("A collection needs a name. Nothing was changed.")
    if wrong := invalid(record):
        raise errors.UsageError(f"{wrong} Nothing was changed.")
    stated = {name: _public(getattr(record, name)) for name in PUBLIC if getattr(record, name)}
    with database.write() as tx:
        (collections.replace if before else collections.insert)(tx, record)
        if before:
            photos.reconsider(tx, REFUSALS, collection_id=record.id)
            if before.mode != record.mode:
                photos.look_again(tx, record.id)
            if any(getattr(before, name) != getattr(record, name) for name in TERMS):
                stated["shortened"] = shorten(tx, record)
        parts = ((collections.item_of(tx, record.id), {"name": record.name, "by": by}),)
        kind = "collection:changed" if before else "collection:made"
        log.append(tx, Entry(kind=kind, public={"collection": record.id, **stated}, parts=parts))
    return record


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    allowed = set(Collection.__slots__) - {"id"}
    if strange := set(fields) - allowed:
        raise errors.UsageError(f"A collection has no field {', '.join(sorted(strange))}. Nothing was changed.")
    return {name: _typed(name, value) for name, value in fields.items() if value is not None}


def _typed(name: str, value: Any) -> Any:
    """A field as the record has it; an empty text states nothing, which `invalid` cannot tell from something wrong."""
    if name in collections.DATES:
        try:
            return date.fromisoformat(value) if isinstance(value, str) and value else value or None
        except ValueError:
            raise errors.UsageError(f"{name} must be a date such as 2026-05-31. Nothing was changed.") from None
    if name == "takes_in":
        codes = value.replace(",", " ").split() if isinstance(value, str) else value
        return tuple(dict.fromkeys(canonical(code) or code for code in codes))
    return (canonical(value) or value) if name == "established" else value


def _public(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else list(value) if isinstance(value, tuple) else value
