"""An erasure at the sources: files deleted, faces redacted, or a line on the worklist where we may not or cannot write."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO

from PIL import Image

from countenance import errors, ids
from countenance import sources as openers
from countenance.audit import log
from countenance.records import Address, Box, Entry, Source
from countenance.sources import Opened
from countenance.store import erasures, faces, photos, sources
from countenance.store.database import Database, Tx
from countenance.store.erasures import Reached, Work
from countenance.vision.pool import Pool
from countenance.vision.redact import redact


def clear(database: Database, pool: Callable[[], Pool], erasure_id: str) -> dict[str, int]:
    """Do at each source what it says for the photos in scope, and count: deleted, redacted, worklist, failed.

    Doing it twice is the same as once: a file that is gone counts as deleted, a redacted face is redacted again.
    What fails goes on the worklist too.
    """
    counts = {"deleted": 0, "redacted": 0, "worklist": 0, "failed": 0}
    with database.read() as tx:
        ledger = erasures.ledger(tx, erasure_id)
        whole = {r.id for r in ledger if r.kind == "photo"}
        in_scope = {r.id for r in ledger if r.kind == "face"}
        partly = sorted({f.photo_id for f in faces.stored(tx, id=list(in_scope))} - whole)
        by_source: dict[str, list[str]] = {}
        for photo_id in [*sorted(whole), *partly]:
            by_source.setdefault(photos.find(tx, photo_id).source_id, []).append(photo_id)
        listed = [(sources.find(tx, source_id), photo_ids) for source_id, photo_ids in by_source.items()]
    for source, photo_ids in listed:
        by_hand = []
        with _writable(source) as opened:
            for photo_id in photo_ids:
                done, todo = _photo(database, pool, opened, source, photo_id, whole=photo_id in whole)
                if done:
                    counts[done] += 1
                if todo:
                    counts["worklist"] += 1
                    by_hand.append(todo)
        _put_on_worklist(database, erasure_id, source, by_hand)
    for photo_id in partly:
        _neighbours(database, pool, erasure_id, photo_id, in_scope)
    return counts


@contextmanager
def _writable(source: Source) -> Iterator[Opened | None]:
    """The source, open; None where we may not write, or cannot reach it."""
    opened: Opened | None = None
    if source.on_erase != "worklist" and source.kind != "enrolment":
        with suppress(errors.SourceError, errors.UsageError):
            opened = openers.open(source.kind, source.location)
    try:
        yield opened if opened and opened.writable else None
    finally:
        if opened:
            opened.close()


def _photo(
    database: Database,
    pool: Callable[[], Pool],
    opened: Opened | None,
    source: Source,
    photo_id: str,
    *,
    whole: bool,
) -> tuple[str | None, tuple[str, str] | None]:
    """Do what the source says for one photo: which count it belongs to, and what is left to do by hand, if anything."""
    with database.read() as tx:
        address = photos.address_of(tx, photo_id)
        stopped = faces.stored(tx, photo_id=photo_id, state="stopped")
        boxes = [tuple(faces.fields(tx, face.id)["box"]) for face in stopped]
    action = "delete" if whole and source.on_erase != "redact" else "redact"
    by_hand = (address.path, action)
    if opened is None:
        return None, by_hand
    try:
        if action == "delete":
            # Where the content has other names (hard links), a person must find them.
            return (None, by_hand) if opened.erase_file(address) else ("deleted", None)
        if boxes:  # where no face is known, a person must say what to redact
            _redact(database, pool, opened, photo_id, address, boxes)
            return "redacted", None
    except (errors.BadImage, errors.SourceError, errors.UsageError, errors.DiskFull):
        return "failed", by_hand
    return None, by_hand


def _redact(  # noqa: PLR0917
    database: Database,
    pool: Callable[[], Pool],
    opened: Opened,
    photo_id: str,
    address: Address,
    boxes: list[tuple[int, ...]],
) -> None:
    """Destroy the faces in the file. What is about to be written is noted first, so that a crash repeats nothing."""
    with database.read() as tx:
        noted = photos.fields(tx, photo_id).get("redacted")
    content = opened.read(address)
    if noted == hashlib.sha256(content).hexdigest():  # it was written before the crash
        rewritten = next(found for found in opened.list() if found.path == address.path)
    else:
        content = pool().submit(redact, content, boxes).result()
        with database.write() as tx:
            photos.note(tx, photo_id, redacted=hashlib.sha256(content).hexdigest())
        rewritten = opened.replace(address, content)
    with database.write() as tx:
        photos.rewritten(tx, photo_id, rewritten, hashlib.sha256(content).digest())


def finish(database: Database, work_id: str) -> None:
    """Take a line off the worklist, and log that somebody did it."""
    with database.write() as tx:
        line = next((line for line in erasures.worklist(tx) if line.id == work_id), None)
        erasures.finish_work(tx, work_id)
        assert line
        public = {"erasure": line.erasure_id, "action": line.action}
        log.append(tx, Entry(kind="work:finished", public=public))


def _put_on_worklist(database: Database, erasure_id: str, source: Source, by_hand: list[tuple[str, str]]) -> None:
    """Add what is left to do at a source, each (address, action) once."""
    with database.write() as tx:
        known = {(w.address, w.action) for w in erasures.worklist(tx, erasure_id) if w.source_id == source.id}
        for path, action in by_hand:
            if (path, action) not in known:
                work = Work(
                    id=ids.new("work"),
                    erasure_id=erasure_id,
                    source_id=source.id,
                    action=action,
                    address=path,
                    location=source.location,
                )
                erasures.add_work(tx, work)


def _neighbours(
    database: Database, pool: Callable[[], Pool], erasure_id: str, photo_id: str, in_scope: set[str]
) -> None:
    """Give each face beside an erased one a new key and a crop that no longer shows the erased face.

    Its old crop showed a part of the other face; a backup could open that with the old key, so the old key goes too.
    """
    with database.read() as tx:
        erased = [_box(tx, face.id) for face in faces.stored(tx, photo_id=photo_id) if face.id in in_scope]
        done = {r.id for r in erasures.ledger(tx, erasure_id) if r.kind == "resealed"}
        beside = [
            (face.id, faces.fields(tx, face.id)["crop_box"], faces.crop(tx, face.id))
            for face in faces.stored(tx, photo_id=photo_id, state="held")
            if face.id not in done
        ]
    for face_id, crop_box, crop in beside:
        shown = list(_inside(erased, crop_box))
        if not (shown and crop):
            continue
        width, height = Image.open(BytesIO(crop)).size  # our own JPEG, of at most 160 pixels a side
        scaled = [_scaled(box, crop_box, (width, height)) for box in shown]
        try:
            redacted = pool().submit(redact, crop, scaled).result()
        except errors.BadImage:
            redacted = None
        with database.write() as tx:
            old = faces.stored(tx, id=face_id)[0].item
            new = tx.take_items(1)
            faces.reseal(tx, face_id, new, redacted)
            log.reseal(tx, old, new)
            erasures.reach(tx, erasure_id, Reached(kind="resealed", id=face_id, item=old))


def _box(tx: Tx, face_id: str) -> Box:
    left, top, width, height = faces.fields(tx, face_id)["box"]
    return left, top, width, height


def _inside(boxes: list[Box], frame: Box) -> Iterator[Box]:
    """The boxes that reach into a frame."""
    for box in boxes:
        across = box[0] < frame[0] + frame[2] and frame[0] < box[0] + box[2]
        down = box[1] < frame[1] + frame[3] and frame[1] < box[1] + box[3]
        if across and down:
            yield box


def _scaled(box: Box, frame: Box, size: tuple[int, int]) -> Box:
    """A box of the picture, in pixels of a crop that shows `frame` in `size`, cut to it."""
    x, y = size[0] / frame[2], size[1] / frame[3]
    left, top = max(0, int((box[0] - frame[0]) * x)), max(0, int((box[1] - frame[1]) * y))
    right = min(size[0], int((box[0] + box[2] - frame[0]) * x) + 1)
    bottom = min(size[1], int((box[1] + box[3] - frame[1]) * y) + 1)
    return left, top, max(1, right - left), max(1, bottom - top)
