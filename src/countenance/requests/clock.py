"""By when a person is answered: month arithmetic by law, pauses, extensions, and the states of a request.

A request counts as received on the day it arrives where the controller is. All here is arithmetic on days: no clock is
read, and public holidays are given. Where a law leaves two readings, the earlier date is taken.

::

    >>> stand("gdpr", "access", date(2026, 1, 31), ()).due
    datetime.date(2026, 3, 2)

(28 February 2026 is a Saturday.)
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from countenance.errors import UsageError
from countenance.store.requests import KINDS, UNCLEAR, Step

DAY = timedelta(days=1)
SATURDAY = 5  # of date.weekday()

RIGHTS = frozenset({"access", "erasure", "objection", "rectification", "restriction", "portability", UNCLEAR})
"""Arts. 15 to 21 GDPR. What somebody wants is at first not always clear, and the clock runs all the same."""

PAUSES = {
    "clarification": "what the request is about has to be made clear",
    "identity": "more has to be known to tell whom the request is about; an identity document is never asked for",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """By when the arrival of some kinds of request has to be confirmed."""

    kinds: frozenset[str]
    days: int
    working: bool = False  # working days; otherwise calendar days
    since: date = date.min  # for what is received from then on


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """The clock of one law."""

    title: str
    article: str
    kinds: frozenset[str]  # those that it sets this date for; for others the same date is the desk's own aim
    months: int = 0
    days: int = 0
    more_months: int = 0  # an extension; none where both are 0
    more_days: int = 0
    rolls: bool = False  # from a Saturday, Sunday or public holiday to the next working day
    pauses: Mapping[str, frozenset[str]] = field(default_factory=dict)  # reason, and the kinds it may pause
    restarts: frozenset[str] = frozenset()  # reasons after which the whole period begins again
    whole_days: bool = False  # the days of asking and of the reply do not count either
    pause_since: date = date.min
    notice_paused: bool = False  # a pause also moves the last day to tell of an extension
    acknowledge: Acknowledgement | None = None


LAWS = {
    # Regulation (EEC, Euratom) 1182/71 Art. 3; the suspension is that of EDPB Guidelines 01/2022 on the right of access.
    "gdpr": Law(
        title="GDPR",
        article="Art. 12(3) GDPR",
        kinds=RIGHTS,
        months=1,
        more_months=2,
        rolls=True,
        pauses={"clarification": frozenset({"access"}), "identity": RIGHTS},
    ),
    # Arts. 12 and 12A UK GDPR as amended by the Data (Use and Access) Act 2025, s. 76, in force since 5 February 2026
    # (SI 2026/82), and s. 164A Data Protection Act 2018, since 19 June 2026; days as the ICO's guidance counts them.
    "uk-gdpr": Law(
        title="UK GDPR",
        article="Arts. 12(3) and 12A UK GDPR",
        kinds=RIGHTS,
        months=1,
        more_months=2,
        rolls=True,
        pauses={"clarification": frozenset({"access"}), "identity": RIGHTS},
        restarts=frozenset({"identity"}),
        whole_days=True,
        pause_since=date(2026, 2, 5),
        notice_paused=True,
        acknowledge=Acknowledgement(kinds=frozenset({"complaint"}), days=30, since=date(2026, 6, 19)),
    ),
    # Verifying who asks does not stop it: 11 CCR § 7021(b).
    "ccpa": Law(
        title="California Consumer Privacy Act",
        article="Cal. Civ. Code § 1798.130(a)(2), 11 CCR § 7021",
        kinds=frozenset({"access", "erasure", "rectification", "portability", UNCLEAR}),
        days=45,
        more_days=45,
        acknowledge=Acknowledgement(
            kinds=frozenset({"access", "erasure", "rectification", "portability", UNCLEAR}), days=10, working=True
        ),
    ),
    "quebec": Law(
        title="Act respecting the protection of personal information in the private sector (Québec)",
        article="s. 32, chapter P-39.1",
        kinds=frozenset({"access", "rectification", "portability", UNCLEAR}),
        days=30,
    ),
    "lgpd": Law(title="LGPD", article="Art. 19(II) LGPD", kinds=frozenset({"access", UNCLEAR}), days=15),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a request stands."""

    state: str  # opened, paused, extended, answered, closed
    due: date  # the last day to answer; while paused, as it was when the pause began
    statutory: bool  # the law sets this date for this kind; otherwise it is the desk's own aim
    acknowledge_by: date | None  # the last day to confirm the arrival, where a law sets one
    tell_by: date | None  # the last day to tell of an extension, where the law has one
    acknowledged: bool = False
    extended: bool = False
    paused_for: str | None = None  # a key of PAUSES


@dataclass(slots=True, kw_only=True)
class _Course:
    """A request, and what `stand` has met of it so far."""

    law: Law
    kind: str
    received: date
    holidays: frozenset[date]
    last: date
    state: str = "opened"
    judged: bool = True  # whether the law allows a step is asked of those that are new
    acknowledged: bool = False
    extended: bool = False
    asked: tuple[date, str] | None = None
    pauses: list[tuple[date, date, str]] = field(default_factory=list)

    def due(self, pauses: list[tuple[date, date, str]], *, extended: bool) -> date:
        """The last day to answer."""
        start, held_up = self.received, 0
        for asked, replied, reason in pauses:
            if not self.may_pause(reason):
                continue  # paused when the person seemed to want something else
            if reason in self.law.restarts:
                start, held_up = replied, 0
            else:
                held_up += (replied - asked).days + self.law.whole_days
        months = self.law.months + self.law.more_months * extended
        days = self.law.days + self.law.more_days * extended
        return self.rolled(add_months(start, months) + timedelta(days=days + held_up))

    def may_pause(self, reason: str) -> bool:
        """Whether the law lets this kind of request be paused for this reason."""
        return self.kind in self.law.pauses.get(reason, ())

    def tell_by(self) -> date | None:
        """The last day to tell of an extension, where the law has one."""
        if not (self.law.more_months or self.law.more_days):
            return None
        return self.due(self.pauses if self.law.notice_paused else [], extended=False)

    def acknowledge_by(self) -> date | None:
        """The last day to confirm the arrival, where the law sets one."""
        confirm = self.law.acknowledge
        if confirm is None or self.kind not in confirm.kinds or self.received < confirm.since:
            return None
        if not confirm.working:
            return self.rolled(self.received + timedelta(days=confirm.days))
        day = self.received
        for _ in range(confirm.days):
            day = next_working(day + DAY, self.holidays)
        return day

    def rolled(self, day: date) -> date:
        """The day, or the next working day where the law says so."""
        return next_working(day, self.holidays) if self.law.rolls else day


def local_day(at: datetime, zone: tzinfo) -> date:
    """The day of a moment where the controller is. Raises `UsageError` for a time without a zone."""
    if at.tzinfo is None:
        raise UsageError("A time of receipt needs its time zone, such as 2026-03-31T23:30:00+00:00.")
    return at.astimezone(zone).date()


def end_of(day: date, zone: tzinfo) -> datetime:
    """The last second of a day where the controller is, UTC."""
    return datetime.combine(day + DAY, time(), zone).astimezone(UTC) - timedelta(seconds=1)


def add_months(day: date, months: int) -> date:
    """The day of the same number so many months later, or the last day of that month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def working(day: date, holidays: Iterable[date] = ()) -> bool:
    """Whether a day is no Saturday, Sunday or public holiday."""
    return day.weekday() < SATURDAY and day not in holidays


def next_working(day: date, holidays: Iterable[date] = ()) -> date:
    """The day itself if it is a working day, otherwise the next one that is."""
    while not working(day, holidays):
        day += DAY
    return day


def law_of(name: str) -> Law:
    """The law with this name; `UsageError` if there is no clock for it."""
    if name not in LAWS:
        raise UsageError(f"There is no clock for the law {name}; choose one of {', '.join(LAWS)}.")
    return LAWS[name]


def stand(
    law_name: str,
    kind: str,
    received: date,
    steps: Iterable[Step],
    holidays: frozenset[date] = frozenset(),
    *,
    settled: int = 0,
) -> Standing:
    """Where a request stands after these steps, in their order. Raises `UsageError` at the first that cannot be.

    `received` is the day where the controller is (`local_day`). The first `settled` steps were taken before: whether the
    law allowed them is not asked again, so that a corrected kind or list of holidays leaves no request unreadable.
    """
    law = law_of(law_name)
    if kind not in (*KINDS, UNCLEAR):
        raise UsageError(f"{kind} is no kind of request; choose one of {', '.join(KINDS)}.")
    course = _Course(law=law, kind=kind, received=received, holidays=holidays, last=received)
    for number, step in enumerate(steps):
        course.judged = number >= settled
        _take(course, step)
    return Standing(
        state=course.state,
        due=course.due(course.pauses, extended=course.extended),
        statutory=kind in law.kinds,
        acknowledge_by=course.acknowledge_by(),
        tell_by=course.tell_by(),
        acknowledged=course.acknowledged,
        extended=course.extended,
        paused_for=course.asked[1] if course.asked else None,
    )


def _take(course: _Course, step: Step) -> None:
    """Go past one step."""
    if step.what not in _STEPS:
        raise UsageError(f"{step.what} is no step of a request; choose one of {', '.join(_STEPS)}.")
    if step.on < course.last:
        raise UsageError(f"{step.what} on {step.on} is before what was done on {course.last}. Nothing was changed.")
    if course.state == "closed" or (course.state == "answered" and step.what != "closed"):
        raise UsageError(f"The request is {course.state}: it cannot be {step.what} any more. Nothing was changed.")
    _STEPS[step.what](course, step)
    course.last = step.on


def _acknowledged(course: _Course, _: Step) -> None:
    course.acknowledged = True


def _paused(course: _Course, step: Step) -> None:
    law = course.law
    if course.asked:
        raise UsageError("The request is paused already. Nothing was changed.")
    if course.judged and not course.may_pause(step.reason):
        may = [reason for reason, kinds in law.pauses.items() if course.kind in kinds]
        raise UsageError(
            f"Under {law.title} the clock of this request ({course.kind}) can be paused for {' or '.join(may) or 'nothing'}"
            " only. Nothing was changed: it runs on."
        )
    if course.judged and step.on < law.pause_since:
        raise UsageError(f"{law.title} lets the clock be paused since {law.pause_since} only. It runs on.")
    course.asked = (step.on, step.reason)
    course.state = "paused"


def _resumed(course: _Course, step: Step) -> None:
    if course.asked is None:
        raise UsageError("The request is not paused. Nothing was changed.")
    course.pauses.append((course.asked[0], step.on, course.asked[1]))
    course.asked = None
    course.state = "extended" if course.extended else "opened"


def _extended(course: _Course, step: Step) -> None:
    last = course.tell_by()
    if last is None:
        raise UsageError(f"{course.law.title} knows no extension. The request stands as it was.")
    if course.extended:
        raise UsageError("The request is extended already, and once is all. It stands as it was.")
    if not step.reason.strip():
        raise UsageError("An extension needs its reason, which the person is told. The request stands as it was.")
    if course.judged and step.on > last:
        raise UsageError(f"The last day to tell of an extension was {last}. The request stands as it was.")
    course.extended = True
    course.state = "paused" if course.asked else "extended"


def _answered(course: _Course, _: Step) -> None:
    if course.kind == UNCLEAR:
        raise UsageError("What the person wants is not settled yet, so it cannot be answered. Set the kind first.")
    course.asked = None
    course.state = "answered"


def _closed(course: _Course, _: Step) -> None:
    if course.state != "answered":
        raise UsageError("A request cannot be closed unanswered. Answer it first, with a refusal if need be.")
    course.state = "closed"


_STEPS: dict[str, Callable[[_Course, Step], None]] = {
    "acknowledged": _acknowledged,
    "paused": _paused,
    "resumed": _resumed,
    "extended": _extended,
    "answered": _answered,
    "closed": _closed,
}
