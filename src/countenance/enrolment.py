"""Enrolling a person from several photos, under their consent."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from countenance import errors, ids
from countenance.audit import log
from countenance.gate.admit import admit, erased_before, lacks
from countenance.gate.keep import KEPT_OUT
from countenance.gate.reach import ordered, stopped
from countenance.gate.rule import decide
from countenance.gate.rulebook import shipped
from countenance.gate.same import odd_one
from countenance.index.exact import Exact
from countenance.look import look_at_portrait
from countenance.records import (
    Address,
    Collection,
    Consent,
    Entry,
    Looked,
    Photo,
    Refusal,
    Seen,
    Source,
    Subject,
)
from countenance.store import collections, faces, orders, photos, sources, subjects, suppressions
from countenance.store.database import Database, Tx
from countenance.store.wishes import KeptOut
from countenance.vision.picture import content_of
from countenance.vision.pool import Pool

KIND = "enrolment"
ADVISED = 2  # photos: on news photographs the mean of two misses 1.4 % where one misses 6.9 %
WEAK = 50  # of 100: a quality below it is said at enrolment


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """One enrolment photo that was looked at and found usable."""

    path: str
    address: Address
    sha256: bytes
    looked: Looked
    seen: Seen


def check(name: str, consent: Consent, now: datetime) -> None:
    """Refuse an enrolment whose words do not add up."""
    if not name.strip():
        raise errors.UsageError("A subject needs a name. Nobody was enrolled.")
    if not (consent.by.strip() and consent.text.strip()):
        raise errors.UsageError("A consent record says who consented and to what text. Nobody was enrolled.")
    if consent.given_at.tzinfo is None or consent.until.tzinfo is None:
        raise errors.UsageError("The dates of a consent need a time zone. Nobody was enrolled.")
    if not consent.given_at <= now < consent.until:
        raise errors.UsageError(
            "The consent is not in force now: it was given later, or has ended. Nobody was enrolled."
        )


def look(
    database: Database, pool: Pool, collection: Collection, paths: Sequence[str], *, cache: Path
) -> list[Portrait]:
    """Look at the photos in worker processes; raise at the first that cannot be used, before anything is kept."""
    if not paths:
        raise errors.UsageError("An enrolment needs at least one photo, better two or three. Nobody was enrolled.")
    portraits: list[Portrait] = []
    for path in paths:
        content = content_of(path)
        sha256 = hashlib.sha256(content).digest()
        if any(sha256 == portrait.sha256 for portrait in portraits):
            raise errors.UsageError("The same photo was given twice. Nobody was enrolled.")
        with database.read() as tx:
            suppressed_by = suppressions.reached(tx, suppressions.content(tx, sha256))
        refused = admit(collection, b"", evidence=(), suppressed_by=suppressed_by, now=database.clock())
        if isinstance(refused, Refusal):
            raise errors.Refused(refused.sentence)
        looked = pool.submit(look_at_portrait, content, collection, database.clock(), cache).result()
        seen = looked.outcome
        if isinstance(seen, Refusal):
            raise errors.Refused(seen.sentence)
        with database.read() as tx:
            if same_picture := suppressions.like(tx, seen.imprints):
                raise errors.Refused(erased_before(same_picture).sentence)
        if len(seen.faces) != 1:
            raise errors.NoFace(
                f"{path} shows {len(seen.faces) or 'no'} faces; an enrolment photo shows exactly one. Nobody was enrolled."
            )
        if seen.faces[0].template is None:
            raise errors.NoFace(f"{path} cannot be used. {' '.join(seen.faces[0].reasons)} Nobody was enrolled.")
        stat = Path(path).stat()
        address = Address(path=path, size=stat.st_size, modified_ns=stat.st_mtime_ns)
        portraits.append(Portrait(path=path, address=address, sha256=sha256, looked=looked, seen=seen))
    templates = np.stack([portrait.seen.faces[0].template for portrait in portraits])  # type: ignore[misc]
    if (odd := odd_one(templates)) is not None:
        raise errors.UsageError(
            f"{portraits[odd].path} seems to show somebody else than another photo. Nobody was enrolled."
        )
    return portraits


def enrol(
    database: Database,
    collection: Collection,
    name: str,
    consent: Consent,
    portraits: Sequence[Portrait],
    *,
    transform: Callable[[Tx], NDArray[np.float32]],
    kept_out: Callable[[Tx], KeptOut],
) -> Subject:
    """Store the subject, the consent and one template a photo, in one transaction."""
    subject = Subject(
        id=ids.new("subject"),
        collection_id=collection.id,
        name=name,
        consent=consent,
        faces=len(portraits),
        warnings=_warnings(portraits),
    )
    with database.write() as tx:
        collection = collections.find(tx, collection.id)  # another process may have changed it meanwhile
        if lacking := lacks(collection, tx.now.date()):
            raise lacking
        out = kept_out(tx)
        if any(out.matches(portrait.seen.faces[0].template) for portrait in portraits):
            raise errors.Refused(f"{KEPT_OUT.sentence} Nobody was enrolled.")
        out.clear()
        item = subjects.insert(tx, subject)
        source = _source(tx, collection)
        matrix = transform(tx)
        parts, in_force = [(item, {"subject": subject.id})], orders.in_force(tx)
        for portrait in portraits:
            by_content = suppressions.reached(tx, suppressions.content(tx, portrait.sha256))
            if meanwhile := by_content or suppressions.like(tx, portrait.seen.imprints):
                raise errors.Refused(f"{portrait.path}: {erased_before(meanwhile).sentence} Nobody was enrolled.")
            if photos.known(tx, source.id, portrait.address):
                raise errors.UsageError(f"{portrait.path} is an enrolment photo already. Nobody was enrolled.")
            until = decide(collection, portrait.looked.evidence, shipped(), tx.now)
            if isinstance(until, Refusal):
                raise errors.Refused(f"{portrait.path}: {until.sentence} Nobody was enrolled.")
            expires_at = min(until, consent.until)
            photo = Photo(
                id=ids.new("photo"),
                collection_id=collection.id,
                source_id=source.id,
                address=portrait.path,
                state="held",
                reason=None,
                width=portrait.seen.width,
                height=portrait.seen.height,
                taken_at=portrait.looked.facts.taken_at,
                added_at=tx.now,
                expires_at=expires_at,
                evidence=portrait.looked.evidence,
                faces=1,
            )
            facts = portrait.looked.facts
            binding = ordered(in_force, collection, source, photo.evidence, facts.taken_at, tx.now, {subject.id})
            if binding:
                raise errors.Refused(f"{portrait.path}: {stopped(binding.order).sentence} Nobody was enrolled.")
            photo_item = photos.put(
                tx,
                photo,
                stat=photos.stat_token(tx, source.id, portrait.address),
                content=photos.content_token(tx, portrait.sha256),
                sha256=portrait.sha256,
                scan=0,
                enrolments=0,
                extra={
                    "size": portrait.address.size,
                    "modified_ns": portrait.address.modified_ns,
                    "imprint": portrait.seen.imprint,
                    "latitude": facts.latitude,
                    "longitude": facts.longitude,
                    "reserved": [(each.text, each.origin) for each in portrait.looked.reserved],
                },
            )
            face = portrait.seen.faces[0]
            assert face.template is not None
            face_id = ids.new("face")
            face_item = faces.put(
                tx,
                face_id,
                face,
                template=face.template @ matrix,
                photo_id=photo.id,
                collection_id=collection.id,
                subject_id=subject.id,
                enrolled=True,
                model=portrait.seen.model,
                expires_at=expires_at,
            )
            parts += [(photo_item, {"photo": photo.id}), (face_item, {"face": face_id})]
        collections.count_enrolment(tx, collection.id)
        public = {"collection": collection.id, "photos": len(portraits), "until": log.stamp(consent.until)}
        log.append(tx, Entry(kind="subject:enrolled", public=public, parts=tuple(parts)))
    return subject


def link(
    database: Database, subject: Subject, index_of: Callable[[Tx, str], Exact], *, threshold: Callable[[int], float]
) -> int:
    """Link the faces that a collection of mode all held before with the subject they match; returns how many."""
    with database.write() as tx:
        engine = index_of(tx, subject.collection_id)
        mean = subjects.mean_template(tx, subject.id)
        if mean is None:
            return 0
        found = engine.search(mean.reshape(1, -1), threshold=threshold(len(engine)), now=tx.second)
        rows = [int(row) for row in found[0][0]]
        free = [face for face in faces.stored(tx, row=rows, state="held") if face.subject_id is None]
        for face in free:
            faces.link(tx, face.id, subject.id)
        parts = ((subjects.item_of(tx, subject.id), {"subject": subject.id}), *((f.item, {"face": f.id}) for f in free))
        public = {"collection": subject.collection_id, "faces": len(free)}
        log.append(tx, Entry(kind="subject:linked", public=public, parts=parts))
    return len(free)


def _source(tx: Tx, collection: Collection) -> Source:
    """The collection's source of enrolment photos, made at the first enrolment."""
    if found := sources.at(tx, collection.id, KIND):
        return found
    evidence = "the consent records of the subjects"
    source = Source(
        id=ids.new("source"),
        collection_id=collection.id,
        kind=KIND,
        location=KIND,
        controller=collection.controller or "",
        evidence=evidence,
        evidence_sha256=hashlib.sha256(evidence.encode()).hexdigest(),
        on_erase="worklist",
    )
    sources.insert(tx, source)
    return source


def _warnings(portraits: Sequence[Portrait]) -> tuple[str, ...]:
    found = []
    if len(portraits) < ADVISED:
        found.append("One photo was given; with two or three far fewer photos of this person are missed.")
    for n, portrait in enumerate(portraits, 1):
        quality = portrait.seen.faces[0].quality
        weak = [measure for measure in type(quality).__slots__ if getattr(quality, measure) < WEAK]
        if weak:
            found.append(f"Photo {n} is weak in {' and '.join(weak)}; a better one would find more.")
    return tuple(found)
