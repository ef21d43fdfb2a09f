"""Looking for a person who offers a photo where no stranger's face is kept: each picture is read, compared and forgotten.

In mode `enrolled` there is no template of who is not enrolled, so the photos themselves are read once more. Faces are
embedded in worker processes and compared there; what comes back is how many there were, and where one looks alike.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from countenance import errors
from countenance import sources as openers
from countenance.audit import log
from countenance.gate import beside
from countenance.gate.admit import admit_request
from countenance.gate.reach import binding, facts_of_photo
from countenance.gate.reservations import in_picture
from countenance.gate.same import odd_one
from countenance.records import (
    Address,
    Admitted,
    Box,
    Collection,
    Entry,
    Evidence,
    Photo,
    Refusal,
    Reservation,
    Seen,
    Source,
    Template,
)
from countenance.requests.identify import Candidate, Likeness
from countenance.scan import Progress
from countenance.search import calibration
from countenance.sources import Opened
from countenance.store import faces, orders, photos, requests, sources, suppressions
from countenance.store.database import Database, Tx
from countenance.vision.examine import MODEL, examine
from countenance.vision.pool import Pool

SOUGHT = 0.5
"""The false positive identification rate of a scan: one in two shows a stranger, whom the operator rejects. A person who is
missed gets a wrong answer, so it is far higher than a search's."""

WINDOW = 64  # photos submitted and not yet taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """What one scan through a collection found. Nothing else is left of it."""

    collection_id: str
    photos: int  # pictures that were looked at
    faces: int  # that were compared
    skipped: dict[str, int]  # pictures that were not, by slug: hidden, order, expired, new, changed, unreadable, ...
    candidates: tuple[Candidate, ...]  # the likest first


def look(  # noqa: PLR0917 - a worker is called by position
    content: bytes,
    collection: Collection,
    request_id: str,
    evidence: tuple[Evidence, ...],
    reserved: tuple[Reservation, ...],
    now: datetime,
    cache: Path,
    probe: Template,
    threshold: float,
) -> tuple[int, tuple[tuple[Box, float], ...]] | Refusal:
    """Compare the faces of one photo with the offered one, in a worker: how many there were, and where one looks alike."""
    every = (*in_picture(content), *reserved)
    admitted = admit_request(collection, content, request=request_id, evidence=evidence, reserved=every, now=now)
    if not isinstance(admitted, Admitted):
        return admitted
    compared, alike = 0, []
    for face in examine(admitted, cache=cache).faces:
        if face.template is None:
            continue
        compared += 1
        score = float(face.template @ probe)
        if score >= threshold:
            alike.append((face.box, score))
        face.template[:] = 0
    return compared, tuple(alike)


def look_at_offer(
    content: bytes, collection: Collection, request_id: str, now: datetime, cache: Path
) -> Seen | Refusal:
    """Look at a picture that the person offers, in a worker."""
    admitted = admit_request(collection, content, request=request_id, now=now)
    return examine(admitted, cache=cache) if isinstance(admitted, Admitted) else admitted


def scan(
    database: Database,
    pool: Pool,
    collection: Collection,
    request_id: str,
    offered: Iterable[bytes],
    *,
    cache: Path,
    report: Callable[[Progress], None] = lambda _: None,
    by: str,
) -> Scanned:
    """Look through every photo of a collection in mode `enrolled` for the person on the offered pictures.

    Each picture shows that person alone. Nothing of it is kept, and the log says so, also if it is cut short. Raises
    `UsageError` for a request that is answered, `NoFace`, `Refused` if the gate says no, `Interrupted`.
    """
    database.demand_wet()
    with database.read() as tx:
        if requests.find(tx, request_id).state in requests.ANSWERED:
            raise errors.UsageError("This request is answered, so no picture is looked at for it. Nothing was scanned.")
        total = photos.counts(tx, collection.id)
        gallery = max(1, photos.faces_seen(tx, collection.id))
        listed = [source for source in sources.every(tx, collection.id) if source.kind in openers.OPENERS]
    probe = _probe(database, pool, collection, request_id, offered, cache)
    run = _Scan(
        database=database,
        pool=pool,
        collection=collection,
        request_id=request_id,
        cache=cache,
        report=report,
        probe=probe,
        threshold=calibration.load(MODEL).threshold(SOUGHT, gallery),
        total=total.get("held", 0) + total.get("vanished", 0),
    )
    finished = False
    try:
        for source in listed:
            run.through(source)
        finished = True
    except KeyboardInterrupt:
        raise errors.Interrupted from None
    finally:
        probe[:] = 0
        candidates = run.finish(by, finished=finished)
    return Scanned(
        collection_id=collection.id,
        photos=run.photos,
        faces=run.faces,
        skipped=dict(run.skipped),
        candidates=candidates,
    )


@dataclass(slots=True, kw_only=True)
class _Scan:
    """One scan under way: counts, and where a face looks alike."""

    database: Database
    pool: Pool
    collection: Collection
    request_id: str
    cache: Path
    report: Callable[[Progress], None]
    probe: Template
    threshold: float
    total: int
    photos: int = 0
    faces: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    alike: dict[str, tuple[Likeness, ...]] = field(default_factory=dict)  # by photo
    began: float = field(default_factory=monotonic)

    def through(self, source: Source) -> None:
        """Read every photo of a source that may be looked at. One that cannot be reached is counted with all its photos."""
        meant: dict[str, Photo] = {}
        pending: deque[tuple[str, Future[Any]]] = deque()
        met: set[str] = set()
        with suppress(errors.SourceError, errors.UsageError), openers.open(source.kind, source.location) as opened:
            signs = beside.gather(_notes(opened))
            for address, content in opened.photos(lambda address: self._wanted(source, address, meant, met)):
                photo = meant.pop(address.path)
                if slug := self._unfit(photo, content):
                    self.skipped[slug] += 1
                    continue
                about = (
                    self.collection,
                    self.request_id,
                    photo.evidence,
                    signs.at(address.path),
                    self.database.clock(),
                )
                future = self.pool.submit(look, content, *about, self.cache, self.probe, self.threshold)
                pending.append((photo.id, future))
                self._take(pending, WINDOW)
        self._take(pending, 0)
        with self.database.read() as tx:
            there = {photo.id for photo in photos.of_source(tx, source.id) if photo.state in {"held", "vanished"}}
        if missed := len(there - met) + len(meant):
            self.skipped["unreached"] += missed

    def finish(self, by: str, *, finished: bool) -> tuple[Candidate, ...]:
        """Log the scan, and return the candidates that may still be shown, the likest first."""
        with self.database.write() as tx:
            still = {photo.id for photo in photos.several(tx, photos.items(tx, self.alike)).values() if _open(photo)}
            found = {photo_id: some for photo_id, some in self.alike.items() if photo_id in still}
            public = {
                "collection": self.collection.id,
                "photos": self.photos,
                "faces": self.faces,
                "candidates": len(found),
                "kept": 0,
                "finished": finished,
                "skipped": dict(sorted(self.skipped.items())),
            }
            part = (requests.item_of(tx, self.request_id), {"request": self.request_id, "by": by})
            log.append(tx, Entry(kind="request:scanned", public=public, parts=(part,)))
        likest = sorted(found.items(), key=lambda pair: -pair[1][0].score)
        return tuple(
            Candidate(photo_id=photo_id, collection_id=self.collection.id, face_ids=(), by=("scan",), likenesses=some)
            for photo_id, some in likest
        )

    def _wanted(self, source: Source, address: Address, meant: dict[str, Photo], met: set[str]) -> bool:
        """Whether a file is a photo on record that may be looked at now; else it is counted."""
        with self.database.read() as tx:
            known = photos.known(tx, source.id, address)
            photo = photos.find(tx, known.id) if known else None
            slug = "new" if photo is None else self._barred(tx, source, photo)
        if known and photo:
            met.add(photo.id)
            slug = "hidden" if known.kept else slug
        if photo is None or slug:
            self.skipped[slug or "new"] += 1
            return False
        meant[address.path] = photo
        return True

    def _barred(self, tx: Tx, source: Source, photo: Photo) -> str | None:
        """Why a photo on record is not looked at; None if it is."""
        if not _open(photo):
            return "refused" if photo.state == "refused" else "hidden"
        if photo.expires_at <= tx.now:
            return "expired"
        subjects = {face.subject_id for face in faces.stored(tx, photo_id=photo.id) if face.subject_id}
        if binding(orders.in_force(tx), facts_of_photo(photo, purpose=self.collection.purpose, subjects=subjects)):
            return "order"
        place = suppressions.address(tx, source.location, photo.address)
        return "erased-before" if suppressions.reached(tx, place) else None

    def _unfit(self, photo: Photo, content: object) -> str | None:
        """Why the content of a photo on record is not looked at; None if it is what the record is about."""
        if not isinstance(content, bytes):
            return "unreadable"
        sha256 = hashlib.sha256(content).digest()
        with self.database.read() as tx:
            if suppressions.reached(tx, suppressions.content(tx, sha256)):
                return "erased-before"
            return None if photos.fields(tx, photo.id)["sha256"] == sha256.hex() else "changed"

    def _take(self, pending: deque[tuple[str, Future[Any]]], most: int) -> None:
        while len(pending) > most:
            photo_id, future = pending.popleft()
            try:
                found = future.result()
            except errors.BadImage as error:
                found = Refusal(slug=error.reason, sentence="")
            if isinstance(found, Refusal):
                self.skipped[found.slug] += 1
            else:
                self.photos += 1
                self.faces += found[0]
                if alike := sorted((Likeness(box=box, score=score) for box, score in found[1]), key=lambda a: -a.score):
                    self.alike[photo_id] = tuple(alike)
            done, refused = self.photos, sum(self.skipped.values())
            seconds = monotonic() - self.began
            self.report(
                Progress(done=done, total=max(self.total, done), faces=self.faces, refused=refused, seconds=seconds)
            )


def _probe(  # noqa: PLR0917
    database: Database, pool: Pool, collection: Collection, request_id: str, offered: Iterable[bytes], cache: Path
) -> Template:
    """The mean template of the offered pictures, of norm 1, in memory only."""
    found: list[Template] = []
    for number, content in enumerate(offered, 1):
        seen = pool.submit(look_at_offer, content, collection, request_id, database.clock(), cache).result()
        if isinstance(seen, Refusal):
            raise errors.Refused(seen.sentence)
        if len(seen.faces) != 1 or seen.faces[0].template is None:
            raise errors.NoFace(
                f"Offered picture {number} does not show one face that can be compared. Nothing was scanned; a picture "
                "is never needed, other clues are enough."
            )
        found.append(seen.faces[0].template)
    if not found:
        raise errors.UsageError("A scan needs a picture that the person offers. Nothing was scanned.")
    if (odd := odd_one(np.stack(found))) is not None:
        raise errors.UsageError(f"Offered picture {odd + 1} seems to show somebody else. Nothing was scanned.")
    mean = np.mean(found, axis=0)
    for template in found:
        template[:] = 0
    return np.asarray(mean / np.linalg.norm(mean), np.float32)


def _open(photo: Photo) -> bool:
    return photo.state in {"held", "vanished"}


def _notes(opened: Opened) -> Iterator[tuple[str, bytes]]:
    with suppress(errors.SourceError):
        yield from opened.notes(beside.speaks, beside.LARGEST)
