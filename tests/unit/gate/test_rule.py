from __future__ import annotations

from calendar import monthrange
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countenance.errors import UsageError
from countenance.gate import rulebook
from countenance.gate.rule import add_months, applying, binding, decide, expires, must
from countenance.gate.rulebook import EXAMPLE, shipped
from countenance.records import Evidence, Refusal

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FILES = dict(rulebook.files())
CASES = [
    (*rulebook.read(name, text)[:1], case) for name, text in FILES.items() for case in rulebook.read(name, text)[1]
]


def names(territories: tuple[str, ...], on: date | None = None) -> list[str]:
    return [rule.name for rule in applying(shipped(), territories, on or NOW.date())]


def seen(*territories: str) -> tuple[Evidence, ...]:
    return tuple(Evidence(kind="gps", territory=each, origin="test") for each in territories)


@pytest.mark.parametrize(("rule", "case"), CASES, ids=[f"{rule.name}: {case.says}" for rule, case in CASES])
def test_every_example_of_every_rule_holds(rule, case):
    now = datetime.combine(case.on, time(12), UTC)
    reached = binding(case.collection, seen(*case.territories), [rule], case.on)
    assert bool(reached) == case.applies
    if not case.applies:
        return
    outcome = decide(case.collection, seen(*case.territories), [rule], now)
    if case.refused:
        assert isinstance(outcome, Refusal)
        assert (outcome.slug, case.expires) == (case.refused, None)
    else:
        assert isinstance(outcome, datetime)
        assert outcome.date() == case.expires


def test_the_rules_of_five_jurisdictions_ship():
    assert [rule.name for rule in shipped()] == ["ca-qc", "eu", "uk", "us-il", "us-tx"]


@pytest.mark.parametrize(
    ("territories", "expected"),
    [
        ((), ["ca-qc", "eu", "uk", "us-il", "us-tx"]),
        (("ZZ",), ["ca-qc", "eu", "uk", "us-il", "us-tx"]),
        (("GB", "ZZ"), ["ca-qc", "eu", "uk", "us-il", "us-tx"]),
        (("GB",), ["uk"]),
        (("UK", "GB"), ["uk"]),
        (("GB-SCT",), ["uk"]),
        (("IE",), ["eu"]),
        (("GP",), ["eu"]),
        (("SJ",), ["eu"]),
        (("CH",), []),
        (("GB", "GB-NIR", "IE"), ["eu", "uk"]),
        (("US",), ["us-il", "us-tx"]),
        (("US", "US-TX"), ["us-tx"]),
        (("US", "US-CA"), []),
        (("US", "PR"), []),
        (("CA",), ["ca-qc"]),
        (("CA", "CA-BC"), []),
    ],
)
def test_the_rules_of_every_place_that_a_photo_may_be_from_apply(territories, expected):
    assert names(territories) == expected


@pytest.mark.parametrize(("day", "expected"), [("2018-05-24", []), ("2018-05-25", ["eu"]), ("2026-01-01", ["eu"])])
def test_a_rule_applies_from_its_first_day_in_force(day, expected):
    assert names(("FR",), date.fromisoformat(day)) == expected


def test_a_rule_applies_until_its_last_day_in_force():
    ended = [replace(rule, until=date(2026, 2, 28)) for rule in shipped()]
    assert applying(ended, ("FR",), date(2026, 3, 1)) == ()
    assert [rule.name for rule in applying(ended, ("FR",), date(2026, 2, 28))] == ["eu"]


@pytest.mark.parametrize(
    ("evidence", "stated", "expected"),
    [
        ((), {}, ["ca-qc", "eu", "uk", "us-il", "us-tx"]),
        ((), {"established": "GB"}, ["ca-qc", "eu", "uk", "us-il", "us-tx"]),
        ((), {"takes_in": ("FR",)}, ["eu"]),
        ((), {"takes_in": ("FR",), "established": "GB"}, ["eu", "uk"]),
        ((), {"takes_in": ("US", "US-CA")}, ["us-il", "us-tx"]),
        ((), {"takes_in": ("US",), "established": "US-CA"}, ["us-il", "us-tx"]),
        (("US",), {"takes_in": ("FR",), "established": "US-CA"}, ["us-il", "us-tx"]),
        (("US", "US-CA"), {"takes_in": ("FR",)}, []),
        (("IT",), {"takes_in": ("US",), "established": "GB"}, ["eu", "uk"]),
        (("IT", "CH"), {}, ["eu"]),
    ],
)
def test_evidence_goes_before_what_the_collection_takes_in_and_nothing_means_anywhere(evidence, stated, expected):
    found = binding(replace(EXAMPLE, **stated), seen(*evidence), shipped(), NOW.date())
    assert [rule.name for rule in found] == expected


def test_a_refusal_names_the_law_the_article_and_the_collection():
    refusal = must(replace(EXAMPLE, name="Club"), applying(shipped(), ("US-IL",), NOW.date()), NOW.date())
    assert refusal == Refusal(
        slug="needs-policy",
        sentence="Biometric Information Privacy Act (740 ILCS 14), 740 ILCS 14/15(a): the collection Club needs a "
        "written, public retention policy, and where it stands. No face was kept.",
    )


def test_without_a_rule_nothing_more_is_asked():
    assert must(EXAMPLE, (), NOW.date()) is None
    assert decide(EXAMPLE, seen("JP"), shipped(), NOW) == NOW + timedelta(days=3650)


def test_a_purpose_that_is_over_keeps_faces_out():
    over = replace(EXAMPLE, established="GB", purpose_ends=date(2026, 3, 1))
    outcome = decide(over, seen("GB"), shipped(), NOW)
    assert isinstance(outcome, Refusal)
    assert outcome.slug == "purpose-over"


def test_the_last_contact_moves_the_end_where_the_law_counts_from_it():
    illinois, texas = (applying(shipped(), (code,), NOW.date()) for code in ("US-IL", "US-TX"))
    before = NOW - timedelta(days=400)
    assert expires(NOW, 9999, illinois, last_contact=before) == add_months(before, 36)
    assert expires(NOW, 9999, texas, last_contact=before) == add_months(NOW, 12)


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        ("2026-01-31", 1, "2026-02-28"),
        ("2024-01-31", 1, "2024-02-29"),
        ("2024-02-29", 12, "2025-02-28"),
        ("2024-02-29", 48, "2028-02-29"),
        ("2096-02-29", 48, "2100-02-28"),
        ("2026-03-31", 1, "2026-04-30"),
        ("2026-12-31", 2, "2027-02-28"),
        ("2026-12-01", 1, "2027-01-01"),
        ("2026-11-30", 1, "2026-12-30"),
        ("2026-08-31", 18, "2028-02-29"),
        ("2026-05-15", 0, "2026-05-15"),
    ],
)
def test_months_are_calendar_months_and_end_with_the_month(day, months, expected):
    moment = datetime.combine(date.fromisoformat(day), time(23, 59, 59), UTC)
    assert add_months(moment, months) == datetime.combine(date.fromisoformat(expected), time(23, 59, 59), UTC)


moments = st.integers(0, 7_258_118_400).map(lambda second: datetime.fromtimestamp(second, UTC))  # to the year 2200


@given(moments, st.integers(0, 1200))
def test_so_many_months_later_is_that_month_and_the_same_day_or_its_last(moment, months):
    later = add_months(moment, months)
    assert (later.year * 12 + later.month) - (moment.year * 12 + moment.month) == months
    assert later.day == min(moment.day, monthrange(later.year, later.month)[1])
    assert later.timetz() == moment.timetz()


@given(moments, st.integers(0, 600), st.integers(0, 600), st.timedeltas(timedelta(), timedelta(days=4000)))
def test_month_arithmetic_keeps_the_order_of_terms_and_of_beginnings(moment, fewer, more, later):
    assert add_months(moment, min(fewer, more)) <= add_months(moment, max(fewer, more))
    assert add_months(moment, fewer) <= add_months(moment + later, fewer)


@given(
    moments,
    st.integers(1, 36525),
    st.sets(st.sampled_from(shipped())),
    st.none() | st.dates(date(1970, 1, 1), date(2200, 1, 1)),
    st.none() | st.timedeltas(timedelta(), timedelta(days=4000)),
)
def test_the_shortest_term_wins_and_no_rule_lengthens_one(now, days, rules, purpose_ends, since_contact):
    known = {"purpose_ends": purpose_ends, "last_contact": now - since_contact if since_contact is not None else None}
    end = expires(now, days, rules, **known)
    alone = [expires(now, days, [rule], **known) for rule in rules]
    assert end == min([*alone, now + timedelta(days=days)])
    assert all(expires(now, fewer, rules, **known) <= end for fewer in {1, days})


@given(st.sets(st.sampled_from(["GB", "GB-SCT", "IE", "US", "US-IL", "US-TX", "US-CA", "CA", "CA-QC", "JP", "EU"])))
def test_more_evidence_of_other_places_never_frees_a_photo(territories):
    alone = {name for each in territories for name in names((each,)) if each not in ("US", "CA", "EU", "GB")}
    assert alone <= set(names(tuple(territories)))


GOOD = FILES["uk.toml"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('link = "', 'lnk = "', "link is missing"),
        ("ends_with_purpose", "end_with_purpose", "retention.end_with_purpose is unknown"),
        ("youngest = 12", "younger = 12", "example 7: collection.younger is unknown"),
        ("since = 2021-01-01", 'since = "2021-01-01"', "since must be a date"),
        ("since = 2021-01-01", "since = 2021-01-01T00:00:00", "since must be a date"),
        ("since = 2021-01-01", "since = 2021-13-01", "it is no TOML"),
        ("since = 2021-01-01", "since = 2021-01-01\nuntil = 2020-12-31", "until lies before since"),
        ('territories = ["GB"]', 'territories = ["UK"]', "territories has UK, which is no territory"),
        ('territories = ["GB"]', 'territories = ["XX"]', "territories has XX, which is no territory"),
        ('territories = ["GB"]', "territories = []", "territories is empty"),
        ('territories = ["GB"]', 'territories = "GB"', "territories must be a list"),
        ('takes_in = ["FR"]', 'takes_in = ["XX"]', "collection.takes_in has XX"),
        ('link = "https', 'link = "http', "link is no address with https"),
        ("under = 13", "under = true", "age.under must be a whole number"),
        ("under = 13", "under = 13.5", "age.under must be a whole number"),
        ("ends_with_purpose = true", "months = 12", "a term of retention has no counted_from"),
        ("ends_with_purpose = true", 'months = 0\ncounted_from = "purpose"', "a term of retention is not above 0"),
        ("ends_with_purpose = true", 'counted_from = "birth"', "counted_from must be one of contact, purpose"),
        ("conditions a to j.", 'x"\nart9 = ["because"]\n#', "condition.art9 holds something else than conditions"),
        ("[representative]", "[[states]]\nfield='x'\narticle='x'\nsays='x'\n[representative]", "no collection states"),
        ("applies = true", "applies = 1", "applies must be true or false"),
    ],
)
def test_a_rule_file_that_is_not_as_it_must_be_is_refused_by_its_name(old, new, words):
    assert old in GOOD
    with pytest.raises(UsageError) as raised:
        rulebook.read("here.toml", GOOD.replace(old, new))
    assert "here.toml" in str(raised.value)
    assert words in str(raised.value)


def test_a_rule_needs_five_examples():
    *head, _, _, _, _ = GOOD.split("[[example]]")
    assert len(head) == 6
    assert rulebook.read("here.toml", "[[example]]".join(head))
    with pytest.raises(UsageError, match=r"here\.toml.*4 examples, and needs 5"):
        rulebook.read("here.toml", "[[example]]".join(head[:-1]))


@pytest.mark.parametrize("text", ["", "law = 3", "example = 3", "example = [3]", "\0", "[[[", "example = [{}]"])
def test_a_file_that_is_no_rule_is_refused_by_its_name(text):
    with pytest.raises(UsageError, match=r"here\.toml"):
        rulebook.read("here.toml", text)


def test_the_page_on_rules_names_every_article_and_every_doubt():
    text = (Path(__file__).parents[3] / "docs" / "rules.md").read_text("utf-8")
    for rule in shipped():
        duties = [
            rule.retention,
            rule.age,
            rule.notice,
            rule.condition,
            rule.representative,
            rule.declaration,
            *rule.states,
        ]
        for duty in filter(None, duties):
            assert duty.article in text
        assert rule.link in text
        assert all(doubt in text for doubt in (*rule.confirmed, *rule.unconfirmed))
