"""By when a person is answered, against a table of dates that were worked out by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countenance.errors import UsageError
from countenance.requests import clock
from countenance.store.requests import KINDS, Step

LONDON, PARIS, DUBLIN = ZoneInfo("Europe/London"), ZoneInfo("Europe/Paris"), ZoneInfo("Europe/Dublin")
AUCKLAND, LOS_ANGELES = ZoneInfo("Pacific/Auckland"), ZoneInfo("America/Los_Angeles")
ENGLAND = frozenset(map(date.fromisoformat, ["2024-12-25", "2024-12-26", "2026-04-03", "2026-04-06", "2026-05-04"]))
FRANCE = frozenset(map(date.fromisoformat, ["2026-01-01", "2026-05-01", "2026-05-08", "2026-05-14", "2026-07-14"]))


def day(text):
    return date.fromisoformat(text)


def step(text):
    """Such as "2026-03-02 paused clarification"."""
    on, what, *reason = text.split(" ", 2)
    return Step(on=day(on), what=what, reason=" ".join(reason))


PLAIN = [
    # law, kind, received, holidays, due
    ("gdpr", "access", "2026-03-05", (), "2026-04-06"),  # 5 April 2026 is a Sunday (and Easter)
    ("gdpr", "access", "2026-03-03", (), "2026-04-03"),
    (
        "gdpr",
        "access",
        "2026-03-03",
        ("2026-04-03", "2026-04-06"),
        "2026-04-07",
    ),  # Good Friday, a weekend, Easter Monday
    ("gdpr", "erasure", "2026-08-31", (), "2026-09-30"),  # no 31 September
    ("gdpr", "erasure", "2026-01-31", (), "2026-03-02"),  # no 31 February; 28 February 2026 is a Saturday
    ("gdpr", "erasure", "2027-01-31", (), "2027-03-01"),  # 28 February 2027 is a Sunday
    ("gdpr", "erasure", "2025-01-31", (), "2025-02-28"),
    ("gdpr", "objection", "2024-01-31", (), "2024-02-29"),  # a leap year
    ("gdpr", "objection", "2024-01-30", (), "2024-02-29"),
    ("gdpr", "objection", "2024-01-29", (), "2024-02-29"),
    ("gdpr", "objection", "2024-02-29", (), "2024-03-29"),
    ("gdpr", "objection", "2024-02-29", ("2024-03-29", "2024-04-01"), "2024-04-02"),  # Good Friday, Easter Monday
    ("gdpr", "access", "2000-01-31", (), "2000-02-29"),  # a century that is a leap year
    ("gdpr", "access", "2100-01-31", (), "2100-03-01"),  # one that is not; 28 February 2100 is a Sunday
    ("gdpr", "rectification", "2025-12-31", (), "2026-02-02"),  # over the year's end; 31 January 2026 is a Saturday
    ("gdpr", "rectification", "2025-12-01", ("2026-01-01",), "2026-01-02"),  # New Year's Day
    ("gdpr", "restriction", "2026-04-01", FRANCE, "2026-05-04"),  # Labour Day, a Friday
    ("gdpr", "portability", "2026-04-14", FRANCE, "2026-05-15"),  # Ascension Day
    ("gdpr", "withdrawal", "2026-06-14", FRANCE, "2026-07-15"),  # Bastille Day; the desk's own aim
    ("uk-gdpr", "access", "2026-09-03", (), "2026-10-05"),  # the ICO's 3 September; 3 October 2026 is a Saturday
    ("uk-gdpr", "access", "2025-09-03", (), "2025-10-03"),
    ("uk-gdpr", "access", "2024-11-25", ENGLAND, "2024-12-27"),  # the ICO's: two bank holidays
    ("uk-gdpr", "access", "2024-01-31", (), "2024-02-29"),  # the ICO's: 31 January
    ("uk-gdpr", "access", "2025-01-31", (), "2025-02-28"),
    ("uk-gdpr", "access", "2024-01-01", (), "2024-02-01"),  # the ICO's: received on a bank holiday, which counts
    ("uk-gdpr", "erasure", "2026-03-03", ENGLAND, "2026-04-07"),
    ("uk-gdpr", "erasure", "2026-04-04", ENGLAND, "2026-05-05"),  # received on a Saturday; early May bank holiday
    ("ccpa", "access", "2026-01-01", (), "2026-02-15"),  # 45 days; a Sunday, and nothing confirmed that it moves
    ("ccpa", "erasure", "2024-01-16", (), "2024-03-01"),  # over 29 February
    ("ccpa", "erasure", "2025-01-16", (), "2025-03-02"),
    ("ccpa", "rectification", "2025-12-15", (), "2026-01-29"),
    ("quebec", "access", "2026-01-30", (), "2026-03-01"),
    ("quebec", "rectification", "2026-12-15", (), "2027-01-14"),
    ("quebec", "access", "2024-01-31", (), "2024-03-01"),
    ("lgpd", "access", "2026-02-20", (), "2026-03-07"),
    ("lgpd", "access", "2024-02-20", (), "2024-03-06"),
    ("lgpd", "access", "2025-12-20", (), "2026-01-04"),
]

WITH_STEPS = [
    # law, kind, received, steps, state, due
    ("gdpr", "access", "2026-03-03", ["2026-04-03 extended many photos"], "extended", "2026-06-03"),
    (
        "gdpr",
        "access",
        "2025-11-30",
        ["2025-12-02 extended many photos"],
        "extended",
        "2026-03-02",
    ),  # a Saturday before
    ("gdpr", "erasure", "2023-11-30", ["2023-12-29 extended many photos"], "extended", "2024-02-29"),
    ("gdpr", "access", "2026-03-05", ["2026-04-06 extended said on Easter Monday"], "extended", "2026-06-05"),
    ("gdpr", "access", "2026-03-03", ["2026-03-10 paused identity", "2026-03-20 resumed"], "opened", "2026-04-13"),
    ("gdpr", "access", "2026-03-03", ["2026-03-10 paused clarification", "2026-03-10 resumed"], "opened", "2026-04-03"),
    ("gdpr", "access", "2026-03-03", ["2026-03-10 paused clarification"], "paused", "2026-04-03"),
    (
        "uk-gdpr",
        "access",
        "2026-03-02",
        ["2026-03-10 paused clarification", "2026-03-12 resumed"],
        "opened",
        "2026-04-07",
    ),
    (
        "uk-gdpr",
        "access",
        "2026-03-02",
        ["2026-03-10 paused clarification", "2026-03-10 resumed"],
        "opened",
        "2026-04-07",
    ),
    ("uk-gdpr", "access", "2026-03-02", ["2026-03-10 paused identity", "2026-03-31 resumed"], "opened", "2026-04-30"),
    (
        "uk-gdpr",
        "access",
        "2026-06-01",
        ["2026-06-03 paused clarification", "2026-06-12 resumed", "2026-07-13 extended many photos"],
        "extended",
        "2026-09-11",
    ),
    (
        "uk-gdpr",
        "access",
        "2026-06-01",
        [
            "2026-06-03 paused clarification",
            "2026-06-05 resumed",
            "2026-06-08 paused clarification",
            "2026-06-09 resumed",
        ],
        "opened",
        "2026-07-06",
    ),
    (
        "uk-gdpr",
        "access",
        "2026-06-01",
        ["2026-06-03 paused clarification", "2026-06-05 resumed", "2026-06-08 paused identity", "2026-06-10 resumed"],
        "opened",
        "2026-07-10",
    ),
    ("ccpa", "access", "2026-01-01", ["2026-02-15 extended many photos"], "extended", "2026-04-01"),
    ("gdpr", "access", "2026-03-03", ["2026-03-04 acknowledged", "2026-03-09 answered"], "answered", "2026-04-03"),
    ("gdpr", "access", "2026-03-03", ["2026-03-09 answered", "2026-03-09 closed"], "closed", "2026-04-03"),
    (
        "gdpr",
        "access",
        "2026-03-03",
        ["2026-03-04 paused identity", "2026-03-05 extended many photos", "2026-03-06 resumed"],
        "extended",
        "2026-06-05",
    ),
]

ARRIVALS = [
    # moment, zone, the day it counts from, due under the GDPR or the UK GDPR
    ("2026-03-31T23:30:00+00:00", DUBLIN, "2026-04-01", "2026-05-01"),  # summer time: past midnight there
    ("2026-02-28T23:30:00+00:00", LONDON, "2026-02-28", "2026-03-30"),  # 28 March is a Saturday
    ("2026-02-28T23:30:00+00:00", PARIS, "2026-03-01", "2026-04-01"),
    ("2024-02-29T23:30:00+00:00", PARIS, "2024-03-01", "2024-04-01"),
    ("2025-12-31T23:30:00+00:00", PARIS, "2026-01-01", "2026-02-02"),
    ("2025-12-31T23:30:00+00:00", LONDON, "2025-12-31", "2026-02-02"),
    ("2026-01-31T11:30:00+00:00", AUCKLAND, "2026-02-01", "2026-03-02"),
    ("2026-03-01T05:00:00+00:00", LOS_ANGELES, "2026-02-28", "2026-03-30"),
    ("2026-10-25T00:30:00+01:00", LONDON, "2026-10-25", "2026-11-25"),  # the clocks go back that night
    ("2026-03-29T01:30:00+00:00", LONDON, "2026-03-29", "2026-04-29"),  # and forward that one
]


@pytest.mark.parametrize(("law", "kind", "received", "holidays", "due"), PLAIN)
def test_a_request_is_due_on_the_date_of_the_table(law, kind, received, holidays, due):
    off = frozenset(day(one) if isinstance(one, str) else one for one in holidays)
    assert clock.stand(law, kind, day(received), (), off).due == day(due)


@pytest.mark.parametrize(("law", "kind", "received", "steps", "state", "due"), WITH_STEPS)
def test_pauses_and_extensions_move_the_date_as_the_table_says(law, kind, received, steps, state, due):
    standing = clock.stand(
        law, kind, day(received), [step(one) for one in steps], ENGLAND if law == "uk-gdpr" else frozenset()
    )
    assert (standing.state, standing.due) == (state, day(due))


@pytest.mark.parametrize(("moment", "zone", "received", "due"), ARRIVALS)
def test_the_day_of_receipt_is_that_where_the_controller_is(moment, zone, received, due):
    arrived = clock.local_day(datetime.fromisoformat(moment), zone)
    assert arrived == day(received)
    assert clock.stand("gdpr", "access", arrived, ()).due == day(due)


def test_the_tables_hold_at_least_forty_dates():
    assert len(PLAIN) + len(WITH_STEPS) + len(ARRIVALS) >= 40


@pytest.mark.parametrize(
    ("law", "kind", "received", "by"),
    [
        ("uk-gdpr", "complaint", "2026-06-19", "2026-07-20"),  # 30 days end on Sunday 19 July
        ("uk-gdpr", "complaint", "2026-07-01", "2026-07-31"),
        ("uk-gdpr", "complaint", "2026-06-18", None),  # not in force yet
        ("uk-gdpr", "access", "2026-07-01", None),
        ("gdpr", "complaint", "2026-07-01", None),
        ("ccpa", "erasure", "2026-06-01", "2026-06-15"),  # ten business days
        ("ccpa", "erasure", "2026-06-06", "2026-06-19"),  # received on a Saturday
        ("ccpa", "objection", "2026-06-01", None),
    ],
)
def test_the_arrival_is_confirmed_by_the_date_that_the_law_sets(law, kind, received, by):
    assert clock.stand(law, kind, day(received), ()).acknowledge_by == (by and day(by))


def test_the_californian_ten_days_skip_public_holidays():
    off = frozenset({day("2026-06-05")})
    assert clock.stand("ccpa", "erasure", day("2026-06-01"), (), off).acknowledge_by == day("2026-06-16")


def test_a_date_that_no_law_sets_is_called_the_desks_own_aim():
    assert not clock.stand("gdpr", "complaint", day("2026-07-01"), ()).statutory
    assert not clock.stand("lgpd", "erasure", day("2026-07-01"), ()).statutory
    assert clock.stand("gdpr", "erasure", day("2026-07-01"), ()).statutory


@pytest.mark.parametrize(
    ("law", "kind", "steps", "says"),
    [
        ("gdpr", "access", ["2026-04-07 extended many photos"], "last day to tell of an extension was 2026-04-03"),
        ("gdpr", "access", ["2026-03-04 extended "], "needs its reason"),
        ("gdpr", "access", ["2026-03-04 extended many", "2026-03-05 extended more"], "extended already"),
        ("gdpr", "access", ["2026-03-02 acknowledged"], "is before"),
        ("gdpr", "access", ["2026-03-05 acknowledged", "2026-03-04 answered"], "is before"),
        ("gdpr", "access", ["2026-03-05 closed"], "cannot be closed unanswered"),
        ("gdpr", "access", ["2026-03-05 resumed"], "not paused"),
        ("gdpr", "access", ["2026-03-05 paused lunch"], "clarification or identity"),
        ("gdpr", "erasure", ["2026-03-05 paused clarification"], "can be paused for identity only"),
        ("gdpr", "access", ["2026-03-05 paused identity", "2026-03-05 paused identity"], "paused already"),
        ("gdpr", "access", ["2026-03-05 answered", "2026-03-05 paused identity"], "answered"),
        ("gdpr", "access", ["2026-03-05 answered", "2026-03-05 closed", "2026-03-05 answered"], "closed"),
        ("gdpr", "unclear", ["2026-03-05 answered"], "not settled"),
        ("gdpr", "access", ["2026-03-05 lost"], "no step"),
        ("ccpa", "access", ["2026-03-05 paused identity"], "nothing"),
        ("quebec", "access", ["2026-03-05 extended many photos"], "no extension"),
        ("lgpd", "access", ["2026-03-05 extended many photos"], "no extension"),
        ("de", "access", [], "no clock for the law"),
        ("gdpr", "coffee", [], "no kind of request"),
    ],
)
def test_a_step_that_the_law_does_not_allow_is_refused(law, kind, steps, says):
    with pytest.raises(UsageError, match=says):
        clock.stand(law, kind, day("2026-03-03"), [step(one) for one in steps])


def test_in_the_uk_the_clock_could_not_be_paused_before_february_2026():
    with pytest.raises(UsageError, match="2026-02-05"):
        clock.stand("uk-gdpr", "access", day("2026-02-01"), [step("2026-02-04 paused clarification")])
    clock.stand("uk-gdpr", "access", day("2026-02-01"), [step("2026-02-05 paused clarification")])


def test_a_pause_moves_the_last_day_to_tell_of_an_extension_in_the_uk_only():
    pause = [step("2026-06-03 paused clarification"), step("2026-06-12 resumed")]
    assert clock.stand("uk-gdpr", "access", day("2026-06-01"), pause).tell_by == day("2026-07-13")
    assert clock.stand("gdpr", "access", day("2026-06-01"), pause).tell_by == day("2026-07-01")


def test_a_corrected_kind_drops_the_pauses_that_it_does_not_allow_and_stays_readable():
    steps = [step("2026-03-04 paused clarification"), step("2026-03-14 resumed")]
    assert clock.stand("gdpr", "access", day("2026-03-03"), steps).due == day("2026-04-13")
    assert clock.stand("gdpr", "erasure", day("2026-03-03"), steps, settled=2).due == day("2026-04-03")
    with pytest.raises(UsageError):
        clock.stand("gdpr", "erasure", day("2026-03-03"), steps)


def test_an_extension_that_was_told_in_time_stands_when_a_holiday_is_taken_off_the_list():
    steps = [step("2026-04-07 extended many photos")]
    easter = frozenset({day("2026-04-03"), day("2026-04-06")})
    assert clock.stand("gdpr", "access", day("2026-03-03"), steps, easter).extended
    assert clock.stand("gdpr", "access", day("2026-03-03"), steps, settled=1).extended


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(UsageError, match="time zone"):
        clock.local_day(datetime(2026, 3, 31, 23, 30), PARIS)  # noqa: DTZ001


def test_the_last_second_of_a_day_is_the_one_before_the_next_midnight_there():
    assert clock.end_of(day("2026-03-29"), PARIS) == datetime(2026, 3, 29, 21, 59, 59, tzinfo=UTC)
    assert clock.end_of(day("2026-10-25"), LONDON) == datetime(2026, 10, 25, 23, 59, 59, tzinfo=UTC)


DAYS = st.dates(min_value=date(1990, 1, 1), max_value=date(2200, 1, 1))
LAWS = st.sampled_from(sorted(clock.LAWS))


@given(law=LAWS, kind=st.sampled_from(KINDS), received=DAYS, offs=st.sets(st.integers(0, 120), max_size=8))
def test_no_request_is_due_before_its_period_and_none_much_after(law, kind, received, offs):
    holidays = frozenset(received + timedelta(days=n) for n in offs)
    due = clock.stand(law, kind, received, (), holidays).due
    low, high = {"ccpa": (45, 45), "quebec": (30, 30), "lgpd": (15, 15)}.get(law, (28, 31 + 3 + 3 * len(offs)))
    assert low <= (due - received).days <= high
    if clock.LAWS[law].rolls:
        assert due.weekday() < 5
        assert due not in holidays


@given(law=LAWS, one=DAYS, other=DAYS)
def test_who_asks_earlier_is_not_answered_later(law, one, other):
    first, second = sorted((one, other))
    assert clock.stand(law, "access", first, ()).due <= clock.stand(law, "access", second, ()).due


@given(received=DAYS, months=st.integers(1, 36))
def test_months_end_on_the_same_number_or_the_last_of_the_month(received, months):
    end = clock.add_months(received, months)
    assert end.day == received.day or (end.day < received.day and (end + timedelta(days=1)).day == 1)
    assert (end.year * 12 + end.month) - (received.year * 12 + received.month) == months


@given(received=st.dates(date(2026, 2, 5), date(2100, 1, 1)), wait=st.integers(0, 25), held=st.integers(0, 400))
def test_a_pause_never_brings_the_date_forward(received, wait, held):
    asked = received + timedelta(days=wait)
    steps = [Step(on=asked, what="paused", reason="clarification")]
    steps.append(Step(on=asked + timedelta(days=held), what="resumed"))
    for law in ("gdpr", "uk-gdpr"):
        plain, paused = (clock.stand(law, "access", received, done).due for done in ((), steps))
        assert 0 <= (paused - plain).days <= held + 1 + 2


@given(moment=st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)), hours=st.integers(-12, 14))  # noqa: DTZ001
def test_the_same_moment_counts_the_same_whatever_zone_it_was_written_in(moment, hours):
    at = moment.replace(tzinfo=UTC)
    elsewhere = at.astimezone(timezone(timedelta(hours=hours)))
    assert clock.local_day(at, PARIS) == clock.local_day(elsewhere, PARIS)
