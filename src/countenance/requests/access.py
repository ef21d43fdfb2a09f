"""The answer to an access request, Art. 15 GDPR: a zip that people and programs read; portability (Art. 20) uses the same.

::

    letter.html, letter.txt    the cover letter
    index.html                 everything, to read and print
    data.json                  the same for programs
    photos/                    each photo with everybody else hidden, or the stored crop where the photo cannot be had

It tells what the operator reviewed with yes, and nothing else. What the vault does not know stands as a gap. Nothing here
writes a file: the zip is made in memory.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path, PurePath
from typing import Any

from countenance import errors
from countenance.audit import log
from countenance.orders import exports
from countenance.records import ART6, ART9, Collection, Face, Quality, Subject
from countenance.requests import clock, desk, letters, mail, page, searched
from countenance.requests.desk import Desk
from countenance.requests.identify import still_there
from countenance.requests.letters import Case, Sender
from countenance.requests.pictures import Picture, Shown, without_others
from countenance.store import collections, faces, photos, requests, sources, subjects
from countenance.store.database import Database, Tx
from countenance.store.requests import Request
from countenance.vision.others import hide_others
from countenance.vision.pool import Pool

FORMAT = "countenance/access/v1"
ENCLOSED = "It is in the file index.html beside this letter, and for programs in data.json. Open or print index.html."
KINDS = ("access", "portability")
"""The kinds of request that are answered so."""

MISTAKEN = "The picture that was kept shows a face that is not taken for yours any more."

_TIME = (1980, 1, 1, 0, 0, 0)  # the same answer gives the same bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """What an answer is made with."""

    database: Database
    pool: Callable[[], Pool]
    cache: Path  # prepared models
    desk: Desk
    sender: Callable[[Tx, Request], Sender]


def told(tx: Tx, request: Request) -> set[tuple[str, str | None]]:
    """What an answer made now would tell: (photo, face, or None for the photo as a whole)."""
    whole, face_ids = still_there(tx, request)
    return {(photo_id, None) for photo_id in whole} | {(f.photo_id, f.id) for f in faces.several(tx, face_ids)}


def holds(kept: bytes, record: Request, now: set[tuple[str, str | None]]) -> bool:
    """Whether an answer that was kept tells all of `now`, and nothing that is not confirmed any more."""
    before = {photo["id"]: {face["id"] for face in photo["faces"]} for photo in _unpacked(kept)[0]["photos"]}
    yes = _confirmed(record)
    return all(photo in before and (face is None or face in before[photo]) for photo, face in now) and all(
        photo in {name for name, _ in yes} and all((photo, face) in yes for face in here)
        for photo, here in before.items()
    )


def answer(maker: Maker, request_id: str, said: str = "") -> bytes:
    """The answer to a request: the one that was kept if it tells all, or one made now, with what only that one still has.

    `said` comes into its letter; with words of its own the answer is made anew.

    Raises `UsageError` if the request is none for access, is closed, or has candidates that are not settled or none that
    was confirmed.
    """
    with maker.database.read() as tx:
        record = requests.find(tx, request_id)
        _demand(record)
        kept = requests.kept_answer(tx, request_id)
        now = told(tx, record)
    if kept and not said and holds(kept, record, now):
        return kept
    bundle = build(maker, record, kept, said)
    if not _unpacked(bundle)[0]["photos"]:
        raise errors.UsageError("All that was confirmed is gone already, and no answer was kept. Nothing was made.")
    return bundle


def give(maker: Maker, request_id: str, *, by: str) -> bytes:
    """The answer as `answer` makes it, logged with its hash."""
    bundle = answer(maker, request_id)
    with maker.database.write() as tx:
        desk.note_answer(tx, requests.find(tx, request_id), "compiled", by, bundle)
    return bundle


def hand_over(maker: Maker, request_id: str, outcome: str, said: str, path: Path, *, by: str) -> Request:
    """Answer a request with the zip, written to a new file that only its owner can read.

    The vault remembers the file as one that it wrote: an erasure of what it shows deletes it. Raises `UsageError` as
    `answer` and `desk.take_step` do; the file is not left then.
    """
    with maker.database.read() as tx:
        reviews = requests.find(tx, request_id).reviews
    bundle = answer(maker, request_id, said)
    told_of = _unpacked(bundle)[0]["photos"]
    shown = [each["id"] for photo in told_of for each in (photo, *photo["faces"])]
    about, public = (told_of[0]["collection"], request_id), {"kind": "access-answer"}
    written = exports.put(maker.database, bundle, path, about, shown, public, by=by, hidden=True)
    try:
        return desk.take_step(
            maker.database, request_id, "answered", maker.desk, outcome, said, by=by, bundle=bundle, reviews=reviews
        )
    except BaseException:
        exports.delete(maker.database, written.id, by=by)
        raise


def build(maker: Maker, record: Request, kept: bytes | None = None, said: str = "") -> bytes:
    """Make the answer of a request from what it was reviewed to; what only the `kept` one still has is taken over.

    `said`: what the operator tells the person, for the letter.
    """
    with maker.database.read() as tx:
        shown, mine = _shown(tx, record)
        sender = maker.sender(tx, record)
        known = {each.collection.id: _collection(each.collection) for each in shown}
        enrolled = _enrolled(tx, mine)
        face_ids = {face.id for face in mine}
        data: dict[str, Any] = {
            "format": FORMAT,
            "made_at": log.moment(tx),
            "request": _request(record, maker.desk),
            "controller": asdict(sender),
            "collections": known,
            "subjects": [_subject(one) for one in subjects.every(tx) if one.id in enrolled],
            "photos": [],
            "searches": searched.searches(tx, face_ids),
            "sheets": searched.sheets_of_orders(tx, face_ids),
        }
        today = clock.local_day(tx.now, maker.desk.zone)
    files: dict[str, bytes] = {}
    for each, pictures, why in without_others(partial(_hide, maker), shown):
        data["photos"].append(_photo(each, pictures, why, enrolled))
        files |= {picture.name: picture.content for picture in pictures}
    if kept:
        _take_over(data, files, *_unpacked(kept), yes=_confirmed(record))
    data["photos"].sort(key=lambda photo: photo["id"])
    letter = letters.write(
        "answer:granted",
        Case(
            reference=record.id,
            kind=record.kind,
            law=record.law,
            received=clock.local_day(record.received_at, maker.desk.zone),
            today=today,
            standing=desk.standing(record, maker.desk),
            name=record.asked.name,
            receipt=desk.told(record, "receipt"),
        ),
        sender,
        said=f"{mail.paragraph(said)} {ENCLOSED}".strip(),
    )
    return _packed(
        {
            "letter.html": letter.html.encode(errors="replace"),
            "letter.txt": letter.text.encode(errors="replace"),
            "index.html": page.render(data).encode(errors="replace"),
            "data.json": _json(data),
            **{name: files[name] for name in sorted(files)},
        }
    )


def _hide(maker: Maker, *what: Any) -> Future[Any]:
    return maker.pool().submit(hide_others, *what, maker.cache)


def _demand(record: Request) -> None:
    """Refuse what is not to be answered so, or not yet (`desk.take_step` asks for the rest)."""
    if record.kind not in KINDS or not record.confirmed:
        raise errors.UsageError(
            f"The request is one for {record.kind}{'' if record.confirmed else ', as was only guessed'}; an access answer "
            f"is made for {' and '.join(KINDS)}. Settle its kind first. Nothing was made."
        )
    if record.state == "closed":
        raise errors.UsageError("The request is closed, and nothing is told about it any more. Nothing was made.")
    if unsure := sum(one.verdict == "unsure" for one in record.reviews):
        raise errors.UsageError(
            f"{unsure} candidates are not settled. Review them with yes or no first. Nothing was made."
        )
    if not any(one.verdict == "yes" for one in record.reviews):
        raise errors.UsageError("No candidate was confirmed: answer with the outcome nothing. Nothing was made.")


def _shown(tx: Tx, record: Request) -> tuple[list[Shown], list[Face]]:
    """The photos to be told of, in the order of their ids, and the person's faces in them."""
    whole, face_ids = still_there(tx, record)
    mine = faces.several(tx, face_ids)
    found = photos.several(tx, sorted({*whole, *(face.photo_id for face in mine)}))
    in_them = faces.several(tx, [face.id for face in faces.stored(tx, photo_id=list(found))])
    of_source = {name: sources.find(tx, name) for name in {photo.source_id for photo in found.values()}}
    of_collection = {name: collections.find(tx, name) for name in {photo.collection_id for photo in found.values()}}
    shown = []
    for photo in found.values():
        opened = photos.fields(tx, photo.id)
        own = tuple(face for face in mine if face.photo_id == photo.id)
        others = [face for face in in_them if face.photo_id == photo.id and face not in own]
        shown.append(
            Shown(
                photo=photo,
                source=of_source[photo.source_id],
                collection=of_collection[photo.collection_id],
                address=photos.address_of(tx, photo.id),
                sha256=opened["sha256"],
                position=(opened["latitude"], opened["longitude"]) if opened.get("latitude") is not None else None,
                own=own,
                seen=tuple(one.box for one in record.reviews if one.box and one.photo_id == photo.id in whole),
                others=tuple(face.box for face in others),
                crops={face.id: faces.crop(tx, face.id) for face in own},
            )
        )
    return shown, mine


def _enrolled(tx: Tx, mine: list[Face]) -> set[str]:
    """The subjects that the person is, by a confirmed enrolment photo: a mere match may be with somebody who looks alike."""
    return {face.subject_id for face in faces.stored(tx, id=[one.id for one in mine], enrolled=True) if face.subject_id}


def _photo(each: Shown, pictures: list[Picture], why: str, enrolled: set[str]) -> dict[str, Any]:
    """What is told of one photo."""
    photo, source = each.photo, each.source
    path = PurePath(photo.address).name if source.kind == "enrolment" else photo.address  # a path of this machine
    return {
        "id": photo.id,
        "collection": photo.collection_id,
        "name": _text(path),
        "source": {"kind": source.kind, "controller": source.controller, "country": source.country},
        "size": [photo.width, photo.height],
        "taken_at": photo.taken_at,
        "position": each.position,
        "added_at": log.stamp(photo.added_at),
        "expires_at": log.stamp(photo.expires_at),
        "refused": photo.reason,
        "evidence": [{"territory": e.territory, "kind": e.kind, "origin": e.origin} for e in photo.evidence],
        "faces": [_face(face, pictures, enrolled) for face in each.own],
        "seen_by_scan": [list(box) for box in each.seen],
        "files": [{"name": one.name, "others_hidden": one.hidden} for one in pictures],
        "why_not_whole": why,
    }


def _face(face: Face, pictures: list[Picture], enrolled: set[str]) -> dict[str, Any]:
    """What is told of one of the person's faces. Boxes are left, top, width, height in pixels."""
    there = next((one for one in pictures if one.of in {None, face}), None)
    left, top = (there.of.crop_box[:2] if there.of else (0, 0)) if there else (0, 0)
    in_file = (face.box[0] - left, face.box[1] - top, *face.box[2:])
    return {
        "id": face.id,
        "box": list(face.box),
        "file": there.name if there else None,
        "box_in_file": [round(value * there.scale) for value in in_file] if there else None,
        "model": face.model,
        "quality": {name: getattr(face.quality, name) for name in Quality.__slots__},
        "expires_at": log.stamp(face.expires_at),
        "subject": face.subject_id if face.subject_id in enrolled else None,
    }


def _collection(of: Collection) -> dict[str, Any]:
    """By what right the photos of a collection are held."""
    return {
        "name": of.name,
        "purpose": of.purpose,
        "controller": of.controller,
        "contact": of.contact,
        "representative": of.representative,
        "basis": ART6.get(of.art6 or ""),
        "condition": ART9.get(of.art9 or ""),
        "notice": of.notice,
        "retention_days": of.retention_days,
        "justification": of.justification,
    }


def _subject(subject: Subject) -> dict[str, Any]:
    consent = subject.consent
    return {
        "id": subject.id,
        "name": subject.name,
        "consent": {
            "by": consent.by,
            "given_at": log.stamp(consent.given_at),
            "until": log.stamp(consent.until),
            "text": consent.text,
        },
    }


def _request(record: Request, where: Desk) -> dict[str, Any]:
    law = clock.law_of(record.law)
    received = clock.local_day(record.received_at, where.zone).isoformat()
    return {"id": record.id, "kind": record.kind, "received": received, "law": law.article}


def _confirmed(record: Request) -> set[tuple[str, str | None]]:
    return {(one.photo_id, one.face_id) for one in record.reviews if one.verdict == "yes"}


def _take_over(
    data: dict[str, Any],
    files: dict[str, bytes],
    old: dict[str, Any],
    had: dict[str, bytes],
    *,
    yes: set[tuple[str, str | None]],
) -> None:
    """Add what only the answer that was kept still has, of what is confirmed: what an erasure has reached since."""
    now = {photo["id"]: {face["id"] for face in photo["faces"]} for photo in data["photos"]}
    all_theirs = all((photo["id"], face["id"]) in yes for photo in old["photos"] for face in photo["faces"])
    for photo in old["photos"]:
        mine = [face for face in photo["faces"] if (photo["id"], face["id"]) in yes]
        if photo["id"] in now and {face["id"] for face in mine} <= now[photo["id"]]:
            continue
        if not mine and (photo["id"], None) not in yes:
            continue
        if len(mine) < len(photo["faces"]):
            gone = {"file": None, "box_in_file": None}
            photo |= {"faces": [face | gone for face in mine], "files": [], "why_not_whole": MISTAKEN}
        data["photos"] = [each for each in data["photos"] if each["id"] != photo["id"]] + [photo]
        files |= {file["name"]: had[file["name"]] for file in photo["files"]}
    theirs = {face["id"] for photo in data["photos"] for face in photo["faces"]}
    enrolled = {face["subject"] for photo in data["photos"] for face in photo["faces"]}
    searches = [each | {"faces": [one for one in each["faces"] if one in theirs]} for each in old["searches"]]
    for each in data["searches"]:
        each["faces"] = sorted(
            {*each["faces"], *(o for s in searches if s["entry"] == each["entry"] for o in s["faces"])}
        )
    known = old["collections"] | data["collections"]
    data["collections"] = {name: known[name] for name in {photo["collection"] for photo in data["photos"]}}
    data["subjects"] = _joined("id", [each for each in old["subjects"] if each["id"] in enrolled], data["subjects"])
    data["searches"] = _joined("entry", [each for each in searches if each["faces"]], data["searches"])
    if all_theirs:  # else an old sheet may show somebody else alone
        data["sheets"] = _joined("export", old["sheets"], data["sheets"])


def _joined(key: str, old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = {each[key]: each for each in old} | {each[key]: each for each in new}
    return [found[name] for name in sorted(found)]


def _json(data: dict[str, Any]) -> bytes:
    return json.dumps(data, ensure_ascii=False, indent=1).encode(errors="replace")


def _text(value: str) -> str:
    """A file's name, with a mark where its bytes are not UTF-8."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _packed(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        for name, content in files.items():
            packed.writestr(zipfile.ZipInfo(name, _TIME), content)
    return stream.getvalue()


def _unpacked(bundle: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What an answer tells, and its pictures."""
    with zipfile.ZipFile(io.BytesIO(bundle)) as packed:
        files = {name: packed.read(name) for name in packed.namelist()}
    return json.loads(files["data.json"]), {name: data for name, data in files.items() if name.startswith("photos/")}
