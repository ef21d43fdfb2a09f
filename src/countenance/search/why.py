"""Explaining a record: where it came from, by what right it is held, until when, and what was done with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from countenance import errors
from countenance.gate.admit import missing
from countenance.gate.reach import binding, facts_of_photo
from countenance.gate.rule import binding as bound_by
from countenance.gate.rulebook import shipped
from countenance.records import ART6, ART9, Collection, Photo
from countenance.store import (
    collections,
    entries,
    erasures,
    faces,
    links,
    orders,
    photos,
    requests,
    restrictions,
    searches,
    sources,
    subjects,
    wishes,
)
from countenance.store.database import Tx
from countenance.store.links import Link
from countenance.store.restrictions import GROUNDS, Restriction


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """The explanation of one record."""

    id: str
    kind: str
    sentences: tuple[str, ...]


def why(tx: Tx, record_id: str) -> Why:
    """Explain the record with this id; `NotFound` if there is none (or it was erased), `UsageError` if it is no id."""
    kind, explain = EXPLAIN.get(record_id[:4], ("record", None))
    if explain is None:
        raise errors.UsageError(f"{record_id} is no id that can be explained. Those begin with {', '.join(EXPLAIN)}.")
    return Why(id=record_id, kind=kind, sentences=tuple(explain(tx, record_id)))


def _collection(tx: Tx, record_id: str) -> Iterator[str]:
    yield from _basis(tx, collections.find(tx, record_id))


def _source(tx: Tx, record_id: str) -> Iterator[str]:
    source = sources.find(tx, record_id)
    yield f"Photos from {source.location} ({source.kind}), which {source.controller} controls."
    yield f"Evidence of that: {source.evidence} (SHA-256 {source.evidence_sha256})."
    yield f"Declared country: {source.country or 'none'}. When a photo of it is erased, its file: {source.on_erase}."
    yield from _basis(tx, collections.find(tx, source.collection_id))


def _photo(tx: Tx, record_id: str) -> Iterator[str]:
    photo = photos.find(tx, record_id)
    shown = (face.subject_id for face in faces.stored(tx, photo_id=record_id) if face.subject_id)
    yield from _stopped(tx, photo, shown)
    yield from map(_restricted, restrictions.naming(tx, record_id))
    yield from _of_photo(tx, photo)
    yield from _used(tx, photos.items(tx, [record_id])[record_id])


def _face(tx: Tx, record_id: str) -> Iterator[str]:
    found = faces.several(tx, [record_id])
    if not found:
        raise errors.NotFound(noun="face", name=record_id)
    face = found[0]
    yield f"A face at {face.box} of photo {face.photo_id}, template by model {face.model}."
    if face.subject_id:
        subject = subjects.find(tx, face.subject_id)
        yield f"It belongs to subject {subject.id}, {subject.name}, whose consent runs until {subject.consent.until:%Y-%m-%d}."
    yield from map(_apart, links.of_face(tx, face.id))
    photo = photos.find(tx, face.photo_id)
    yield from _stopped(tx, photo, filter(None, [face.subject_id]))
    yield from map(_restricted, restrictions.naming(tx, face.photo_id, face.id))
    yield from _of_photo(tx, photo)
    yield from _used(tx, faces.stored(tx, id=face.id)[0].item)


def _subject(tx: Tx, record_id: str) -> Iterator[str]:
    subject = subjects.find(tx, record_id)
    consent = subject.consent
    yield f"{subject.name}, enrolled from {subject.faces} photos."
    yield f"Consent by {consent.by}, {consent.given_at:%Y-%m-%d} to {consent.until:%Y-%m-%d}: {consent.text}"
    yield from map(_apart, links.of_subject(tx, record_id))
    yield from _basis(tx, collections.find(tx, subject.collection_id))
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
    ground = stored.progress.get("ground", "A restore did it again; its ground was in the records that were lost")
    yield f"An erasure by {stored.reason}, {stored.state}. {ground}."
    for state in stored.progress["states"]:
        yield f"{state['at']} {state['state']} (log entry {state['entry']})."


def _order(tx: Tx, record_id: str) -> Iterator[str]:
    stored = orders.find(tx, record_id)
    order, progress = stored.order, stored.progress
    yield f"An order of {order.authority} ({order.country}), {order.reference}, issued on {order.issued}."
    yield f"It says: {', '.join(order.measures)}. Of what is undetermined: {order.scope.unknown}."
    stands = stored.state in orders.IN_FORCE
    yield f"It is {stored.state}: {'in force, in every process' if stands else 'not in force'}."
    if approved := progress.get("approved_by"):
        yield f"Approved by {', '.join(approved)}."
    yield f"Photos that it hides, or faces in them: {len(faces.hidden_by(tx, record_id)):,}."
    for erasure in erasures.every(tx):
        if erasure.progress.get("order") == record_id:
            yield f"Erasure {erasure.id}, {erasure.state}. {erasure.progress['ground']}."
    if completion := progress.get("completion"):
        yield f"Carried out: {completion['signed_by']} signed on {completion['completed_at'][:10]}."
    if lifted := progress.get("lifted"):
        yield f"Lifted by {lifted['by']}: {lifted['reason']}. Impact assessment: SHA-256 {lifted['assessment']}."
    yield from _lines(tx, progress["lines"])


def _stopped(tx: Tx, photo: Photo, subject_ids: Iterable[str]) -> Iterator[str]:
    """Each order in force that keeps this from being shown."""
    purpose = collections.find(tx, photo.collection_id).purpose
    facts = facts_of_photo(photo, purpose=purpose, subjects=subject_ids)
    for found in orders.in_force(tx):
        if binding([found], facts):
            order = found.order
            yield f"Order {found.id} of {order.authority} ({order.reference}) hides it: it is not searched, shown or exported."


def _restriction(tx: Tx, record_id: str) -> Iterator[str]:
    found = restrictions.find(tx, record_id)
    yield _restricted(found)
    yield f"Photos that it names, with every face in them: {len(found.photos):,}. Single faces: {len(found.faces):,}."
    yield from _used(tx, restrictions.item_of(tx, record_id))


def _restricted(found: Restriction) -> str:
    asked = f", request {found.request}" if found.request else ""
    sentence = f"Restricted from {found.at:%Y-%m-%d} on by {found.by} ({found.id}{asked}): {GROUNDS[found.ground]}"
    sentence += f"; {found.reason}." if found.reason else "."
    if found.ended is None:
        return f"{sentence} It is kept, and not searched, matched, shown or exported."
    ended = found.ended
    return (
        f"{sentence} It ended on {ended.at:%Y-%m-%d} by {ended.by}: {ended.reason}; the person was told: {ended.told}."
    )


def _apart(found: Link) -> str:
    other = f"subject {found.subject_id}" if found.subject_id else f"the person of face {found.other_id}"
    asked = f", request {found.request}" if found.request else ""
    return f"Face {found.face_id or 'not kept'} is not {other}, says {found.by} ({found.at:%Y-%m-%d}{asked}): {found.reason}."


def _request(tx: Tx, record_id: str) -> Iterator[str]:
    request = requests.find(tx, record_id)
    guessed = "" if request.confirmed else ", as guessed"
    yield f"A person's request ({request.kind}{guessed}), by {request.channel}, under the law {request.law}."
    yield f"Received {request.received_at:%Y-%m-%d %H:%M} UTC; {request.state}."
    yield f"To be answered by {request.due_at:%Y-%m-%d %H:%M} UTC."
    yield f"Its record goes after {request.expires_at:%Y-%m-%d}, once it is answered."
    counted = Counter(one.verdict for one in request.reviews)
    yield f"Candidates: {', '.join(f'{number} {word}' for word, number in counted.items()) or 'none'}."
    for stored in erasures.every(tx):
        if stored.progress.get("request") == record_id:
            yield f"Erasure {stored.id}, {stored.state}. {stored.progress['ground']}."
    yield from _used(tx, requests.item_of(tx, record_id))


def _receipt(tx: Tx, record_id: str) -> Iterator[str]:
    about = requests.about(tx, record_id)
    if about is None:
        raise errors.NotFound(noun="receipt", name=f"{record_id} (or what it was about is gone)")
    yield f"A receipt that was given to a person about {about}."
    yield from EXPLAIN[about[:4]][1](tx, about)


EXPLAIN: dict[str, tuple[str, Callable[[Tx, str], Iterator[str]]]] = {
    "col_": ("collection", _collection),
    "src_": ("source", _source),
    "pho_": ("photo", _photo),
    "fac_": ("face", _face),
    "sub_": ("subject", _subject),
    "wis_": ("wish", _wish),
    "sea_": ("search", _search),
    "era_": ("erasure", _erasure),
    "ord_": ("order", _order),
    "rst_": ("restriction", _restriction),
    "req_": ("request", _request),
    "rcp_": ("receipt", _receipt),
}


def _basis(tx: Tx, collection: Collection) -> Iterator[str]:
    if gaps := missing(collection, tx.now.date()):
        yield f"The collection {collection.name} holds no face. It needs: {'; '.join(gaps)}."
        return
    yield (
        f"The collection {collection.name} is held for {collection.purpose} by {collection.controller} "
        f"({collection.contact}), under {ART6[collection.art6 or '']} and {ART9[collection.art9 or '']}."
    )
    yield f"Notice: {collection.notice}. Retention: {collection.retention_days} days. Mode: {collection.mode}."
    if collection.justification:
        yield f"Why everybody's template is kept: {collection.justification}"
    home = f"a controller established in {collection.established}" if collection.established else "a controller"
    stands_in = f", represented by {collection.representative}" if collection.representative else ""
    yield f"It takes in people of {', '.join(collection.takes_in) or 'any place'}, for {home}{stands_in}."


def _of_photo(tx: Tx, photo: Photo) -> Iterator[str]:
    name = photo.address.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    yield f"The photo {name} was added on {photo.added_at:%Y-%m-%d %H:%M} UTC and is {photo.state}."
    fields = photos.fields(tx, photo.id)
    if photo.reason:
        yield f"It was refused: {photo.reason}. {fields.get('refused', '')}".rstrip()
    if reserved := fields.get("reserved"):
        yield f"Its owner reserves: {'; '.join(f'{text} ({origin})' for text, origin in reserved)}."
    yield f"It expires on {photo.expires_at:%Y-%m-%d} and is not searchable from then on."
    if photo.evidence:
        listed = "; ".join(f"{e.territory} ({e.origin})" for e in photo.evidence)
        yield f"Evidence of jurisdiction: {listed}."
    else:
        yield "There is no evidence of its jurisdiction, so it counts as inside every order that does not say otherwise."
    laws = bound_by(collections.find(tx, photo.collection_id), photo.evidence, shipped(), tx.now.date())
    yield f"Rules it is under: {'; '.join(rule.law for rule in laws) or 'none of those that ship'}."
    yield from _source(tx, photo.source_id)


def _used(tx: Tx, item: int) -> Iterator[str]:
    yield from _lines(tx, {number for number, _ in entries.about(tx, [item])})


def _lines(tx: Tx, numbers: Iterable[int]) -> Iterator[str]:
    for line in entries.lines(tx, only=numbers):
        yield f"Log entry {line.number}: {line.kind}."
