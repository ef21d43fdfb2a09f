"""What authorities found and ordered, line by line: each test is named after its number in the list of findings."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.conftest import STATED, WHY
from tests.orders import order_text, replace_vision

import countenance
from countenance import Consent, errors, sources
from countenance.audit import verify
from countenance.gate.admit import admit
from countenance.records import Admitted, Refusal, Subject
from countenance.search import calibration
from countenance.search.release import release
from countenance.settings import Settings
from countenance.store import collections, faces, subjects, tables
from countenance.vision import examine, models

EXAMPLE = Path(__file__).parents[2] / "examples" / "orders" / "ico-2022-05-18.yaml"
PHOTOS = {"leeds.jpg": "ann @GB", "lyon.jpg": "bob @FR", "newry.jpg": "cat @GB,IE", "unknown.jpg": "ann"}


@pytest.fixture
def played(tmp_path, monkeypatch, clock):
    """A vault with photos from the UK, from France, from the Irish border and from nobody knows where."""
    replace_vision(monkeypatch)
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, text in PHOTOS.items():
        (folder / name).write_text(text)
    countenance.create(tmp_path / "vault", clock=clock)
    settings = Settings(workers=0, origin="FR")
    with countenance.open(tmp_path / "vault", settings=settings, clock=clock) as vault:
        vault.create_collection("club", **STATED)
        vault.create_source(folder, collection="club", controller="x", evidence="y", on_erase="delete")
        vault.add(folder)
        yield vault


def addresses(vault):
    return {photo.address for photo in vault.photos(vault.sources("club")[0].id)}


def held_faces(vault):
    with vault.database.read() as tx:
        return faces.stored(tx, state="held")


def carried_out(vault, text):
    order = vault.orders.draft(text)
    vault.orders.approve(order.id)
    return vault.orders.carry_out(order.id, signed_by="A Named Person")


def test_law_01_the_public_notice_is_made_of_what_is_held_now_and_nobody_is_looked_at_untold(played, tmp_path):
    said = played.documents.notice(form="md", stated={"recipients": "nobody outside the club"}).text
    told = ("purpose", "controller", "contact", "notice", "justification")
    assert all(f"| {STATED[field]} |" in said for field in told)
    assert "| x | a folder of pictures | not declared | 4 |" in said
    assert "| Faces with a template | 4 |" in said
    assert "| Photos and faces | 30 days from the day a photo is taken in |" in said
    assert "| Recipients | nobody outside the club |" in said
    assert "not stated: recipients" in played.documents.notice(form="md").text
    carried_out(played, order_text("GB"))
    assert "| Faces with a template | 1 |" in played.documents.notice(form="md").text
    untold = {field: value for field, value in STATED.items() if field != "notice"}
    played.create_collection("untold", **untold)
    played.create_source(tmp_path / "photos", collection="untold", controller="x", evidence="y")
    with pytest.raises(errors.Incomplete, match="notice"):
        played.add(tmp_path / "photos", collection="untold")
    assert "not stated: notice" in played.documents.notice("untold", form="md").text


def test_law_02_without_a_lawful_ground_and_a_purpose_nothing_is_kept_and_none_of_what_is_held_is_found(
    played, tmp_path
):
    for field in ("art6", "purpose"):
        without = {name: value for name, value in STATED.items() if name != field}
        played.create_collection(f"no {field}", **without)
        source = played.create_source(tmp_path / "photos", collection=f"no {field}", controller="x", evidence="y")
        with pytest.raises(errors.Incomplete):
            played.add(source.id)
        assert played.counts(f"no {field}") == {"faces": 0}
    assert played.search(b"ann", fpir=0.5, **WHY).found
    with played.database.write() as tx:  # the ground goes behind the back of every verb
        club = collections.find(tx, "club")
        collections.replace(tx, replace(club, art6=None))
    with pytest.raises(errors.Incomplete, match=r"Art\. 6"):
        played.search(b"ann", fpir=0.5, **WHY)


def test_law_03_everything_held_has_an_end_and_past_it_is_not_found_even_while_it_is_there(played, clock):
    ends = {"photo": "expires_at", "face": "expires_at", "search": "expires_at", "request": "expires_at"}
    ends |= {"subject": "consent_until", "wish": "ends_at"}
    assert not any(tables.metadata.tables[name].c[column].nullable for name, column in ends.items())
    with pytest.raises(errors.UsageError, match="cannot be"):
        played.set_collection("club", retention_days=0)
    assert played.search(b"bob", fpir=0.5, **WHY).found
    assert "| 2026-12 | 4 | 4 | 0 |" in played.documents.retention(form="md").text
    clock.forward(days=30)
    assert not played.search(b"bob", fpir=0.5, **WHY).found
    assert "| Faces past due, waiting for the sweep | 4 |" in played.documents.retention(form="md").text


def test_law_04_a_template_needs_its_own_condition_beside_the_ground_and_photos_alone_do_not(played, tmp_path):
    played.create_collection("bare", **{name: value for name, value in STATED.items() if name != "art9"})
    source = played.create_source(tmp_path / "photos", collection="bare", controller="x", evidence="y")
    with pytest.raises(errors.Incomplete, match=r"Art\. 9"):
        played.add(source.id)
    club = played.collection("club")
    refused = admit(replace(club, art9=None), b"", evidence=(), reserved=(), suppressed_by=None, now=played.clock())
    assert isinstance(refused, Refusal)
    assert isinstance(admit(club, b"", evidence=(), reserved=(), suppressed_by=None, now=played.clock()), Admitted)


def test_law_05_nobody_who_asks_is_asked_for_a_photo_or_more_data_and_what_they_have_is_enough(played):
    asked = played.requests.open("access", text="The one called LEEDS.JPG, please")  # no name, no contact
    (found,) = played.requests.identify(asked.id, clues=[("address", "leeds.jpg")])
    played.requests.review(asked.id, {found.face_ids[0]: "yes"})
    assert played.requests.show(asked.id).receipt  # with it the person can ask again
    written = played.requests.letter(asked.id, "acknowledgement").text
    assert "You need not send us an identity document or a photo of yourself." in written
    answered = played.requests.answer(asked.id, "granted", said="It is one photo.")
    assert answered.standing.state == "answered"
    nobody = played.requests.open("access").id
    assert played.requests.identify(nobody, clues=[("address", "nowhere.jpg")]) == ()
    played.requests.answer(nobody, "nothing", said="an address")
    assert "does not show that there is no photo of you" in played.requests.letter(nobody, "nothing").text


def test_law_06_the_order_of_18_may_2022_stops_erases_and_refuses_service_to_where_it_says(played, tmp_path, clock):
    done = carried_out(played, EXAMPLE.read_text("utf-8"))
    assert done.state == "completed"
    assert addresses(played) == {"lyon.jpg"}
    (tmp_path / "photos" / "again.jpg").write_text("ann @GB-WLS")
    assert played.add(tmp_path / "photos").refused == {"order": 1}
    assert played.search(b"bob", fpir=0.5, **WHY).found
    there = countenance.open(played.path, settings=Settings(workers=0, origin="GB-SCT"), clock=clock)
    with there, pytest.raises(errors.Refused, match="Information Commissioner's Office"):
        there.search(b"bob", fpir=0.5, **WHY)


def test_law_07_a_photo_does_not_show_who_is_from_where_so_unknown_is_in_scope(played):
    seen = played.orders.preview(played.orders.draft(order_text("GB")).id)
    assert (seen.inside, seen.undetermined, seen.erased) == (2, 1, 3)


def test_law_08_pending_answers_go_first_the_deadline_is_metered_and_the_proof_holds_offline(played, clock):
    played.search(b"ann", fpir=0.5, **WHY)
    asked, unread = played.requests.open("access").id, played.requests.open("access").id
    (found,) = played.requests.identify(asked, clues=[("address", "leeds.jpg")])
    played.requests.review(asked, {found.face_ids[0]: "yes"})
    text = order_text(measures="[stop, answer-first, erase]", more="delete_by: 2026-11-20\ndaily: EUR 100000")
    order = played.orders.draft(text)
    played.orders.approve(order.id)
    with pytest.raises(errors.Refused, match=unread) as refused:
        played.orders.carry_out(order.id, signed_by="A Named Person")
    assert asked not in str(refused.value)  # its answer was made before the order was in force
    assert played.orders.show(order.id).deadline.owed.amount == 300_000
    played.requests.answer(unread, "nothing")
    played.orders.carry_out(order.id, signed_by="A Named Person")
    assert "leeds.jpg" not in addresses(played)
    told = json.loads(zipfile.ZipFile(io.BytesIO(played.requests.access(asked))).read("data.json"))
    assert [photo["name"] for photo in told["photos"]] == ["leeds.jpg"]
    assert [search["case"] for search in told["searches"]] == [WHY["case"]]  # who searched for the person
    played.requests.answer(asked, "granted")
    clock.forward(days=10)
    assert played.orders.show(order.id).deadline.late == 3  # the meter stopped on the day of completion
    assert b"HOLDS" in played.orders.proof(order.id)  # the checker that goes with it; test_orders runs it


def test_law_09_deletion_follows_everything_derived_and_says_how_much_of_each(played):
    played.search(b"ann", fpir=0.5, **WHY)
    order = played.orders.draft(order_text("GB"))
    before = played.orders.preview(order.id).derived
    assert before == {"templates": 3, "crops": 3, "searches": 1, "exports": 0, "log-details": 5}
    carried_out(played, order_text("GB"))
    assert set(played.orders.preview(order.id).derived.values()) == {0}


def test_law_10_what_was_erased_is_kept_out_afterwards_and_no_face_is_kept_to_do_it(played, tmp_path):
    carried_out(played, order_text("GB"))
    order = played.orders.list()[0].id
    played.orders.lift(order, reason="over", assessment="ab" * 32)  # no order stands any more
    for name, text in PHOTOS.items():
        (tmp_path / "photos" / name).write_text(text)
    again = played.add(tmp_path / "photos")
    assert (again.added, again.refused) == (0, {"erased-before": 3})
    assert addresses(played) == {"lyon.jpg"}
    with played.database.read() as tx:
        assert len(faces.stored(tx)) == 1
        kept = tx.sql.execute(tables.suppression.select()).all()
    assert {len(row.token) for row in kept} == {32}


def test_law_11_who_takes_in_people_from_the_union_names_controller_representative_and_contact_or_holds_no_face(
    played, tmp_path
):
    abroad = {field: value for field, value in STATED.items() if field != "representative"} | {"established": "CH"}
    played.create_collection("abroad", **abroad)
    source = played.create_source(tmp_path / "photos", collection="abroad", controller="x", evidence="y")
    with pytest.raises(errors.Incomplete, match="representative"):
        played.add(source.id)
    assert "not stated: representative: Regulation (EU) 2016/679" in played.documents.notice("abroad", form="md").text
    played.set_collection("abroad", representative="An Office, Dublin")
    assert played.add(source.id).faces == 4
    for field in ("controller", "contact"):
        unnamed = {name: value for name, value in abroad.items() if name != field} | {"representative": "An Office"}
        played.create_collection(f"no {field}", **unnamed)
        nobody = played.create_source(tmp_path / "photos", collection=f"no {field}", controller="x", evidence="y")
        with pytest.raises(errors.Incomplete, match=field):
            played.add(nobody.id)
    for kind in ("notice", "ropa", "evidence"):
        said = getattr(played.documents, kind)("abroad", form="md").text
        assert f"| Controller | {STATED['controller']} |" in said
        assert "| Representative | An Office, Dublin |" in said
        assert f"| Contact for the people in the photos | {STATED['contact']} |" in said


def test_law_12_a_request_cannot_be_closed_unanswered_and_an_order_can_compel_the_answer(played):
    complaint = played.requests.open("complaint", text="I asked in May and nobody answered").id
    with pytest.raises(errors.UsageError, match="cannot be closed unanswered"):
        played.requests.close(complaint)
    order = played.orders.draft(order_text(measures="[stop, answer-first, erase]"))
    played.orders.approve(order.id)
    with pytest.raises(errors.Refused, match=complaint):
        played.orders.carry_out(order.id, signed_by="A Named Person")
    assert played.erasures.list() == []
    played.requests.answer(complaint, "granted", said="Here is what we hold of you, and we are sorry.")
    assert played.orders.carry_out(order.id, signed_by="A Named Person").state == "completed"
    assert played.requests.close(complaint).standing.state == "closed"


def test_law_13_a_mail_starts_the_clock_and_stays_on_the_list_until_it_is_answered(played, clock):
    mail = (
        b"From: Somebody <a@b.example>\r\nReceived: by x; Fri, 20 Nov 2026 10:00:00 +0000\r\n"
        b"Subject: my data\r\n\r\nHello, what photos of me do you have?"
    )
    opened = played.requests.open_mail(mail)
    assert (opened.request.kind, opened.standing.due.isoformat()) == ("access", "2026-12-21")
    assert played.requests.open_mail(b"From: a@b.example\r\n\r\n???").request.kind == "unclear"  # it runs all the same
    clock.forward(days=40)
    assert [one.left < 0 for one in played.requests.list(unanswered=True)] == [True, True]
    played.requests.settle(opened.id, "access")
    played.requests.answer(opened.id, "nothing")
    assert len(played.requests.list(unanswered=True)) == 1


def test_law_14_every_hit_carries_its_error_rate_and_a_destruction_has_its_certificate(played):
    found = played.search(b"ann", fpir=0.5, **WHY)
    assert found.faces[0].hits
    assert all(0 < hit.fpir <= 0.5 for hit in found.faces[0].hits)
    same = played.compare(b"ann", b"ann", **WHY)
    assert 0 < same.fmr < 1
    carried_out(played, order_text("GB"))
    report = verify.examine(
        verify.unpack(played.erasures.certificate(played.erasures.list()[0].id)), played.keys.public_key().hex()
    )
    assert report.statement["counts"]["templates"] == 3
    assert report.statement["scope"]["photos"] == 3
    assert report.statement["search"]["hits"] == report.statement["scan"]["hits"] == 0


def test_law_15_a_named_person_signs_the_completion_of_an_order(played):
    order = played.orders.draft(order_text("GB"))
    played.orders.approve(order.id)
    with pytest.raises(errors.UsageError, match="say who"):
        played.orders.carry_out(order.id, signed_by="")
    done = played.orders.carry_out(order.id, signed_by="A Named Person")
    completion = zipfile.ZipFile(io.BytesIO(played.orders.proof(order.id))).read("completion.json")
    assert json.loads(completion)["signed_by"] == done.signed_by == "A Named Person"


def test_law_16_thresholds_and_groups_follow_what_is_erased_and_no_model_or_calibration_is_made_of_it(played, clock):
    before = played.search(b"bob", fpir=0.01, **WHY)
    club = played.collection("club").id
    consent = Consent(by="x", given_at=clock(), text="y", until=clock() + timedelta(days=9))
    member = Subject(id="sub_1", collection_id=club, name="A Member", consent=consent, faces=0)
    with played.database.write() as tx:
        subjects.insert(tx, member)
        for face in faces.stored(tx, collection_id=club):
            faces.link(tx, face.id, member.id)
    assert "| of these linked with an enrolled person | 4 |" in played.documents.evidence(form="md").text
    carried_out(played, order_text("GB"))
    after = played.search(b"bob", fpir=0.01, **WHY)
    assert (before.gallery, after.gallery) == (4, 1)
    assert after.threshold < before.threshold  # nothing remembers how many there were
    made_from = "1,327,796 pairs of different people, 1563 people on official and studio portraits"
    digest = hashlib.sha256(Path(calibration.__file__).with_name("calibration.toml").read_bytes()).hexdigest()
    for kind in ("dpia", "evidence"):
        said = getattr(played.documents, kind)(form="md").text
        assert made_from in said
        assert digest in said
        assert "No photo, face or template of a vault is used to train or to calibrate" in said
        assert all(model.training in said for model in models.table().values())
    assert "| of these linked with an enrolled person | 1 |" in played.documents.evidence(form="md").text


def test_law_17_the_ground_is_asked_where_faces_are_searched_whoever_asks(played):
    """Passive, automated collection for somebody else to monitor with is within the law: no client can go round it."""
    found = played.search(b"ann", fpir=0.5, **WHY)
    engine_rows = [stored.row for stored in held_faces(played)]
    with played.database.write() as tx:
        collections.replace(tx, replace(collections.find(tx, "club"), art9=None))
    with played.database.read() as tx:  # straight from the index, past every verb
        club = collections.find(tx, "club")
        assert (
            release(tx, club, dict.fromkeys(engine_rows, 1.0), gallery=4, calibration=calibration.load(examine.MODEL))
            == []
        )
    face = found.faces[0].hits[0].face_id
    for ask in ({"face": face}, {"picture": b"ann"}):
        with pytest.raises(errors.Incomplete):
            played.search(ask.get("picture"), face=ask.get("face"), fpir=0.5, **WHY)
    with pytest.raises(errors.Incomplete):
        played.compare(b"ann", b"ann", **WHY)


def test_law_18_there_is_no_source_but_what_the_operator_names_and_shows_control_of(played, tmp_path):
    assert set(sources.OPENERS) == {"folder", "archive"}
    for location in ("https://example.org/photos", "s3://bucket/photos", "ftp://example.org"):
        with pytest.raises(errors.UsageError, match="Nothing is fetched from a network"):
            played.create_source(location, collection="club", controller="x", evidence="y")
    for lacking in ({"controller": " ", "evidence": "y"}, {"controller": "x", "evidence": " "}):
        with pytest.raises(errors.UsageError):
            played.create_source(tmp_path, collection="club", **lacking)
    with pytest.raises(errors.UsageError, match="not a registered source"):
        played.add(tmp_path)
