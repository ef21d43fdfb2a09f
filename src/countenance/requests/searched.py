"""Who searched for a person: each search whose hits included one of their faces, read from the log.

A search's line is sealed in parts: purpose and case under the collection, each hit under the face's own leaf. So it lasts
as long as the face does, and longer than the hits that can be erased by the search's number (`Settings.search_days`).
Who sat at the keyboard is in the log and is not told (decision 9).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from countenance.audit import log
from countenance.audit.log import Line
from countenance.store import entries, exports, faces
from countenance.store.database import Tx

SHOWN = "Shown as a candidate to the person who searched; a hit is for a person to judge and decides nothing."


def searches(tx: Tx, face_ids: Collection[str]) -> list[dict[str, Any]]:
    """Each search that found one of these faces, oldest first: date, collection, purpose, case, which, and what came of it."""
    hits: dict[int, set[str]] = {}  # the search's line and the faces that it found
    items = [face.item for face in faces.stored(tx, id=list(face_ids))]
    numbers = {number for number, _ in entries.about(tx, items)}
    for line in log.show(tx, only=numbers):
        if line.kind in {"search:done", "search:more"}:
            found = {part["face"] for part in line.parts if part and part.get("face") in face_ids}
            hits.setdefault(_first(tx, line), set()).update(found)
    sheets = _sheets(tx)
    return [
        {
            "entry": line.number,
            "at": line.at,
            "collection": line.public["collection"],
            "purpose": (line.parts[0] or {}).get("purpose", ""),
            "case": (line.parts[0] or {}).get("case", ""),
            "faces": sorted(hits[line.number]),
            "outcome": [SHOWN, *sheets.get(line.number, ())],
        }
        for line in log.show(tx, only=hits)
    ]


def sheets_of_orders(tx: Tx, face_ids: Collection[str]) -> list[dict[str, Any]]:
    """Contact sheets that show one of these faces and come from no search: samples of what an order reaches."""
    return [
        {"export": each.id, "at": log.stamp(each.at), "what": "A contact sheet with samples of what an order reaches."}
        for each in exports.showing(tx, face_ids)
        if each.search_id.startswith("ord_")
    ]


def _first(tx: Tx, line: Line) -> int:
    """The number of the search's own line; the hits of a large one go on in the lines after it."""
    number = line.number
    while line.kind == "search:more":
        number -= 1
        line = next(log.show(tx, only=[number]))
    return number


def _sheets(tx: Tx) -> dict[int, list[str]]:
    """What was written of each search: by the search's line, a sentence for each contact sheet."""
    gone = {part["export"]: line.at for line in log.show(tx, kind="export:deleted") for part in line.parts if part}
    found: dict[int, list[str]] = {}
    for line in log.show(tx, kind="export:written"):
        if "search-entry" in line.public:
            deleted = next((gone[part["export"]] for part in line.parts if part and part["export"] in gone), None)
            told = f"Written to a contact sheet on {line.at[:10]}" + (
                f", deleted on {deleted[:10]}." if deleted else "."
            )
            found.setdefault(line.public["search-entry"], []).append(told)
    return found
