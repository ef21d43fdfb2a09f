"""The nouns: frozen records that carry facts between the parts; functions elsewhere do the work.

Words are those of ISO/IEC 2382-37 (biometrics) and the GDPR. `docs/terms.md` lists them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Template = NDArray[np.float32]
"""Shape (d,), L2 norm 1, d as the model says (SFace: 128)."""

Box = tuple[int, int, int, int]
"""Left, top, width, height in pixels of the picture turned upright."""

Landmarks = tuple[tuple[float, float], ...]
"""Right eye, left eye, nose tip, right and left corner of the mouth (the person's right), in pixels of the picture turned upright."""  # noqa: E501

Mode = Literal["enrolled", "all"]
OnErase = Literal["delete", "redact", "worklist"]

ART6 = {
    "consent": "Art. 6(1)(a) GDPR, consent",
    "contract": "Art. 6(1)(b) GDPR, contract",
    "legal-obligation": "Art. 6(1)(c) GDPR, legal obligation",
    "vital-interests": "Art. 6(1)(d) GDPR, vital interests",
    "public-task": "Art. 6(1)(e) GDPR, public task",
    "legitimate-interests": "Art. 6(1)(f) GDPR, legitimate interests",
}

ART9 = {
    "explicit-consent": "Art. 9(2)(a) GDPR, explicit consent",
    "employment": "Art. 9(2)(b) GDPR, employment and social protection law",
    "vital-interests": "Art. 9(2)(c) GDPR, vital interests",
    "members": "Art. 9(2)(d) GDPR, members of a not-for-profit body",
    "made-public": "Art. 9(2)(e) GDPR, manifestly made public by the person",
    "legal-claims": "Art. 9(2)(f) GDPR, legal claims",
    "public-interest": "Art. 9(2)(g) GDPR, substantial public interest in law",
    "health": "Art. 9(2)(h) GDPR, health or social care",
    "public-health": "Art. 9(2)(i) GDPR, public health",
    "archiving": "Art. 9(2)(j) GDPR, archiving, research or statistics",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """Photos held for one purpose under one basis. What it does not state and a law asks for keeps every face out."""

    id: str
    name: str
    purpose: str | None = None
    controller: str | None = None
    contact: str | None = None
    art6: str | None = None  # a key of ART6
    art9: str | None = None  # a key of ART9
    notice: str | None = None  # where and when the people were told, or which exemption holds
    retention_days: int | None = None
    mode: Mode = "enrolled"
    justification: str | None = None  # needed by mode "all"
    two_person: bool = False  # an order that reaches it needs the approval of two people
    takes_in: tuple[str, ...] = ()  # territories whose people it may take in; empty: not said, so any
    established: str | None = None  # territory where the controller is established
    representative: str | None = None  # who stands in for a controller from elsewhere, and how to reach them
    policy: str | None = None  # where the public, written retention policy stands
    release: str | None = None  # how each person's signed release is obtained and kept
    declared_on: date | None = None  # when the database was declared to the authority
    purpose_ends: date | None = None  # from this day on, UTC, the purpose is over
    youngest: int | None = None  # years, of the people it takes in
    guardians: str | None = None  # how those who speak for children consent


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where photos come from, and by what right."""

    id: str
    collection_id: str
    kind: str  # a key of sources.OPENERS, or "enrolment"
    location: str  # folder or archive path
    controller: str
    evidence: str  # the text, or the name of the file, that shows control or permission
    evidence_sha256: str
    country: str | None = None  # ISO 3166-1 alpha-2, or with a subdivision as in US-IL
    on_erase: OnErase = "worklist"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One photo as its source lists it, before anything is read."""

    path: str  # inside the source; a name that is not UTF-8 is surrogate-escaped
    size: int  # bytes
    modified_ns: int  # since the epoch, UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One recorded fact about jurisdiction. Never inferred from a face."""

    kind: Literal["gps", "iptc", "xmp", "source", "tld", "residence", "operator"]
    territory: str  # ISO 3166-1 alpha-2, or ISO 3166-2 as in US-IL, GB-SCT
    origin: str  # where it was read, such as "EXIF GPS position"; nothing personal


Reserves = Literal["mining", "inference", "search", "ai", "training", "generation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """One signal that the owner of a picture reserves it. Its text is made of the standard's own words, never the file's."""

    kind: Literal["plus", "c2pa", "tdmrep", "aipref", "noai"]
    reserves: Reserves
    origin: str  # where it stood, such as "XMP"
    text: str  # at most 200 characters, nothing personal


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFacts:
    """What a picture's own bytes say, read without decoding its pixels."""

    format: str  # Pillow's name, such as "JPEG"
    width: int  # pixels, as stored
    height: int
    taken_at: str | None  # EXIF DateTimeOriginal as ISO 8601 without zone, if it parses
    latitude: float | None  # degrees, WGS 84
    longitude: float | None
    evidence: tuple[Evidence, ...]  # gps, iptc, xmp


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """Leave to look for faces in one picture. Only `gate.admit` makes one, and every field of the basis is there."""

    collection_id: str
    purpose: str
    art6: str
    art9: str
    notice: str
    expires_at: datetime
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasedBefore:
    """That an erasure reached a photo before, and how it was recognised."""

    erasure_id: str
    by: Literal["content", "address", "picture", "expired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The gate's no: a slug for machines and a sentence for people."""

    slug: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Quality measures named after ISO/IEC 29794-5, each 0 (unusable) to 100."""

    sharpness: int
    illumination: int
    pose: int
    size: int
    confidence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenFace:
    """One face that vision found in an admitted picture, in memory only."""

    box: Box
    landmarks: Landmarks
    quality: Quality
    reasons: tuple[str, ...]  # why it was not embedded, sentences; empty if it was
    template: Template | None = field(repr=False)  # before the collection's transform
    crop: bytes = field(repr=False)  # JPEG, the face with a margin, long side at most 160 px
    crop_box: Box  # what the crop shows of the picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All that vision found in one picture, largest face first."""

    width: int  # pixels, upright
    height: int
    faces: tuple[SeenFace, ...]
    model: str  # name in vision/models.toml
    imprints: tuple[bytes, ...] = field(repr=False, default=())  # of `vision.imprint`; none of a picture too plain

    @property
    def imprint(self) -> str | None:
        """The imprint that is kept with the photo, in hexadecimal."""
        return self.imprints[0].hex() if self.imprints else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a worker found out about one photo."""

    facts: PictureFacts
    evidence: tuple[Evidence, ...]
    outcome: Seen | Refusal
    reserved: tuple[Reservation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """One held picture."""

    id: str
    collection_id: str
    source_id: str
    address: str
    state: Literal["held", "refused", "vanished", "stopped"]
    reason: str | None  # why it was refused
    width: int | None
    height: int | None
    taken_at: str | None
    added_at: datetime
    expires_at: datetime
    evidence: tuple[Evidence, ...]
    faces: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """One held face."""

    id: str
    photo_id: str
    collection_id: str
    subject_id: str | None
    box: Box
    landmarks: Landmarks
    quality: Quality
    crop_box: Box  # what the face's crop shows of the photo
    model: str
    expires_at: datetime  # unsearchable from then on


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What a subject agreed to."""

    by: str  # who gave it: the person, or who may speak for them
    given_at: datetime
    text: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An enrolled person of one collection."""

    id: str
    collection_id: str
    name: str
    consent: Consent
    faces: int  # enrolment photos held
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A person's own wish to be kept out of the vault: no face that matches is kept while it is in force."""

    id: str
    consent: Consent  # who signed what, from when and until when
    photos: int  # from how many their template was made; none of them is kept
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A candidate that may be shown. Only `search.release` makes one."""

    face_id: str
    photo_id: str
    subject_id: str | None
    subject: str | None  # the subject's name
    score: float  # cosine, -1 to 1
    fpir: float  # share of searches for a stranger in which this gallery gives a score as high; below 1e-6 a guess
    address: str
    source: str  # the source's location
    box: Box
    country: tuple[str, ...]  # territories that the evidence names
    taken_at: str | None
    added_at: datetime
    expires_at: datetime
    because: str  # why it may be shown
    crop_box: Box  # what the crop shows of the photo
    crop: bytes = field(repr=False, default=b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeFace:
    """One face of the probe and what it found."""

    number: int  # from 1, largest first
    box: Box
    quality: Quality | None
    reasons: tuple[str, ...]  # why it could not be searched with
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """The answer to one search. `found` False is an answer too."""

    id: str
    collection_id: str
    purpose: str
    case: str
    fpir: float  # as asked
    threshold: float  # what that means for this model and gallery
    gallery: int  # faces searched
    calibration: str  # which table the error rates come from
    faces: tuple[ProbeFace, ...]
    entry: int  # the log entry of this search

    @property
    def found(self) -> bool:
        """Whether any face has a hit."""
        return any(face.hits for face in self.faces)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The answer to a 1:1 comparison of the largest face of each picture."""

    score: float  # cosine, -1 to 1
    fmr: float  # share of pairs of different people that score as high; below 1e-6 a guess
    threshold: float
    same: bool  # score at or above the threshold
    calibration: str
    boxes: tuple[Box, Box]
    entry: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Exactly what an erasure reaches, computed and frozen. Only `orders.scope` makes one."""

    collection_id: str
    reason: str  # what was asked for: photo, face, subject, source, search, order, request
    photos: tuple[str, ...]  # ids: the whole photo goes, with every face in it
    faces: tuple[str, ...]  # ids: every face that goes; those of no whole photo leave a photo that stays for the others
    subjects: tuple[str, ...]
    sources: tuple[str, ...]  # ids: the record of the source goes too
    request: str | None = None  # the id of the person's request that it answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """One photo that a scope reaches, as it is shown before anything is done."""

    photo_id: str
    address: str
    source: str
    whole: bool  # the photo goes; otherwise only these faces of it
    faces: tuple[str, ...]
    action: Literal["delete", "redact", "worklist"]  # what happens to the file at its source


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What one erasure did, or how far it is."""

    id: str
    collection_id: str
    state: str  # planned, approved, frozen, stopped, keys-destroyed, purged, verified, certified; replayed by a restore
    reason: str
    photos: int
    faces: int
    subjects: int
    files: dict[str, int]  # at the sources: deleted, redacted, worklist, failed
    scan: dict[str, int]  # files, bytes, patterns, hits, control_hits
    unanswered: tuple[str, ...]  # processes that did not acknowledge in time
    request: str | None = None  # the id of the person's request that it answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the log, before it has a number. `public` stays for ever; each part dies with its item's key."""

    kind: str  # noun:verb
    public: dict[str, Any]  # JSON; ids of collections, counts, country codes, dates, slugs; nothing personal
    parts: tuple[tuple[int, dict[str, Any]], ...] = ()  # (item whose key seals it, JSON detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderScope:
    """What an order reaches, as a predicate over evidence and records: see `gate.reach`. Empty means no such criterion."""

    territories: tuple[str, ...] = ()  # ISO 3166-1 alpha-2, or ISO 3166-2 as in US-IL
    unknown: Literal["include", "exclude", "review"] = "include"  # what has no evidence, or too coarse
    collections: tuple[str, ...] = ()  # ids
    sources: tuple[str, ...] = ()  # ids
    subjects: tuple[str, ...] = ()  # ids
    purposes: tuple[str, ...] = ()
    added_from: date | None = None
    added_until: date | None = None  # that day included
    taken_from: date | None = None
    taken_until: date | None = None
    everything: bool = False  # said outright, since an empty scope is refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Whom an order forbids to serve. A search whose origin is not known counts as from there."""

    territories: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalty:
    """Money that an authority asks: once, or for each day after the deadline."""

    currency: str  # ISO 4217
    amount: int  # whole units


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An instruction of a regulator, a court or the operator."""

    authority: str
    country: str  # of the authority
    reference: str
    issued: date
    measures: tuple[Literal["stop", "erase", "answer-first", "refuse-service"], ...]
    scope: OrderScope
    service: Service = Service()
    cease_from: date | None = None
    delete_by: date | None = None
    fine: Penalty | None = None
    daily: Penalty | None = None  # for each day that deletion is late
    note: str = ""
    unconfirmed: tuple[str, ...] = ()  # fields that a draft guessed: none may be left when it is approved


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """An order that stops its scope until it is lifted."""

    id: str
    order: Order
