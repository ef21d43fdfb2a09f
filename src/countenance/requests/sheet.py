"""The candidates of a request as one HTML page, for the operator's eyes only. It needs nothing from elsewhere."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path

from countenance import errors
from countenance.orders import exports
from countenance.orders.samples import STYLE
from countenance.store import faces, lookup, photos, requests
from countenance.store.database import Database, Tx
from countenance.store.exports import Export
from countenance.store.requests import Request, Review


def write(database: Database, request_id: str, path: Path, *, by: str) -> Export:
    """Write the page to a new file and remember what it shows. Raises `NotFound` if no candidate is there."""
    with database.read() as tx:
        request = requests.find(tx, request_id)
        there = set(lookup.present(tx, (one.photo_id for one in request.reviews)))
        free = faces.beyond_stop(tx, [one.face_id for one in request.reviews if one.face_id])
        shown = [one for one in request.reviews if one.photo_id in there and one.face_id in {None, *free}]
        if not shown:
            raise errors.NotFound(noun="candidate of request", name=request_id)
        page = _page(tx, request, shown).encode()
        collection_id = photos.find(tx, shown[0].photo_id).collection_id
    marks = sorted({one.face_id or one.photo_id for one in shown})
    about, public = (collection_id, request_id), {"kind": "request-candidates"}
    return exports.put(database, page, path, about, marks, public, by=by, hidden=True)


def _page(tx: Tx, request: Request, shown: list[Review]) -> str:
    items = "".join(_item(tx, one) for one in shown)
    title = f"Candidates of request {request.id}"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>
<p>Say of each whether it is the person who asks ({escape(request.kind)}): yes, no or unsure. Show this page to nobody else,
not to the person either: who is on it may be somebody else. Delete it when the request is answered.</p>
<ul>{items}</ul></body></html>
"""


def _item(tx: Tx, one: Review) -> str:
    photo = photos.find(tx, one.photo_id)
    picture = base64.b64encode(faces.crop(tx, one.face_id)).decode() if one.face_id else ""
    image = f'<img alt="a candidate" src="data:image/jpeg;base64,{picture}">' if picture else ""
    name = photo.address.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    said = (name, (photo.taken_at or "no date").replace("T", " "), one.face_id or one.photo_id, one.verdict)
    return f"<li>{image}{''.join(f'<p>{escape(line)}</p>' for line in said)}</li>"
