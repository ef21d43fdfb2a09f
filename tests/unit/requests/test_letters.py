"""Letters: plain words, the dates of the clock, and gaps where something is not known."""

from __future__ import annotations

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countenance.errors import UsageError
from countenance.requests import clock, letters
from countenance.requests.letters import LETTERS, OUTCOMES, Case, Sender, write
from countenance.store.requests import KINDS, UNCLEAR, Step

RECEIVED, TODAY = date(2026, 11, 2), date(2026, 11, 9)
SENDER = Sender(
    controller="The Club, Lake Road 1",
    contact="photos@club.example",
    representative="none is needed: we are established in Ireland",
    authority="the Data Protection Commission, Dublin",
)
EVERY = [f"answer:{outcome}" for outcome in OUTCOMES] + [name for name in LETTERS if name != "answer"]


def case(kind="access", law="gdpr", steps=(), name="A. Person"):
    standing = clock.stand(law, kind, RECEIVED, steps)
    return Case(
        reference="req_1",
        kind=kind,
        law=law,
        received=RECEIVED,
        today=TODAY,
        standing=standing,
        name=name,
        receipt="rcp_1",
    )


@pytest.mark.parametrize("kind", EVERY)
def test_each_letter_names_who_answers_the_law_the_right_to_complain_and_the_dates(kind):
    steps = (Step(on=TODAY, what="paused", reason="identity"),) if kind == "pause" else ()
    letter = write(kind, case(steps=steps), SENDER, "this was said by a person")
    for said in (SENDER.controller, SENDER.contact, SENDER.representative, SENDER.authority, "Art. 12(3) GDPR"):
        assert said in letter.text
    for said in ("2 November 2026", "9 November 2026", "req_1", "rcp_1", "A. Person"):
        assert said in letter.text
    assert "complain" in letter.text
    assert letter.gaps == ()
    assert "not stated" not in letter.text


@pytest.mark.parametrize("kind", EVERY)
def test_what_is_not_known_is_a_visible_gap_and_is_listed(kind):
    letter = write(kind, case(name=""), Sender())
    for what in ("the controller", "a contact", "a representative", "the supervisory authority"):
        assert f"[not stated: {what}]" in letter.text
        assert f"[not stated: {what}]" in letter.html
        assert what in letter.gaps
    assert "Sir or Madam" in letter.text
    if kind != "acknowledgement":
        assert len(letter.gaps) > 4


def test_the_dates_are_those_of_the_clock():
    assert "2 December 2026" in write("acknowledgement", case(), SENDER).text
    extended = case(steps=(Step(on=TODAY, what="extended", reason="many photos"),))
    assert "2 February 2027" in write("extension", extended, SENDER, "many photos").text
    assert "17 December 2026" in write("acknowledgement", case(law="ccpa"), SENDER).text


def test_a_date_that_no_law_sets_is_not_called_the_laws():
    text = write("acknowledgement", case(kind="complaint"), SENDER).text
    assert "The law sets no date for this. We aim to answer you by 2 December 2026." in text


@pytest.mark.parametrize("kind", ["acknowledgement", "need", "pause"])
def test_no_letter_asks_for_a_face_or_an_identity_document(kind):
    steps = (Step(on=TODAY, what="paused", reason="identity"),)
    assert (
        "need not send us an identity document or a photo of yourself"
        in write(kind, case(steps=steps), SENDER, "x").text
    )


def test_nothing_found_does_not_claim_that_there_is_nothing():
    assert "does not show that there is no photo of you" in write("nothing", case(), SENDER, "an address").text


@pytest.mark.parametrize("kind", ["answer", "answer:", "answer:maybe", "refusal:granted", "postcard", ""])
def test_an_unknown_letter_is_refused(kind):
    with pytest.raises(UsageError, match="is no letter"):
        write(kind, case(), SENDER, "x")


def test_every_kind_of_request_has_its_words():
    assert set(letters.WANTED) == {*KINDS, UNCLEAR}


@given(name=st.text(max_size=50), said=st.text(max_size=200), kind=st.sampled_from(EVERY))
def test_whatever_a_person_wrote_stays_text_in_the_page(name, said, kind):
    page = write(kind, case(name=name), SENDER, said).html
    tags = set(re.findall(r"<(/?[a-zA-Z!][^\s>]*)", page))
    assert tags <= {
        "!DOCTYPE",
        "html",
        "/html",
        "head",
        "/head",
        "meta",
        "title",
        "/title",
        "style",
        "/style",
        "body",
        "/body",
        "h1",
        "/h1",
        "p",
        "/p",
        "br",
    }
    assert "http" not in page or "http" in name + said


@pytest.mark.parametrize("kind", EVERY)
def test_markup_that_a_person_wrote_is_shown_and_not_run(kind):
    letter = write(kind, case(name="<script>alert(1)</script>"), SENDER, "<img src=x onerror=alert(1)>")
    assert "<script" not in letter.html
    assert "<img" not in letter.html
    assert "&lt;script&gt;" in letter.html
    assert "<script>" in letter.text


def test_a_letter_shows_nothing_of_the_person_when_it_is_printed_for_a_log():
    assert "Person" not in repr(write("acknowledgement", case(), SENDER))
    assert "Person" not in repr(case())
