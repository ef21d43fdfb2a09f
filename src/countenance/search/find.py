"""1:N search: by photo, by stored face, by subject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from countenance import errors, ids
from countenance.audit import log
from countenance.gate.admit import admit_probe, lacks
from countenance.records import (
    Admitted,
    Box,
    Collection,
    Entry,
    Hit,
    ProbeFace,
    Quality,
    Refusal,
    SearchResult,
    Seen,
    Template,
)
from countenance.search import calibration
from countenance.search.gallery import Galleries
from countenance.search.ordered import demand_still, shows
from countenance.search.question import DEFAULT_FPIR, Question
from countenance.search.release import release
from countenance.store import collections, faces, links, orders, photos, searches, subjects
from countenance.store.database import Database, Tx
from countenance.vision.examine import MODEL, examine


def subject_threshold(subjects_enrolled: int) -> float:
    """The score from which a face is taken for one of so many subjects."""
    return calibration.load(MODEL).threshold(DEFAULT_FPIR, subjects_enrolled)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One face to search with. `template` is transformed; None if it cannot be searched with, for `reasons`."""

    number: int
    box: Box
    quality: Quality | None
    reasons: tuple[str, ...]
    template: Template | None
    without: frozenset[int] = frozenset()  # row numbers that are the probe itself, or known to be somebody else


def look(  # noqa: PLR0917 - a worker is called by position
    content: bytes, collection: Collection, purpose: str, case: str, now: datetime, cache: Path
) -> Seen | Refusal:
    """Look for faces in a probe, in a worker. Nothing of it is kept."""
    admitted = admit_probe(collection, content, purpose=purpose, case=case, now=now)
    return examine(admitted, cache=cache) if isinstance(admitted, Admitted) else admitted


def of_picture(tx: Tx, galleries: Galleries, collection_id: str, seen: Seen, number: int | None) -> list[Probe]:
    """The probes of a picture: every face, largest first, or the one with this number (from 1)."""
    if not seen.faces:
        raise errors.NoFace("No face was found in the picture, so nothing was searched.")
    if number is not None and not 1 <= number <= len(seen.faces):
        raise errors.UsageError(f"The picture shows {len(seen.faces)} faces; there is no face number {number}.")
    transform = galleries.transform(tx, collection_id)
    return [
        Probe(
            number=n,
            box=face.box,
            quality=face.quality,
            reasons=face.reasons,
            template=None if face.template is None else face.template @ transform,
        )
        for n, face in enumerate(seen.faces, 1)
        if number in {None, n}
    ]


def of_face(tx: Tx, collection_id: str, face_id: str) -> list[Probe]:
    """The probe that a stored face is; it finds neither itself nor whom it is known not to be."""
    face = faces.find(tx, face_id)
    collection, photo = collections.find(tx, collection_id), photos.find(tx, face.photo_id)
    if face.collection_id != collection_id or not shows(orders.in_force(tx), collection, photo, face):
        raise errors.NotFound(noun="face", name=face_id)
    itself = frozenset(stored.row for stored in faces.stored(tx, id=face_id))
    enrolled = faces.stored(tx, subject_id=face.subject_id, enrolled=True) if face.subject_id else []
    without = itself | links.apart(tx, [face_id, *(stored.id for stored in enrolled)], face.subject_id)
    template = faces.template(tx, face_id)
    return [Probe(number=1, box=face.box, quality=face.quality, reasons=(), template=template, without=without)]


def of_subject(tx: Tx, collection_id: str, name_or_id: str) -> list[Probe]:
    """The probe that a subject is: the mean of its enrolment photos, which are not found, nor who is known not to be it."""
    subject = subjects.find(tx, name_or_id, collection_id)
    if subject not in subjects.consenting(tx, collection_id):
        raise errors.Refused("This subject's consent is not in force, so nothing was searched.")
    mean = subjects.mean_template(tx, subject.id)
    if mean is None:
        raise errors.NoFace("This subject has no enrolment photo that may be used, so nothing was searched.")
    enrolled = faces.stored(tx, subject_id=subject.id, enrolled=True)
    rows = frozenset(stored.row for stored in enrolled)
    rows |= links.apart(tx, [stored.id for stored in enrolled], subject.id)
    return [Probe(number=1, box=(0, 0, 0, 0), quality=None, reasons=(), template=mean, without=rows)]


def find(
    database: Database, galleries: Galleries, question: Question, probes: Sequence[Probe], *, keep_days: int
) -> SearchResult:
    """Search a collection's gallery with each probe, exactly, and log the search with what it showed."""
    table = calibration.load(MODEL)
    with database.read() as tx:
        galleries.of(tx, question.collection_id)  # a first search builds the index; writers need not wait for that
    with database.write() as tx:
        collection = collections.find(tx, question.collection_id)
        demand_still(tx, question)
        if lacking := lacks(collection, tx.now.date()):
            raise lacking
        engine = galleries.of(tx, collection.id)
        size = len(engine)
        threshold = table.threshold(question.fpir, size)
        search_id = ids.new("search")
        answers = []
        for probe in probes:
            hits: list[Hit] = []
            if probe.template is not None and size:
                found = engine.search(
                    probe.template.reshape(1, -1).astype(np.float32), threshold=threshold, now=tx.second
                )
                rows, scores = found[0]
                candidates = {
                    int(row): float(score)
                    for row, score in zip(rows, scores, strict=True)
                    if int(row) not in probe.without
                }
                hits = release(tx, collection, candidates, gallery=size, calibration=table)[: question.top]
            answers.append(
                ProbeFace(
                    number=probe.number,
                    box=probe.box,
                    quality=probe.quality,
                    reasons=probe.reasons,
                    hits=tuple(hits),
                )
            )
        shown = [(face.number, hit) for face in answers for hit in face.hits]
        searches.put(
            tx, search_id, collection.id, hits=[(n, hit.face_id) for n, hit in shown], seconds=keep_days * 86_400
        )
        items = {stored.id: stored.item for stored in faces.stored(tx, id=[hit.face_id for _, hit in shown])}
        why = {"purpose": question.purpose, "case": question.case, "by": question.by, "search": search_id}
        entry = log.append(
            tx,
            Entry(
                kind="search:done",
                public={
                    "collection": collection.id,
                    "gallery": size,
                    "faces": len(probes),
                    "hits": len(shown),
                    "fpir": str(question.fpir),
                },
                parts=(
                    (collections.item_of(tx, collection.id), why),
                    *(
                        (items[face_id], {"face": face_id})
                        for face_id in dict.fromkeys(hit.face_id for _, hit in shown)
                    ),
                ),
            ),
        )
    return SearchResult(
        id=search_id,
        collection_id=collection.id,
        purpose=question.purpose,
        case=question.case,
        fpir=question.fpir,
        threshold=threshold,
        gallery=size,
        calibration=table.described,
        faces=tuple(answers),
        entry=entry,
    )
