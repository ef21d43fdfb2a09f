"""Files outside the vault that it writes: on record before their first byte, and deleted when what they show is erased."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from countenance import errors, ids
from countenance.audit import log
from countenance.gate.reach import binding, facts_of_photo, stopped
from countenance.orders import worklist
from countenance.orders.worklist import Todo
from countenance.records import Entry, SearchResult
from countenance.sources.folder import Folder
from countenance.store import collections, erasures, exports, faces, orders, photos
from countenance.store.database import Database, Tx
from countenance.store.exports import Export

PLACE = "export"
"""Stands for the source, on the worklist, of a file that is an export."""

CHANGED = "This contact sheet is not what was written any more."
GONE = "The folder of this contact sheet cannot be reached, so the file may still be there."
LINKED = "This contact sheet was deleted, and its content has other names (hard links)."


def write(database: Database, result: SearchResult, page: bytes, path: Path, *, by: str) -> Export:
    """Write a search's page as `put` does."""
    shown = sorted({hit.face_id for face in result.faces for hit in face.hits})
    public = {"kind": "contact-sheet", "search-entry": result.entry}
    return put(database, page, path, about=(result.collection_id, result.id), shown=shown, public=public, by=by)


def put(  # noqa: PLR0917
    database: Database,
    page: bytes,
    path: Path,
    about: tuple[str, str],
    shown: list[str],
    public: dict[str, Any],
    *,
    by: str,
    hidden: bool = False,
) -> Export:
    """Write a page to a new file that only its owner can read, and remember which faces it shows.

    `about` is the collection and the search or order that it is from; `hidden`: it may show what an order hides.

    The file is made empty, then it is on record with its hash, then it is written: after a crash anywhere between, a
    file with a face in it is known. Raises `UsageError` if something is there already, and `Refused` if an erasure has
    reached a face since the search.
    """
    path = Path(os.path.realpath(path.parent)) / path.name
    export_id = ids.new("export")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise errors.UsageError(f"{path} is there already. Nothing was written.") from None
    with os.fdopen(descriptor, "wb") as file:
        try:
            with database.write() as tx:
                record = Export(
                    id=export_id,
                    collection_id=about[0],
                    search_id=about[1],
                    at=tx.now,
                    path=str(path),
                    sha256=hashlib.sha256(page).hexdigest(),
                    size=len(page),
                    faces=len(shown),
                )
                if not hidden:
                    _demand_held(tx, shown)
                exports.put(tx, record, shown)
                said = {"export": record.id, "about": about[1], "by": by}
                part = (collections.item_of(tx, about[0]), said)
                log.append(tx, Entry(kind="export:written", public={"collection": about[0], **public}, parts=(part,)))
            file.write(page)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:  # no page is left half there, and no record of it
            os.ftruncate(file.fileno(), 0)
            with suppress(OSError):
                path.unlink()
            with suppress(errors.CountenanceError), database.write() as tx:
                _forget(tx, exports.find(tx, export_id), by)
            raise
    return record


def _demand_held(tx: Tx, face_ids: list[str]) -> None:
    """Refuse to show what a stop or an erasure has reached since it was found (promise P4)."""
    held = faces.stored(tx, id=face_ids, state="held")
    if len(held) < len(face_ids):
        raise errors.Refused(
            "An erasure has reached what was found, an order or a restriction. Nothing was written; search again."
        )
    in_force = orders.in_force(tx)
    shown = photos.several(tx, {face.photo_id for face in held}) if in_force else {}
    for face in held if in_force else ():
        photo = shown[face.photo_id]
        purpose = collections.find(tx, photo.collection_id).purpose
        facts = facts_of_photo(photo, purpose=purpose, subjects=filter(None, [face.subject_id]))
        if found := binding(in_force, facts):
            raise errors.Refused(f"{stopped(found.order).sentence} Nothing was written; search again.")


def clear(database: Database, erasure_id: str) -> int:
    """Delete every export that shows what an erasure reaches, with its record, and return how many are gone.

    That includes those with a neighbour whose crop showed an erased face. A file that is not what was written, or that
    cannot be reached, goes on the worklist. Count and lines are stored with the record's removal: a crash changes none.
    """
    with database.read() as tx:
        reached = [r.id for r in erasures.ledger(tx, erasure_id) if r.kind in {"face", "photo", "resealed"}]
        found = exports.showing(tx, reached)
    for export in found:
        problem = _problem(export)
        with database.write() as tx:
            exports.remove(tx, export.id)
            stored = erasures.find(tx, erasure_id)
            if problem:
                left = Todo(path=export.path, action="delete", why=problem)
                worklist.put(tx, erasure_id, PLACE, PLACE, [left])
            else:
                stored.progress["exports"] = stored.progress.get("exports", 0) + 1
            erasures.advance(tx, erasure_id, stored.state, stored.progress)
    with database.read() as tx:
        return int(erasures.find(tx, erasure_id).progress.get("exports", 0))


def delete(database: Database, export_id: str, *, by: str) -> None:
    """Delete an export and its record.

    Raises `SourceError` if the file is not what was written, or cannot be deleted: then both stay.
    """
    with database.read() as tx:
        export = exports.find(tx, export_id)
    if not database.dry_run and (problem := _problem(export)):
        raise errors.SourceError(f"{problem} Look at it, delete it yourself, and run this again.")
    with database.write() as tx:
        _forget(tx, export, by)


def _forget(tx: Tx, export: Export, by: str) -> None:
    exports.remove(tx, export.id)
    part = (collections.item_of(tx, export.collection_id), {"export": export.id, "by": by})
    log.append(tx, Entry(kind="export:deleted", public={"collection": export.collection_id}, parts=(part,)))


def _problem(export: Export) -> str | None:
    """Delete an export's file, and return why that cannot be done; None if it is gone.

    A file is gone only where its folder can be looked into: a medium that is not mounted shows nothing.
    """
    folder, name = os.path.split(export.path)
    try:
        with Folder(folder) as opened:
            address = opened.find(name)
            if address is None:
                return None
            if address.size != export.size or hashlib.sha256(opened.read(address)).hexdigest() != export.sha256:
                return CHANGED
            return LINKED if opened.erase_file(address) else None
    except errors.SourceGone:
        return GONE
    except (errors.BadImage, errors.SourceError, errors.UsageError) as error:
        return str(error)
