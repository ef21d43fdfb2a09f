"""The laws of a photo's place as data, and what follows from them: pure decisions, with reasons.

::

    reached = applying(rules, reach(evidence, stated), on=now.date())
    must(collection, stated, reached, on=now.date())    # a Refusal, or None
    expires(now, collection.retention_days, reached)    # the shortest wins

`rulebook` reads the rules from `rules/*.toml`. A rule is what its law says, not advice: where a law has no number, the
field is None and nothing is counted.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from countenance.gate.place import canonical, contains
from countenance.records import Collection, Evidence, Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """One thing a law asks for: where it stands, and what it says in our words."""

    article: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention(Duty):
    """How long a face may be kept."""

    months: int | None = None  # calendar months; None where the law has no such number
    days: int | None = None
    counted_from: Literal["contact", "purpose"] | None = (
        None  # the last contact with the person; the end of the purpose
    )
    ends_with_purpose: bool = False  # nothing may be kept once the purpose is over


@dataclass(frozen=True, slots=True, kw_only=True)
class Age(Duty):
    """From which age a person consents for themselves."""

    under: int | None = None  # years; somebody else consents for whoever is younger
    lowest: int | None = None  # the lowest that a part of the territory may set instead


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition(Duty):
    """What makes templates lawful at all."""

    art9: tuple[str, ...] = ()  # the keys of records.ART9 that meet it; empty: any of them
    enrolled_only: bool = False  # each person agrees first, so faces of others may not be kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement(Duty):
    """What a collection must state besides what every collection must."""

    field: str  # a key of STATED


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration(Duty):
    """That an authority is told before a database of templates is brought into service."""

    authority: str
    days: int  # before


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The law of one jurisdiction, as far as it decides anything here."""

    name: str  # of its file
    law: str
    link: str  # to the official text
    territories: tuple[str, ...]
    since: date
    until: date | None  # the last day in force
    who: str  # whom it binds; never decided here, a rule always applies
    retention: Retention
    age: Age
    notice: Duty
    condition: Condition
    representative: Duty | None
    declaration: Declaration | None
    states: tuple[Statement, ...]
    confirmed: tuple[str, ...]  # what was looked up, and where
    unconfirmed: tuple[str, ...]  # what was not found, or not in the official text


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What a collection states because some law asks for it. A field that is None is not stated."""

    takes_in: tuple[str, ...] = ()  # territories whose people it may take in; empty: not said, so any
    established: str | None = None  # territory where the controller is established
    representative: str | None = None  # who stands in for a controller from elsewhere, and how to reach them
    policy: str | None = None  # where the public, written retention policy stands
    release: str | None = None  # how each person's signed release is obtained and kept
    declared_on: date | None = None  # when the database was declared to the authority
    purpose_ends: date | None = None  # from this day on, UTC, the purpose is over
    youngest: int | None = None  # years, of the people it takes in
    guardians: str | None = None  # how those who speak for children consent


STATED = {
    "policy": "where its written, public retention policy stands",
    "release": "how each person's signed release is obtained and kept",
}


def reach(evidence: Iterable[Evidence], stated: Stated) -> tuple[str, ...]:
    """Return the territories whose law protects the people in a photo; empty means any.

    They are those that the evidence names, else those that the collection takes people in from; and where that is known,
    the controller's own, whose law binds it wherever the photo was taken.
    """
    places = {each.territory for each in evidence} or set(stated.takes_in)
    return tuple(sorted(places | {stated.established} if stated.established else places)) if places else ()


def applying(rules: Iterable[Rule], territories: Iterable[str], on: date) -> tuple[Rule, ...]:
    """Return the rules in force on a day for a photo of these territories; without any, all: unknown is in scope.

    A country whose part is not known may be any of its parts: US alone brings in US-IL, US together with US-CA does not.
    """
    force = tuple(rule for rule in rules if rule.since <= on and (rule.until is None or on <= rule.until))
    codes = {canonical(territory) for territory in territories}
    known = {code for code in codes if code is not None}
    if not known or len(known) < len(codes):
        return force
    exact = [code for code in known if not any(code != other and contains(code, other) for other in known)]
    return tuple(rule for rule in force if any(_overlap(place, code) for place in rule.territories for code in exact))


def _overlap(place: str, code: str) -> bool:
    return contains(place, code) or contains(code, place)


def must(collection: Collection, stated: Stated, rules: Iterable[Rule], on: date) -> Refusal | None:
    """Return why a rule keeps the collection from holding faces, or None. `on` is the day of the decision, UTC."""
    for rule in rules:
        for check in CHECKS:
            if gap := check(rule, collection, stated, on):
                slug, duty, words = gap
                sentence = f"{rule.law}, {duty.article}: the collection {collection.name} {words}. No face was kept."
                return Refusal(slug=slug, sentence=sentence)
    return None


Gap = tuple[str, Duty, str]
"""Slug, what asks for it, and the predicate of a sentence about the collection."""


def _consent(rule: Rule, collection: Collection, _stated: Stated, _on: date) -> Gap | None:
    if not rule.condition.art9 or collection.art9 in rule.condition.art9:
        return None
    wanted = " or ".join(rule.condition.art9)
    return "needs-consent", rule.condition, f"needs the condition {wanted}, and has {collection.art9 or 'none'}"


def _enrolled(rule: Rule, collection: Collection, _stated: Stated, _on: date) -> Gap | None:
    if not rule.condition.enrolled_only or collection.mode == "enrolled":
        return None
    return "needs-enrolment", rule.condition, "keeps faces of people who never agreed (mode all); choose mode enrolled"


def _notice(rule: Rule, collection: Collection, _stated: Stated, _on: date) -> Gap | None:
    return None if collection.notice else ("needs-notice", rule.notice, "does not state how and when people were told")


def _statements(rule: Rule, _collection: Collection, stated: Stated, _on: date) -> Gap | None:
    missing = (each for each in rule.states if not getattr(stated, each.field))
    return next(((f"needs-{each.field}", each, f"does not state {STATED[each.field]}") for each in missing), None)


def _representative(rule: Rule, _collection: Collection, stated: Stated, _on: date) -> Gap | None:
    if rule.representative is None or stated.representative:
        return None
    if stated.established and any(contains(place, stated.established) for place in rule.territories):
        return None
    words = f"states neither a representative nor a controller established in {', '.join(rule.territories)}"
    return "needs-representative", rule.representative, words


def _declared(rule: Rule, _collection: Collection, stated: Stated, on: date) -> Gap | None:
    duty = rule.declaration
    if duty is None:
        return None
    if stated.declared_on is None:
        return "needs-declaration", duty, f"does not state when it was declared to the {duty.authority}"
    begins = stated.declared_on + timedelta(days=duty.days)
    if on >= begins:
        return None
    return "declared-too-late", duty, f"may not begin before {begins}, {duty.days} days after it was declared"


def _children(rule: Rule, _collection: Collection, stated: Stated, _on: date) -> Gap | None:
    if rule.age.under is None or stated.youngest is None or stated.youngest >= rule.age.under or stated.guardians:
        return None
    words = f"takes in people under {rule.age.under} and does not state how those who speak for them consent"
    return "needs-guardians", rule.age, words


CHECKS: tuple[Callable[[Rule, Collection, Stated, date], Gap | None], ...] = (
    *(_consent, _enrolled, _notice, _statements, _representative, _declared, _children),
)


def expires(
    now: datetime,
    retention_days: int,
    rules: Iterable[Rule],
    *,
    purpose_ends: date | None = None,
    last_contact: datetime | None = None,
) -> datetime:
    """Return until when a face taken in at `now` may be kept: the shortest of the collection's and every rule's term.

    `now` and `last_contact` are aware. What is not known is counted from `now`, which is never later than the law's own
    beginning: the last contact is at least the day of taking in, and a purpose that has begun has not ended before.
    """
    ends = [now + timedelta(days=retention_days)]
    over = datetime.combine(purpose_ends, time(), UTC) if purpose_ends else None
    for rule in rules:
        term = rule.retention
        begins = (over if term.counted_from == "purpose" else last_contact) or now
        if term.months is not None:
            ends.append(add_months(begins, term.months))
        if term.days is not None:
            ends.append(begins + timedelta(days=term.days))
        if term.ends_with_purpose and over:
            ends.append(over)
    return min(ends)


def decide(
    collection: Collection, stated: Stated, evidence: Iterable[Evidence], rules: Iterable[Rule], now: datetime
) -> datetime | Refusal:
    """Decide on one photo by the law of its place: until when its faces may be kept, or why they may not.

    The collection is one that `admit.missing` and `admit.invalid` have nothing to say of.
    """
    reached = applying(rules, reach(evidence, stated), now.date())
    if refusal := must(collection, stated, reached, now.date()):
        return refusal
    assert collection.retention_days
    end = expires(now, collection.retention_days, reached, purpose_ends=stated.purpose_ends)
    if end > now:
        return end
    return Refusal(
        slug="purpose-over", sentence=f"The purpose of the collection {collection.name} is over. No face was kept."
    )


def add_months(moment: datetime, months: int) -> datetime:
    """Return the same day and time so many calendar months later, or the month's last day where it has no such day."""
    years, month = divmod(moment.month - 1 + months, 12)
    year, month = moment.year + years, month + 1
    return moment.replace(year=year, month=month, day=min(moment.day, monthrange(year, month)[1]))
