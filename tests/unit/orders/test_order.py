"""The order file: what is read, what is refused and how, and that writing gives the same order back."""

from __future__ import annotations

import dataclasses
import random
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml

from countenance.errors import UsageError
from countenance.orders import order
from countenance.orders.order import parse, to_text
from countenance.records import Order, OrderScope, Penalty, Service

EXAMPLE = Path(__file__).parents[3] / "examples" / "orders" / "ico-2022-05-18.yaml"
LINES = {
    "order": "countenance/order/v1",
    "authority": "An Authority",
    "country": "GB",
    "reference": "A 1",
    "issued": "2022-05-18",
    "measures": "[stop, erase]",
    "scope": "{territories: [GB]}",
}


def text(**changes):
    lines = LINES | changes
    return "\n".join(f"{name}: {value}" for name, value in lines.items() if value is not None) + "\n"


def test_the_example_holds_the_facts_of_18_may_2022():
    found = parse(EXAMPLE.read_text("utf-8"))
    assert found.authority == "Information Commissioner's Office"
    assert found.issued == date(2022, 5, 18)
    assert found.fine == Penalty(currency="GBP", amount=7_552_800)
    assert found.measures == ("stop", "erase", "refuse-service")
    assert found.scope == OrderScope(territories=("GB",), unknown="include")
    assert found.service == Service(territories=("GB",))
    assert parse(to_text(found)) == found


def test_norway_is_a_country_and_a_date_is_what_is_written():
    found = parse(text(country="NO", scope="{territories: [NO, no, uk], added: {from: 2020-02-29}}"))
    assert (found.country, found.scope.territories) == ("NO", ("NO", "GB"))
    assert found.scope.added_from == date(2020, 2, 29)


def any_order(rng):
    def day():
        return date(2022, 1, 1) + timedelta(days=rng.randrange(700))

    def names(*values):
        return tuple(rng.sample(values, rng.randint(0, len(values))))

    scope = OrderScope(
        territories=names("GB", "NO", "US-IL"),
        unknown=rng.choice(order.UNKNOWN),
        collections=names("No", "1e3", "null"),
        sources=names("src_a", "'quoted'"),
        subjects=names("Ann: Example", "- dash", "#hash"),
        purposes=("yes",),
        added_from=rng.choice((None, date(2020, 1, 1))),
        taken_until=rng.choice((None, day())),
    )
    return Order(
        authority="Autorité de protection «X»",
        country="FR",
        reference="0x10",
        issued=date(2022, 1, 1),
        measures=("stop", "answer-first", "erase", "refuse-service"),
        scope=scope,
        service=Service(territories=("GB",), tenants=names("acme", "~")),
        cease_from=rng.choice((None, day())),
        delete_by=rng.choice((None, day())),
        fine=rng.choice((None, Penalty(currency="EUR", amount=rng.randrange(1, 10**12)))),
        daily=rng.choice((None, Penalty(currency="EUR", amount=100_000))),
        note=rng.choice(("", "a note: with a colon")),
        unconfirmed=names("fine", "country"),
    )


def test_what_is_written_is_read_to_the_same_order(tally):
    rng = random.Random(1)
    for _ in range(300):
        made = any_order(rng)
        assert parse(to_text(made)) == made
        tally["order files written and read"] += 1


@pytest.mark.parametrize("field", [field for field in LINES if field != "order"])
def test_an_order_that_does_not_say_what_it_must_is_refused_by_the_fields_name(field):
    with pytest.raises(UsageError, match=field):
        parse(text(**{field: None}))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"order": "countenance/order/v2"}, "first line"),
        ({"order": None}, "first line"),
        ({"country": "Utopia"}, "country is 'Utopia'; it must be a country such as GB"),
        ({"country": "[GB]"}, "country is"),
        ({"scope": "{territories: [GB, XX-YY]}"}, "scope.territories is 'XX-YY'"),
        ({"issued": "2022-02-30"}, "issued is '2022-02-30'; it must be a date such as 2022-05-18"),
        ({"issued": "18 May 2022"}, "it must be a date"),
        ({"issued": "20220518"}, "it must be a date"),
        ({"issued": "2022-W20-3"}, "it must be a date"),
        ({"cease_from": "2022-05-17"}, r"cease_from \(2022-05-17\) lies before issued"),
        ({"delete_by": "2022-05-17"}, r"delete_by \(2022-05-17\) lies before issued"),
        ({"scope": "{added: {from: 2022-02-01, until: 2022-01-01}}"}, "added.until .* lies before added.from"),
        ({"scope": "{taken: {from: 2022-02-01, until: 2022-01-01}}"}, "taken.until .* lies before taken.from"),
        ({"scope": "{}"}, "Its scope is empty"),
        ({"scope": "{unknown: include}"}, "Its scope is empty"),
        ({"scope": "{everything: no}"}, "Its scope is empty"),
        ({"scope": "{everything: yes, territories: [GB]}"}, "everything and something"),
        ({"scope": "{everything: maybe}"}, "scope.everything is 'maybe'; it must be one of yes, no"),
        ({"scope": "GB"}, "scope must have fields of its own"),
        ({"scope": "{unknown: perhaps}"}, "scope.unknown is 'perhaps'; it must be one of include, exclude, review"),
        ({"scope": "{territory: GB}"}, "no field scope.territory; it may have: territories"),
        ({"scope": "{added: {since: 2022-01-01}}"}, "no field scope.added.since"),
        ({"measures": "[]"}, "orders nothing"),
        ({"measures": "stop"}, "measures is 'stop'; it must be a list"),
        ({"measures": "[destroy]"}, "measures is 'destroy'; it must be one of stop, erase"),
        ({"measures": "[refuse-service]"}, "refuses service to nobody"),
        ({"colour": "red"}, "no field colour"),
        ({"fine": "a lot"}, "fine is 'a lot'; it must be a currency and whole units"),
        ({"fine": "GBP -5"}, "fine is"),
        ({"fine": "GBP 7,552,800"}, "fine is"),
        ({"daily": "EUR 0"}, "daily is"),
        ({"authority": '""'}, "authority is ''"),
        ({"authority": '"\\e[31mred"'}, "authority is .* a line of text"),
        ({"authority": '"two\\nlines"'}, "a line of text"),
        ({"authority": "x" * 1001}, "a line of text"),
        ({"scope": "{collections: [" + "a, " * 10_001 + "]}"}, "a list in brackets"),
    ],
)
def test_a_bad_order_is_refused_with_the_field_the_value_and_what_would_be_right(changes, says):
    with pytest.raises(UsageError, match=says) as refused:
        parse(text(**changes))
    assert len(str(refused.value)) < 2500


BOMB = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
)


@pytest.mark.parametrize(
    ("hostile", "says"),
    [
        (BOMB, "anchors, aliases or tags"),
        (text() + "note: !!python/object/apply:os.system [true]\n", "tags"),
        (text() + "note: !!str x\n", "tags"),
        (text(scope="&s {territories: [GB]}"), "anchors"),
        (text() + "<<: {note: x}\n", "no field <<"),
        (text() + "authority: Another\n", "authority twice"),
        (text(scope="{territories: [GB], territories: [FR]}"), "scope.territories twice"),
        (text() + "? [a, b]\n: c\n", "twice"),
        ("[" * 50_000, "nested too deeply|at most"),
        ("- " * 40_000, "nested too deeply|cannot be read"),
        (text(note="{a: {b: {c: {d: e}}}}"), "nested too deeply"),
        ("#" * 100_001, "at most 100,000 characters"),
        ("", "list of fields"),
        ("just text", "list of fields"),
        ("[a, b]", "list of fields"),
        (text() + "---\n" + text(), "cannot be read as YAML"),
        ("a: b: c", "cannot be read as YAML in line 1"),
        ("a: \x00", "cannot be read as YAML"),
        ("a: [", "cannot be read as YAML"),
        ("%YAML 9.9\n---\na: b", "cannot be read|list of fields|first line"),
    ],
    ids=range(20),
)
def test_a_hostile_file_is_refused_and_nothing_unfolds(hostile, says):
    with pytest.raises(UsageError, match=says):
        parse(hostile)


def test_any_file_with_something_altered_is_read_or_refused_and_never_more(tally):
    whole = EXAMPLE.read_text("utf-8") + "note: x\ndelete_by: 2023-01-01\n"
    rng = random.Random(2)
    for _ in range(2_000):
        at, size = rng.randrange(len(whole)), rng.choice((0, 1, 1, 5))
        put = rng.choice(("", ":", "&a ", "*a", "[", "}", "\n", "\t", "é", "!", "-", '"', "\x07", " "))
        altered = whole[:at] + put + whole[at + size :]
        try:
            found = parse(altered)
        except UsageError:
            continue
        assert parse(to_text(found)) == found
        tally["altered order files read or refused"] += 1


def test_every_field_of_the_record_can_stand_in_the_file():
    full = any_order(random.Random(3))
    written = yaml.safe_load(to_text(full))
    assert {field.name for field in dataclasses.fields(Order)} >= set(written) - {"order"}
    assert set(order._ORDER) == {field.name for field in dataclasses.fields(Order)}
