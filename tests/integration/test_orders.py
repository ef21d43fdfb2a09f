"""An order from its draft to its lifting, with photos that are words."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile

import pytest
from tests.conftest import STATED, WHY
from tests.orders import ASSESSMENT, order_text, replace_vision

import countenance
from countenance import errors
from countenance.audit import verify, verify_order
from countenance.orders import carry_out, erase, issue
from countenance.records import Subject
from countenance.search import ordered
from countenance.settings import Settings
from countenance.store import faces, requests

PHOTOS = {
    "glasgow.jpg": "ann @GB-SCT",
    "london.jpg": "ann+bob @GB",
    "paris.jpg": "bob @FR",
    "border.jpg": "cat @GB,IE",
    "nowhere.jpg": "ann",
}
IN_GB = {"glasgow.jpg", "london.jpg", "border.jpg", "nowhere.jpg"}


@pytest.fixture
def words(tmp_path, monkeypatch, clock):
    """A vault of five photos that are words, as a function that opens it once more."""
    replace_vision(monkeypatch)
    folder = tmp_path / "words"
    folder.mkdir()
    for name, text in PHOTOS.items():
        (folder / name).write_text(text)
    countenance.create(tmp_path / "vault", clock=clock)
    opened = []

    def open_one(**settings):
        chosen = Settings(workers=0, **settings)
        opened.append(countenance.open(tmp_path / "vault", settings=chosen, clock=clock))
        return opened[-1]

    vault = open_one()
    vault.create_collection("club", **STATED)
    vault.create_source(folder, collection="club", controller="x", evidence="y", on_erase="delete")
    assert vault.add(folder).added == 5
    yield open_one
    for each in opened:
        each.close()


def found(vault, *names):
    return {
        hit.address
        for name in names or ("ann", "bob", "cat")
        for hit in vault.search(name.encode(), fpir=0.5, **WHY).faces[0].hits
    }


def issued(vault, text=None, **changes):
    order = vault.orders.draft(text or order_text(**changes))
    return vault.orders.approve(order.id, by="First Person")


def states(vault):
    return {photo.address: photo.state for photo in vault.photos(vault.sources("club")[0].id)}


def test_a_draft_stops_nothing_and_its_preview_counts_what_it_would(words):
    vault = words()
    order = vault.orders.draft(order_text())
    assert (order.state, order.approvals_needed) == ("drafted", 1)
    seen = vault.orders.preview(order.id)
    assert (seen.held, seen.inside, seen.undetermined, seen.stopped, seen.erased) == (5, 3, 1, 4, 4)
    assert {name: (c.inside, c.undetermined) for name, c in seen.by_evidence.items()} == {
        "gps:GB": (2, 0),
        "gps:GB-SCT": (1, 0),
        "gps:IE": (1, 0),
        "none": (0, 1),
    }
    assert seen.derived["templates"] == seen.derived["crops"] == 5
    assert seen.derived["log-details"] == 5
    assert [c.inside for c in seen.by_collection.values()] == [3]
    assert len(found(vault)) == 5


def test_from_approval_on_no_process_shows_exports_or_takes_in_what_is_in_scope(words, tmp_path):
    vault, other = words(), words()
    before = vault.search(b"ann", fpir=0.5, **WHY)
    assert found(other) == set(PHOTOS)
    order = issued(vault)
    assert order.state == "stopped"
    assert found(vault) == found(other) == {"paris.jpg"}
    with pytest.raises(errors.Refused, match="reached what was found"):
        other.exports.write(before, tmp_path / "sheet.html")
    folder = tmp_path / "words"
    (folder / "new.jpg").write_text("bob @GB-WLS")
    (folder / "new-french.jpg").write_text("bob @FR")
    (folder / "new-unknown.jpg").write_text("cat")
    added = other.add(folder)
    assert (added.added, added.refused) == (1, {"order": 2})
    assert "case A 1" in added.sentences["order"]
    assert found(vault) == {"paris.jpg", "new-french.jpg"}
    refused = [line for line in vault.log.lines() if line.kind == "photo:refused"]
    assert {line.public["order"] for line in refused} == {order.id}


def test_what_an_order_has_not_hidden_yet_is_not_shown_either(words, monkeypatch, tmp_path):
    """P4: the order is asked in the transaction that acts, not a sweeper that comes later."""
    vault, other = words(), words()
    assert found(other) == set(PHOTOS)
    before = other.search(b"ann", fpir=0.5, **WHY)
    face = next(hit.face_id for hit in before.faces[0].hits if hit.address == "london.jpg")
    monkeypatch.setattr(issue, "hide", lambda *_: 0)
    assert issued(vault).state == "approved"
    assert set(states(vault).values()) == {"held"}
    assert found(vault) == found(other) == {"paris.jpg"}
    with pytest.raises(errors.Refused, match="An Authority"):
        other.exports.write(before, tmp_path / "sheet.html")
    with pytest.raises(errors.NotFound):
        other.search(face=face, fpir=0.5, **WHY)
    monkeypatch.undo()
    replace_vision(monkeypatch)
    assert other.resume() == []
    assert {name for name, state in states(vault).items() if state == "stopped"} == IN_GB
    assert vault.orders.list()[0].state == "stopped"


def test_a_photo_that_comes_into_scope_while_it_is_looked_at_stays_out(words, tmp_path, monkeypatch):
    vault, other = words(), words()
    (tmp_path / "words" / "new.jpg").write_text("cat @GB")
    flush = countenance.ingest._Scan.flush

    def approve_first(self):
        if self.batch:
            monkeypatch.setattr(countenance.ingest._Scan, "flush", flush)
            issued(other)
        flush(self)

    monkeypatch.setattr(countenance.ingest._Scan, "flush", approve_first)
    added = vault.add(tmp_path / "words")
    assert (added.added, added.refused) == (0, {"order": 1})
    assert "new.jpg" not in states(vault)


def test_lifting_needs_a_reason_and_an_assessment_and_gives_back_what_was_hidden(words):
    vault, other = words(), words()
    assert found(other) == set(PHOTOS)
    order = issued(vault)
    with pytest.raises(errors.UsageError, match="impact assessment"):
        vault.orders.lift(order.id, reason="appeal", assessment="none")
    with pytest.raises(errors.UsageError, match="reason"):
        vault.orders.lift(order.id, reason=" ", assessment=ASSESSMENT)
    assert found(other) == {"paris.jpg"}
    assert vault.orders.lift(order.id, reason="won on appeal", assessment=ASSESSMENT).state == "lifted"
    assert found(vault) == found(other) == set(PHOTOS)
    assert set(states(vault).values()) == {"held"}
    assert vault.check().problems == other.check().problems == ()
    line = next(line for line in vault.log.lines() if line.kind == "order:lifted")
    assert line.public["assessment"] == ASSESSMENT
    with pytest.raises(errors.UsageError, match="lifted, not in force"):
        vault.orders.lift(order.id, reason="again", assessment=ASSESSMENT)


def test_what_another_order_still_reaches_stays_hidden_when_one_is_lifted(words):
    vault = words()
    wide, narrow = issued(vault), issued(vault, territory="GB-SCT", more="note: x")
    vault.orders.lift(wide.id, reason="r", assessment=ASSESSMENT)
    assert found(vault) == {"paris.jpg"}  # nowhere may be in Scotland, and so may what is only known as British
    assert {name for name, state in states(vault).items() if state == "stopped"} == IN_GB
    vault.orders.lift(narrow.id, reason="r", assessment=ASSESSMENT)
    assert found(vault) == set(PHOTOS)
    assert vault.check().problems == ()


def test_carried_out_it_erases_signs_and_proves_offline(words, tmp_path):
    vault, other = words(), words()
    assert found(other) == set(PHOTOS)
    order = issued(vault, more="delete_by: 2026-12-01\ndaily: EUR 100000")
    with pytest.raises(errors.UsageError, match="sign"):
        vault.orders.carry_out(order.id, signed_by=" ")
    done = vault.orders.carry_out(order.id, signed_by="A Named Person")
    assert (done.state, done.signed_by, done.deadline.left) == ("completed", "A Named Person", 8)
    assert set(states(vault)) == {"paris.jpg"}
    assert found(other) == {"paris.jpg"}
    assert vault.check().problems == ()
    assert [e.state for e in vault.erasures.list()] == ["certified"]
    (tmp_path / "words" / "later.jpg").write_text("cat @GB")
    assert other.add(tmp_path / "words").refused["order"] == 1  # completed, it stays in force
    proof = tmp_path / "proof"
    bundle = vault.orders.proof(order.id)
    zipfile.ZipFile(io.BytesIO(bundle)).extractall(proof)
    key = vault.keys.public_key().hex()
    command = [sys.executable, "-S", str(proof / "verify_order.py"), str(proof), "--key", key]
    alone = subprocess.run(command, capture_output=True, text=True, env={}, check=False)
    assert alone.returncode == 0, alone.stdout + alone.stderr
    assert "A Named Person" in alone.stdout
    assert alone.stdout.endswith("HOLDS, and is signed with the key you gave.\n")
    for name in ("order.yaml", "completion.json", "checkpoint.txt", "key.txt", "proofs.json"):
        whole = (proof / name).read_bytes()
        for at in range(0, len(whole), max(1, len(whole) // 40)):
            (proof / name).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            assert verify_order.main([str(proof), "--key", key]) == 6, (name, at)
        (proof / name).write_bytes(whole)
    certificate = next((proof / "certificates").iterdir())
    report = verify.examine(verify.unpack(certificate.read_bytes()), key)
    assert report.statement["order"] == {"id": order.id, "file_sha256": order.sha256}
    certificate.unlink()
    assert verify_order.main([str(proof), "--key", key]) == 6
    assert vault.orders.carry_out(order.id, signed_by="Somebody Else").signed_by == "A Named Person"


def test_a_proof_with_a_certificate_that_names_another_file_does_not_hold(words, tmp_path, monkeypatch, capsys):
    vault = words()
    order = issued(vault)
    plan = erase.plan
    monkeypatch.setattr(erase, "plan", lambda *a, **k: plan(*a, **k | {"order": (order.id, "0" * 64)}))
    vault.orders.carry_out(order.id, signed_by="x")
    zipfile.ZipFile(io.BytesIO(vault.orders.proof(order.id))).extractall(tmp_path / "proof")
    assert verify_order.main([str(tmp_path / "proof")]) == 6
    assert "names another order" in capsys.readouterr().out


class Killed(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("step", ["planned", "approved", "stopped", "keys-destroyed", "purged", "verified", "erased"])
def test_carrying_out_that_is_cut_short_at_any_step_is_finished_the_next_time(words, monkeypatch, step):
    vault = words()
    order = issued(vault)

    def die(*_, **__):
        raise Killed

    if step == "erased":
        monkeypatch.setattr(carry_out, "_complete", die)
    else:
        monkeypatch.setitem(erase.STEPS, step, die)
    with pytest.raises(Killed):
        vault.orders.carry_out(order.id, signed_by="A Named Person")
    vault.close()
    monkeypatch.undo()
    replace_vision(monkeypatch)
    again = words()
    assert found(again) == {"paris.jpg"}
    done = again.orders.carry_out(order.id, signed_by="A Named Person")
    assert done.state == "completed"
    assert [e.state for e in again.erasures.list()] == ["certified"]
    assert set(states(again)) == {"paris.jpg"}
    assert again.check().problems == ()
    assert again.log.verify().problems == ()
    kinds = [line.kind for line in again.log.lines() if line.kind.startswith("order:")]
    assert kinds == [f"order:{what}" for what in ("drafted", "approved", "stopped", "erased", "completed")]


def test_hiding_that_is_cut_short_is_finished_at_the_next_open(words, monkeypatch):
    vault = words()
    monkeypatch.setattr(issue, "BATCH", 1)
    stop, calls = issue.photos.stop, []

    def die_at_the_third(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise Killed
        stop(*arguments)

    monkeypatch.setattr(issue.photos, "stop", die_at_the_third)
    order = vault.orders.draft(order_text())
    with pytest.raises(Killed):
        vault.orders.approve(order.id)
    assert vault.orders.show(order.id).state == "approved"
    assert found(vault) == {"paris.jpg"}
    monkeypatch.undo()
    replace_vision(monkeypatch)
    assert words().orders.show(order.id).state == "stopped"
    assert list(states(vault).values()).count("stopped") == 4


def test_a_collection_that_asks_for_two_people_is_not_stopped_by_one(words):
    vault = words()
    vault.set_collection("club", two_person=True)
    order = vault.orders.draft(order_text())
    first = vault.orders.approve(order.id, by="First Person")
    assert (first.state, first.approvals_needed, first.approved_by) == ("drafted", 2, ("First Person",))
    assert len(found(vault)) == 5
    with pytest.raises(errors.UsageError, match="needs another person"):
        vault.orders.approve(order.id, by=" first person ")
    with pytest.raises(errors.UsageError, match="drafted, not in force"):
        vault.orders.carry_out(order.id, signed_by="x")
    assert vault.orders.approve(order.id, by="Second Person").state == "stopped"
    assert found(vault) == {"paris.jpg"}


def test_an_order_for_another_collection_needs_no_second_person(words):
    vault = words()
    vault.create_collection("other", two_person=True)
    assert vault.orders.draft(order_text(scope="{collections: [club]}")).approvals_needed == 1
    assert vault.orders.draft(order_text(scope="{collections: [other]}")).approvals_needed == 2
    source = vault.sources("club")[0].id
    assert vault.orders.draft(order_text(scope=f"{{sources: [{source}]}}")).approvals_needed == 1


def test_an_order_that_reaches_everything_needs_the_number_said(words):
    vault = words()
    for scope in ("{everything: yes}", "{collections: [club]}"):
        order = vault.orders.draft(order_text(scope=scope))
        for wrong in (None, 4, 0):
            with pytest.raises(errors.UsageError, match=r"all 5 photos.*--confirm 5"):
                vault.orders.approve(order.id, confirm=wrong)
    assert vault.orders.approve(order.id, confirm=5).state == "stopped"
    with pytest.raises(errors.Refused, match="case A 1"):
        found(vault)
    with pytest.raises(errors.Refused, match="case A 1"):
        vault.compare(b"ann", b"ann", **WHY)
    assert [line.public["reason"] for line in vault.log.lines() if line.kind == "act:refused"] == ["order", "order"]


def test_an_order_of_a_day_that_is_yet_to_come_is_refused(words):
    vault = words()
    with pytest.raises(errors.UsageError, match="yet to come"):
        vault.orders.draft(order_text().replace("2022-05-18", "2026-11-25"))
    assert vault.orders.draft(order_text().replace("2022-05-18", "2026-11-24")).state == "drafted"


def test_an_order_names_what_is_there_or_is_refused(words):
    vault = words()
    for scope in ("{collections: [nowhere]}", "{sources: [src_x]}", "{subjects: [Nobody]}"):
        with pytest.raises(errors.NotFound):
            vault.orders.draft(order_text(scope=scope))
    assert vault.orders.list() == []


@pytest.mark.parametrize(
    ("settings", "served"),
    [
        ({}, False),
        ({"origin": "GB-SCT"}, False),
        ({"origin": "FR"}, True),
    ],
)
def test_service_is_refused_to_where_the_order_says_and_to_who_does_not_say(words, settings, served):
    vault = words()
    text = order_text(measures="[refuse-service]", scope="{unknown: include}", more="service: {territories: [GB]}")
    assert issued(vault, text).state == "stopped"
    asking = words(**settings)
    if served:
        assert len(found(asking)) == 5
    else:
        with pytest.raises(errors.Refused, match="forbids to serve"):
            found(asking)
    assert set(states(vault).values()) == {"held"}  # it stops nothing else


def test_unknown_exclude_leaves_alone_what_has_no_evidence(words, tmp_path):
    vault = words()
    order = issued(vault, scope="{territories: [GB], unknown: exclude}")
    assert found(vault) == {"paris.jpg", "nowhere.jpg"}
    (tmp_path / "words" / "new.jpg").write_text("cat")
    assert vault.add(tmp_path / "words").added == 1
    vault.orders.carry_out(order.id, signed_by="x")
    assert set(states(vault)) == {"paris.jpg", "nowhere.jpg", "new.jpg"}


def test_what_is_to_be_reviewed_is_hidden_and_erased_only_after_somebody_looked(words):
    vault = words()
    order = issued(vault, scope="{territories: [US-IL, GB-SCT], unknown: review}")
    by = {photo.address: photo.id for photo in vault.photos(vault.sources("club")[0].id)}
    waiting = {by[name] for name in ("london.jpg", "border.jpg", "nowhere.jpg")}
    assert set(vault.orders.to_review(order.id)) == waiting
    assert found(vault) == {"paris.jpg"}
    vault.correct_evidence(by["london.jpg"], "GB-ENG")
    assert found(vault) == {"paris.jpg", "london.jpg"}
    vault.correct_evidence(by["border.jpg"], "GB-SCT")
    assert vault.orders.confirm(order.id, [by["nowhere.jpg"]]) == 0
    with pytest.raises(errors.UsageError, match="does not wait for review"):
        vault.orders.confirm(order.id, [by["paris.jpg"]])
    with pytest.raises(errors.UsageError, match="no country"):
        vault.correct_evidence(by["paris.jpg"], "Utopia")
    vault.orders.carry_out(order.id, signed_by="x")
    assert set(states(vault)) == {"paris.jpg", "london.jpg"}


def test_what_nobody_reviewed_stays_hidden_and_is_not_erased(words):
    vault = words()
    order = issued(vault, scope="{territories: [GB-SCT], unknown: review}")
    vault.orders.carry_out(order.id, signed_by="x")
    assert set(states(vault)) == set(PHOTOS) - {"glasgow.jpg"}
    assert found(vault) == {"paris.jpg"}
    proof = zipfile.ZipFile(io.BytesIO(vault.orders.proof(order.id)))
    assert json.loads(proof.read("completion.json"))["to_review"] == 3


def test_open_requests_are_answered_first_where_the_order_says_so(words):
    vault = words()
    order = issued(vault, measures="[stop, answer-first, erase]")
    now = vault.clock()
    waiting = requests.Request(
        id="req_1", kind="access", confirmed=True, law="gdpr", state="opened", channel="mail", received_at=now,
        due_at=now, expires_at=now, asked=requests.Asked(),
    )  # fmt: skip
    with vault.database.write() as tx:
        requests.put(tx, waiting)
    with pytest.raises(errors.Refused, match="1 requests are open: req_1"):
        vault.orders.carry_out(order.id, signed_by="x")
    assert vault.erasures.list() == []
    with vault.database.write() as tx:
        requests.advance(tx, waiting, state="answered")
    assert vault.orders.carry_out(order.id, signed_by="x").state == "completed"


def test_a_request_to_erase_still_reaches_what_an_order_hides_and_lifting_does_not_bring_that_back(words):
    vault = words()
    by = {photo.address: photo.id for photo in vault.photos(vault.sources("club")[0].id)}
    order = issued(vault)
    vault.erase(vault.scope(photo=by["london.jpg"]), ground="request")
    vault.orders.lift(order.id, reason="r", assessment=ASSESSMENT)
    assert found(vault) == set(PHOTOS) - {"london.jpg"}
    assert vault.check().problems == ()


def test_an_erasure_under_way_keeps_what_it_took_over_from_an_order_that_is_lifted(words, monkeypatch):
    vault = words()
    by = {photo.address: photo.id for photo in vault.photos(vault.sources("club")[0].id)}
    order = issued(vault)

    def die(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setitem(erase.STEPS, "stopped", die)
        with pytest.raises(Killed):
            vault.erase(vault.scope(photo=by["london.jpg"]), ground="request")
    vault.orders.lift(order.id, reason="r", assessment=ASSESSMENT)
    assert found(vault) == set(PHOTOS) - {"london.jpg"}
    with vault.database.read() as tx:
        assert len(faces.stored(tx, photo_id=by["london.jpg"], state="stopped", stopped_by=None)) == 2
    assert "london.jpg" not in states(vault)


def test_an_order_that_comes_into_force_after_a_search_began_refuses_it(words, monkeypatch):
    vault = words()
    order = vault.orders.draft(order_text(scope="{collections: [club]}"))
    monkeypatch.setattr(ordered, "demand", lambda *_: vault.orders.approve(order.id, confirm=5))
    with pytest.raises(errors.Refused, match="case A 1"):
        vault.search(b"ann", fpir=0.5, **WHY)
    vault.orders.lift(order.id, reason="r", assessment=ASSESSMENT)
    again = vault.orders.draft(order_text(scope="{collections: [club]}"))
    monkeypatch.setattr(ordered, "demand", lambda *_: vault.orders.approve(again.id, confirm=5))
    with pytest.raises(errors.Refused, match="case A 1"):
        vault.compare(b"ann", b"ann", **WHY)


def test_samples_show_faces_in_scope_and_go_when_those_are_erased(words, tmp_path):
    vault = words()
    order = vault.orders.draft(order_text())
    vault.orders.sheet(order.id, tmp_path / "samples.html")
    text = (tmp_path / "samples.html").read_text()
    assert all(name in text for name in IN_GB)
    assert "paris.jpg" not in text
    vault.orders.approve(order.id)
    vault.orders.carry_out(order.id, signed_by="x")
    assert not (tmp_path / "samples.html").exists()


def test_nothing_of_the_order_but_dates_country_and_state_stands_in_the_clear(words, tmp_path):
    vault = words()
    order = issued(vault, more="note: a very secret remark")
    vault.orders.lift(order.id, reason="a confidential reason", assessment=ASSESSMENT)
    vault.close()
    for file in (tmp_path / "vault").rglob("*"):
        data = file.read_bytes() if file.is_file() else b""
        for mark in (b"An Authority", b"case A 1", b"very secret", b"First Person", b"confidential"):
            assert mark not in data


def test_a_subjects_order_erases_that_persons_faces_and_leaves_the_others_of_a_group_photo(words, tmp_path):
    vault = words()
    team = vault.create_collection("team", **STATED)
    folder = tmp_path / "team"
    folder.mkdir()
    for name, text in PHOTOS.items():
        (folder / name).write_text(text + " ")
    vault.create_source(folder, collection="team", controller="x", evidence="y")  # what must go is left to a person
    vault.add(folder)
    asked = WHY | {"collection": "team", "fpir": 0.5}
    with vault.database.write() as tx:
        consent = countenance.Consent(by="x", given_at=tx.now, text="y", until=tx.now.replace(year=2030))
        issue.subjects.insert(tx, Subject(id="sub_ann", collection_id=team.id, name="Ann", consent=consent, faces=0))
    for hit in vault.search(b"ann", **asked).faces[0].hits:
        with vault.database.write() as tx:
            faces.link(tx, hit.face_id, "sub_ann")
    order = issued(vault, scope="{subjects: [Ann]}")
    assert not vault.search(b"ann", **asked).found
    with_bob = vault.search(b"bob", **asked).faces[0].hits
    assert {hit.address for hit in with_bob} == {"paris.jpg", "london.jpg"}  # beside her he is found all the same
    states = {photo.address: photo.state for photo in vault.photos(vault.sources("team")[0].id)}
    assert {name for name, state in states.items() if state == "stopped"} == {"glasgow.jpg"}
    assert vault.check().problems == ()
    vault.orders.lift(order.id, reason="r", assessment=ASSESSMENT)
    assert {hit.address for hit in vault.search(b"ann", **asked).faces[0].hits} == {"glasgow.jpg", "london.jpg"}
    order = issued(vault, scope="{subjects: [Ann]}")
    vault.orders.carry_out(order.id, signed_by="x")
    assert not vault.search(b"ann", **asked).found
    assert {hit.address for hit in vault.search(b"bob", **asked).faces[0].hits} == {"paris.jpg", "london.jpg"}
    assert len(found(vault)) == 5  # the other collection
    assert vault.check().problems == ()


def test_an_order_about_a_subject_that_has_hidden_nothing_yet_shows_no_face_of_theirs_and_the_others(
    words, monkeypatch
):
    """P4: the face is asked for in the transaction that shows it."""
    vault = words()
    club = vault.collection("club")
    with vault.database.write() as tx:
        consent = countenance.Consent(by="x", given_at=tx.now, text="y", until=tx.now.replace(year=2030))
        issue.subjects.insert(tx, Subject(id="sub_ann", collection_id=club.id, name="Ann", consent=consent, faces=0))
    for hit in vault.search(b"ann", fpir=0.5, **WHY).faces[0].hits:
        with vault.database.write() as tx:
            faces.link(tx, hit.face_id, "sub_ann")
    monkeypatch.setattr(issue, "hide", lambda *_: 0)
    assert issued(vault, scope="{subjects: [Ann]}").state == "approved"
    assert found(vault, "ann") == set()
    assert found(vault, "bob") == {"paris.jpg", "london.jpg"}
    assert vault.check().problems == ()


def test_why_explains_an_order_and_names_it_where_it_hides_a_photo_or_a_face(words):
    vault = words()
    by = {photo.address: photo.id for photo in vault.photos(vault.sources("club")[0].id)}
    with vault.database.read() as tx:
        face = faces.stored(tx, photo_id=by["london.jpg"])[0].id
    order = issued(vault)
    for record in (by["london.jpg"], face):
        told = " ".join(vault.why(record).sentences)
        assert f"Order {order.id} of An Authority (case A 1) hides it" in told
    assert "hides it" not in " ".join(vault.why(by["paris.jpg"]).sentences)
    told = vault.why(order.id)
    assert told.kind == "order"
    assert "Photos that it hides, or faces in them: 4." in " ".join(told.sentences)
    assert "Approved by First Person." in told.sentences
    vault.orders.carry_out(order.id, signed_by="A Named Person")
    told = " ".join(vault.why(order.id).sentences)
    assert "A Named Person signed on 2026-11-23" in told
    assert vault.erasures.list()[0].id in told
    vault.orders.lift(order.id, reason="won on appeal", assessment=ASSESSMENT)
    assert "won on appeal" in " ".join(vault.why(order.id).sentences)
