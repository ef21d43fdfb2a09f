"""Found without a face: by address, file, hash, look, album, receipt and name."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pytest
from PIL import Image
from tests.conftest import STATED
from tests.unit.requests.conftest import DUBLIN

from countenance.errors import UsageError
from countenance.records import Consent
from countenance.requests import desk, identify
from countenance.store import photos as stored_photos
from countenance.store import requests
from countenance.store.requests import Clue
from countenance.vision import imprint
from countenance.vision.picture import content_of

BY = {"by": "the tester"}


@pytest.fixture
def look(filled):
    """Finds by one clue and returns the names of the files, sorted."""
    names = {photo.id: photo.address for photo in filled.photos(filled.sources("club")[0].id)}

    def find(kind=None, value="", **given):
        with filled.database.read() as tx:
            clues = [Clue(kind=kind, value=value)] if kind else []
            return sorted(names[one.photo_id] for one in identify.find(tx, clues, **given))

    return find


def test_a_photo_is_found_by_its_address_or_the_end_of_it(look, photos):
    for value in (
        "portrait.png",
        "PORTRAIT.PNG",
        "https://club.example/2026/portrait.png?size=large#top",
        "https://club.example/portrait%2Epng",
        "C:\\photos\\portrait.png",
        "/somewhere/else/photos/portrait.png",
        str(photos / "portrait.png"),
    ):
        assert look("address", value) == ["portrait.png"], value


def test_a_part_of_a_name_finds_nothing(look):
    for value in ("ortrait.png", "portrait", "png", "*", "%", "https://[::/portrait"):
        assert look("address", value) == [], value
    for value in ("/", "", "https://club.example/"):
        with pytest.raises(UsageError, match="at least the name"):
            look("address", value)


def test_a_photo_is_found_by_its_file_and_by_its_hash(look, photos):
    content = (photos / "smaller.jpg").read_bytes()
    assert look(files=[content]) == ["smaller.jpg"]
    assert look("sha256", hashlib.sha256(content).hexdigest().upper()) == ["smaller.jpg"]
    assert look("sha256", "0" * 64) == []
    with pytest.raises(UsageError, match="64 hexadecimal digits"):
        look("sha256", "xyz")


def test_a_photo_that_was_encoded_again_is_found_by_its_look(look, portrait):
    seen = imprint.imprints(content_array(portrait.resize((400, 400))))
    assert look(imprints=seen) == ["mirrored.jpg", "portrait.png", "smaller.jpg"]


def test_another_picture_is_not_found_by_its_look(look):
    spots = np.random.default_rng(1).integers(0, 256, (12, 12, 3), np.uint8)
    seen = imprint.imprints(content_array(Image.fromarray(spots).resize((400, 400))))
    assert seen
    assert look(imprints=seen) == []


def test_only_the_collection_that_was_named_is_looked_at(look, photos):
    content = (photos / "portrait.png").read_bytes()
    assert look(files=[content], collection_id="col_other") == []
    assert look("address", "portrait.png", collection_id="col_other") == []


def test_what_an_erasure_has_stopped_is_no_candidate_even_before_it_is_gone(look, filled, photos):
    content = (photos / "portrait.png").read_bytes()
    photo = next(one for one in filled.photos(filled.sources("club")[0].id) if one.address == "portrait.png")
    with filled.database.write() as tx:
        stored_photos.renew(tx, photo.id, state="stopped")
    assert look(files=[content]) == []
    assert look("address", "portrait.png") == []


def content_array(image):
    return np.asarray(image.convert("RGB"))


def test_photos_are_found_by_album_and_day(empty, photos, portrait):
    (photos / "summer party").mkdir()
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2026:05:18 12:00:00"
    portrait.save(photos / "summer party" / "a.jpg", exif=exif)
    portrait.resize((200, 200)).save(photos / "summer party" / "b.jpg")
    empty.create_collection("club", **STATED)
    source = empty.create_source(photos, collection="club", controller="the test suite", evidence="made here")
    empty.add(photos)
    names = {photo.id: photo.address for photo in empty.photos(source.id)}

    def album(value):
        with empty.database.read() as tx:
            return sorted(names[one.photo_id] for one in identify.find(tx, [Clue(kind="album", value=value)]))

    assert album("summer party") == ["summer party/a.jpg", "summer party/b.jpg"]
    assert album("Summer Party 2026-05-18") == ["summer party/a.jpg"]
    assert album(f"{photos}/summer party 2026-05") == ["summer party/a.jpg"]
    assert album("2026-05-18") == ["summer party/a.jpg"]
    assert album("summer party 2025-05-18") == []
    assert album("summer") == []
    with pytest.raises(UsageError, match="An album is"):
        album(" ")


def test_a_receipt_leads_to_what_it_was_given_for(opened):
    photo = opened.photos(opened.sources("club")[0].id)[0]
    (candidate,) = desk.look(opened.database, "req_1", DUBLIN, clues=[Clue(kind="address", value="portrait.png")], **BY)
    desk.review(opened.database, "req_1", {candidate.face_ids[0]: "yes"}, DUBLIN, **BY)
    with opened.database.write() as tx:
        requests.give_receipt(tx, "rcp_photo", photo.id)
        requests.give_receipt(tx, "rcp_request", "req_1")
    with opened.database.read() as tx:
        by_photo = identify.find(tx, [Clue(kind="receipt", value="rcp_photo")])
        by_request = identify.find(tx, [Clue(kind="receipt", value=" rcp_request ")])
        assert [one.photo_id for one in by_photo] == [photo.id]
        assert by_request == [dataclasses.replace(candidate, by=("receipt",))]
        assert identify.find(tx, [Clue(kind="receipt", value="rcp_other")]) == []


def test_an_enrolled_subject_is_found_by_name_whatever_its_case(filled, photos, clock):
    consent = Consent(by="the person", given_at=clock.now, text="yes", until=clock.now.replace(year=2030))
    subject = filled.enrol("A. Person", [photos / "portrait.png"], collection="club", consent=consent)
    with filled.database.write() as tx:
        requests.give_receipt(tx, "rcp_subject", subject.id)
    with filled.database.read() as tx:
        found = identify.find(tx, [Clue(kind="name", value="a. PERSON")])
        assert found
        assert all(one.by == ("name",) and one.face_ids for one in found)
        assert identify.find(tx, [Clue(kind="name", value="Person")]) == []
        by_receipt = identify.find(tx, [Clue(kind="receipt", value="rcp_subject")])
        assert {one.photo_id for one in by_receipt} == {one.photo_id for one in found}
        assert identify.find(tx, [Clue(kind="name", value="A. Person")], collection_id="col_other") == []


def test_several_clues_lead_to_one_candidate_a_photo(look, photos, filled):
    content = (photos / "portrait.png").read_bytes()
    with filled.database.read() as tx:
        (one,) = identify.find(tx, [Clue(kind="address", value="portrait.png")], files=[content])
    assert one.by == ("address", "sha256")
    assert len(one.face_ids) == 1


def test_a_clue_of_another_kind_is_refused_and_there_is_none_for_a_face_or_an_identity_document(look):
    with pytest.raises(UsageError, match="no kind of clue"):
        look("passport", "x")
    assert not {"face", "passport", "identity-document", "photo"} & set(identify.CLUES)
    assert look("identity", "email raw a@b.example") == []


def test_a_clue_that_leads_to_too_many_photos_is_refused(look, monkeypatch, photos):
    monkeypatch.setattr(identify, "MAX_CANDIDATES", 2)
    with pytest.raises(UsageError, match="more than 2 photos"):
        look("album", str(photos))


def test_what_an_erasure_reached_is_no_candidate_any_more(look, filled):
    photo = next(one for one in filled.photos(filled.sources("club")[0].id) if one.address == "portrait.png")
    filled.erase(filled.scope(photo=photo.id))
    assert look("address", "portrait.png") == []


def test_what_was_confirmed_becomes_a_scope_that_an_erasure_takes(opened):
    candidates = desk.look(opened.database, "req_1", DUBLIN, clues=[Clue(kind="address", value="portrait.png")], **BY)
    meadow = desk.look(opened.database, "req_1", DUBLIN, clues=[Clue(kind="address", value="meadow.jpg")], **BY)
    with opened.database.read() as tx, pytest.raises(UsageError, match="still unsure"):
        identify.confirmed(tx, requests.find(tx, "req_1"))
    whole = next(one for one in meadow if not one.face_ids)
    verdicts = {candidates[0].face_ids[0]: "yes", whole.photo_id: "yes"}
    request = desk.review(opened.database, "req_1", verdicts, DUBLIN, **BY)
    with opened.database.read() as tx:
        (scope,) = identify.confirmed(tx, request)
    assert sorted(scope.photos) == sorted([candidates[0].photo_id, whole.photo_id])
    assert (scope.faces, scope.reason, scope.request) == (candidates[0].face_ids, "request", "req_1")
    opened.erase(scope)
    with opened.database.read() as tx, pytest.raises(UsageError, match="gone already"):
        identify.confirmed(tx, requests.find(tx, "req_1"))


def test_without_a_yes_nothing_is_reached(opened):
    (found,) = desk.look(opened.database, "req_1", DUBLIN, clues=[Clue(kind="address", value="portrait.png")], **BY)
    request = desk.review(opened.database, "req_1", {found.photo_id: "no"}, DUBLIN, **BY)
    with opened.database.read() as tx, pytest.raises(UsageError, match="No candidate was confirmed"):
        identify.confirmed(tx, request)
    with pytest.raises(UsageError, match="no verdict"):
        desk.review(opened.database, "req_1", {found.photo_id: "maybe"}, DUBLIN, **BY)


def test_a_verdict_on_what_is_no_candidate_is_refused_so_that_no_slip_reaches_a_stranger(opened):
    with pytest.raises(UsageError, match="no candidate of this request"):
        desk.review(opened.database, "req_1", {"fac_x": "yes"}, DUBLIN, **BY)


def test_a_verdict_on_a_photo_is_one_on_its_faces_and_a_yes_takes_the_whole_photo(opened):
    (found,) = desk.look(opened.database, "req_1", DUBLIN, clues=[Clue(kind="address", value="portrait.png")], **BY)
    face = found.face_ids[0]

    def reviewed(verdict):
        request = desk.review(opened.database, "req_1", {found.photo_id: verdict}, DUBLIN, **BY)
        return {one.face_id: one.verdict for one in request.reviews}

    assert reviewed("no") == {face: "no"}
    assert reviewed("unsure") == {face: "unsure"}
    assert reviewed("yes") == {face: "no", None: "yes"}  # whose face it is nobody said: it counts as somebody else's


def test_of_an_offered_picture_nothing_is_kept_and_the_log_says_so(opened, portrait, vault_path, photos):
    content = (photos / "portrait.png").read_bytes()
    seen = imprint.imprints(content_array(portrait))
    desk.look(opened.database, "req_1", DUBLIN, files=[content_of(photos / "portrait.png")], imprints=seen, **BY)
    public = opened.log.lines(kind="request:looked")[0].public
    assert (public["files"], public["offered"], public["kept"]) == (1, True, 0)
    with opened.database.read() as tx:
        request = requests.find(tx, "req_1")
    assert hashlib.sha256(content).hexdigest() not in str(dataclasses.asdict(request))
    assert seen[0].hex() not in str(dataclasses.asdict(request))
