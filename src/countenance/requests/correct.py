"""Correcting and restricting what is held: rectification (Art. 16), restriction (Art. 18), objection (Art. 21 GDPR).

A wrong match becomes a link that no search and no scan goes against. A restricted record is kept and not used: it is
hidden in every process at once, by the mechanism that orders use.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from countenance import errors, ids
from countenance.audit import log
from countenance.orders import issue
from countenance.records import Entry, Face, Subject
from countenance.requests import identify
from countenance.store import (
    collections,
    erasures,
    exports,
    faces,
    links,
    lookup,
    photos,
    requests,
    restrictions,
    subjects,
)
from countenance.store.database import Database, Tx
from countenance.store.links import Link
from countenance.store.restrictions import GROUNDS, Ended, Restriction


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSame:
    """What recording a link did."""

    link: Link
    unlinked: bool  # the face belonged to the subject, and does not any more
    discarded: bool  # the face belongs to nobody now, and the collection keeps no such template
    exports: tuple[str, ...]  # ids of contact sheets that show the face: they are files, and say what they said


@dataclass(frozen=True, slots=True, kw_only=True)
class Restricted:
    """What a new restriction reaches."""

    restriction: Restriction
    hidden: int  # faces that it names and that are hidden, by it or by what hid them before
    exports: tuple[str, ...]  # ids of contact sheets that show one: files outside the vault stay


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifted:
    """What lifting a restriction did."""

    restriction: Restriction
    shown: int  # faces that are searchable again
    left: int  # faces that an order or another restriction goes on hiding


def not_same(database: Database, face_id: str, other: str, *, reason: str, request: str | None, by: str) -> NotSame:
    """Record that a held face is not a subject (by name or id), or not the person of another held face (by id).

    If the face belonged to the subject it is unlinked; in mode `enrolled` it then belongs to nobody and is discarded, as
    the gate would have: its template must not be kept. Said twice it is recorded once. Raises `NotFound`, or
    `UsageError` for an enrolment photo of the subject, faces of two collections or of one subject, and without reason.
    """
    if not reason.strip():
        raise errors.UsageError("A correction says why. Nothing was changed.")
    with database.write() as tx:
        face = _shown(tx, face_id)
        subject = None if other.startswith("fac_") else subjects.find(tx, other, face.collection_id)
        other_id = None if subject else _other_face(tx, face, other)
        about = requests.find(tx, request).id if request else None
        if subject and face.subject_id == subject.id and faces.stored(tx, id=face.id, enrolled=True):
            raise errors.UsageError(
                f"The face is an enrolment photo of {subject.id}. Withdraw the subject and enrol the right photos. "
                "Nothing was changed."
            )
        known = [one for one in links.of_face(tx, face.id) if _says(one, face.id, other_id, subject)]
        if known:
            return NotSame(link=known[0], unlinked=False, discarded=False, exports=())
        record = Link(
            id=ids.new("link"),
            at=tx.now,
            face_id=face.id,
            other_id=other_id,
            subject_id=subject.id if subject else None,
            box=face.box,
            by=by,
            reason=reason.strip(),
            request=about,
        )
        item = links.put(tx, record, face.photo_id)
        unlinked = bool(subject) and face.subject_id == record.subject_id
        discarded = unlinked and collections.find(tx, face.collection_id).mode == "enrolled"
        if unlinked:
            faces.link(tx, face.id, None)
        parts = [(item, {"link": record.id, "face": face.id, "by": by})]
        if subject:
            parts.append((subjects.item_of(tx, subject.id), {"subject": subject.id, "link": record.id}))
        parts += [(one.item, {"face": one.id, "link": record.id}) for one in _both(tx, face.id, other_id)]
        shown = tuple(export.id for export in exports.showing(tx, [face.id]))
        said = {"with": "subject" if subject else "face", "unlinked": unlinked, "discarded": discarded}
        log.append(
            tx, Entry(kind="face:not-same", public={"collection": face.collection_id, **said}, parts=tuple(parts))
        )
        if discarded:
            _discard(tx, face)
    return NotSame(link=record, unlinked=unlinked, discarded=discarded, exports=shown if discarded else ())


def restrict(
    database: Database, record: str | None, *, ground: str, reason: str, request: str | None, by: str
) -> Restricted:
    """Restrict a photo, a face or a subject's faces, or, with a request alone, all that was confirmed of it.

    `record` is an id, or a subject's name; `ground` a key of `GROUNDS`. From now on what it names is kept and not
    searched, matched, shown or exported, in any process. Raises `NotFound`, or `UsageError` if there is nothing to name.
    """
    if ground not in GROUNDS:
        raise errors.UsageError(f"{ground} is no ground for a restriction; choose one of {', '.join(GROUNDS)}.")
    with database.write() as tx:
        photo_ids, face_ids = _named(tx, record, request)
        if not photo_ids and not face_ids:
            raise errors.UsageError(
                "There is nothing to restrict: no photo or face that is still held. Nothing was changed."
            )
        found = Restriction(
            id=ids.new("restriction"),
            ground=ground,
            at=tx.now,
            by=by,
            reason=reason.strip(),
            request=request,
            photos=tuple(photo_ids),
            faces=tuple(face_ids),
        )
        item = restrictions.put(tx, found)
        in_them = [face.id for face in faces.stored(tx, photo_id=photo_ids)]
        faces.stop(tx, [*in_them, *face_ids], order=found.id)
        photos.stop(tx, photo_ids, found.id)
        public = {"restriction": found.id, "ground": ground, "photos": len(photo_ids), "faces": len(face_ids)}
        about: dict[str, Any] = {"by": by, "request": request}
        parts = ((item, about), *_parts(tx, found))
        log.append(tx, Entry(kind="restriction:set", public=public, parts=parts))
        shown = tuple(export.id for export in exports.showing(tx, [*in_them, *face_ids]))
    return Restricted(restriction=found, hidden=len({*in_them, *face_ids}), exports=shown)


def unrestrict(database: Database, restriction_id: str, *, reason: str, told: str, by: str) -> Lifted:
    """Lift a restriction. What it hid is shown again, unless an order in force or another restriction holds it.

    The person who obtained it must be told before (Art. 18(3) GDPR): `told` says when and how. Raises `UsageError`
    without that or a reason, or if it has ended already.
    """
    if not (reason.strip() and told.strip()):
        raise errors.UsageError(
            "Lifting a restriction needs a reason, and when and how the person was told before it is lifted, as "
            "Art. 18(3) GDPR asks. Nothing was changed."
        )
    with database.write() as tx:
        found = restrictions.find(tx, restriction_id)
        if found.ended:
            raise errors.UsageError("This restriction has ended already. Nothing was changed.")
        named = faces.stored(tx, photo_id=list(found.photos)) + faces.stored(tx, id=list(found.faces))
        restrictions.end(tx, found, Ended(at=tx.now, by=by, reason=reason.strip(), told=told.strip()))
        issue.release(tx, found.id, {*found.photos, *(face.photo_id for face in named)})
        face_ids = list({face.id for face in named})
        back = faces.stored(tx, id=face_ids, state="held")
        for collection_id in {faces.find(tx, f.id).collection_id for f in back if f.subject_id}:
            collections.count_enrolment(tx, collection_id)  # photos met meanwhile are looked at again
        shown, left = len(back), len(face_ids) - len(back)
        public = {"restriction": found.id, "shown": shown, "left": left}
        parts = ((restrictions.item_of(tx, found.id), {"by": by}), *_parts(tx, found))
        log.append(tx, Entry(kind="restriction:lifted", public=public, parts=parts))
        lifted = restrictions.find(tx, restriction_id)
    return Lifted(restriction=lifted, shown=shown, left=left)


def _shown(tx: Tx, face_id: str) -> Face:
    """The face; raises `UsageError` for one that is hidden, and `NotFound` for one that is not there."""
    try:
        return faces.find(tx, face_id)
    except errors.NotFound:
        if not faces.several(tx, [face_id]):
            raise
    raise errors.UsageError(
        f"{face_id} is hidden by an order or a restriction and cannot be corrected while it is. Which one: "
        f"`countenance why {face_id}`. Nothing was changed."
    )


def _other_face(tx: Tx, face: Face, other_id: str) -> str:
    other = _shown(tx, other_id)
    if other.collection_id != face.collection_id or other.id == face.id:
        raise errors.UsageError("A link is between two faces of one collection. Nothing was changed.")
    if face.subject_id and face.subject_id == other.subject_id:
        raise errors.UsageError(
            f"Both faces belong to subject {face.subject_id}: say which of them is not that subject. Nothing was changed."
        )
    return other.id


def _says(known: Link, face_id: str, other_id: str | None, subject: Subject | None) -> bool:
    if subject:
        return known.subject_id == subject.id
    return other_id is not None and {known.face_id, known.other_id} == {face_id, other_id}


def _both(tx: Tx, face_id: str, other_id: str | None) -> list[faces.Stored]:
    return faces.stored(tx, id=[face_id, other_id] if other_id else [face_id])


def _discard(tx: Tx, face: Face) -> None:
    """Drop a face that belongs to nobody, and have the next scan decide anew whose it is; its leaf is left to a rotation."""
    item = faces.stored(tx, id=face.id)[0].item
    faces.stop(tx, [face.id])
    faces.remove(tx, [face.id])
    erasures.discard(tx, item)
    photos.renew(tx, face.photo_id, enrolments=photos.DISCARDED)


def _named(tx: Tx, record: str | None, request: str | None) -> tuple[list[str], list[str]]:
    """The photos, as a whole, and the faces that are meant and that no erasure has reached."""
    asked = requests.find(tx, request) if request else None
    if record is None:
        if asked is None:
            raise errors.UsageError(
                "Say what to restrict: a photo, a face, a subject, or a request. Nothing was changed."
            )
        return identify.still_there(tx, asked)
    if record.startswith("pho_"):
        photos.find(tx, record)
        return lookup.present(tx, [record]), []
    if record.startswith("fac_"):
        found = faces.several(tx, [record])
        if not found:
            raise errors.NotFound(noun="face", name=record)
        return [], [record]
    theirs = [face.id for face in faces.stored(tx, subject_id=subjects.find(tx, record).id)]
    return [], sorted(faces.beyond_stop(tx, theirs))


def _parts(tx: Tx, found: Restriction) -> Iterable[tuple[int, dict[str, Any]]]:
    for photo_id, item in photos.items(tx, found.photos).items():
        yield item, {"photo": photo_id, "restriction": found.id}
    for face in faces.stored(tx, id=list(found.faces)):
        yield face.item, {"face": face.id, "restriction": found.id}
