"""Who may be looked at: the only maker of `Admitted`, and so the only way to a template (promise P1).

::

    >>> admitted = admit(collection, content, suppressed_by=None, now=now)
    >>> isinstance(admitted, Refusal)
    True
    >>> admitted.sentence
    'The collection Club does not state: its notice.'
"""

from __future__ import annotations

from datetime import datetime, timedelta

from countenance.gate.reach import stopped
from countenance.records import ART6, ART9, Admitted, Collection, Consent, ErasedBefore, InForce, Refusal

STATED = {
    "purpose": "its purpose",
    "controller": "its controller",
    "contact": "a contact for the people in the photos",
    "art6": "its basis under Art. 6 GDPR",
    "art9": "its condition under Art. 9 GDPR",
    "notice": "its notice (how and when people were told, or which exemption holds)",
    "retention_days": "its retention",
}

MAX_RETENTION_DAYS = 36_525  # 100 years: more is a slip of the pen, and a date must come out

RECOGNISED = {
    "content": "it is the same file",
    "address": "it has the same address",
    "picture": "it is the same picture, encoded again, resized, trimmed or mirrored",
}


def missing(collection: Collection) -> tuple[str, ...]:
    """What the collection must still state before it may hold a face, in words; empty if nothing."""
    gaps = [words for field, words in STATED.items() if not getattr(collection, field)]
    if collection.mode == "all" and not collection.justification:
        gaps.append("why templates of people who are not enrolled are needed (mode all)")
    return tuple(gaps)


def invalid(collection: Collection) -> str | None:
    """The first field whose value cannot be, as a sentence; None if all can."""
    if collection.art6 and collection.art6 not in ART6:
        return f"{collection.art6} is no basis under Art. 6 GDPR; choose one of {', '.join(ART6)}."
    if collection.art9 and collection.art9 not in ART9:
        return f"{collection.art9} is no condition under Art. 9 GDPR; choose one of {', '.join(ART9)}."
    if collection.mode not in ("enrolled", "all"):
        return f"{collection.mode} is no recognition mode; choose enrolled or all."
    if collection.retention_days is not None and not 1 <= collection.retention_days <= MAX_RETENTION_DAYS:
        return f"A retention of {collection.retention_days} days cannot be; choose 1 to {MAX_RETENTION_DAYS}."
    return None


def admit(
    collection: Collection,
    content: bytes,
    *,
    suppressed_by: ErasedBefore | None,
    now: datetime,
    ordered: InForce | None = None,
) -> Admitted | Refusal:
    """Decide whether faces may be looked for in a photo of the collection.

    `suppressed_by` is the erasure that reached this photo before, if one did; `ordered` the order in force that stops it
    (`reach.binding`). The photo expires at `now` plus the collection's retention.
    """
    if suppressed_by:
        return erased_before(suppressed_by)
    if ordered:
        return stopped(ordered.order)
    return _basis(collection, content, purpose=collection.purpose, now=now)


def erased_before(suppressed_by: ErasedBefore) -> Refusal:
    """The refusal of a photo that an erasure reached before."""
    return Refusal(
        slug="erased-before",
        sentence=f"This photo was erased before (erasure {suppressed_by.erasure_id}: {RECOGNISED[suppressed_by.by]}) and "
        "stays out. No face was kept.",
    )


def admit_probe(
    collection: Collection, content: bytes, *, purpose: str | None, case: str | None, now: datetime
) -> Admitted | Refusal:
    """Decide whether faces may be looked for in a picture that somebody searches or compares with."""
    if not (purpose and purpose.strip()):
        return Refusal(slug="no-purpose", sentence="A search needs its purpose. Nothing was searched.")
    if not (case and case.strip()):
        return Refusal(
            slug="no-case",
            sentence="A search needs its case: a reference under which it can be explained. Nothing was searched.",
        )
    return _basis(collection, content, purpose=purpose, now=now)


def admit_wish(content: bytes, consent: Consent, *, now: datetime) -> Admitted | Refusal:
    """Decide whether the face may be looked for in a photo that a person offers with their wish to be kept out."""
    if not consent.given_at <= now < consent.until:
        return Refusal(slug="wish-not-in-force", sentence="The wish is not in force now. Nothing was kept.")
    return Admitted(
        collection_id="",
        purpose="keeping this person's face out, at their own wish",
        art6="consent",
        art9="explicit-consent",
        notice=consent.text,
        expires_at=consent.until,
        content=content,
    )


def _basis(collection: Collection, content: bytes, *, purpose: str | None, now: datetime) -> Admitted | Refusal:
    gaps = missing(collection)
    if gaps:
        return Refusal(
            slug="incomplete", sentence=f"The collection {collection.name} does not state: {'; '.join(gaps)}."
        )
    if wrong := invalid(collection):
        return Refusal(slug="invalid", sentence=wrong)
    assert purpose
    assert collection.art6
    assert collection.art9
    assert collection.notice
    assert collection.retention_days
    return Admitted(
        collection_id=collection.id,
        purpose=purpose,
        art6=collection.art6,
        art9=collection.art9,
        notice=collection.notice,
        expires_at=now + timedelta(days=collection.retention_days),
        content=content,
    )
