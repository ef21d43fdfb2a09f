"""The laws of a photo's place as data, and what follows from them: pure decisions, with reasons.

::

    bound = binding(collection, evidence, rules, on=now.date())
    must(collection, bound, on=now.date())            # a Refusal, or None
    expires(now, collection.retention_days, bound)    # the shortest wins

`rulebook` reads the rules from `rules/*.toml`. A rule is what its law says, not advice: where a law has no number, the
field is None and nothing is counted.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterable, Iterator
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


STATED = {
    "policy": "a written, public retention policy, and where it stands",
    "release": "each person's signed release, and how it is obtained and kept",
}


NOTICE = "a notice (how and when people were told, or which exemption holds)"

REFUSALS = (
    *("needs-consent", "needs-enrolment", "needs-notice", "needs-policy", "needs-release", "needs-representative"),
    *("needs-declaration", "declared-too-late", "needs-guardians", "purpose-over"),
)
"""The slugs of what follows from a rule: another statement, or another place, may lift each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What a rule asks for and a collection does not have."""

    slug: str
    rule: Rule
    duty: Duty
    needs: str  # noun phrase: what the collection needs
    field: str | None  # of the collection, that states it; None if nothing stated helps
    value: str = "…"  # what the field must say, if only that will do


def binding(collection: Collection, evidence: Iterable[Evidence], rules: Iterable[Rule], on: date) -> tuple[Rule, ...]:
    """Return the rules in force on a day that bind a collection for a photo with this evidence.

    They are those of the places that the evidence names, else of each that the collection takes people in from, else all;
    and those of the controller's own place, which bind it wherever the photo was taken.
    """
    rules, named = tuple(rules), tuple({each.territory for each in evidence})
    places: list[tuple[str, ...]] = [named] if named else [(each,) for each in collection.takes_in] or [()]
    if collection.established:
        places.append((collection.established,))
    found = {rule.name for each in places for rule in applying(rules, each, on)}
    return tuple(rule for rule in rules if rule.name in found)


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


def must(collection: Collection, rules: Iterable[Rule], on: date) -> Refusal | None:
    """Return why a rule keeps the collection from holding faces, or None. `on` is the day of the decision, UTC."""
    gap = next(gaps(collection, rules, on), None)
    if gap is None:
        return None
    sentence = (
        f"{gap.rule.law}, {gap.duty.article}: the collection {collection.name} needs {gap.needs}. No face was kept."
    )
    return Refusal(slug=gap.slug, sentence=sentence)


def gaps(collection: Collection, rules: Iterable[Rule], on: date) -> Iterator[Gap]:
    """Yield all that the rules ask for and the collection does not have."""
    return (gap for rule in rules for check in CHECKS for gap in check(rule, collection, on))


def _consent(rule: Rule, collection: Collection, _on: date) -> Iterator[Gap]:
    wanted = rule.condition.art9
    if wanted and collection.art9 not in wanted:
        needs, value = f"the condition {' or '.join(wanted)}", wanted[0]
        yield Gap(slug="needs-consent", rule=rule, duty=rule.condition, needs=needs, field="art9", value=value)


def _enrolled(rule: Rule, collection: Collection, _on: date) -> Iterator[Gap]:
    if rule.condition.enrolled_only and collection.mode != "enrolled":
        needs = "the mode enrolled, since mode all keeps faces of people who never agreed"
        yield Gap(slug="needs-enrolment", rule=rule, duty=rule.condition, needs=needs, field="mode", value="enrolled")


def _notice(rule: Rule, collection: Collection, _on: date) -> Iterator[Gap]:
    if not collection.notice:
        yield Gap(slug="needs-notice", rule=rule, duty=rule.notice, needs=NOTICE, field="notice")


def _statements(rule: Rule, collection: Collection, _on: date) -> Iterator[Gap]:
    for each in rule.states:
        if not getattr(collection, each.field):
            yield Gap(slug=f"needs-{each.field}", rule=rule, duty=each, needs=STATED[each.field], field=each.field)


def _representative(rule: Rule, collection: Collection, _on: date) -> Iterator[Gap]:
    if rule.representative is None or collection.representative:
        return
    home = collection.established
    if home is None or not any(contains(place, home) for place in rule.territories):
        needs = f"a representative in {', '.join(rule.territories)}, or a controller established there"
        duty, field = rule.representative, "representative"
        yield Gap(slug="needs-representative", rule=rule, duty=duty, needs=needs, field=field)


def _declared(rule: Rule, collection: Collection, on: date) -> Iterator[Gap]:
    duty, field = rule.declaration, "declared_on"
    if duty is None:
        return
    if collection.declared_on is None:
        needs = f"a declaration to the {duty.authority}, and its date"
        yield Gap(slug="needs-declaration", rule=rule, duty=duty, needs=needs, field=field)
        return
    begins = collection.declared_on + timedelta(days=duty.days)
    if on < begins:
        needs = f"to wait until {begins}, {duty.days} days after it was declared"
        yield Gap(slug="declared-too-late", rule=rule, duty=duty, needs=needs, field=None)


def _children(rule: Rule, collection: Collection, _on: date) -> Iterator[Gap]:
    under, youngest = rule.age.under, collection.youngest
    if under is not None and youngest is not None and youngest < under and not collection.guardians:
        needs = f"the consent of those who speak for people under {under}, and how it is given"
        yield Gap(slug="needs-guardians", rule=rule, duty=rule.age, needs=needs, field="guardians")


def _purpose(rule: Rule, collection: Collection, on: date) -> Iterator[Gap]:
    over = collection.purpose_ends
    if rule.retention.ends_with_purpose and over is not None and over <= on:
        needs = f"a purpose that is not over (it was on {over})"
        yield Gap(slug="purpose-over", rule=rule, duty=rule.retention, needs=needs, field="purpose_ends")


CHECKS: tuple[Callable[[Rule, Collection, date], Iterator[Gap]], ...] = (
    *(_consent, _enrolled, _notice, _statements, _representative, _declared, _children, _purpose),
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
    collection: Collection, evidence: Iterable[Evidence], rules: Iterable[Rule], now: datetime
) -> datetime | Refusal:
    """Decide on one photo by the law of its place: until when its faces may be kept, or why they may not.

    The collection is one that `admit.missing` and `admit.invalid` have nothing to say of.
    """
    bound = binding(collection, evidence, rules, now.date())
    if refusal := must(collection, bound, now.date()):
        return refusal
    assert collection.retention_days
    end = expires(now, collection.retention_days, bound, purpose_ends=collection.purpose_ends)
    if end > now:
        return end
    return Refusal(
        slug="purpose-over",
        sentence=f"The purpose of the collection {collection.name} is long over. No face was kept.",
    )


def add_months(moment: datetime, months: int) -> datetime:
    """Return the same day and time so many calendar months later, or the month's last day where it has no such day."""
    years, month = divmod(moment.month - 1 + months, 12)
    year, month = moment.year + years, month + 1
    return moment.replace(year=year, month=month, day=min(moment.day, monthrange(year, month)[1]))
