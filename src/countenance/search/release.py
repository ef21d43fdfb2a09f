"""Which candidates may be shown: the only maker of `Hit`.

The index proposes; the records decide, in the transaction that logs the search. A candidate whose face is hidden,
erased, expired or in the scope of an order since, whose collection no longer states its basis, or whose subject's
consent ended is not shown.
"""

from __future__ import annotations

from collections.abc import Mapping

from countenance.gate.admit import lacks, lawful
from countenance.records import ART6, ART9, Box, Collection, Face, Hit, Photo, Source, Subject
from countenance.search.calibration import Calibration
from countenance.search.ordered import shows
from countenance.store import faces, orders, photos, sources, subjects
from countenance.store.database import Tx


def release(
    tx: Tx, collection: Collection, candidates: Mapping[int, float], *, gallery: int, calibration: Calibration
) -> list[Hit]:
    """Turn candidates (row number -> score) into hits, best first. What may not be shown is left out."""
    if lacks(collection, tx.now.date()):
        return []
    held = faces.by_rows(tx, candidates, tx.second)
    known = {subject.id: subject for subject in subjects.every(tx, collection.id)}
    in_force = orders.in_force(tx)
    hits = []
    for row, score in sorted(candidates.items(), key=lambda pair: (-pair[1], pair[0])):
        face = held.get(row)
        if face is None or face.collection_id != collection.id:
            continue
        subject = known.get(face.subject_id or "")
        if collection.mode == "enrolled" and not (
            subject and subject.consent.given_at <= tx.now < subject.consent.until
        ):
            continue
        photo = photos.find(tx, face.photo_id)
        if not lawful(collection, photo.evidence, tx.now):
            continue
        if photo.state not in {"held", "vanished"} or not shows(in_force, collection, photo, face):
            continue
        fpir = calibration.fpir(score, gallery)
        hidden = faces.hidden_boxes(tx, photo.id)
        hits.append(
            _hit(
                tx,
                collection,
                face,
                photo,
                sources.find(tx, photo.source_id),
                subject,
                score=score,
                fpir=fpir,
                hidden=hidden,
            )
        )
    return hits


def because(collection: Collection, face: Face, photo: Photo, source: Source, subject: Subject | None) -> str:
    """Why a face may be shown, as a sentence."""
    basis = f"{ART6[collection.art6 or '']}; {ART9[collection.art9 or '']}"
    sentence = (
        f"Held for {collection.purpose} by {collection.controller} under {basis}, until {face.expires_at:%Y-%m-%d}"
    )
    sentence += f"; the photo comes from a source of {source.controller}"
    if subject:
        sentence += f"; {subject.name}'s consent runs until {subject.consent.until:%Y-%m-%d}"
    if photo.state == "vanished":
        sentence += "; the file has vanished from its source since"
    return sentence + "."


def _hit(  # noqa: PLR0917 - one argument a record
    tx: Tx,
    collection: Collection,
    face: Face,
    photo: Photo,
    source: Source,
    subject: Subject | None,
    *,
    score: float,
    fpir: float,
    hidden: list[Box],
) -> Hit:
    clear = not any(_overlap(box, face.crop_box) for box in hidden)
    return Hit(
        face_id=face.id,
        photo_id=photo.id,
        subject_id=face.subject_id,
        subject=subject.name if subject else None,
        score=score,
        fpir=fpir,
        address=photo.address,
        source=source.location,
        box=face.box,
        country=tuple(sorted({e.territory for e in photo.evidence})),
        taken_at=photo.taken_at,
        added_at=photo.added_at,
        expires_at=face.expires_at,
        because=because(collection, face, photo, source, subject),
        crop_box=face.crop_box,
        crop=faces.crop(tx, face.id) if clear else b"",  # no part of a face that is hidden is shown beside another
    )


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
