"""Adding photos: source -> gate -> vision -> gate -> store. Resumable at any point, and nothing is doubled.

What a scan has finished is committed in short transactions; a scan that is killed and begun again skips what is
unchanged. Pictures are opened in the pool's worker processes only.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from countenance import errors, ids
from countenance.audit import log
from countenance.gate.admit import admit, erased_before, missing
from countenance.gate.evidence import collect
from countenance.gate.keep import KEPT_OUT, keep
from countenance.gate.metadata import read
from countenance.gate.reach import ordered, stopped
from countenance.gate.same import same_face
from countenance.records import (
    Address,
    Admitted,
    Collection,
    Entry,
    ErasedBefore,
    InForce,
    Looked,
    Photo,
    Refusal,
    Seen,
    SeenFace,
    Source,
)
from countenance.sources import Content, Opened
from countenance.store import collections, faces, orders, photos, sources, suppressions
from countenance.store.database import Database, Tx
from countenance.store.subjects import Enrolled
from countenance.store.wishes import KeptOut
from countenance.vision.examine import examine
from countenance.vision.pool import Pool

BATCH_PHOTOS = 64  # photos a transaction: at 100 photos a second a crash costs less than a second of work
BATCH_SECONDS = 1.0
WINDOW = 64  # photos submitted and not yet taken: keeps the workers busy while a transaction commits
AHEAD_SECONDS = 0.005  # reading one photo between two waits for a worker, with cold caches, costs twice as much
UNSEEN = ("unreadable", "mount")  # what a listing left out and may still be there


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a scan is."""

    done: int
    total: int
    faces: int
    refused: int
    seconds: float

    @property
    def rate(self) -> float:
        """Photos a second."""
        return self.done / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """At the rate so far; None before there is one."""
        return (self.total - self.done) / self.rate if self.rate else None


@dataclass(slots=True, kw_only=True)
class Added:
    """What one scan did."""

    source_id: str
    looked_at: int = 0
    added: int = 0
    unchanged: int = 0
    vanished: int = 0
    skipped: dict[str, int] = field(default_factory=dict)  # files left out, by a key of sources.SKIPPED
    faces: int = 0  # templates kept
    discarded: int = 0  # faces seen and discarded in memory
    kept_out: int = 0  # faces discarded at the person's own wish
    refused: dict[str, int] = field(default_factory=dict)  # photos not held, by slug
    sentences: dict[str, str] = field(default_factory=dict)  # slug -> sentence
    not_embedded: dict[str, int] = field(default_factory=dict)  # faces without template, by sentence


def look(  # noqa: PLR0917 - a worker is called by position
    content: bytes,
    collection: Collection,
    source: Source,
    address: str,
    now: datetime,
    cache: Path,
    in_force: tuple[InForce, ...],
) -> Looked:
    """Look at one photo, in a worker: its metadata, the gate's decision, its faces."""
    facts = read(content)
    evidence = collect(facts, source.country, address)
    binding = ordered(in_force, collection, source, evidence, facts.taken_at, now)
    admitted = admit(collection, content, suppressed_by=None, now=now, ordered=binding)
    outcome = examine(admitted, cache=cache) if isinstance(admitted, Admitted) else admitted
    return Looked(facts=facts, evidence=evidence, outcome=outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    address: Address
    sha256: bytes
    future: Future[Looked]


def add(
    database: Database,
    pool: Pool,
    opened: Opened,
    *,
    source: Source,
    enrolled: Callable[[Tx], Enrolled],
    kept_out: Callable[[Tx], KeptOut],
    cache: Path,
    report: Callable[[Progress], None] = lambda _: None,
) -> Added:
    """Scan a source: add what is new or changed, mark what vanished.

    Raises `SourceGone` if the source disappears midway, `SourceError` if an archive is damaged midway, `Refused` if the
    basis goes or an erasure reaches the source, `DiskFull`, `Interrupted`: what was finished before is kept.
    """
    with database.write() as tx:
        collection = _permitted(tx, source)
        scan = sources.begin_scan(tx, source.id)
        in_force = orders.in_force(tx)
        part = (sources.item_of(tx, source.id), {"source": source.id})
        log.append(tx, Entry(kind="scan:begun", public={"collection": collection.id}, parts=(part,)))
    result = Added(source_id=source.id)
    run = _Scan(database, collection, source, scan, enrolled, kept_out, report, result, _count(opened), in_force)
    try:
        for address, content, sha256 in run.unsettled(opened.photos(run.wanted)):
            if isinstance(content, bytes):
                future = pool.submit(
                    look, content, collection, source, address.path, database.clock(), cache, run.orders
                )
            else:
                future = Future()
                future.set_exception(content)
            run.pending.append(_Pending(address=address, sha256=sha256, future=future))
            run.settle(WINDOW)
        run.settle(0)
    except KeyboardInterrupt:
        run.settle(0, wait=False)
        run.flush()
        raise errors.Interrupted from None
    except errors.SourceError:  # gone midway, or an archive that is damaged from here on
        run.settle(0)
        run.flush()
        raise
    run.flush()
    run.result.skipped = dict(opened.skipped)
    return run.finish()


@dataclass(slots=True)
class _Scan:
    """One scan under way: what was looked at and not yet committed."""

    database: Database
    collection: Collection
    source: Source
    scan: int
    enrolled: Callable[[Tx], Enrolled]
    wishes: Callable[[Tx], KeptOut]
    report: Callable[[Progress], None]
    result: Added
    total: int
    orders: tuple[InForce, ...]  # in force, as of the transaction under way
    pending: deque[_Pending] = field(default_factory=deque)
    batch: list[tuple[_Pending, Looked | Exception]] = field(default_factory=list)
    met: list[str] = field(default_factory=list)
    enrolments: int = 0  # of the collection, as of the transaction under way
    kept_out: KeptOut | None = None  # in force, as of the transaction under way
    entries: list[Entry] = field(default_factory=list)  # of that transaction: its lines get one signature together
    began: float = field(default_factory=time.monotonic)
    since: float = field(default_factory=time.monotonic)  # the last commit

    def settle(self, most: int, *, wait: bool = True) -> None:
        """Take results, oldest first, until `most` are pending; without waiting, only as far as they are there."""
        while len(self.pending) > most and (wait or self.pending[0].future.done()):
            self.take(self.pending.popleft())
            self.tell()

    def tell(self) -> None:
        """Report how far the scan is."""
        done = self.result.looked_at + self.result.unchanged
        refused = sum(self.result.refused.values())
        seconds = time.monotonic() - self.began
        total = max(self.total, done)
        self.report(Progress(done=done, total=total, faces=self.result.faces, refused=refused, seconds=seconds))

    def wanted(self, address: Address) -> bool:
        """Whether a photo must be read: it is new, changed, or subjects were enrolled since it was looked at."""
        with self.database.read() as tx:
            known = photos.known(tx, self.source.id, address)
            if known is None or photos.how(tx, self.source, known) != "unchanged":
                return True
        if known.state == "stopped":
            return False
        self.met.append(known.id)
        self.result.unchanged += 1
        self.tell()
        if len(self.met) >= BATCH_PHOTOS * 8:
            self.flush()
        return False

    def unsettled(self, read: Iterator[tuple[Address, Content]]) -> Iterator[tuple[Address, Content, bytes]]:
        """The photos that must be looked at, each with its content's hash; some are read ahead."""
        ahead: list[tuple[Address, Content, bytes]] = []
        until = time.monotonic() + AHEAD_SECONDS
        try:
            for address, content in read:
                sha256 = hashlib.sha256(content).digest() if isinstance(content, bytes) else b""
                if not (sha256 and self.settled(address, sha256)):
                    ahead.append((address, content, sha256))
                if time.monotonic() > until:
                    yield from ahead
                    ahead, until = [], time.monotonic() + AHEAD_SECONDS
        except errors.SourceError:  # what was read before is whole
            yield from ahead
            raise
        yield from ahead

    def settled(self, address: Address, sha256: bytes) -> bool:
        """Whether nothing needs to be looked at: the content is as it was, or an erasure reached it before.

        What was erased is seen by no worker, and nothing of it is stored (promise P6).
        """
        with self.database.read() as tx:
            erasure = self._suppressed_by(tx, address, sha256)
            known = photos.known(tx, self.source.id, address)
            same = known is not None and known.content == photos.content_token(tx, sha256)
            again = known is not None and photos.behind(tx, self.source, known)
        if known and same and (erasure or not again):  # if erased: a group photo that stays for the others
            if not known.unchanged:
                with self.database.write() as tx:
                    now = photos.known(tx, self.source.id, address)
                    if now and now.id == known.id and now.state != "stopped":
                        photos.rewritten(tx, known.id, address, sha256)
            self.met.append(known.id)
            self.result.unchanged += 1
            return True
        if erasure is None:
            return False
        self.result.looked_at += 1
        with self.database.write() as tx:
            log.append(tx, self._refuse_erased(erasure))
        return True

    def take(self, pending: _Pending) -> None:
        """Take one photo's result, waiting for it; commit when enough are there."""
        outcome: Looked | Exception
        try:
            outcome = pending.future.result()
        except (errors.BadImage, errors.AddressUnreadable) as error:
            outcome = error
        self.batch.append((pending, outcome))
        self.result.looked_at += 1
        if len(self.batch) >= BATCH_PHOTOS or time.monotonic() - self.since > BATCH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Commit what was looked at."""
        if self.batch or self.met:
            with self.database.write() as tx:
                self.collection = _permitted(tx, self.source)
                photos.met(tx, self.met, self.scan)
                self.enrolments = collections.enrolments(tx, self.collection.id)
                enrolled, self.entries = self.enrolled(tx), []
                self.kept_out = self.wishes(tx)
                self.orders = orders.in_force(tx)
                for pending, outcome in self.batch:
                    self._store(tx, enrolled, pending, outcome)
                self.kept_out.clear()
                log.extend(tx, self.entries)
        self.batch, self.met, self.since = [], [], time.monotonic()

    def finish(self) -> Added:
        """Mark what vanished, unless a part of the source could not be seen, and log the scan's end."""
        unseen = any(self.result.skipped.get(kind) for kind in UNSEEN)
        with self.database.write() as tx:
            _permitted(tx, self.source)
            if not unseen:
                self.result.vanished = photos.mark_vanished(tx, self.source.id, self.scan)
            log.append(
                tx,
                Entry(
                    kind="scan:finished",
                    public={
                        "collection": self.collection.id,
                        "added": self.result.added,
                        "faces": self.result.faces,
                        "unchanged": self.result.unchanged,
                        "vanished": self.result.vanished,
                        "refused": sum(self.result.refused.values()),
                        "kept-out": self.result.kept_out,
                    },
                    parts=((sources.item_of(tx, self.source.id), {"source": self.source.id}),),
                ),
            )
        return self.result

    def _store(self, tx: Tx, enrolled: Enrolled, pending: _Pending, outcome: Looked | Exception) -> None:
        known = photos.known(tx, self.source.id, pending.address)
        if isinstance(outcome, errors.AddressUnreadable):  # it is there, no more is known: the next scan tries again
            photos.met(tx, [known.id] if known else [], self.scan)
            self._refuse(Refusal(slug="unreadable", sentence=str(outcome)))
            self._log_refused("unreadable")
            return
        same = bool(known and (known.unchanged or known.content == photos.content_token(tx, pending.sha256)))
        if erasure := self._erased(tx, pending, outcome, same=same):
            self.entries.append(self._refuse_erased(erasure))
            return
        if known and known.state == "stopped":  # while it was being looked at
            self.result.unchanged += 1
            return
        if self._ordered(tx, enrolled, pending, outcome):
            if known and not same:
                photos.discard(tx, known.id)  # its file was replaced by one that an order keeps out
            return
        if known and same and known.state != "refused" and isinstance(outcome, Looked):
            if not known.unchanged:
                photos.rewritten(tx, known.id, pending.address, pending.sha256)
            if isinstance(outcome.outcome, Seen):
                self._look_again(tx, enrolled, known, outcome.outcome)
                return
        if known:
            photos.discard(tx, known.id)
            self.entries.append(Entry(kind="photo:replaced", public={"collection": self.collection.id}))
        self._put(tx, enrolled, pending, outcome)

    def _erased(self, tx: Tx, pending: _Pending, outcome: Looked | Exception, *, same: bool) -> ErasedBefore | None:
        """The erasure that reached this photo, be it while it was being looked at; the same picture counts if it is new."""
        if erasure := self._suppressed_by(tx, pending.address, pending.sha256):
            return erasure
        if same or not (isinstance(outcome, Looked) and isinstance(outcome.outcome, Seen)):
            return None  # a group photo that stays for the others
        return suppressions.like(tx, outcome.outcome.imprints)

    def _ordered(self, tx: Tx, enrolled: Enrolled, pending: _Pending, outcome: Looked | Exception) -> bool:
        """Whether an order keeps the photo out; then it is counted and logged, and nothing of it is stored."""
        looked = outcome if isinstance(outcome, Looked) else None
        evidence = looked.evidence if looked else collect(None, self.source.country, pending.address.path)
        shown = looked.outcome.faces if looked and isinstance(looked.outcome, Seen) else ()
        subjects = enrolled.matched(face.template for face in shown)
        taken_at = looked.facts.taken_at if looked else None
        found = ordered(self.orders, self.collection, self.source, evidence, taken_at, tx.now, subjects)
        refusal = stopped(found.order) if found else _refusal(outcome)
        if refusal is None or refusal.slug != "order":
            return False
        self._refuse(refusal)
        public = {"collection": self.collection.id, "reason": refusal.slug, "order": found.id if found else "lifted"}
        self.entries.append(Entry(kind="photo:refused", public=public))
        return True

    def _put(self, tx: Tx, enrolled: Enrolled, pending: _Pending, outcome: Looked | Exception) -> None:
        looked = outcome if isinstance(outcome, Looked) else None
        seen = looked.outcome if looked and isinstance(looked.outcome, Seen) else None
        refusal = _refusal(outcome)
        expires_at = tx.now + timedelta(days=self.collection.retention_days or 0)
        photo = Photo(
            id=ids.new("photo"),
            collection_id=self.collection.id,
            source_id=self.source.id,
            address=pending.address.path,
            state="refused" if refusal else "held",
            reason=refusal.slug if refusal else None,
            width=seen.width if seen else None,
            height=seen.height if seen else None,
            taken_at=looked.facts.taken_at if looked else None,
            added_at=tx.now,
            expires_at=expires_at,
            evidence=looked.evidence if looked else (),
            faces=len(seen.faces) if seen else 0,
        )
        extra: dict[str, Any] = {"size": pending.address.size, "modified_ns": pending.address.modified_ns}
        if looked:
            extra |= {"latitude": looked.facts.latitude, "longitude": looked.facts.longitude}
        if seen:
            extra["imprint"] = seen.imprint
        item = photos.put(
            tx,
            photo,
            stat=photos.stat_token(tx, self.source.id, pending.address),
            content=photos.content_token(tx, pending.sha256),
            sha256=pending.sha256,
            scan=self.scan,
            enrolments=self.enrolments,
            extra=extra,
        )
        if refusal:
            self._refuse(refusal)
            self._log_refused(refusal.slug, ((item, {"photo": photo.id}),))
            return
        assert seen
        kept = self._keep(tx, enrolled, photo.id, expires_at, seen.faces, seen.model)
        self.result.added += 1
        self.entries.append(
            Entry(
                kind="photo:added",
                public={
                    "collection": self.collection.id,
                    "countries": sorted({e.territory for e in photo.evidence}),
                    "seen": len(seen.faces),
                    "kept": len(kept),
                    "until": log.stamp(expires_at),
                },
                parts=((item, {"photo": photo.id}), *kept),
            )
        )

    def _look_again(self, tx: Tx, enrolled: Enrolled, known: photos.Known, seen: Seen) -> None:
        """A photo in which a subject enrolled since may appear: keep the faces that now match, and no face twice."""
        photo = photos.find(tx, known.id)
        held = [face.box for face in faces.of_photo(tx, known.id)]
        new = tuple(face for face in seen.faces if not any(same_face(face.box, box) for box in held))
        kept = self._keep(tx, enrolled, known.id, photo.expires_at, new, seen.model)
        photos.met(tx, [known.id], self.scan)
        photos.renew(tx, known.id, enrolments=self.enrolments)
        self.result.unchanged += 1
        self.result.looked_at -= 1
        if kept:
            public = {"collection": self.collection.id, "kept": len(kept), "until": log.stamp(photo.expires_at)}
            parts = ((known.item, {"photo": known.id}), *kept)
            self.entries.append(Entry(kind="photo:matched", public=public, parts=parts))

    def _keep(  # noqa: PLR0917
        self,
        tx: Tx,
        enrolled: Enrolled,
        photo_id: str,
        expires_at: datetime,
        seen: tuple[SeenFace, ...],
        model: str,
    ) -> list[tuple[int, dict[str, str]]]:
        parts: list[tuple[int, dict[str, str]]] = []
        for face in seen:
            template = None if face.template is None else face.template @ enrolled.transform
            subject = None if template is None else enrolled.match(template)
            consent = None if subject is None else enrolled.consents[subject]
            out = self.kept_out is not None and self.kept_out.matches(face.template)
            until = keep(self.collection, face, kept_out=out, consent=consent, photo_expires_at=expires_at, now=tx.now)
            if isinstance(until, Refusal):
                if until is KEPT_OUT:
                    self.result.kept_out += 1
                elif face.template is None:
                    for reason in face.reasons:
                        self.result.not_embedded[reason] = self.result.not_embedded.get(reason, 0) + 1
                else:
                    self.result.discarded += 1
                continue
            assert template is not None
            face_id = ids.new("face")
            item = faces.put(
                tx,
                face_id,
                face,
                template=template,
                photo_id=photo_id,
                collection_id=self.collection.id,
                subject_id=None if subject is None else enrolled.ids[subject],
                enrolled=False,
                model=model,
                expires_at=until,
            )
            self.result.faces += 1
            parts.append((item, {"face": face_id}))
        return parts

    def _suppressed_by(self, tx: Tx, address: Address, sha256: bytes) -> ErasedBefore | None:
        return suppressions.reached(
            tx, suppressions.content(tx, sha256), suppressions.address(tx, self.source.location, address.path)
        )

    def _refuse_erased(self, erasure: ErasedBefore) -> Entry:
        """Count a photo that was erased before, of which nothing is stored, and return the line for the log."""
        refusal = erased_before(erasure)
        self._refuse(refusal)
        public = {
            "collection": self.collection.id,
            "reason": refusal.slug,
            "erasure": erasure.erasure_id,
            "by": erasure.by,
        }
        return Entry(kind="photo:refused", public=public)

    def _refuse(self, refusal: Refusal) -> None:
        self.result.refused[refusal.slug] = self.result.refused.get(refusal.slug, 0) + 1
        self.result.sentences[refusal.slug] = refusal.sentence

    def _log_refused(self, slug: str, parts: tuple[tuple[int, dict[str, str]], ...] = ()) -> None:
        public = {"collection": self.collection.id, "reason": slug}
        self.entries.append(Entry(kind="photo:refused", public=public, parts=parts))


def _permitted(tx: Tx, source: Source) -> Collection:
    """The source's collection as it stands now, if photos may still be added: another process may have changed that."""
    if not sources.standing(tx, source.id):
        raise errors.Refused("An erasure reaches this source. What was not added yet stays out.")
    collection = collections.find(tx, source.collection_id)
    if gaps := missing(collection):
        raise errors.Incomplete(name=collection.name, missing="; ".join(gaps))
    return collection


def _refusal(outcome: Looked | Exception) -> Refusal | None:
    if isinstance(outcome, errors.BadImage):
        return Refusal(slug=outcome.reason, sentence=str(outcome))
    assert isinstance(outcome, Looked)
    return outcome.outcome if isinstance(outcome.outcome, Refusal) else None


def _count(opened: Opened) -> int:
    """How many photos the source lists; of a damaged archive those before the damage."""
    count = 0
    with suppress(errors.SourceError):
        for _ in opened.list():
            count += 1
    return count
