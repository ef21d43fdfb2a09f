"""Samples of what an order reaches, as one HTML page: people look rather than read. It needs nothing from elsewhere."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path

from countenance import errors
from countenance.orders import exports
from countenance.orders.survey import Preview, preview
from countenance.store import faces, orders, photos, restrictions
from countenance.store.database import Database, Tx
from countenance.store.exports import Export
from countenance.store.orders import Stored

STYLE = """
:root { color-scheme: light dark; font: 16px/1.45 system-ui, sans-serif; }
body { max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
ul { list-style: none; padding: 0; display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); }
li { border: 1px solid #8886; border-radius: 6px; padding: .8rem; overflow-wrap: anywhere; }
img { max-width: 100%; }
"""


def write(database: Database, order_id: str, path: Path, *, by: str) -> Export:
    """Write the page to a new file and remember which faces it shows. Raises `NotFound` if the order reaches none."""
    with database.read() as tx:
        stored = orders.find(tx, order_id)
        found = preview(tx, stored.order.scope)
        shown = sorted(set(found.samples) - restrictions.faces_under(tx, found.samples))
        if not shown:
            raise errors.NotFound(noun="face in the scope of order", name=order_id)
        page = _page(tx, stored, found, shown).encode()
        collection_id = faces.stored(tx, id=shown[0])[0].photo_id
        collection_id = photos.find(tx, collection_id).collection_id
    public = {"kind": "order-samples", "order": order_id}
    about = (collection_id, order_id)
    return exports.put(database, page, path, about, shown, public, by=by, hidden=True)


def _page(tx: Tx, stored: Stored, found: Preview, shown: list[str]) -> str:
    items = []
    for face in faces.stored(tx, id=shown):
        photo = photos.find(tx, face.photo_id)
        picture = base64.b64encode(faces.crop(tx, face.id)).decode()
        where = ", ".join(f"{e.territory} ({e.origin})" for e in photo.evidence) or "no evidence"
        name = photo.address.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        image = f'<img alt="a face in scope" src="data:image/jpeg;base64,{picture}">'
        items.append(f"<li>{image}<p>{escape(name)}</p><p>{escape(where)}</p><p>{face.id}</p></li>")
    title = f"Samples of order {stored.id}"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>
<p>{escape(stored.order.authority)}, {escape(stored.order.reference)}. In scope: {found.inside:,} photos;
undetermined: {found.undetermined:,}, of which the order says: {found.unknown}. These are {len(items)} of their faces.
This page shows faces: delete it when the order is carried out.</p>
<ul>{"".join(items)}</ul></body></html>
"""
