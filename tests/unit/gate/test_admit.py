from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from countenance.gate.admit import STATED, admit, lacks, lawful, missing
from countenance.gate.rule import REFUSALS, gaps
from countenance.gate.rulebook import EXAMPLE, shipped
from countenance.records import Admitted, Collection, Evidence, Refusal, Reservation

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOME = replace(EXAMPLE, name="Club", takes_in=("GB",), established="GB")
NOWHERE = replace(EXAMPLE, name="Club", mode="all", justification="x", art9="made-public")


def seen(*territories: str) -> tuple[Evidence, ...]:
    return tuple(Evidence(kind="gps", territory=each, origin="test") for each in territories)


def test_a_collection_that_has_all_that_its_law_asks_for_lacks_nothing():
    assert (lacks(HOME, NOW.date()), missing(HOME, NOW.date())) == (None, ())


def test_all_that_is_missing_is_said_at_once_with_the_command_that_states_it():
    bare = Collection(id="c", name="the club", takes_in=("FR", "US-IL"))
    lacking = str(lacks(bare, NOW.date()))
    assert "a condition under Art. 9 GDPR" not in lacking  # the law of Illinois says which one
    for words in set(STATED.values()) - {"a condition under Art. 9 GDPR"}:
        assert words in lacking
    assert "the condition explicit-consent [US-IL 740 ILCS 14/15(b)(3)]" in lacking
    assert "a representative in EU, IS, LI, NO, or a controller established there [EU Art. 27]" in lacking
    assert (
        "`countenance collection set 'the club' --purpose … --controller … --contact … --art6 … --retention-days … "
        "--notice … --representative … --established … --art9 explicit-consent --policy … --release …`"
    ) in lacking
    assert len(missing(bare, NOW.date())) == len(re.findall(";", lacking)) + 1


def test_what_several_laws_ask_for_is_said_once_with_every_article():
    both = replace(NOWHERE, takes_in=("US-IL", "US-TX"))
    (consent,) = (each for each in missing(both, NOW.date()) if "explicit-consent" in each)
    assert consent == "the condition explicit-consent [US-IL 740 ILCS 14/15(b)(3), US-TX § 503.001(b)(2)]"


def test_a_collection_that_does_not_say_whose_people_it_takes_in_is_asked_for_that():
    (words,) = missing(NOWHERE, NOW.date())
    assert words.startswith("the places whose people it takes in (until it says, every law counts")
    assert "--takes-in … --established …`" in str(lacks(NOWHERE, NOW.date()))
    assert lacks(replace(NOWHERE, takes_in=("JP",)), NOW.date()) is None


def test_a_collection_of_anybody_that_meets_every_law_may_start():
    every = replace(
        EXAMPLE, representative="x", policy="x", release="x", declared_on=date(2026, 1, 1), takes_in=(), mode="enrolled"
    )
    assert lacks(every, NOW.date()) is None
    assert isinstance(admit(every, b"x", evidence=(), suppressed_by=None, now=NOW), Admitted)


def test_an_admitted_photo_expires_by_the_law_of_its_place():
    stated = replace(HOME, policy="x", release="x")
    admitted = admit(stated, b"x", evidence=seen("US-IL"), suppressed_by=None, now=NOW)
    assert isinstance(admitted, Admitted)
    assert admitted.expires_at.date() == date(2029, 11, 23)


def test_a_photo_whose_law_is_not_met_is_not_admitted_and_not_shown():
    refused = admit(HOME, b"x", evidence=seen("US-IL"), suppressed_by=None, now=NOW)
    assert isinstance(refused, Refusal)
    assert refused.slug == "needs-policy"
    assert not lawful(HOME, seen("US-IL"), NOW)
    assert lawful(HOME, seen("US-CA"), NOW)


def test_a_reserved_photo_is_not_admitted():
    mark = Reservation(kind="tdmrep", reserves="mining", origin="x", text="tdm-reservation 1")
    refused = admit(HOME, b"x", evidence=(), reserved=[mark], suppressed_by=None, now=NOW)
    assert isinstance(refused, Refusal)
    assert refused.slug == "reserved"
    assert isinstance(admit(HOME, b"x", evidence=(), suppressed_by=None, now=NOW), Admitted)


@pytest.mark.parametrize("slug", REFUSALS)
def test_every_refusal_of_a_rule_is_in_the_table_of_the_page(slug):
    assert f"| {slug} |" in (Path(__file__).parents[3] / "docs" / "rules.md").read_text("utf-8")


def test_the_rules_refuse_under_no_other_name():
    bare = Collection(id="c", name="Club", mode="all", youngest=3, purpose_ends=date(2026, 1, 1))
    late = replace(bare, declared_on=date(2026, 11, 22))
    found = {gap.slug for each in (bare, late) for gap in gaps(each, shipped(), NOW.date())}
    assert found == set(REFUSALS)
