"""P1: no basis, no template."""

from __future__ import annotations

import ast
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import countenance
from countenance import errors
from countenance.gate.admit import STATED, admit, admit_probe
from countenance.records import Admitted, Collection, Evidence, Refusal, Reservation
from countenance.store import collections

NOW = datetime(2026, 11, 23, tzinfo=UTC)
COMPLETE = Collection(
    id="col_x",
    name="club",
    purpose="testing",
    controller="the test suite",
    contact="the test suite",
    art6="consent",
    art9="explicit-consent",
    notice="told",
    retention_days=30,
    mode="all",
    justification="testing",
    takes_in=("GB",),
    established="GB",
)
SOURCE = Path(countenance.__file__).parent


@given(st.sets(st.sampled_from(sorted(STATED)), min_size=1))
def test_a_collection_that_leaves_out_anything_admits_no_photo_and_no_probe(left_out):
    collection = replace(COMPLETE, **dict.fromkeys(left_out))
    photo = admit(collection, b"x", evidence=(), suppressed_by=None, now=NOW)
    probe = admit_probe(collection, b"x", purpose="p", case="c", now=NOW)
    for outcome in (photo, probe):
        assert isinstance(outcome, Refusal)
        assert all(STATED[field] in outcome.sentence for field in left_out)


def test_a_complete_collection_admits_a_photo_until_its_retention_ends():
    admitted = admit(COMPLETE, b"x", evidence=(), suppressed_by=None, now=NOW)
    assert isinstance(admitted, Admitted)
    assert (admitted.expires_at - NOW).days == 30


def test_mode_all_without_a_justification_admits_nothing():
    assert isinstance(
        admit(replace(COMPLETE, justification=None), b"x", evidence=(), suppressed_by=None, now=NOW), Refusal
    )


@pytest.mark.parametrize(("field", "value"), [("art6", "because"), ("art9", "because"), ("retention_days", 10**6)])
def test_a_basis_that_the_law_does_not_know_admits_nothing(field, value):
    assert isinstance(
        admit(replace(COMPLETE, **{field: value}), b"x", evidence=(), suppressed_by=None, now=NOW), Refusal
    )


@pytest.mark.parametrize(("purpose", "case"), [("", "c"), ("p", ""), (None, "c"), ("p", "  ")])
def test_a_probe_without_purpose_or_case_is_not_admitted(purpose, case):
    assert isinstance(admit_probe(COMPLETE, b"x", purpose=purpose, case=case, now=NOW), Refusal)


@pytest.mark.parametrize("made", ["Admitted", "Hit", "Scope"])
def test_only_the_gate_makes_admitted_only_release_makes_hits_and_only_scope_makes_scopes(made):
    makers = {"Admitted": "gate/admit.py", "Hit": "search/release.py", "Scope": "orders/scope.py"}
    found = {
        str(file.relative_to(SOURCE))
        for file in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == made
    }
    assert found == {makers[made]}


def test_adding_to_an_incomplete_collection_reads_no_photo_and_says_what_is_missing(empty, photos, monkeypatch):
    empty.create_collection("club", purpose="testing")
    empty.create_source(photos, collection="club", controller="the test suite", evidence="made here")
    monkeypatch.setattr("countenance.sources.folder.Folder.photos", lambda *_: pytest.fail("a photo was read"))
    with pytest.raises(errors.Incomplete, match=r"Art\. 9"):
        empty.add(photos, collection="club")
    assert empty.counts("club") == {"faces": 0}
    assert empty.log.lines(kind="act:refused")[-1].public["reason"] == "incomplete"


def test_a_collection_that_loses_its_basis_shows_and_searches_nothing(filled, photos, monkeypatch):
    with filled.database.write() as tx:
        collections.replace(tx, replace(collections.find(tx, "club"), art9=None))
    with pytest.raises(errors.Refused, match=r"Art\. 9"):
        filled.search(photos / "portrait.png", collection="club", purpose="p", case="c")


def test_neither_the_law_of_its_place_nor_its_owner_lets_such_a_photo_be_embedded():
    illinois = Evidence(kind="gps", territory="US-IL", origin="EXIF GPS position")
    mark = Reservation(kind="plus", reserves="mining", origin="XMP", text="plus:DataMining DMI-PROHIBITED")
    for evidence, reserved in (((illinois,), ()), ((), (mark,))):
        assert isinstance(admit(COMPLETE, b"x", evidence=(), suppressed_by=None, now=NOW), Admitted)
        outcome = admit(COMPLETE, b"x", evidence=evidence, reserved=reserved, suppressed_by=None, now=NOW)
        assert isinstance(outcome, Refusal)
