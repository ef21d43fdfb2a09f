"""Which records an order reaches, as a table."""

from __future__ import annotations

from datetime import date

import pytest

from countenance.gate.reach import Facts, facts_of, in_territory, reaches, serves, stops, stops_whole
from countenance.records import Evidence, OrderScope, Service

FACTS = Facts(
    territories=frozenset({"GB-SCT"}),
    collection="col_a",
    source="src_a",
    subjects=frozenset({"sub_a"}),
    purpose="archive",
    added=date(2022, 5, 18),
    taken=None,
)


def evidence(*territories, kind="gps"):
    return tuple(Evidence(kind=kind, territory=code, origin="a test") for code in territories)


@pytest.mark.parametrize(
    ("ordered", "known", "reach"),
    [
        ("GB", "GB", "in"),
        ("GB", "GB-SCT", "in"),
        ("GB-SCT", "GB", "undetermined"),
        ("US-IL", "US", "undetermined"),
        ("US-IL", "US-CA", "out"),
        ("US-IL", "US-IL", "in"),
        ("EU", "IE", "in"),
        ("DE", "EU", "undetermined"),
        ("EU", "GB", "out"),
        ("GB", "", "undetermined"),
        ("", "", "in"),
        ("", "FR", "in"),
        ("GB", "FR IE", "out"),
        ("GB", "FR GB", "in"),  # evidence that contradicts itself counts for each territory it names
        ("GB FR", "FR", "in"),
        ("US-IL", "US US-CA", "undetermined"),
        ("US", "PR", "in"),
    ],
)
def test_evidence_lies_in_an_ordered_territory_out_of_it_or_is_too_coarse_to_say(ordered, known, reach):
    assert in_territory(ordered.split(), known.split()) == reach


@pytest.mark.parametrize(
    ("scope", "reach"),
    [
        ({"everything": True}, "in"),
        ({"territories": ("GB",)}, "in"),
        ({"territories": ("FR",)}, "out"),
        ({"collections": ("col_a", "col_b")}, "in"),
        ({"collections": ("col_b",)}, "out"),
        ({"sources": ("src_b",)}, "out"),
        ({"subjects": ("sub_a",)}, "in"),
        ({"subjects": ("sub_b",)}, "out"),
        ({"purposes": ("archive",)}, "in"),
        ({"purposes": ("sale",)}, "out"),
        ({"added_from": date(2022, 5, 18), "added_until": date(2022, 5, 18)}, "in"),
        ({"added_from": date(2022, 5, 19)}, "out"),
        ({"added_until": date(2022, 5, 17)}, "out"),
        ({"taken_from": date(2022, 1, 1)}, "undetermined"),
        ({"territories": ("GB",), "collections": ("col_b",)}, "out"),  # criteria of different kinds must all hold
        ({"taken_from": date(2022, 1, 1), "territories": ("FR",)}, "out"),
        ({"taken_from": date(2022, 1, 1), "territories": ("GB",)}, "undetermined"),
    ],
)
def test_criteria_of_different_kinds_must_all_hold_and_of_one_kind_any(scope, reach):
    assert reaches(OrderScope(**scope), FACTS) == reach


@pytest.mark.parametrize(("unknown", "stopped"), [("include", True), ("review", True), ("exclude", False)])
def test_what_is_undetermined_is_stopped_unless_the_order_says_otherwise(unknown, stopped):
    assert stops(OrderScope(taken_from=date(2022, 1, 1), unknown=unknown), FACTS) == stopped


@pytest.mark.parametrize(
    ("scope", "whole"),
    [
        (OrderScope(everything=True), True),
        (OrderScope(collections=("col_a",)), True),
        (OrderScope(collections=("col_a",), purposes=("archive",)), True),
        (OrderScope(purposes=("archive",)), True),
        (OrderScope(collections=("col_b",)), False),
        (OrderScope(purposes=("sale",)), False),
        (OrderScope(collections=("col_a",), territories=("GB",)), False),
        (OrderScope(territories=("GB",)), False),
        (OrderScope(unknown="review"), False),
    ],
)
def test_a_collection_is_stopped_as_a_whole_only_if_nothing_narrows_the_order_inside_it(scope, whole):
    assert stops_whole(scope, "col_a", "archive") == whole


@pytest.mark.parametrize(
    ("service", "origin", "tenant", "served"),
    [
        (Service(), None, None, True),
        (Service(territories=("GB",)), "GB-SCT", None, False),
        (Service(territories=("GB",)), "FR", None, True),
        (Service(territories=("GB",)), None, None, False),
        (Service(territories=("US-IL",)), "US", None, False),
        (Service(tenants=("acme",)), None, "acme", False),
        (Service(tenants=("acme",)), "FR", None, False),
        (Service(tenants=("acme",)), "GB", "other", True),
        (Service(territories=("GB",), tenants=("acme",)), "FR", "acme", False),
        (Service(territories=("GB",), tenants=("acme",)), "FR", "other", True),
    ],
)
def test_a_search_from_where_an_order_forbids_to_serve_is_refused_and_so_is_one_from_nobody_knows_where(
    service, origin, tenant, served
):
    assert serves(service, origin, tenant) == served


@pytest.mark.parametrize(
    ("recorded", "operator", "territories"),
    [
        (("US",), ("US-CA",), {"US-CA"}),  # a correction makes what was too coarse exact
        ((), ("FR",), {"FR"}),
        (("GB",), ("FR",), {"GB", "FR"}),  # and takes nothing away that contradicts it
        (("US", "US-IL"), ("US-CA",), {"US-IL", "US-CA"}),
        (("GB",), ("GB",), {"GB"}),
        (("EU", "DE"), (), {"EU", "DE"}),
    ],
)
def test_an_operators_correction_refines_what_is_known_and_never_overrules_it(recorded, operator, territories):
    known = facts_of(
        evidence(*recorded) + evidence(*operator, kind="operator"),
        collection="col_a",
        source="src_a",
        purpose=None,
        added=date(2022, 5, 18),
        taken_at="2022-05-01T10:00:00",
    )
    assert known.territories == territories
    assert known.taken == date(2022, 5, 1)


@pytest.mark.parametrize("taken_at", [None, "", "yesterday", "2022-13-40T00:00:00"])
def test_a_date_that_cannot_be_read_is_not_known(taken_at):
    found = facts_of((), collection="a", source="b", purpose=None, added=date(2022, 5, 18), taken_at=taken_at)
    assert found.taken is None
