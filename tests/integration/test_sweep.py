"""The sweep: what goes, what stays and why, in pieces, and cut short."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.conftest import STATED, WHY
from tests.orders import ASSESSMENT, order_text

import countenance
from countenance import Consent
from countenance.orders import erase
from countenance.restore import restore
from countenance.store import faces, requests, restrictions
from countenance.store import photos as stored_photos
from countenance.verbs import sweep


def held(vault):
    return {photo.address for photo in vault.photos(vault.sources("club")[0].id)}


def one(vault, name):
    return next(photo.id for photo in vault.photos(vault.sources("club")[0].id) if photo.address == name)


def restricted(vault, clock, photo_id):
    with vault.database.write() as tx:
        found = restrictions.Restriction(
            id="rst_1", ground="claims", at=clock(), by="x", reason="y", request=None, photos=(photo_id,)
        )
        restrictions.put(tx, found)
        faces.stop(tx, [face.id for face in faces.stored(tx, photo_id=photo_id)], order="rst_1")
        stored_photos.stop(tx, [photo_id], "rst_1")


def asks(vault, clock, photo_id, kind):
    review = requests.Review(photo_id=photo_id, face_id=None, verdict="unsure", on=clock().date())
    record = requests.Request(
        id="req_1",
        kind=kind,
        confirmed=True,
        law="gdpr",
        state="opened",
        channel="mail",
        received_at=clock(),
        due_at=clock(),
        expires_at=clock(),
        asked=requests.Asked(),
        reviews=(review,),
    )
    with vault.database.write() as tx:
        requests.put(tx, record)
    return record


def test_a_dry_run_counts_and_changes_nothing(filled, photos, settings, clock, rows):
    filled.search(photos / "portrait.png", **WHY)
    clock.forward(days=30)
    filled.close()
    before = rows()
    with countenance.open(filled.path, settings=settings, clock=clock, dry_run=True) as vault:
        swept = vault.sweep()
    assert (swept.photos, swept.faces, swept.searches, swept.erasures) == (4, 0, 1, ())
    assert rows() == before


def test_what_an_order_or_a_restriction_hides_or_a_request_is_about_stays_until_that_is_done(filled, photos, clock):
    order = filled.orders.draft(
        order_text(scope="{sources: [" + filled.sources("club")[0].id + "], territories: [GB], unknown: exclude}")
    )
    filled.orders.approve(order.id)
    filled.correct_evidence(one(filled, "portrait.png"), "GB")
    restricted(filled, clock, one(filled, "mirrored.jpg"))
    waiting = asks(filled, clock, one(filled, "smaller.jpg"), "restriction")
    clock.forward(days=30)
    swept = filled.sweep()
    assert (swept.photos, swept.stays) == (1, {"order": 1, "restriction": 1, "request": 1})
    assert held(filled) == {"portrait.png", "mirrored.jpg", "smaller.jpg"}
    filled.orders.lift(order.id, reason="r", assessment=ASSESSMENT)
    with filled.database.write() as tx:
        requests.advance(tx, waiting, state="answered")
    swept = filled.sweep()
    assert (swept.photos, swept.stays, swept.requests) == (2, {"restriction": 1}, 1)
    assert held(filled) == {"mirrored.jpg"}
    assert filled.check().problems == ()


def test_what_waits_for_review_stays_and_what_an_order_was_done_with_goes(filled, clock):
    order = filled.orders.draft(order_text(scope="{territories: [GB], unknown: review}"))
    filled.orders.approve(order.id, confirm=4)
    clock.forward(days=30)
    assert filled.sweep().stays == {"order": 4}
    filled.orders.carry_out(order.id, signed_by="x")
    assert len(filled.orders.to_review(order.id)) == 4
    assert filled.sweep().photos == 4
    assert held(filled) == set()


def test_it_erases_in_pieces_that_each_have_a_certificate(filled, clock, monkeypatch):
    monkeypatch.setattr(sweep, "PIECE", 3)
    clock.forward(days=30)
    swept = filled.sweep()
    assert len(swept.erasures) == 2
    assert {each.state for each in filled.erasures.list()} == {"certified"}
    assert held(filled) == set()


@pytest.fixture
def enrolled(empty, photos, clock, portrait, tmp_path):
    """A collection of enrolled people, one of them, with a consent of two days; photos are held for thirty."""
    empty.create_collection("club", **STATED | {"mode": "enrolled"})
    portrait.crop((60, 0, 400, 300)).save(tmp_path / "enrolment.png")
    consent = Consent(by="x", given_at=clock(), text="y", until=clock() + timedelta(days=2))
    empty.enrol("X", [tmp_path / "enrolment.png"], collection="club", consent=consent)
    source = empty.create_source(photos, collection="club", controller="us", evidence="ours")
    assert empty.add(source.id).faces == 3
    return empty


def test_the_end_of_a_consent_erases_the_person_and_the_photos_stay_to_be_matched_again(enrolled, clock, tmp_path):
    clock.forward(days=2)
    swept = enrolled.sweep()
    assert (swept.photos, swept.faces, swept.subjects) == (1, 3, 1)  # the enrolment photo is of the consent, too
    assert enrolled.subjects() == []
    source = next(each for each in enrolled.sources("club") if each.kind == "folder")
    assert {photo.state for photo in enrolled.photos(source.id)} == {"held"}
    assert {photo.faces for photo in enrolled.photos(source.id)} == {1, 0}
    assert enrolled.check().problems == ()
    consent = Consent(by="x", given_at=clock(), text="y", until=clock() + timedelta(days=2))
    enrolled.enrol("X", [tmp_path / "enrolment.png"], collection="club", consent=consent)
    assert enrolled.add(source.id).faces == 3


def test_in_a_collection_of_everybody_the_end_of_a_consent_takes_the_name_and_leaves_the_faces(
    filled, photos, clock, portrait, tmp_path
):
    portrait.crop((60, 0, 400, 300)).save(tmp_path / "enrolment.png")
    consent = Consent(by="x", given_at=clock(), text="y", until=clock() + timedelta(days=2))
    filled.enrol("X", [tmp_path / "enrolment.png"], collection="club", consent=consent)
    clock.forward(days=2)
    swept = filled.sweep()
    assert (swept.photos, swept.faces, swept.subjects) == (1, 0, 1)
    hits = filled.search(photos / "portrait.png", **WHY).faces[0].hits
    assert len(hits) == 3
    assert {hit.subject for hit in hits} == {None}


class Killed(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("step", ["planned", "stopped", "keys-destroyed", "purged", "verified"])
def test_a_sweep_cut_short_at_any_step_is_finished_and_touches_no_file(
    filled, photos, clock, settings, monkeypatch, step
):
    def die(*_, **__):
        raise Killed

    files = {path.name: path.read_bytes() for path in photos.iterdir()}
    clock.forward(days=30)
    monkeypatch.setitem(erase.STEPS, step, die)
    with pytest.raises(Killed):
        filled.sweep()
    filled.close()
    monkeypatch.undo()
    with countenance.open(filled.path, settings=settings, clock=clock) as vault:
        vault.sweep()
        assert [each.state for each in vault.erasures.list()] == ["certified"]
        assert vault.photos(vault.sources("club")[0].id) == []
        assert vault.check().problems == vault.log.verify().problems == ()
    assert {path.name: path.read_bytes() for path in photos.iterdir()} == files


def test_what_expired_since_a_backup_is_gone_after_a_restore_and_stays_out(filled, photos, clock, settings, tmp_path):
    filled.backup(tmp_path / "backup")
    clock.forward(days=30)
    filled.sweep()
    filled.close()
    (tmp_path / "new").mkdir()
    (filled.path / "keys").rename(tmp_path / "new" / "keys")
    restore(tmp_path / "backup", tmp_path / "new", clock=clock)
    with countenance.open(tmp_path / "new", settings=settings, clock=clock) as vault:
        assert held(vault) == set()
        assert vault.add(photos).refused == {"expired-before": 4}


def test_a_sheet_that_shows_what_expired_is_deleted(filled, photos, clock, tmp_path):
    filled.exports.write(filled.search(photos / "portrait.png", **WHY), tmp_path / "sheet.html")
    clock.forward(days=30)
    filled.sweep()
    assert not (tmp_path / "sheet.html").exists()
    assert filled.exports.list() == []


def test_a_sweep_leaves_no_key_of_a_record_that_was_replaced(filled, photos):
    (photos / "portrait.png").write_bytes((photos / "portrait.png").read_bytes() + b"1")
    filled.add(photos)
    epoch = filled.keys.epoch
    assert filled.sweep().leaves == 2
    assert filled.keys.epoch == epoch + 1
    assert filled.sweep().leaves == 0
    assert filled.keys.epoch == epoch + 1


def test_the_command_lists_what_would_go_then_erases_it_and_says_what_stays(filled, clock, run, monkeypatch):
    source = filled.sources("club")[0].id
    order = filled.orders.draft(order_text(scope="{sources: [" + source + "], taken: {until: 2020-01-01}}"))
    filled.orders.approve(order.id, confirm=4)
    filled.close()
    clock.forward(days=31)
    defaults = {"settings": None, "dry_run": False, "clock": clock}
    monkeypatch.setattr("countenance.vault.Vault.__init__.__kwdefaults__", defaults)
    looked = run("sweep", "--dry-run", "--json").json
    assert (looked["photos"], looked["stays"], looked["changed"]) == (0, {"order": 4}, False)
    said = run("sweep")
    assert said.code == 0
    assert "Past its time and still here: 4 photos, hidden by an order that is not carried out yet" in said.err
