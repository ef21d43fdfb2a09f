"""Until when what is held may be kept, after what binds it has changed: an end comes nearer, and never moves away."""

from __future__ import annotations

from collections.abc import Iterable

from countenance.gate.rule import Rule, binding, expires
from countenance.gate.rulebook import shipped
from countenance.records import Collection, Evidence
from countenance.store import faces, photos
from countenance.store.database import Tx


def shorten(tx: Tx, collection: Collection, photo_ids: Iterable[str] | None = None) -> int:
    """Bring forward the ends of a collection's photos (of all, or of these) and of their faces; return of how many."""
    if not collection.retention_days:
        return 0
    bound: dict[frozenset[Evidence], tuple[Rule, ...]] = {}
    ends = {}
    for term in photos.terms(tx, collection.id, photo_ids):
        if term.evidence not in bound:
            bound[term.evidence] = binding(collection, term.evidence, shipped(), tx.now.date())
        end = expires(
            term.added_at, collection.retention_days, bound[term.evidence], purpose_ends=collection.purpose_ends
        )
        if end < term.expires_at:
            ends[term.photo_id] = int(end.timestamp())
    photos.end_at(tx, ends)
    faces.end_at(tx, ends)
    return len(ends)
