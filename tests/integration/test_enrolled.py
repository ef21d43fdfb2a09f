from __future__ import annotations

import csv
import shutil
from collections import defaultdict
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image
from tests.conftest import STATED

from countenance import errors
from countenance.gate.admit import admit
from countenance.orders import residue
from countenance.records import Consent
from countenance.store import collections, faces
from countenance.vision import examine

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
AGREED = Consent(
    by="the person", given_at=START - timedelta(days=1), text="may be found here", until=START + timedelta(days=10)
)
WHY = {"collection": "club", "purpose": "a test", "case": "case 1"}


@pytest.fixture
def people(shared_photos) -> list[tuple[Path, Path]]:
    """Two photos each of several people who agreed to such use."""
    found = defaultdict(list)
    with (shared_photos / "manifest.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["set"] == "london" and row["person"]:
                found[row["person"]].append(shared_photos / row["path"])
    return [(photos[0], photos[1]) for _, photos in sorted(found.items()) if len(photos) >= 2][:4]


@pytest.fixture
def gallery(vault, people, tmp_path) -> Path:
    """A folder with the second photo of each of four people, as a source of a collection in mode enrolled."""
    folder = tmp_path / "gallery"
    folder.mkdir()
    for n, (_, second) in enumerate(people):
        shutil.copy(second, folder / f"{n}{second.suffix}")
    vault.set_collection("club", mode="enrolled")
    vault.create_source(
        folder, collection="club", controller="the test suite", evidence="a data set", on_erase="worklist"
    )
    return folder


def test_only_faces_of_enrolled_people_are_kept_and_no_template_of_the_others(vault, people, gallery):
    subject = vault.enrol("the first", people[0], collection="club", consent=AGREED)
    added = vault.add(gallery)
    assert (added.added, added.faces, added.discarded) == (4, 1, 3)
    club = vault.collection("club")
    with vault.database.read() as tx:
        linked = {face.subject_id for face in faces.stored(tx, collection_id=club.id)}
        transform = vault.galleries.transform(tx, club.id)
    assert linked == {subject.id}
    strangers = []
    for _, second in people[1:]:
        admitted = admit(club, second.read_bytes(), evidence=(), suppressed_by=None, now=START)
        template = examine.examine(admitted, cache=vault.settings.cache).faces[0].template
        strangers += [*residue.forms_of_template(template), *residue.forms_of_template(template @ transform)]
    vault.database.truncate_wal()
    assert residue.scan(vault.path, strangers).hits == 0
    assert vault.check().problems == ()


def test_a_second_enrolment_makes_the_next_add_look_again(vault, people, gallery):
    vault.enrol("the first", people[0], collection="club", consent=AGREED)
    assert vault.add(gallery).faces == 1
    assert vault.add(gallery).looked_at == 0
    second = vault.enrol("the second", people[1], collection="club", consent=AGREED)
    assert len(vault.would_add(gallery)["again"]) == 4
    added = vault.add(gallery)
    assert (added.faces, added.unchanged, added.vanished) == (1, 4, 0)
    assert vault.add(gallery).faces == 0
    found = vault.search(subject="the second", **WHY)
    assert [hit.subject_id for hit in found.faces[0].hits] == [second.id]


def test_a_photo_touched_and_an_enrolment_later_is_looked_at_again_at_once(vault, people, gallery):
    vault.add(gallery)
    vault.enrol("the first", people[0], collection="club", consent=AGREED)
    ids = {photo.address: photo.id for photo in vault.photos(vault.sources()[1].id)}
    for file in gallery.iterdir():
        file.touch()
    assert vault.add(gallery).faces == 1
    assert {photo.address: photo.id for photo in vault.photos(vault.sources()[1].id)} == ids
    assert vault.add(gallery).looked_at == 0


def test_withdrawal_erases_the_person_and_nobody_else(vault, people, gallery):
    for n in (0, 1):
        vault.enrol(f"subject {n}", people[n], collection="club", consent=AGREED)
    vault.add(gallery)
    erasure = vault.withdraw("subject 0")
    assert (erasure.state, erasure.subjects, erasure.faces) == ("certified", 1, 3)
    assert [subject.name for subject in vault.subjects()] == ["subject 1"]
    found = vault.search(people[0][1], **WHY)
    assert not found.found
    assert vault.search(people[1][1], **WHY).found
    assert vault.add(gallery).faces == 0
    assert vault.check().problems == ()


def test_a_consent_that_ended_makes_its_faces_unsearchable(vault, people, gallery, clock):
    vault.enrol("the first", people[0], collection="club", consent=AGREED)
    vault.add(gallery)
    assert vault.search(people[0][1], **WHY).found
    clock.forward(days=11)
    assert not vault.search(people[0][1], **WHY).found
    with pytest.raises(errors.Refused, match="not in force"):
        vault.search(subject="the first", **WHY)
    shutil.copy(people[0][1], gallery / "later.jpg")
    assert vault.add(gallery).faces == 0


@pytest.fixture
def kept_nothing(vault):
    """Whatever is refused leaves no subject, no enrolment photo, no face, and no count of an enrolment."""
    vault.set_collection("club", mode="enrolled")
    yield
    with vault.database.read() as tx:
        club = collections.find(tx, "club")
        assert collections.enrolments(tx, club.id) == 0
        assert faces.stored(tx) == []
    assert vault.subjects() == []
    assert [source.kind for source in vault.sources()] == ["folder"]
    assert vault.log.lines(kind="subject:enrolled") == []


def test_two_people_in_one_enrolment_are_refused(vault, people, kept_nothing):
    with pytest.raises(errors.UsageError, match="somebody else"):
        vault.enrol("the first", [people[0][0], people[1][0]], collection="club", consent=AGREED)
    with pytest.raises(errors.UsageError, match=people[1][0].name):
        vault.enrol("the first", [*people[0], people[1][0]], collection="club", consent=AGREED)


@pytest.mark.usefixtures("kept_nothing")
def test_an_enrolment_photo_of_nobody_or_of_several_is_refused(vault, photos, pair):
    pair.save(photos / "pair.png")
    with pytest.raises(errors.NoFace, match="shows no faces"):
        vault.enrol("the first", [photos / "portrait.png", photos / "meadow.jpg"], collection="club", consent=AGREED)
    with pytest.raises(errors.NoFace, match="shows 2 faces"):
        vault.enrol("the first", [photos / "pair.png"], collection="club", consent=AGREED)
    with pytest.raises(errors.UsageError, match="at least one photo"):
        vault.enrol("the first", [], collection="club", consent=AGREED)


@pytest.mark.usefixtures("kept_nothing")
def test_the_same_photo_twice_is_refused_also_under_another_name(vault, photos):
    with pytest.raises(errors.UsageError, match="twice"):
        vault.enrol("the first", [photos / "portrait.png"] * 2, collection="club", consent=AGREED)
    shutil.copy(photos / "portrait.png", photos / "copy.png")
    with pytest.raises(errors.UsageError, match="twice"):
        vault.enrol("the first", [photos / "portrait.png", photos / "copy.png"], collection="club", consent=AGREED)


@pytest.mark.usefixtures("kept_nothing")
def test_bad_enrolment_photos_are_refused(vault, photos, tmp_path):
    (photos / "empty.jpg").write_bytes(b"")
    with pytest.raises(errors.BadImage, match="no bytes"):
        vault.enrol("the first", [photos / "portrait.png", photos / "empty.jpg"], collection="club", consent=AGREED)
    with pytest.raises(errors.AddressUnreadable, match=r"nowhere\.jpg"):
        vault.enrol("the first", [photos / "nowhere.jpg"], collection="club", consent=AGREED)
    Image.open(photos / "portrait.png").resize((36, 36)).save(photos / "tiny.png")
    with pytest.raises(errors.NoFace):
        vault.enrol("the first", [photos / "tiny.png"], collection="club", consent=AGREED)


@pytest.mark.usefixtures("kept_nothing")
@pytest.mark.parametrize(
    "change",
    [
        {"given_at": START + timedelta(days=1)},
        {"until": START},
        {"until": START - timedelta(days=1)},
        {"given_at": START.replace(tzinfo=None)},
        {"until": (START + timedelta(days=5)).replace(tzinfo=None)},
        {"by": " "},
        {"text": ""},
    ],
)
def test_a_consent_that_does_not_add_up_is_refused(vault, photos, change):
    fields = {name: getattr(AGREED, name) for name in ("by", "given_at", "text", "until")} | change
    with pytest.raises(errors.UsageError, match="Nobody was enrolled"):
        vault.enrol("the first", [photos / "portrait.png"], collection="club", consent=Consent(**fields))


@pytest.mark.usefixtures("kept_nothing")
def test_an_enrolment_without_a_basis_is_refused(vault, photos):
    vault.set_collection("club", notice="")
    with pytest.raises(errors.Incomplete, match="notice"):
        vault.enrol("the first", [photos / "portrait.png"], collection="club", consent=AGREED)


def test_a_name_is_enrolled_once_in_a_collection(vault, photos):
    subject = vault.enrol("The First", [photos / "portrait.png"], collection="club", consent=AGREED)
    assert subject.warnings
    with pytest.raises(errors.UsageError, match="enrolled in this collection already"):
        vault.enrol("the first", [photos / "mirrored.jpg"], collection="club", consent=AGREED)
    assert len(vault.subjects()) == 1


def test_a_name_without_a_collection_must_be_in_one_only(vault, photos):
    stated = asdict(vault.collection("club"))
    vault.create_collection("other", **{name: stated[name] for name in stated if name not in {"id", "name"}})
    vault.enrol("the first", [photos / "portrait.png"], collection="club", consent=AGREED)
    vault.enrol("the first", [photos / "portrait.png"], collection="other", consent=AGREED)
    with pytest.raises(errors.UsageError, match="several collections"):
        vault.withdraw("the first")
    assert vault.withdraw("the first", collection="other").subjects == 1
    assert vault.withdraw("the first").subjects == 1
    with pytest.raises(errors.NotFound, match="subject the first"):
        vault.withdraw("the first")


def test_what_was_erased_cannot_be_enrolled(filled, photos):
    chosen = next(p.id for p in filled.photos(filled.sources()[0].id) if p.address == "portrait.png")
    whole = (photos / "portrait.png").read_bytes()
    filled.erase(filled.scope(photo=chosen))
    (photos / "portrait.png").write_bytes(whole)
    with pytest.raises(errors.Refused, match="erased before"):
        filled.enrol("the first", [photos / "portrait.png"], collection="club", consent=AGREED)


def test_switching_to_mode_all_makes_the_next_scan_keep_the_faces_that_were_discarded(empty, photos):
    empty.create_collection("club", **STATED | {"mode": "enrolled"})
    empty.create_source(photos, collection="club", controller="x", evidence="y")
    assert empty.add(photos).faces == 0
    empty.set_collection("club", mode="all")
    assert empty.add(photos).faces == 3
    assert empty.add(photos).faces == 0


def test_switching_to_mode_enrolled_is_refused_while_strangers_faces_are_held(filled):
    with pytest.raises(errors.UsageError, match="3 faces of people who are not enrolled"):
        filled.set_collection("club", mode="enrolled")
    assert filled.collection("club").mode == "all"


def test_enrolling_in_mode_all_links_the_faces_that_are_held_already(filled, photos, portrait, tmp_path):
    enrolment = tmp_path / "enrolment.png"
    portrait.crop((60, 0, 400, 300)).save(enrolment)
    filled.enrol("X", [enrolment], collection="club", consent=AGREED)
    assert {hit.subject for hit in filled.search(photos / "portrait.png", **WHY).faces[0].hits} == {"X"}
    assert filled.log.lines(kind="subject:linked")[-1].public["faces"] == 3
    assert filled.withdraw("X", collection="club").faces == 4
