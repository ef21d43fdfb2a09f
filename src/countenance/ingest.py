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
from pathlib import Path

from countenance import errors
from countenance.audit import log
from countenance.batch import Batch, Pending, refuse_erased, suppressed_by
from countenance.gate import beside
from countenance.gate.admit import lacks
from countenance.gate.reservations import refusal as reserved
from countenance.look import look
from countenance.records import (
    Address,
    Collection,
    Entry,
    InForce,
    Looked,
    Source,
)
from countenance.scan import Added, Progress
from countenance.sources import Content, Opened
from countenance.store import collections, orders, photos, sources
from countenance.store.database import Database, Tx
from countenance.store.subjects import Enrolled
from countenance.store.wishes import KeptOut
from countenance.vision.pool import Pool

BATCH_PHOTOS = 64  # photos a transaction: at 100 photos a second a crash costs less than a second of work
BATCH_SECONDS = 1.0
WINDOW = 64  # photos submitted and not yet taken: keeps the workers busy while a transaction commits
AHEAD_SECONDS = 0.005  # reading one photo between two waits for a worker, with cold caches, costs twice as much
UNSEEN = ("unreadable", "mount")  # what a listing left out and may still be there


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
    """Scan a source: add what is new or changed, or was refused by a law that is met now; mark what vanished.

    Raises `SourceGone` if the source disappears midway, `SourceError` if an archive is damaged midway, `Refused` if the
    basis goes or an erasure reaches the source, `DiskFull`, `Interrupted`: what was finished before is kept.
    """
    with database.write() as tx:
        collection = _permitted(tx, source)
        scan = sources.begin_scan(tx, source.id)
        in_force, corrected = orders.in_force(tx), photos.corrected(tx, source.id)
        part = (sources.item_of(tx, source.id), {"source": source.id})
        log.append(tx, Entry(kind="scan:begun", public={"collection": collection.id}, parts=(part,)))
    result = Added(source_id=source.id)
    total, signs = _count(opened), beside.gather(_notes(opened))
    run = _Scan(database, collection, source, scan, enrolled, kept_out, report, result, total, in_force, signs)
    try:
        for address, content, sha256 in run.unsettled(opened.photos(run.wanted)):
            if isinstance(content, bytes):
                at, now = address.path, database.clock()
                said = signs.at(at), corrected.get((at, sha256.hex()), ())
                future = pool.submit(look, content, run.collection, source, at, now, cache, run.orders, *said)
            else:
                future = Future()
                future.set_exception(content)
            run.pending.append(Pending(address=address, sha256=sha256, future=future))
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
    signs: beside.Signs
    pending: deque[Pending] = field(default_factory=deque)
    batch: list[tuple[Pending, Looked | Exception]] = field(default_factory=list)
    met: list[str] = field(default_factory=list)
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
        """Whether a photo must be read: it is new or changed, or must be looked at again."""
        with self.database.read() as tx:
            known = photos.known(tx, self.source.id, address)
            if (
                known is None
                or photos.how(tx, self.source, known) != "unchanged"
                or self._reserved_since(address, known)
            ):
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
            erasure = suppressed_by(tx, self.source, address, sha256)
            known = photos.known(tx, self.source.id, address)
            same = known is not None and known.content == photos.content_token(tx, sha256)
            again = known is not None and (
                photos.behind(tx, self.source, known) or self._reserved_since(address, known)
            )
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
            log.append(tx, refuse_erased(self.result, self.collection, erasure))
        return True

    def _reserved_since(self, address: Address, known: photos.Known) -> bool:
        """Whether what stands beside a photo that is held reserves it now."""
        held = known.state in {"held", "vanished"} and not known.kept
        return held and reserved(self.signs.at(address.path)) is not None

    def take(self, pending: Pending) -> None:
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
                self.orders = orders.in_force(tx)
                batch = Batch(
                    tx=tx,
                    collection=self.collection,
                    source=self.source,
                    scan=self.scan,
                    enrolled=self.enrolled(tx),
                    enrolments=collections.enrolments(tx, self.collection.id),
                    kept_out=self.wishes(tx),
                    orders=self.orders,
                    result=self.result,
                )
                for pending, outcome in self.batch:
                    batch.store(pending, outcome)
                batch.kept_out.clear()
                log.extend(tx, batch.entries)
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


def _permitted(tx: Tx, source: Source) -> Collection:
    """The source's collection as it stands now, if photos may still be added: another process may have changed that."""
    if not sources.standing(tx, source.id):
        raise errors.Refused("An erasure reaches this source. What was not added yet stays out.")
    collection = collections.find(tx, source.collection_id)
    if lacking := lacks(collection, tx.now.date()):
        raise lacking
    return collection


def _notes(opened: Opened) -> Iterator[tuple[str, bytes]]:
    """What stands beside a source's photos and may reserve them; of a damaged archive what comes before the damage."""
    with suppress(errors.SourceError):
        yield from opened.notes(beside.speaks, beside.LARGEST)


def _count(opened: Opened) -> int:
    """How many photos the source lists; of a damaged archive those before the damage."""
    count = 0
    with suppress(errors.SourceError):
        for _ in opened.list():
            count += 1
    return count
