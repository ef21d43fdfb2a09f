"""An erasure outside the vault: files deleted, faces redacted, or a line on the worklist where we may not or cannot write."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from io import BytesIO

from PIL import Image

from countenance import errors
from countenance import sources as openers
from countenance.audit import log
from countenance.orders import companions, exports, worklist
from countenance.orders.companions import Done
from countenance.orders.worklist import Todo
from countenance.records import Address, Box, Source
from countenance.sources import Opened
from countenance.store import erasures, faces, photos, sources
from countenance.store.database import Database, Tx
from countenance.store.erasures import Reached
from countenance.vision.pool import Pool
from countenance.vision.redact import redact

PIECE = 4096  # bytes from the middle of a photo's file, by which it is recognised in other files
BATCH = 256  # records that get a new key in one transaction
NOT_WRITTEN = "The source says that its files are not touched."
UNREACHED = "The source cannot be reached."
READ_ONLY = (
    "The source cannot be written to. Files beside it, such as sidecars and thumbnails, can show or name the face."
)
LINKED = "It was deleted here, and its content has other names (hard links)."
NO_FACE = "No face is known in it, so a person must look which it is."
NOT_ALL = "Of {seen} faces in it {known} were known, and those are redacted: a person must look for the others."


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared:
    """What was done outside the vault."""

    files: dict[str, int]  # deleted, redacted, worklist, failed
    beside: dict[str, int]  # companions: deleted or rewritten; exports: gone


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reached:
    """One photo whose file the erasure reaches."""

    photo_id: str
    address: Address
    action: str  # delete, redact
    boxes: tuple[Box, ...]  # of the faces to redact
    seen: int  # faces that were seen in it, if all of them go; else 0


def clear(
    database: Database,
    pool: Callable[[], Pool],
    erasure_id: str,
    remember: Callable[[bytes], None] = lambda _: None,
    *,
    at_sources: bool = True,
) -> Cleared:
    """Do at each source what it says for the photos in scope and what lies beside them, and delete exports of them.

    Doing it twice is the same as once: a file that is gone counts as deleted, a redacted face is redacted again. What
    fails goes on the worklist too. `remember` gets a piece of each file's coded pixels before the file is changed. Without
    `at_sources` only exports go.
    """
    counts = {"deleted": 0, "redacted": 0, "worklist": 0, "failed": 0}
    companion_count = 0
    with database.read() as tx:
        ledger = erasures.ledger(tx, erasure_id)
        whole = {r.id for r in ledger if r.kind == "photo"}
        in_scope = {r.id for r in ledger if r.kind == "face"}
        resealed = {r.id for r in ledger if r.kind == "resealed"}
        partly = sorted({f.photo_id for f in faces.stored(tx, id=list(in_scope))} - whole)
        by_source: dict[str, list[str]] = {}
        for photo_id, photo in photos.several(tx, [*sorted(whole), *partly]).items():
            by_source.setdefault(photo.source_id, []).append(photo_id)
        listed = [(sources.find(tx, source_id), photo_ids) for source_id, photo_ids in by_source.items()]
    for source, photo_ids in listed if at_sources else ():
        left = []
        with database.read() as tx:
            reached = _reached(tx, source, photo_ids, whole)
        with _opened(source) as (opened, refusal):
            for one in reached:
                if opened is None or refusal:
                    left.append(Todo(path=one.address.path, action=one.action, why=refusal))
                    continue
                with suppress(errors.SourceError):
                    remember(opened.part(one.address, one.address.size // 2, PIECE))
                did, todo = _photo(database, pool, opened, erasure_id, one)
                if did:
                    counts[did] += 1
                if todo:
                    left.append(todo)
            if opened:  # when all files are done: who shares a companion with whom is known only then
                done = [Done(photo_id=one.photo_id, path=one.address.path, action=one.action) for one in reached]
                number, more = companions.clear(database, pool, opened, erasure_id, done, writable=not refusal)
                companion_count += number
                left += more
        with database.write() as tx:
            worklist.put(tx, erasure_id, source.id, source.location, left)
    for photo_id in partly:
        _neighbours(database, pool, erasure_id, photo_id, in_scope, resealed)
    for first in range(0, len(partly), BATCH):
        _reseal(database, erasure_id, set(partly[first : first + BATCH]) - resealed)
    export_count = exports.clear(database, erasure_id)
    with database.read() as tx:
        counts["worklist"] = len(erasures.worklist(tx, erasure_id))
    return Cleared(files=counts, beside={"companions": companion_count, "exports": export_count})


def _reached(tx: Tx, source: Source, photo_ids: list[str], whole: set[str]) -> list[_Reached]:
    boxes = faces.boxes(tx, photo_ids)
    seen = {photo_id: photo.faces for photo_id, photo in photos.several(tx, photo_ids).items()}
    return [
        _Reached(
            photo_id=photo_id,
            address=photos.listed(opened),
            action="delete" if photo_id in whole and source.on_erase != "redact" else "redact",
            boxes=tuple(boxes.get(photo_id, ())),
            seen=seen[photo_id] if photo_id in whole else 0,
        )
        for photo_id, opened in photos.fields_of(tx, photo_ids).items()
    ]


@contextmanager
def _opened(source: Source) -> Iterator[tuple[Opened | None, str]]:
    """The source, open if it can be, and why it is not written to; empty if it is."""
    opened: Opened | None = None
    if source.kind != "enrolment":
        with suppress(errors.SourceError, errors.UsageError):
            opened = openers.open(source.kind, source.location)
    try:
        if source.on_erase == "worklist":
            yield opened, NOT_WRITTEN
        elif opened is None:
            yield None, UNREACHED
        else:
            yield opened, "" if opened.writable else READ_ONLY
    finally:
        if opened:
            opened.close()


def _photo(
    database: Database, pool: Callable[[], Pool], opened: Opened, erasure_id: str, reached: _Reached
) -> tuple[str | None, Todo | None]:
    """Do what the source says for one photo: which count it belongs to, and what is left to do by hand, if anything."""
    left = partial(Todo, path=reached.address.path, action=reached.action)
    try:
        if reached.action == "delete":
            # Where the content has other names (hard links), a person must find them.
            return (None, left(why=LINKED)) if opened.erase_file(reached.address) else ("deleted", None)
        if not reached.boxes:
            return None, left(why=NO_FACE)
        _redact(database, pool, opened, erasure_id, reached)
    except errors.BadImage as error:
        return "failed", left(why=error.facts.get("sentence", str(error)))
    except (errors.SourceError, errors.UsageError, errors.DiskFull) as error:
        return "failed", left(why=str(error))
    known = len(reached.boxes)
    return "redacted", left(why=NOT_ALL.format(seen=reached.seen, known=known)) if reached.seen > known else None


def _redact(database: Database, pool: Callable[[], Pool], opened: Opened, erasure_id: str, reached: _Reached) -> None:
    """Destroy the faces in the file. What is about to be written is noted first, so that a crash repeats nothing."""
    with database.read() as tx:
        noted = photos.fields(tx, reached.photo_id).get("redacted")
    content = opened.read(reached.address)
    if noted == [erasure_id, hashlib.sha256(content).hexdigest()]:  # it was written before the crash
        rewritten = opened.find(reached.address.path)
        assert rewritten
    else:
        content = pool().submit(redact, content, reached.boxes).result()
        with database.write() as tx:
            photos.note(tx, reached.photo_id, redacted=[erasure_id, hashlib.sha256(content).hexdigest()])
        rewritten = opened.replace(reached.address, content)
    with database.write() as tx:
        photos.rewritten(tx, reached.photo_id, rewritten, hashlib.sha256(content).digest())


def _reseal(database: Database, erasure_id: str, photo_ids: Iterable[str]) -> None:
    """Give photos that stay for the others new keys.

    What was sealed under the old one, in a backup say, holds the hash of the picture with the erased face in it.
    """
    with database.write() as tx:
        for photo_id in photos.items(tx, photo_ids):  # those that no scan has replaced meanwhile
            new = tx.take_items(1)
            old = photos.reseal(tx, photo_id, new)
            log.reseal(tx, old, new)
            erasures.reach(tx, erasure_id, Reached(kind="resealed", id=photo_id, item=old))


def _neighbours(  # noqa: PLR0917
    database: Database, pool: Callable[[], Pool], erasure_id: str, photo_id: str, in_scope: set[str], done: set[str]
) -> None:
    """Give each face beside an erased one a new key and a crop that no longer shows the erased face.

    Its old crop showed a part of the other face; a backup could open that with the old key, so the old key goes too.
    """
    with database.read() as tx:
        erased = [_box(tx, face.id) for face in faces.stored(tx, photo_id=photo_id) if face.id in in_scope]
        beside = [
            (face.id, faces.fields(tx, face.id)["crop_box"], faces.crop(tx, face.id))
            for face in faces.stored(tx, photo_id=photo_id)
            if face.id not in in_scope | done
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
