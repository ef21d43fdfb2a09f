"""One transaction of a scan: what was looked at is stored, as the collection, the orders and the wishes stand in it."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from countenance import errors, ids
from countenance.audit import log
from countenance.gate.admit import erased_before
from countenance.gate.evidence import collect
from countenance.gate.keep import KEPT_OUT, keep
from countenance.gate.reach import ordered, stopped
from countenance.gate.rule import decide
from countenance.gate.rulebook import shipped
from countenance.gate.same import same_face
from countenance.records import (
    Address,
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
from countenance.scan import Added
from countenance.store import faces, links, photos, suppressions
from countenance.store.database import Tx
from countenance.store.subjects import Enrolled
from countenance.store.wishes import KeptOut


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """One photo that a worker looks at, or that could not be read."""

    address: Address
    sha256: bytes
    future: Future[Looked]


@dataclass(slots=True, kw_only=True)
class Batch:
    """What one transaction of a scan stores."""

    tx: Tx
    collection: Collection
    source: Source
    scan: int
    enrolled: Enrolled
    enrolments: int  # of the collection
    kept_out: KeptOut
    orders: tuple[InForce, ...]  # in force
    result: Added
    entries: list[Entry] = field(default_factory=list)  # its lines for the log, which get one signature together

    def store(self, pending: Pending, outcome: Looked | Exception) -> None:
        """Store one photo, or what is to be stored of it instead, and note its lines for the log."""
        known = photos.known(self.tx, self.source.id, pending.address)
        if isinstance(outcome, errors.AddressUnreadable):  # it is there, no more is known: the next scan tries again
            photos.met(self.tx, [known.id] if known else [], self.scan)
            _count(self.result, Refusal(slug="unreadable", sentence=str(outcome)))
            self._log_refused("unreadable")
            return
        same = bool(known and (known.unchanged or known.content == photos.content_token(self.tx, pending.sha256)))
        if erasure := self._erased(pending, outcome, same=same):
            self.entries.append(refuse_erased(self.result, self.collection, erasure))
            return
        if known and (known.state == "stopped" or known.kept):  # while it was being looked at
            self.result.unchanged += 1
            return
        if self._ordered(pending, outcome):
            if known and not same:
                photos.discard(self.tx, known.id)  # its file was replaced by one that an order keeps out
            return
        until = self._until(outcome)
        if known and same and known.state != "refused" and isinstance(outcome, Looked):
            if not known.unchanged:
                photos.rewritten(self.tx, known.id, pending.address, pending.sha256)
            if isinstance(outcome.outcome, Seen) and isinstance(until, datetime):
                self._look_again(known, outcome.outcome, until)
                return
        if known:
            photos.discard(self.tx, known.id)
            self.entries.append(Entry(kind="photo:replaced", public={"collection": self.collection.id}))
        self._put(pending, outcome, until)

    def _until(self, outcome: Looked | Exception) -> datetime | Refusal:
        """Until when a photo may be kept, or why its faces may not: what the law asks is asked again as things stand now."""
        if isinstance(outcome, Looked) and isinstance(outcome.outcome, Seen):
            return decide(self.collection, outcome.evidence, shipped(), self.tx.now)
        refusal = _refusal(outcome)
        assert refusal
        return refusal

    def _erased(self, pending: Pending, outcome: Looked | Exception, *, same: bool) -> ErasedBefore | None:
        """The erasure that reached this photo, be it while it was being looked at; the same picture counts if it is new."""
        if erasure := suppressed_by(self.tx, self.source, pending.address, pending.sha256):
            return erasure
        if same or not (isinstance(outcome, Looked) and isinstance(outcome.outcome, Seen)):
            return None  # a group photo that stays for the others
        return suppressions.like(self.tx, outcome.outcome.imprints)

    def _ordered(self, pending: Pending, outcome: Looked | Exception) -> bool:
        """Whether an order keeps the photo out; then it is counted and logged, and nothing of it is stored."""
        looked = outcome if isinstance(outcome, Looked) else None
        evidence = looked.evidence if looked else collect(None, self.source.country, pending.address.path)
        shown = looked.outcome.faces if looked and isinstance(looked.outcome, Seen) else ()
        subjects = self.enrolled.matched(face.template for face in shown)
        taken_at = looked.facts.taken_at if looked else None
        found = ordered(self.orders, self.collection, self.source, evidence, taken_at, self.tx.now, subjects)
        refusal = stopped(found.order) if found else _refusal(outcome)
        if refusal is None or refusal.slug != "order":
            return False
        _count(self.result, refusal)
        public = {"collection": self.collection.id, "reason": refusal.slug, "order": found.id if found else "lifted"}
        self.entries.append(Entry(kind="photo:refused", public=public))
        return True

    def _put(self, pending: Pending, outcome: Looked | Exception, until: datetime | Refusal) -> None:
        looked = outcome if isinstance(outcome, Looked) else None
        refusal = until if isinstance(until, Refusal) else None
        seen = looked.outcome if looked and isinstance(looked.outcome, Seen) and not refusal else None
        expires_at = (
            until if isinstance(until, datetime) else self.tx.now + timedelta(days=self.collection.retention_days or 0)
        )
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
            added_at=self.tx.now,
            expires_at=expires_at,
            evidence=looked.evidence if looked else (),
            faces=len(seen.faces) if seen else 0,
        )
        extra: dict[str, Any] = {"size": pending.address.size, "modified_ns": pending.address.modified_ns}
        if looked:
            extra |= {"latitude": looked.facts.latitude, "longitude": looked.facts.longitude}
            extra["reserved"] = [(each.text, each.origin) for each in looked.reserved]
        if refusal:
            extra["refused"] = refusal.sentence
        if seen:
            extra["imprint"] = seen.imprint
        item = photos.put(
            self.tx,
            photo,
            stat=photos.stat_token(self.tx, self.source.id, pending.address),
            content=photos.content_token(self.tx, pending.sha256),
            sha256=pending.sha256,
            scan=self.scan,
            enrolments=self.enrolments,
            extra=extra,
        )
        if refusal:
            _count(self.result, refusal)
            self._log_refused(refusal.slug, ((item, {"photo": photo.id}),))
            return
        assert seen
        kept = self._keep(photo.id, expires_at, seen.faces, seen.model)
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

    def _look_again(self, known: photos.Known, seen: Seen, until: datetime) -> None:
        """A photo in which a subject enrolled since may appear: keep the faces that now match, and no face twice."""
        photo = photos.find(self.tx, known.id)
        held = [face.box for face in faces.of_photo(self.tx, known.id)]
        new = tuple(face for face in seen.faces if not any(same_face(face.box, box) for box in held))
        until = min(until, photo.expires_at)
        kept = self._keep(known.id, until, new, seen.model)
        photos.met(self.tx, [known.id], self.scan)
        photos.renew(self.tx, known.id, enrolments=self.enrolments)
        self.result.unchanged += 1
        self.result.looked_at -= 1
        if kept:
            public = {"collection": self.collection.id, "kept": len(kept), "until": log.stamp(until)}
            parts = ((known.item, {"photo": known.id}), *kept)
            self.entries.append(Entry(kind="photo:matched", public=public, parts=parts))

    def _keep(
        self,
        photo_id: str,
        expires_at: datetime,
        seen: tuple[SeenFace, ...],
        model: str,
    ) -> list[tuple[int, dict[str, str]]]:
        parts: list[tuple[int, dict[str, str]]] = []
        places = links.barred(self.tx, photo_id)
        for face in seen:
            template = None if face.template is None else face.template @ self.enrolled.transform
            barred = {subject_id for box, subject_id in places if same_face(face.box, box)}
            subject = None if template is None else self.enrolled.match(template, barred)
            consent = None if subject is None else self.enrolled.consents[subject]
            out = self.kept_out.matches(face.template)
            until = keep(
                self.collection, face, kept_out=out, consent=consent, photo_expires_at=expires_at, now=self.tx.now
            )
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
                self.tx,
                face_id,
                face,
                template=template,
                photo_id=photo_id,
                collection_id=self.collection.id,
                subject_id=None if subject is None else self.enrolled.ids[subject],
                enrolled=False,
                model=model,
                expires_at=until,
            )
            self.result.faces += 1
            parts.append((item, {"face": face_id}))
        return parts

    def _log_refused(self, slug: str, parts: tuple[tuple[int, dict[str, str]], ...] = ()) -> None:
        public = {"collection": self.collection.id, "reason": slug}
        self.entries.append(Entry(kind="photo:refused", public=public, parts=parts))


def suppressed_by(tx: Tx, source: Source, address: Address, sha256: bytes) -> ErasedBefore | None:
    """The erasure that reached this content, or this address of a source, before."""
    return suppressions.reached(
        tx,
        suppressions.content(tx, sha256),
        suppressions.address(tx, source.location, address.path),
        suppressions.expired(tx, source.collection_id, sha256),
    )


def refuse_erased(result: Added, collection: Collection, erasure: ErasedBefore) -> Entry:
    """Count a photo that was erased before, of which nothing is stored, and return the line for the log."""
    refusal = erased_before(erasure)
    _count(result, refusal)
    public = {"collection": collection.id, "reason": refusal.slug, "erasure": erasure.erasure_id, "by": erasure.by}
    return Entry(kind="photo:refused", public=public)


def _count(result: Added, refusal: Refusal) -> None:
    result.refused[refusal.slug] = result.refused.get(refusal.slug, 0) + 1
    result.sentences[refusal.slug] = refusal.sentence


def _refusal(outcome: Looked | Exception) -> Refusal | None:
    if isinstance(outcome, errors.BadImage):
        return Refusal(slug=outcome.reason, sentence=str(outcome))
    assert isinstance(outcome, Looked)
    return outcome.outcome if isinstance(outcome.outcome, Refusal) else None
