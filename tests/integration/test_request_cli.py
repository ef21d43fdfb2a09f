"""`countenance request` and `countenance erase --request`, as people run them."""

from __future__ import annotations

import base64
import io
import json

import pytest
from tests.integration.test_requests import DSR

MAIL = (
    b"From: A. Person <person@club.example>\r\nReceived: by x; Sat, 21 Nov 2020 10:00:00 +0000\r\n"
    b"Subject: please\r\n\r\nDelete portrait.png"
)


@pytest.fixture
def asked(filled, run):
    """The id of a request for erasure that was typed in."""
    return run("request", "open", "erasure", "--name", "A. Person", "--text", "my portrait", "--json").json["id"]


def last(ran):
    return ran.err.splitlines()[-1]


def test_a_request_goes_from_its_arrival_to_its_end_and_each_command_says_the_next(filled, run, tmp_path):
    opened = run("request", "open", "erasure", "--name", "A. Person", "--contact", "a@b.example")
    request = next(line.split()[1] for line in opened.out.splitlines() if line.startswith("request"))
    assert "receipt" in opened.out
    assert last(opened) == f"Next: countenance request identify {request} --help"
    dry = run("request", "identify", request, "--address", "portrait.png", "--dry-run")
    assert (dry.code, last(dry)) == (0, "Dry run: nothing was changed.")
    assert run("request", "show", request, "--json").json["candidates"] == {"yes": 0, "no": 0, "unsure": 0}
    found = run("request", "identify", request, "--address", "portrait.png", "--sheet", tmp_path / "sheet.html")
    face = found.out.split("\t")[1]
    assert last(found) == f"Next: countenance request review {request} --yes ID --no ID"
    assert "show it to nobody else" in found.err
    assert "data:image/jpeg" in (tmp_path / "sheet.html").read_text()
    assert run("request", "scope", request).code == 2
    assert run("request", "review", request, "--yes", face, "--dry-run").code == 0
    assert run("request", "review", request, "--json").json[0]["verdict"] == "unsure"
    assert run("request", "review", request, "--yes", face, "--no", face).code == 2
    reviewed = run("request", "review", request, "--yes", face)
    assert last(reviewed) == f"Next: countenance request scope {request}"
    scoped = run("request", "scope", request)
    assert "portrait.png" in scoped.out
    assert last(scoped) == f"Nothing was changed. Next: countenance erase --request {request}"
    dry = run("erase", "--request", request, "--dry-run", "--json").json
    assert (dry["changed"], len(dry["scopes"][0]["reach"])) == (False, 1)
    assert "say --yes" in run("erase", "--request", request).err
    early = run("request", "answer", request, "--outcome", "granted")
    assert (early.code, "still there" in early.err) == (2, True)
    erased = run("erase", "--request", request, "--yes", "--approved-by", "A Colleague")
    assert last(erased) == f"Next: countenance request answer {request} --outcome granted"
    assert "certified" in erased.out
    assert not (tmp_path / "sheet.html").exists()
    assert run("request", "answer", request, "--outcome", "granted", "--dry-run").code == 0
    answered = run("request", "answer", request, "--outcome", "granted", "--said", "It is gone.")
    assert last(answered) == f"Next: countenance request letter {request} answer:granted --out letter.html"
    written = run("request", "letter", request, "answer:granted", "--out", tmp_path / "letter.html")
    assert "It is gone." in (tmp_path / "letter.html").read_text()
    assert "Not stated: the supervisory authority. It is the setting `authority`." in written.err
    assert last(written) == f"Next: countenance request close {request}"
    shown = run("request", "show", request, "--json").json
    assert (shown["standing"]["state"], len(shown["erasures"])) == ("answered", 1)
    assert last(run("request", "close", request)) == "Next: countenance request list --unanswered"
    assert run("request", "list", "--unanswered", "--json").json == []


@pytest.mark.parametrize(
    ("kind", "following"),
    [
        ("objection", "request scope {}"),
        ("access", "request answer {} --outcome granted --bundle answer.zip"),
        ("restriction", "face restrict --request {}"),
        ("rectification", "face not-same --help"),
        ("complaint", "request answer {} --outcome granted"),
    ],
)
def test_the_command_after_the_review_is_the_one_of_the_kind_of_request(filled, run, kind, following):
    request = run("request", "open", kind, "--text", "portrait.png", "--json").json["id"]
    (found,) = run("request", "identify", request, "--address", "portrait.png", "--json").json
    reviewed = run("request", "review", request, "--yes", found["photo_id"])
    assert last(reviewed) == f"Next: countenance {following.format(request)}"


def test_what_a_request_erases_and_why_is_said_by_itself(asked, run):
    for more in (("--ground", "operator"), ("--photo", "pho_x"), ("-c", "club")):
        told = run("erase", "--request", asked, *more)
        assert (told.code, "says itself" in told.err) == (2, True)
    assert run("erase", "--request", asked).code == 2
    access = run("request", "open", "access", "--json").json["id"]
    assert run("erase", "--request", access, "--yes").code == 2


def test_a_mail_is_taken_in_with_its_own_date_guessed_at_and_late_ones_are_marked_on_the_list(filled, run, tmp_path):
    mail = tmp_path / "mail.eml"
    mail.write_bytes(MAIL)
    assert run("request", "open", "--from-mail", mail, "--dry-run").code == 0
    assert run("request", "list", "--json").json == []
    opened = run("request", "open", "--from-mail", mail)
    assert "erasure (guessed: settle it)" in opened.out
    request = next(line.split()[1] for line in opened.out.splitlines() if line.startswith("request"))
    assert last(opened) == f"Next: countenance request settle {request} erasure"
    run("request", "open", "access")
    first, second = run("request", "list").out.splitlines()
    assert first.startswith("2020-12-21\tLATE by ")
    assert second.split("\t")[1].endswith("days left")
    assert last(run("request", "settle", request, "erasure")) == f"Next: countenance request identify {request} --help"


def test_a_day_of_receipt_can_be_given_and_a_law(filled, run):
    made = run("request", "open", "access", "--received", "2021-07-01", "--law", "ccpa", "--json").json
    assert made["request"]["received_at"] == "2021-07-01T00:00:00+00:00"
    assert (made["standing"]["acknowledge_by"], made["standing"]["due"]) == ("2021-07-15", "2021-08-15")
    done = run("request", "acknowledge", made["id"], "--json").json
    assert done["standing"]["acknowledged"]


def test_the_pictures_of_a_mail_can_be_compared_and_are_not_kept(filled, run, tmp_path, portrait):
    memory = io.BytesIO()
    portrait.resize((400, 400)).save(memory, "JPEG")
    mail = tmp_path / "mail.eml"
    mail.write_bytes(
        b"From: a@b.example\r\nContent-Type: image/jpeg; name=me.jpg\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(memory.getvalue())
    )
    opened = run("request", "open", "--from-mail", mail)
    assert "1 picture came along; nothing of them was kept." in opened.err
    request = next(line.split()[1] for line in opened.out.splitlines() if line.startswith("request"))
    found = run("request", "identify", request, "--from-mail", mail, "--json").json
    assert len(found) == 3
    again = run("request", "identify", request, "--photo", tmp_path / "passport.jpg")
    assert (again.code, "None is needed" in again.err) == (2, True)


def test_opendsr_is_taken_in_and_what_is_none_is_refused(filled, run, tmp_path):
    file = tmp_path / "dsr.json"
    file.write_text(json.dumps(DSR | {"submitted_time": "2020-11-20T10:00:00Z"}))
    made = run("request", "open", "--from-opendsr", file, "--json").json
    assert (made["request"]["channel"], made["standing"]["due"]) == ("opendsr", "2020-12-21")
    file.write_text("{}")
    assert run("request", "open", "--from-opendsr", file).code == 2
    assert run("request", "open", "--from-mail", tmp_path / "nowhere.eml").code == 1
    assert run("request", "open").code == 2
    assert run("request", "open", "access", "--from-opendsr", file).code == 2
    assert run("request", "open", "face").code == 2


def test_the_clock_is_extended_paused_and_resumed_with_their_letters(asked, run):
    extended = run("request", "extend", asked, "--reason", "many photos")
    assert last(extended) == f"Next: countenance request letter {asked} extension"
    assert "many photos" in run("request", "letter", asked, "extension").out
    paused = run("request", "pause", asked, "identity", "--said", "Which album?")
    assert last(paused) == f"Next: countenance request letter {asked} pause"
    assert "Which album?" in run("request", "letter", asked, "pause", "--json").json["text"]
    assert run("request", "list").out.split("\t")[1] == "paused"
    assert run("request", "pause", asked, "holiday").code == 2
    assert run("request", "resume", asked).code == 0
    assert run("request", "close", asked).code == 2
    shown = run("request", "show", asked).out
    assert "paused identity" in shown
    assert "my portrait" in shown


def test_what_is_found_nowhere_leads_to_the_answer_that_says_so(asked, run, tmp_path):
    found = run("request", "identify", asked, "--address", "nowhere.jpg")
    assert "does not show that there is nothing" in found.err
    assert last(found) == f"Next: countenance request answer {asked} --outcome nothing"
    run("request", "answer", asked, "--outcome", "nothing", "--said", "an address")
    text = tmp_path / "letter.txt"
    assert run("request", "letter", asked, "nothing", "--out", text).code == 0
    assert "an address" in text.read_text()
    assert run("request", "letter", asked, "nothing", "--out", text).code == 2  # nothing is written over


def test_that_there_is_no_request_is_said(filled, run):
    assert "There is no request." in run("request", "list").err
    assert run("request", "show", "req_nobody").code == 1
