"""What a person asks, from its arrival by any channel to its answer: real photos, a real vault, `vault.requests`."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from PIL import Image
from pydantic import ValidationError
from tests.conftest import STATED
from tests.orders import order_text

import countenance
from countenance import Consent, errors
from countenance.audit import verify
from countenance.errors import UsageError
from countenance.settings import Settings
from countenance.store import requests
from countenance.store.tables import receipt

MAIL = b"""From: A. Person <person@club.example>\r
Received: from elsewhere; Sat, 21 Nov 2026 10:00:00 +0000\r
Subject: my photo\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary=b\r
\r
--b\r
Content-Type: text/plain; charset=utf-8\r
\r
Please delete https://club.example/2026/portrait.png\r
--b\r
Content-Type: image/jpeg; name=me.jpg\r
Content-Transfer-Encoding: base64\r
\r
%s\r
--b--\r
"""
DSR = {
    "regulation": "gdpr",
    "subject_request_id": "a7551968-d5d6-44b2-9831-815ac9017798",
    "subject_request_type": "erasure",
    "submitted_time": "2026-11-20T10:00:00Z",
    "subject_identities": [
        {"identity_type": "email", "identity_format": "raw", "identity_value": "person@club.example"}
    ],
    "api_version": "2.0",
}


def names(vault):
    return {photo.id: photo.address for photo in vault.photos(vault.sources("club")[0].id)}


def shown(vault, found):
    """The files that candidates stand for."""
    return sorted(names(vault)[one.photo_id] for one in found)


def found_and_confirmed(vault, kind="erasure", file="portrait.png", **more):
    """A request for which the face on one photo was found and confirmed."""
    request = vault.requests.open(kind, **more).id
    (one,) = vault.requests.identify(request, clues=[("address", file)])
    vault.requests.review(request, dict.fromkeys(one.face_ids or (one.photo_id,), "yes"))
    return request


def test_an_opendsr_request_that_is_sent_again_is_not_opened_twice(empty):
    body = json.dumps({
        "regulation": "gdpr",
        "subject_request_id": "a7551968-d5d6-44b2-9831-815ac9017798",
        "subject_request_type": "erasure",
        "submitted_time": "2026-11-01T15:00:00Z",
        "subject_identities": [{"identity_type": "email", "identity_format": "raw", "identity_value": "a@example.org"}],
    }).encode()  # fmt: skip
    first = empty.requests.open_opendsr(body)
    again = empty.requests.open_opendsr(body)
    assert (again.id, again.receipt, len(empty.requests.list())) == (first.id, first.receipt, 1)
    assert any("came before" in warning for warning in again.warnings)


def test_what_a_person_is_told_has_no_control_characters_whatever_was_typed(empty):
    request = empty.requests.open("access").id
    said = "\udcffnothing\x1b[31m was found"
    assert "\x1b" not in empty.requests.letter(request, "nothing", said=said).text
    empty.requests.answer(request, "nothing", said=said)
    letter = empty.requests.letter(request, "nothing")
    assert "nothing[31m was found" in letter.html.encode().decode()
    assert "\x1b" not in letter.text


def test_a_request_goes_from_its_opening_to_an_erasure_with_a_certificate_that_names_it_and_is_closed(filled):
    opened = filled.requests.open("erasure", name="A. Person", contact="person@club.example")
    request = opened.id
    assert (opened.standing.state, opened.left, opened.standing.due) == ("opened", 30, date(2026, 12, 23))
    (candidate,) = filled.requests.identify(request, clues=[("address", "portrait.png")])
    assert filled.requests.show(request).count("unsure") == 1
    filled.requests.review(request, {candidate.face_ids[0]: "yes"})
    (scope,) = filled.requests.scope(request)
    assert (scope.photos, scope.request) == ((candidate.photo_id,), request)
    with pytest.raises(UsageError, match="still there"):
        filled.requests.answer(request, "granted")
    (erasure,) = filled.requests.erase(request)
    assert (erasure.state, erasure.reason, erasure.request) == ("certified", "request", request)
    bundle = verify.unpack(filled.erasures.certificate(erasure.id))
    named = {"sha256": hashlib.sha256(request.encode()).hexdigest()}
    assert verify.examine(bundle).statement["request"] == named
    filled.requests.answer(request, "granted", said="Your portrait is gone.")
    assert "Your portrait is gone." in filled.requests.letter(request, "answer:granted").text
    assert filled.requests.close(request).standing.state == "closed"
    assert filled.requests.list(unanswered=True) == []
    assert filled.log.verify().problems == ()


@pytest.mark.parametrize(
    ("kind", "ground"),
    [("erasure", "Art. 17(1) GDPR"), ("withdrawal", "Art. 17(1)(b)"), ("objection", "Art. 17(1)(c)")],
)
def test_the_ground_of_the_certificate_follows_from_the_kind_of_request(filled, kind, ground):
    (erasure,) = filled.requests.erase(found_and_confirmed(filled, kind))
    assert ground in filled.erasures.view(erasure.id)


@pytest.mark.parametrize("kind", ["access", "rectification", "restriction", "portability", "complaint"])
def test_a_request_of_another_kind_erases_nothing(filled, kind):
    request = found_and_confirmed(filled, kind)
    with pytest.raises(UsageError, match="erases nothing"):
        filled.requests.erase(request)
    assert filled.requests.scope(request)
    assert filled.erasures.list() == []


def test_a_mail_starts_the_clock_on_the_day_it_arrived_and_is_only_guessed_at(filled, portrait):
    memory = io.BytesIO()
    portrait.resize((400, 400)).save(memory, "JPEG")
    opened = filled.requests.open_mail(MAIL % base64.b64encode(memory.getvalue()))
    assert (opened.standing.due, opened.request.kind, opened.request.confirmed) == (
        date(2026, 12, 21),
        "erasure",
        False,
    )
    assert opened.request.asked.contact == "person@club.example"
    assert opened.pictures == (memory.getvalue(),)
    by_text = filled.requests.identify(opened.id)
    assert shown(filled, by_text) == ["portrait.png"]
    by_look = filled.requests.identify(opened.id, pictures=opened.pictures)
    assert shown(filled, by_look) == ["mirrored.jpg", "portrait.png", "smaller.jpg"]
    filled.requests.review(opened.id, {one.photo_id: "yes" for one in by_look})
    with pytest.raises(UsageError, match="only guessed"):
        filled.requests.erase(opened.id)
    filled.requests.settle(opened.id, "erasure")
    assert len(filled.requests.erase(opened.id)) == 1


def test_opendsr_starts_the_clock_at_the_persons_own_time_under_the_law_that_it_names(filled):
    opened = filled.requests.open_opendsr(json.dumps(DSR | {"regulation": "ccpa"}).encode())
    assert (opened.request.law, opened.request.channel, opened.request.confirmed) == ("ccpa", "opendsr", True)
    assert opened.standing.due == date(2027, 1, 4)  # 45 days from 20 November


def test_the_zone_the_holidays_and_the_law_are_those_of_the_settings(vault_path, clock, filled):
    def due(received, **chosen):
        settings = Settings(workers=0, **chosen)
        with countenance.open(vault_path, settings=settings, clock=clock) as vault:
            return vault.requests.open("access", received_at=received).standing.due

    late = datetime(2026, 10, 21, 23, 30, tzinfo=UTC)
    assert due(late) == date(2026, 11, 23)  # the 21st of November is a Saturday
    assert due(late, zone="Asia/Tokyo") == date(2026, 11, 23)  # there it is the 22nd already, and that is a Sunday
    assert due(late, holidays=["2026-11-23"]) == date(2026, 11, 24)
    assert due(late, law="lgpd") == date(2026, 11, 5)
    assert due(late, law="lgpd", zone="Asia/Tokyo") == date(2026, 11, 6)
    with pytest.raises(UsageError, match="no clock for the law moon"):
        due(late, law="moon")


def test_holidays_may_stand_in_a_file_or_with_commas_and_what_is_no_day_or_zone_is_refused(tmp_path, monkeypatch):
    file = tmp_path / "holidays.txt"
    file.write_text("2026-12-25\n\n 2026-12-26 \n")
    assert Settings(holidays=str(file)).holidays == (date(2026, 12, 25), date(2026, 12, 26))
    monkeypatch.setenv("COUNTENANCE_HOLIDAYS", "2026-12-25, 2026-12-26")
    assert Settings().holidays == (date(2026, 12, 25), date(2026, 12, 26))
    for wrong in ({"holidays": "2026-13-01"}, {"holidays": "nowhere.txt"}, {"zone": "Europe/Atlantis"}, {"zone": ""}):
        with pytest.raises(ValidationError):
            Settings(**wrong)


def test_a_person_is_found_again_by_the_receipt_and_what_is_erased_is_forgotten_with_its_receipts(filled):
    first = filled.requests.show(found_and_confirmed(filled, "access"))
    assert first.receipt in filled.requests.letter(first.id, "acknowledgement").text
    with filled.database.write() as tx:
        photo = first.request.reviews[0].photo_id
        requests.give_receipt(tx, "rcp_photo", photo)
    second = filled.requests.open("erasure", text=f"see {first.receipt}")
    assert shown(filled, filled.requests.identify(second.id)) == ["portrait.png"]
    filled.requests.review(second.id, {photo: "yes"})
    filled.requests.erase(second.id)
    with filled.database.read() as tx:
        assert requests.about(tx, "rcp_photo") is None
        assert requests.about(tx, first.receipt) == first.id
        assert len(tx.sql.execute(receipt.select()).all()) == 2
    third = filled.requests.open("access").id
    assert filled.requests.identify(third, clues=[("receipt", first.receipt)]) == ()


def test_a_receipt_leads_to_nobody_else_once_the_person_is_erased_from_a_group_photo(empty, tmp_path, pair):
    folder = tmp_path / "group"
    folder.mkdir()
    pair.save(folder / "pair.png")
    empty.create_collection("club", **STATED)
    empty.create_source(folder, collection="club", controller="x", evidence="y", on_erase="redact")
    empty.add(folder)
    first = empty.requests.open("erasure")
    (one,) = empty.requests.identify(first.id, clues=[("address", "pair.png")])
    assert len(one.face_ids) == 2
    empty.requests.review(first.id, {one.face_ids[0]: "yes", one.face_ids[1]: "no"})
    (scope,) = empty.requests.scope(first.id)
    assert (scope.photos, scope.faces) == ((), one.face_ids[:1])
    empty.requests.erase(first.id)
    second = empty.requests.open("access")
    assert empty.requests.identify(second.id, clues=[("receipt", first.receipt)]) == ()
    with pytest.raises(UsageError, match="gone already"):
        empty.requests.scope(first.id)


def test_a_withdrawal_reaches_what_vault_withdraw_reaches(filled, photos, clock):
    consent = Consent(by="x", given_at=clock(), text="y", until=clock() + timedelta(days=9))
    filled.enrol("A. Person", [photos / "portrait.png"], collection="club", consent=consent)
    alone = filled.scope(subject="A. Person")
    request = filled.requests.open("withdrawal", text="I withdraw").id
    found = filled.requests.identify(request, clues=[("name", "A. Person")])
    first, *rest = [face for one in found for face in one.face_ids]
    filled.requests.review(request, {first: "yes"} | dict.fromkeys(rest, "no"))
    (scope,) = filled.requests.scope(request)
    assert (scope.photos, scope.faces, scope.subjects) == (alone.photos, alone.faces, alone.subjects)
    assert filled.requests.erase(request)[0].subjects == 1
    assert filled.subjects() == []
    assert filled.requests.answer(request, "granted").standing.state == "answered"


def test_after_a_withdrawal_by_the_operator_the_persons_request_for_it_can_be_answered(filled, photos, clock):
    consent = Consent(by="x", given_at=clock(), text="y", until=clock() + timedelta(days=9))
    filled.enrol("A. Person", [photos / "portrait.png"], collection="club", consent=consent)
    request = filled.requests.open("withdrawal").id
    found = filled.requests.identify(request, clues=[("name", "A. Person")])
    filled.requests.review(request, {one.photo_id: "yes" for one in found})
    filled.withdraw("A. Person")
    with pytest.raises(UsageError, match="gone already"):
        filled.requests.erase(request)
    assert filled.requests.answer(request, "granted").standing.state == "answered"


def test_an_erasure_takes_an_enrolled_subject_of_whom_nothing_is_left_and_no_other(filled, photos, clock):
    consent = Consent(by="x", given_at=clock(), text="y", until=clock() + timedelta(days=9))
    filled.enrol("A. Person", [photos / "portrait.png"], collection="club", consent=consent)
    request = filled.requests.open("erasure").id
    found = filled.requests.identify(request, clues=[("name", "A. Person")])
    (enrolled,) = [one for one in found if one.photo_id not in names(filled)]
    filled.requests.review(request, {one.photo_id: "no" for one in found if one != enrolled})
    filled.requests.review(request, {enrolled.face_ids[0]: "no"})
    (other, *_) = [one for one in found if one != enrolled]
    filled.requests.review(request, {other.face_ids[0]: "yes"})
    assert filled.requests.scope(request)[0].subjects == ()
    filled.requests.review(request, {enrolled.face_ids[0]: "yes"})
    assert len(filled.requests.scope(request)[0].subjects) == 1


def test_a_request_that_reaches_two_collections_gets_a_certificate_for_each_and_goes_on_where_it_was_cut_short(
    filled, photos, monkeypatch
):
    filled.create_collection("archive", **STATED)
    filled.create_source(photos, collection="archive", controller="x", evidence="y")
    filled.add(photos, collection="archive")
    request = filled.requests.open("erasure").id
    found = filled.requests.identify(request, clues=[("address", "portrait.png")])
    assert len(found) == 2
    assert len(filled.requests.identify(request, clues=[("address", "portrait.png")], collection="archive")) == 1
    filled.requests.review(request, {one.photo_id: "yes" for one in found})
    assert len({scope.collection_id for scope in filled.requests.scope(request)}) == 2

    class Cut(Exception):
        pass

    done = []

    def erase(scope, **more):
        if done:
            raise Cut
        done.append(scope)
        return filled.erase(scope, **more)

    with pytest.raises(Cut):
        replace(filled.requests, carry_out=erase).erase(request)
    with pytest.raises(UsageError, match="1 of what was confirmed is still there"):
        filled.requests.answer(request, "granted")
    assert len(filled.requests.erase(request)) == 1
    assert {erasure.collection_id for erasure in filled.erasures.list()} == {c.id for c in filled.collections()}
    assert {erasure.request for erasure in filled.erasures.list()} == {request}


def test_a_contact_sheet_shows_the_candidates_and_goes_with_the_first_of_them_that_is_erased(filled, tmp_path):
    request = filled.requests.open("erasure").id
    with pytest.raises(errors.NotFound, match="candidate"):
        filled.requests.sheet(request, tmp_path / "none.html")
    (face,) = filled.requests.identify(request, clues=[("address", "portrait.png")])
    _, plain = filled.requests.identify(request, clues=[("address", "meadow.jpg")])
    both, later = tmp_path / "both.html", tmp_path / "later.html"
    filled.requests.sheet(request, both)
    page = both.read_text()
    assert all(
        word in page for word in ("portrait.png", "meadow.jpg", face.face_ids[0], plain.photo_id, "data:image/jpeg")
    )
    filled.requests.review(request, {face.photo_id: "no", plain.photo_id: "yes"})
    filled.requests.erase(request)
    assert not both.exists()
    filled.requests.sheet(request, later)
    assert "meadow.jpg" not in later.read_text()
    filled.erase(filled.scope(photo=face.photo_id))
    assert (later.exists(), filled.exports.list()) == (False, [])


def test_what_an_order_hides_is_found_for_the_person_who_asks_so_that_nobody_is_told_there_is_nothing(filled):
    order = filled.orders.draft(order_text(scope="{everything: yes}", measures="[stop]"))
    filled.orders.approve(order.id, confirm=4)
    request = found_and_confirmed(filled)
    assert filled.requests.scope(request)
    assert filled.requests.erase(request)[0].state == "certified"
    again = filled.requests.open("access").id
    assert filled.requests.identify(again, clues=[("address", "portrait.png")]) == ()


def test_a_picture_that_shows_an_identity_document_by_its_name_is_not_even_looked_at(filled, photos):
    request = filled.requests.open("access").id
    with pytest.raises(UsageError, match="None is needed"):
        filled.requests.identify(request, pictures=[photos / "my passport.jpg"])
    with pytest.raises(errors.BadImage):
        filled.requests.identify(request, pictures=[b"no picture"])
    assert filled.log.lines(kind="request:looked") == []


def test_a_letter_names_the_controller_of_what_was_confirmed_and_leaves_a_gap_where_collections_differ(filled):
    request = found_and_confirmed(filled, "access", contact="person@club.example")
    assert "Controller: the test suite" in filled.requests.letter(request, "need", said="which album").text
    filled.create_collection("archive", **STATED | {"controller": "Somebody Else", "contact": "else"})
    undecided = filled.requests.open("access").id
    assert "the controller" in filled.requests.letter(undecided, "need", said="x").gaps
    assert "Controller: the test suite" in filled.requests.letter(request, "need", said="x").text
    (erasure,) = filled.requests.erase(found_and_confirmed(filled, file="smaller.jpg"))
    assert "Controller: the test suite" in filled.requests.letter(erasure.request, "answer:granted", said="x").text
    with pytest.raises(UsageError, match="is no letter"):
        filled.requests.letter(request, "summons")


def test_a_letter_says_who_represents_the_controller_or_that_nobody_need_or_that_it_is_not_stated(empty):
    empty.create_collection("club", **STATED | {"representative": None, "established": "GB", "takes_in": ("GB",)})
    request = empty.requests.open("access").id

    def represented():
        return empty.requests.letter(request, "need", said="x").text.split("Representative: ")[1].strip()

    assert represented() == "none is needed"
    empty.set_collection("club", takes_in=("GB", "FR"))
    assert represented() == "[not stated: a representative]"
    empty.set_collection("club", representative="Example Representative, Athens")
    assert represented() == "Example Representative, Athens"


def test_what_the_person_is_told_is_kept_for_the_letter(filled):
    request = filled.requests.open("access").id
    filled.requests.extend(request, "many photos of the lake")
    assert "many photos of the lake" in filled.requests.letter(request, "extension").text
    filled.requests.pause(request, "clarification", said="Which year do you mean?")
    assert "Which year do you mean?" in filled.requests.letter(request, "pause").text
    assert filled.requests.show(request).left is None
    assert filled.requests.resume(request).left is not None
    filled.requests.answer(request, "refused", said="because of this")
    assert "because of this" in filled.requests.letter(request, "refusal").text


def test_a_complaint_in_the_united_kingdom_is_to_be_acknowledged_within_thirty_days(filled, clock):
    opened = filled.requests.open("complaint", law="uk-gdpr", text="you did not answer")
    assert (opened.standing.acknowledge_by, opened.standing.statutory) == (date(2026, 12, 23), False)
    assert filled.requests.acknowledge(opened.id).standing.acknowledged
    assert filled.requests.open("complaint", law="gdpr").standing.acknowledge_by is None


def test_the_list_begins_with_what_is_due_first_and_counts_the_days_that_one_is_late(filled, clock):
    late = filled.requests.open("access").id
    clock.forward(days=40)
    new = filled.requests.open("access").id
    assert [(one.id, one.left) for one in filled.requests.list()] == [(late, -10), (new, 31)]
    filled.requests.answer(late, "nothing")
    assert [one.id for one in filled.requests.list(unanswered=True)] == [new]


def test_a_dry_run_says_the_date_and_keeps_nothing(vault_path, filled, settings, clock):
    with countenance.open(vault_path, settings=settings, clock=clock, dry_run=True) as vault:
        assert vault.requests.open("access").standing.due == date(2026, 12, 23)
        assert vault.requests.list() == []
        with pytest.raises(UsageError, match="dry run"):
            vault.requests.sheet("req_x", "sheet.html")
    assert filled.log.lines(kind="request:opened") == []


def test_why_explains_a_request_and_its_receipt(filled):
    opened = filled.requests.show(found_and_confirmed(filled))
    (erasure,) = filled.requests.erase(opened.id)
    told = filled.why(opened.id)
    assert told.kind == "request"
    said = " ".join(told.sentences)
    assert all(word in said for word in ("erasure", "2026-12-23", "1 yes", erasure.id, "request:opened"))
    by_receipt = filled.why(opened.receipt)
    assert (by_receipt.kind, by_receipt.sentences[1:]) == ("receipt", told.sentences)
    with pytest.raises(errors.NotFound):
        filled.why("rcp_" + "a" * 20)


def test_a_file_that_the_person_sends_is_found_exactly_and_not_kept(filled, photos, vault_path):
    request = filled.requests.open("access").id
    assert shown(filled, filled.requests.identify(request, files=[photos / "smaller.jpg"])) == ["smaller.jpg"]
    (line,) = filled.log.lines(kind="request:looked")
    assert (line.public["files"], line.public["offered"], line.public["kept"]) == (1, False, 0)
    with filled.database.read() as tx:
        digest = hashlib.sha256((photos / "smaller.jpg").read_bytes()).hexdigest()
        assert digest not in str(requests.find(tx, request).asked.clues)


def test_the_day_of_receipt_is_the_controllers(filled, vault_path, clock):
    settings = Settings(workers=0, zone="Europe/Dublin")
    with countenance.open(vault_path, settings=settings, clock=clock) as vault:
        summer = datetime(2026, 6, 30, 23, 30, tzinfo=UTC)  # the first of July in Dublin
        assert vault.requests.open("access", received_at=summer).standing.due == date(2026, 8, 3)
        assert vault.requests.desk.zone == ZoneInfo("Europe/Dublin")


def test_two_pictures_may_be_offered_and_either_is_matched(filled, portrait):
    request = filled.requests.open("access").id
    plain = Image.new("RGB", (300, 300), (10, 10, 10))
    assert shown(filled, filled.requests.identify(request, pictures=[plain])) == []
    found = filled.requests.identify(request, pictures=[plain, portrait.resize((256, 256))])
    assert "portrait.png" in shown(filled, found)
