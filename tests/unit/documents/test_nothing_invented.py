"""Every value of a document comes from the facts or from what is stated, and what neither has is a visible gap."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.documents.conftest import CLUB, DOCUMENTS, FACTS, STATED

from countenance.documents import collection
from countenance.documents import notice as notices
from countenance.documents.consent import ASKED
from countenance.documents.document import Gap, Paragraph, Table, closed, gaps
from countenance.documents.render import FORMATS
from countenance.documents.statements import KEYS, Statements
from countenance.errors import UsageError
from countenance.gate.rulebook import shipped
from countenance.records import ART6, ART9, Collection
from countenance.search import calibration

NOT_SHOWN = {  # and must not be: paths, and what an order or a source says beyond its right
    *("location", "collection_id", "evidence.id"),
    *(f"order.{name}" for name in ("scope", "service", "measures", "cease_from", "delete_by", "fine", "daily", "note")),
    "order.unconfirmed",
}
OTHER = {  # another value that can be, where adding to the old one is none
    "art6": "consent",
    "art9": "members",
    "mode": "enrolled",
    "on_erase": "delete",
    "kind": "archive",
    "takes_in": ("DE",),
    "state": "lifted",
}


def written(kind, facts=FACTS, stated=STATED):
    document = DOCUMENTS[kind](facts, Statements(stated, [held.collection.name for held in facts.held]))
    return FORMATS["md"](closed(document))


def other(name: str, value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 100_003
    if isinstance(value, date):
        return value + timedelta(days=800)
    if name in OTHER:
        return OTHER[name]
    return "other" if value is None else f"{value} changed"


def changes(record: Any, path: str = "") -> Iterator[tuple[str, Any]]:  # noqa: C901
    """Each leaf of a record by its path, with the record in which only that leaf is another."""
    if is_dataclass(record):
        parts = {f.name: getattr(record, f.name) for f in fields(record)}
        for name, value in parts.items():
            if f"{type(record).__name__.lower()}.{name}" in NOT_SHOWN or name in NOT_SHOWN:
                continue
            for where, changed in changes(value, name):
                yield f"{path}.{where}", replace(record, **{name: changed})
    elif isinstance(record, Mapping):
        for key, value in record.items():
            for where, changed in changes(value, f"{path}[{key}]"):
                yield where, {**record, key: changed}
    elif isinstance(record, tuple) and record and is_dataclass(record[0]):
        for number, value in enumerate(record):
            for where, changed in changes(value, path):
                yield where, (*record[:number], changed, *record[number + 1 :])
    else:
        yield path, other(path, record)


def cells(document):
    """Every value in tables and paragraphs."""
    for part in document.parts:
        if isinstance(part, Table):
            names = 0 if any(part.head) else 1  # a table without head has names in its first column
            yield from (value for row in part.rows for value in row[names:] if isinstance(value, str))
        elif isinstance(part, Paragraph):
            yield from (value for value in part.said if isinstance(value, str))


CHANGES = dict(changes(FACTS))


@pytest.mark.parametrize("path", CHANGES)
def test_whatever_the_vault_knows_changes_a_document_when_it_changes(path):
    assert any(written(kind) != written(kind, CHANGES[path]) for kind in DOCUMENTS)


def test_no_document_names_the_path_of_a_source(kind):
    assert "/secret/path" not in written(kind)


def test_every_word_that_differs_between_two_vaults_is_one_of_their_facts_or_of_the_law(kind):
    plain = Collection(id="col_x", name="X")
    none = dict.fromkeys(("past_due", "linked", "consenting", "searches"), 0)
    months: dict[str, dict[str, int]] = {kind: {} for kind in FACTS.held[0].months}
    held = replace(FACTS.held[0], collection=plain, sources=(), photos={}, territories={(): 0}, months=months, **none)
    zero = dict.fromkeys(("restrictions", "wishes", "lines", "cosigned", "epoch", "search_days"), 0)
    empty = replace(
        FACTS,
        held=(held,),
        orders=(),
        erasures=(),
        requests={},
        suppressions={},
        root="",
        vault="",
        provider="",
        **zero,
    )
    own = set(cells(DOCUMENTS[kind](empty, Statements({}, ["X"]))))
    known = {*leaves(FACTS), *STATED.values(), "8,013"}  # photos of which something is held: the sum of three states
    known |= {word for law in shipped() for word in (law.law, law.retention.article, law.retention.says)}
    known |= {gap.article for law in shipped() for gap in (law.notice, law.condition, *law.states) if gap}
    rates = calibration.load("sface")
    score = rates.threshold(0.01, 9001)
    known |= {f"{score:.3f}", f"{rates.fmr(score):.2g}"}
    known |= {"2037-11-06", "2029-11-23"}  # 4,001 days, and the three years of Illinois
    known |= {collection.MODES["all"], notices.KINDS["folder"], *notices.OBJECT, "no day", "two people"}
    known |= {"no, it is beyond: a guess"}  # 9,001 faces need a score above 0.48
    known |= {gap.needs for gap in collection.unmet(FACTS.held[0], FACTS.on)}
    for value in cells(DOCUMENTS[kind](FACTS, Statements(STATED, [CLUB.name]))):
        assert value in own or any(word in value for word in known if len(word) > 1), value


def leaves(record: Any) -> Iterator[str]:
    """Every leaf of a record as a document would write it."""
    if is_dataclass(record):
        for f in fields(record):
            yield from leaves(getattr(record, f.name))
    elif isinstance(record, Mapping):
        for key, value in record.items():
            yield from leaves(key)
            yield from leaves(value)
    elif isinstance(record, tuple):
        for value in record:
            yield from leaves(value)
    elif record is not None and not isinstance(record, bool):
        yield f"{record:,}" if isinstance(record, int) else ART6.get(record) or ART9.get(record) or str(record)


def test_a_collection_that_states_nothing_shows_a_gap_for_each_field_that_the_law_asks_for(kind):
    bare = replace(FACTS, held=(replace(FACTS.held[0], collection=Collection(id="col_club", name="Bare")),))
    document = DOCUMENTS[kind](bare, Statements({}, ["Bare"]))
    asked = {"retention": {"retention_days"}}.get(
        kind, {"purpose", "controller", "contact", "art6", "art9", "notice", "established", "representative"}
    )
    for field in asked | ({"retention_days"} if kind in {"notice", "ropa", "dpia"} else set()):
        assert any(f": {field}" in gap for gap in gaps(document)), field


def test_every_gap_is_visible_where_it_stands_and_again_in_the_list_at_the_end(kind):
    document = DOCUMENTS[kind](FACTS, Statements({}, [CLUB.name]))
    for form, mark in (("md", "**\\[not stated: "), ("html", "<mark>[not stated: ")):
        text = FORMATS[form](closed(document))
        body, _, end = text.partition("What is not stated")
        assert body.count(mark) >= len(gaps(document))
        for gap in gaps(document):
            assert gap.replace("_", "\\_" if form == "md" else "_") in end.replace("&#x27;", "'")


def test_with_all_that_can_be_stated_nothing_is_left_open(kind):
    document = DOCUMENTS[kind](FACTS, Statements(STATED, [CLUB.name]))
    assert gaps(document) == ()
    assert "Nothing: every field is stated." in written(kind)


@pytest.mark.parametrize("key", sorted(KEYS))
def test_each_statement_is_asked_for_by_a_document_or_a_receipt_and_fills_its_gap(key):
    without = {name: value for name, value in STATED.items() if name != key}
    asking = [k for k in DOCUMENTS if f"not stated: {key}:".replace("_", "\\_") in written(k, FACTS, without)]
    assert bool(asking) or key in ASKED
    for each in asking:
        assert STATED[key] in written(each)


def test_what_is_stated_for_one_collection_goes_before_what_is_stated_for_all():
    stated = Statements({"recipients": "all", "B": {"recipients": "b only"}}, ["A", "B"])
    assert (stated.say("A", "recipients"), stated.say("B", "recipients")) == ("all", "b only")
    assert isinstance(stated.say("A", "transfers"), Gap)


@pytest.mark.parametrize(
    "given", [{"recipient": "x"}, {"C": {"recipients": "x"}}, {"recipients": ""}, {"recipients": 3}]
)
def test_a_statement_that_no_document_asks_for_is_refused(given):
    with pytest.raises(UsageError, match="Nothing was written"):
        Statements(given, ["A"])


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(KEYS)), st.text("abc ", min_size=1).filter(str.strip)))
def test_the_gaps_are_exactly_what_is_asked_for_and_not_stated(given_):
    for kind in DOCUMENTS:
        everything = gaps(DOCUMENTS[kind](FACTS, Statements({}, [CLUB.name])))
        left = gaps(DOCUMENTS[kind](FACTS, Statements(given_, [CLUB.name])))
        assert set(left) == {gap for gap in everything if not any(f": {key}: " in gap for key in given_)}


def test_the_page_on_documents_lists_all_that_can_be_stated():
    page = (Path(__file__).parents[3] / "docs" / "documents.md").read_text("utf-8")
    assert re.findall(r"^\| `(\w+)` \| ", page, re.MULTILINE) == sorted(KEYS)
