"""Explaining a record: where it came from, by what right it is held, until when, and what was done with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from countenance import errors
from countenance.gate.admit import missing
from countenance.records import ART6, ART9, Collection, Photo
from countenance.store import collections, entries, erasures, faces, photos, searches, sources, subjects, wishes
from countenance.store.database import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """The explanation of one record."""

    id: str
    kind: str
    sentences: tuple[str, ...]


def why(tx: Tx, record_id: str) -> Why:
    """Explain the record with this id; `NotFound` if there is none (or it was erased)."""
    kind, explain = EXPLAIN.get(record_id[:4], ("record", None))
    if explain is None:
        raise errors.NotFound(noun="record", name=record_id)
    return Why(id=record_id, kind=kind, sentences=tuple(explain(tx, record_id)))


def _collection(tx: Tx, record_id: str) -> Iterator[str]:
    yield from _basis(collections.find(tx, record_id))


def _source(tx: Tx, record_id: str) -> Iterator[str]:
    source = sources.find(tx, record_id)
    yield f"Photos from {source.location} ({source.kind}), which {source.controller} controls."
    yield f"Evidence of that: {source.evidence} (SHA-256 {source.evidence_sha256})."
    yield f"Declared country: {source.country or 'none'}. When a photo of it is erased, its file: {source.on_erase}."
    yield from _basis(collections.find(tx, source.collection_id))


def _photo(tx: Tx, record_id: str) -> Iterator[str]:
    photo = photos.find(tx, record_id)
    yield from _of_photo(tx, photo)
    yield from _used(tx, photos.items(tx, [record_id])[record_id])


def _face(tx: Tx, record_id: str) -> Iterator[str]:
    face = faces.find(tx, record_id)
    yield f"A face at {face.box} of photo {face.photo_id}, template by model {face.model}."
    if face.subject_id:
        subject = subjects.find(tx, face.subject_id)
        yield f"It belongs to subject {subject.id}, {subject.name}, whose consent runs until {subject.consent.until:%Y-%m-%d}."
    yield from _of_photo(tx, photos.find(tx, face.photo_id))
    yield from _used(tx, faces.stored(tx, id=face.id)[0].item)


def _subject(tx: Tx, record_id: str) -> Iterator[str]:
    subject = subjects.find(tx, record_id)
    consent = subject.consent
    yield f"{subject.name}, enrolled from {subject.faces} photos."
    yield f"Consent by {consent.by}, {consent.given_at:%Y-%m-%d} to {consent.until:%Y-%m-%d}: {consent.text}"
    yield from _basis(collections.find(tx, subject.collection_id))
    yield from _used(tx, subjects.item_of(tx, record_id))


def _wish(tx: Tx, record_id: str) -> Iterator[str]:
    wish = wishes.find(tx, record_id)
    terms = wish.consent
    yield f"A wish to be kept out, signed by {terms.by}, {terms.given_at:%Y-%m-%d} to {terms.until:%Y-%m-%d}: {terms.text}"
    yield f"The template made from {wish.photos} photos serves that alone: it is in no index, and no search finds it."
    yield "While the wish is in force, no face that matches it is kept; which those were is not recorded."
    yield from _used(tx, wishes.item_of(tx, record_id))


def _search(tx: Tx, record_id: str) -> Iterator[str]:
    collection_id, hits = searches.hits(tx, record_id)
    yield f"A search in collection {collection_id}; {len(hits)} of its hits are still held."


def _erasure(tx: Tx, record_id: str) -> Iterator[str]:
    stored = erasures.find(tx, record_id)
    yield f"An erasure by {stored.reason}, {stored.state}. {stored.progress['ground']}."
    for state in stored.progress["states"]:
        yield f"{state['at']} {state['state']} (log entry {state['entry']})."


EXPLAIN: dict[str, tuple[str, Callable[[Tx, str], Iterator[str]]]] = {
    "col_": ("collection", _collection),
    "src_": ("source", _source),
    "pho_": ("photo", _photo),
    "fac_": ("face", _face),
    "sub_": ("subject", _subject),
    "wis_": ("wish", _wish),
    "sea_": ("search", _search),
    "era_": ("erasure", _erasure),
}


def _basis(collection: Collection) -> Iterator[str]:
    if gaps := missing(collection):
        yield f"The collection {collection.name} holds no face: it does not state {'; '.join(gaps)}."
        return
    yield (
        f"The collection {collection.name} is held for {collection.purpose} by {collection.controller} "
        f"({collection.contact}), under {ART6[collection.art6 or '']} and {ART9[collection.art9 or '']}."
    )
    yield f"Notice: {collection.notice}. Retention: {collection.retention_days} days. Mode: {collection.mode}."
    if collection.justification:
        yield f"Why everybody's template is kept: {collection.justification}"


def _of_photo(tx: Tx, photo: Photo) -> Iterator[str]:
    name = photo.address.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    yield f"The photo {name} was added on {photo.added_at:%Y-%m-%d %H:%M} UTC and is {photo.state}."
    if photo.reason:
        yield f"It was refused: {photo.reason}."
    yield f"It expires on {photo.expires_at:%Y-%m-%d} and is not searchable from then on."
    if photo.evidence:
        listed = "; ".join(f"{e.territory} ({e.origin})" for e in photo.evidence)
        yield f"Evidence of jurisdiction: {listed}."
    else:
        yield "There is no evidence of its jurisdiction, so it counts as inside every order that does not say otherwise."
    yield from _source(tx, photo.source_id)


def _used(tx: Tx, item: int) -> Iterator[str]:
    lines = {number for number, _ in entries.about(tx, [item])}
    for line in entries.lines(tx, only=lines):
        yield f"Log entry {line.number}: {line.kind}."
