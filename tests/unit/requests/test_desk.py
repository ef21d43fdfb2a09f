"""What is done about a request, in a real vault: dates, refusals, the log, and what stands sealed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.unit.requests.conftest import DUBLIN

from countenance.errors import NotFound, UsageError
from countenance.requests import desk
from countenance.requests.intake import from_mail
from countenance.store import requests
from countenance.store.requests import Clue

BY = {"by": "the tester"}


def found(vault, request_id="req_1"):
    with vault.database.read() as tx:
        return requests.find(tx, request_id)


def step(vault, what, reason=""):
    return desk.take_step(vault.database, "req_1", what, DUBLIN, reason=reason, **BY)


def test_a_request_is_kept_with_its_clock_and_comes_back_as_it_was_stored(opened):
    request = found(opened)
    assert (request.kind, request.law, request.state, request.channel) == ("erasure", "gdpr", "opened", "form")
    assert request.due_at == datetime(2026, 12, 21, 23, 59, 59, tzinfo=UTC)  # received on 21 November
    assert (request.asked.name, request.asked.contact) == ("A. Person", "person@club.example")
    assert request.expires_at > request.due_at
    with opened.database.read() as tx:
        assert requests.every(tx) == [request]
        assert requests.every(tx, unanswered=True) == [request]


def test_nothing_personal_of_a_request_stands_in_the_clear(opened, vault_path):
    desk.look(opened.database, "req_1", DUBLIN, clues=[Clue(kind="name", value="A. Person")], **BY)
    step(opened, "extended", "many photos of the lake")
    opened.database.truncate_wal()
    every = b"".join(file.read_bytes() for file in vault_path.rglob("*") if file.is_file())
    for said in (b"A. Person", b"person@club.example", b"portrait.png", b"many photos of the lake"):
        assert said not in every
    assert b"req_1" in every


def test_each_step_leaves_a_line_with_dates_and_counts_and_nothing_personal(opened):
    step(opened, "acknowledged")
    desk.look(opened.database, "req_1", DUBLIN, clues=[Clue(kind="address", value="portrait.png")], **BY)
    lines = [line for line in opened.log.lines() if line.kind.startswith("request:")]
    assert [line.kind for line in lines] == ["request:opened", "request:acknowledged", "request:looked"]
    assert lines[0].public | {"due": ""} == {
        "kind": "erasure",
        "law": "gdpr",
        "state": "opened",
        "due": "",
        "channel": "form",
        "received": "2026-11-21",
    }
    assert lines[2].public["clues"] == {"address": 1}
    assert (lines[2].public["candidates"], lines[2].public["kept"]) == (1, 0)
    assert "Person" not in str([line.public for line in lines])
    assert lines[0].parts[0] == {"request": "req_1", "by": "the tester"}
    assert not opened.log.verify().problems


def test_an_extension_moves_the_date_and_is_refused_after_the_first_month(opened, clock):
    clock.forward(days=29)
    with pytest.raises(UsageError, match="last day"):
        step(opened, "extended", "many photos")
    assert found(opened).steps == ()
    clock.forward(days=-1)
    assert step(opened, "extended", "many photos").due_at == datetime(2027, 2, 22, 23, 59, 59, tzinfo=UTC)


def test_a_pause_stops_the_clock_until_the_reply(opened, clock):
    assert step(opened, "paused", "identity").state == "paused"
    clock.forward(days=10)
    resumed = step(opened, "resumed")
    assert (resumed.state, resumed.due_at) == ("opened", datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC))


def test_a_request_cannot_be_closed_unanswered_nor_answered_without_an_outcome(opened):
    with pytest.raises(UsageError, match="unanswered"):
        step(opened, "closed")
    with pytest.raises(UsageError, match="outcomes"):
        step(opened, "answered", "done")
    assert step(opened, "answered", "refused").state == "answered"
    assert step(opened, "closed").state == "closed"
    with opened.database.read() as tx:
        assert requests.every(tx, unanswered=True) == []


def test_nothing_is_answered_before_every_candidate_is_reviewed(opened):
    candidates = desk.look(opened.database, "req_1", DUBLIN, clues=[Clue(kind="album", value="2000-01-01")], **BY)
    assert candidates == []
    (candidate,) = desk.look(opened.database, "req_1", DUBLIN, clues=[Clue(kind="address", value="portrait.png")], **BY)
    with pytest.raises(UsageError, match="1 candidates are not settled"):
        step(opened, "answered", "granted")
    desk.review(opened.database, "req_1", {candidate.face_ids[0]: "yes"}, DUBLIN, **BY)
    assert [line.public["yes"] for line in opened.log.lines(kind="request:reviewed")] == [1]
    with pytest.raises(UsageError, match="something was found"):
        step(opened, "answered", "nothing")
    with pytest.raises(UsageError, match="1 of what was confirmed is still there"):
        step(opened, "answered", "granted")
    assert step(opened, "answered", "partly").state == "answered"


def test_looking_again_keeps_what_was_reviewed(opened):
    clues = [Clue(kind="address", value="portrait.png")]
    (candidate,) = desk.look(opened.database, "req_1", DUBLIN, clues=clues, **BY)
    desk.review(opened.database, "req_1", {candidate.face_ids[0]: "no"}, DUBLIN, **BY)
    desk.look(opened.database, "req_1", DUBLIN, clues=clues, **BY)
    assert [one.verdict for one in found(opened).reviews] == ["no"]


def test_what_a_mail_only_seems_to_ask_must_be_confirmed_before_it_is_answered(filled, clock):
    mail = (
        b"From: a@b.example\r\nReceived: x; Sat, 21 Nov 2026 10:00:00 +0000\r\nSubject: hello\r\n\r\nDelete my photos"
    )
    came = from_mail(mail, now=clock.now)
    desk.open_request(filled.database, came, DUBLIN, request_id="req_1", receipt_id="rcp_1", law="gdpr", **BY)
    with pytest.raises(UsageError, match="only guessed"):
        step(filled, "answered", "granted")
    assert desk.settle(filled.database, "req_1", "access", DUBLIN, **BY).confirmed
    assert step(filled, "answered", "nothing").state == "answered"
    with pytest.raises(UsageError, match="answered"):
        desk.settle(filled.database, "req_1", "erasure", DUBLIN, **BY)


def test_the_clock_of_a_mail_that_nobody_understands_runs_all_the_same(filled, clock):
    came = from_mail(b"From: a@b.example\r\nReceived: x; Sat, 21 Nov 2026 10:00:00 +0000\r\n\r\nhm", now=clock.now)
    request = desk.open_request(filled.database, came, DUBLIN, request_id="req_1", receipt_id="rcp_1", law="gdpr", **BY)
    assert (request.kind, request.due_at) == ("unclear", datetime(2026, 12, 21, 23, 59, 59, tzinfo=UTC))


def test_a_step_that_fails_changes_nothing_and_logs_nothing(opened):
    before = (found(opened), opened.log.lines())
    for what in ("resumed", "closed", "lost"):
        with pytest.raises(UsageError):
            step(opened, what)
    assert (found(opened), opened.log.lines()) == before


def test_the_record_of_an_answered_request_goes_after_its_time_and_an_unanswered_one_stays(opened, clock):
    clock.forward(days=4000)
    assert desk.sweep(opened.database) == 0
    step(opened, "answered", "refused")
    assert desk.sweep(opened.database) == 0
    clock.forward(days=desk.KEPT_DAYS)
    with opened.database.write() as tx:
        requests.give_receipt(tx, "rcp_x", "req_1")
    assert desk.sweep(opened.database) == 1
    with pytest.raises(NotFound):
        found(opened)
    with opened.database.read() as tx:
        assert requests.about(tx, "rcp_x") is None
    assert opened.log.lines(kind="request:expired")[0].public == {"requests": 1}


def test_a_request_that_is_not_there_is_said_so(opened):
    with pytest.raises(NotFound, match="req_2"):
        found(opened, "req_2")
    with pytest.raises(NotFound):
        desk.settle(opened.database, "req_2", "access", DUBLIN, **BY)


def test_a_law_or_kind_without_a_clock_is_refused_and_nothing_is_stored(filled, clock):
    came = from_mail(b"From: a@b.example\r\n\r\ndelete", now=clock.now)
    with pytest.raises(UsageError, match="no clock"):
        desk.open_request(filled.database, came, DUBLIN, request_id="req_1", receipt_id="rcp_1", law="moon", **BY)
    with filled.database.read() as tx:
        assert requests.every(tx) == []
