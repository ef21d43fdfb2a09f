"""Who may be looked at: the only maker of `Admitted`, and so the only way to a template (promise P1).

::

    >>> admitted = admit(collection, content, evidence=(), suppressed_by=None, now=now)
    >>> isinstance(admitted, Refusal)
    True
    >>> admitted.sentence
    'The collection Club cannot hold faces yet. It needs: a notice …'

What is decided of a collection as a whole (`lacks`) is decided before any photo of it is opened, and again for each.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, datetime

from countenance import errors
from countenance.gate.place import canonical
from countenance.gate.reach import stopped
from countenance.gate.reservations import refusal
from countenance.gate.rule import NOTICE, Gap, binding, decide, gaps, must
from countenance.gate.rulebook import shipped
from countenance.records import (
    ART6,
    ART9,
    Admitted,
    Collection,
    Consent,
    ErasedBefore,
    Evidence,
    InForce,
    Refusal,
    Reservation,
)

STATED = {
    "purpose": "a purpose",
    "controller": "a controller",
    "contact": "a contact for the people in the photos",
    "art6": "a basis under Art. 6 GDPR",
    "art9": "a condition under Art. 9 GDPR",
    "notice": NOTICE,
    "retention_days": "a retention in days",
}
JUSTIFICATION = "a justification (why templates of people who are not enrolled are needed, mode all)"
ANYWHERE = "the places whose people it takes in (until it says, every law counts, and it needs {all})"

OLDEST = 120  # years of the youngest that it takes in

MAX_RETENTION_DAYS = 36_525  # 100 years: more is a slip of the pen, and a date must come out

RECOGNISED = {
    "content": "it is the same file",
    "address": "it has the same address",
    "picture": "it is the same picture, encoded again, resized, trimmed or mirrored",
}


def lacks(collection: Collection, on: date) -> errors.Incomplete | None:
    """All that the collection still needs before it may hold a face on a day (UTC), as one error; None if nothing."""
    needs = _needs(collection, on)
    if not needs:
        return None
    options = dict.fromkeys(option for option, _ in needs if option)
    command = " ".join(("countenance collection set", shlex.quote(collection.name), *options))
    return errors.Incomplete(name=collection.name, missing="; ".join(words for _, words in needs), command=command)


def missing(collection: Collection, on: date) -> tuple[str, ...]:
    """The same as a list of words; empty if nothing."""
    return tuple(words for _, words in _needs(collection, on))


def _needs(collection: Collection, on: date) -> list[tuple[str, str]]:
    """What is needed, as option of the command line and words, by every collection and by the law of its people's places.

    One that does not say where those are is asked for that, which may settle the rest.
    """
    home = "" if collection.established else f" {_option('established')}"
    own = {field: words for field, words in STATED.items() if not getattr(collection, field)}
    if collection.mode == "all" and not collection.justification:
        own["justification"] = JUSTIFICATION
    found = list(gaps(collection, binding(collection, (), shipped(), on), on))
    if collection.takes_in:
        own = {field: words for field, words in own.items() if field not in {gap.field for gap in found}}
        law = [(option + home if "representative" in option else option, words) for option, words in _by_law(found)]
    else:
        asked = [words for _, words in _by_law(gap for gap in found if gap.field not in own)]
        law = [(_option("takes_in") + home, ANYWHERE.format(all=", ".join(asked)))] if asked else []
    return [(_option(field), words) for field, words in own.items()] + law


def _by_law(found: Iterable[Gap]) -> Iterator[tuple[str, str]]:
    """Each need once, with the articles that ask for it."""
    by_need: dict[tuple[str, str], list[str]] = {}
    for gap in found:
        option = _option(gap.field, gap.value) if gap.field else ""
        by_need.setdefault((option, gap.needs), []).append(f"{gap.rule.name.upper()} {gap.duty.article}")
    for (option, needs), articles in by_need.items():
        yield option, f"{needs} [{', '.join(articles)}]"


def _option(field: str, value: str = "…") -> str:
    return f"--{field.replace('_', '-')} {value}"


def lawful(collection: Collection, evidence: Iterable[Evidence], now: datetime) -> bool:
    """Whether the law of a held photo's places still lets its faces be shown."""
    today = now.date()
    return must(collection, binding(collection, evidence, shipped(), today), today) is None


def invalid(collection: Collection) -> str | None:
    """The first field whose value cannot be, as a sentence; None if all can."""
    c, places = collection, (*collection.takes_in, collection.established)
    strange = next((code for code in places if code and canonical(code) != code), None)
    wrong = {
        f"{c.art6} is no basis under Art. 6 GDPR; choose one of {', '.join(ART6)}.": c.art6 and c.art6 not in ART6,
        f"{c.art9} is no condition under Art. 9 GDPR; choose one of {', '.join(ART9)}.": c.art9 and c.art9 not in ART9,
        f"{c.mode} is no recognition mode; choose enrolled or all.": c.mode not in {"enrolled", "all"},
        f"A retention of {c.retention_days} days cannot be; choose 1 to {MAX_RETENTION_DAYS}.": c.retention_days
        is not None
        and not 1 <= c.retention_days <= MAX_RETENTION_DAYS,
        f"{strange} is no territory; write it as ISO 3166 does, such as GB, US-IL or CA-QC.": strange,
        f"An age of {c.youngest} years cannot be; choose 0 to {OLDEST}.": c.youngest is not None
        and not 0 <= c.youngest <= OLDEST,
    }
    return next((sentence for sentence, is_so in wrong.items() if is_so), None)


def admit(
    collection: Collection,
    content: bytes,
    *,
    evidence: Iterable[Evidence],
    reserved: Iterable[Reservation] = (),
    suppressed_by: ErasedBefore | None,
    now: datetime,
    ordered: InForce | None = None,
) -> Admitted | Refusal:
    """Decide whether faces may be looked for in a photo of the collection, and until when they may be kept.

    `evidence` is all that is known of where it is from, whose law counts; `reserved` what its owner reserved;
    `suppressed_by` the erasure that reached this photo before, if one did; `ordered` the order in force that stops it
    (`reach.binding`).
    """
    if suppressed_by:
        return erased_before(suppressed_by)
    if ordered:
        return stopped(ordered.order)
    if kept_back := refusal(reserved):
        return kept_back
    return _basis(collection, content, purpose=collection.purpose, evidence=evidence, now=now)


def erased_before(suppressed_by: ErasedBefore) -> Refusal:
    """The refusal of a photo that an erasure reached before, or whose time in this collection is over."""
    if suppressed_by.by == "expired":
        return Refusal(
            slug="expired-before",
            sentence="This photo's time in this collection is over, and what was held of it is erased "
            f"(erasure {suppressed_by.erasure_id}). It stays out of this collection. No face was kept.",
        )
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
    return _basis(collection, content, purpose=purpose, evidence=(), now=now)


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


def admit_request(
    collection: Collection,
    content: bytes,
    *,
    request: str,
    evidence: Iterable[Evidence] = (),
    reserved: Iterable[Reservation] = (),
    now: datetime,
) -> Admitted | Refusal:
    """Decide whether faces may be looked for to answer one person's request: in the picture they offer, or in a photo.

    It is leave to compare and to forget: nothing of it may be kept, so it expires at `now`.
    """
    if kept_back := refusal(reserved):
        return kept_back
    found = _basis(collection, content, purpose=f"answering request {request}", evidence=evidence, now=now)
    return replace(found, expires_at=now) if isinstance(found, Admitted) else found


def _basis(
    collection: Collection, content: bytes, *, purpose: str | None, evidence: Iterable[Evidence], now: datetime
) -> Admitted | Refusal:
    if lacking := lacks(collection, now.date()):
        return Refusal(slug="incomplete", sentence=str(lacking))
    if wrong := invalid(collection):
        return Refusal(slug="invalid", sentence=wrong)
    until = decide(collection, evidence, shipped(), now)
    if isinstance(until, Refusal):
        return until
    assert purpose
    assert collection.art6
    assert collection.art9
    assert collection.notice
    return Admitted(
        collection_id=collection.id,
        purpose=purpose,
        art6=collection.art6,
        art9=collection.art9,
        notice=collection.notice,
        expires_at=until,
        content=content,
    )
