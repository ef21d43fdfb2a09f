"""The law of a photo's place and what its owner reserves, in force: at adding, enrolling and searching."""

from __future__ import annotations

import json
import zipfile
from datetime import timedelta

import numpy as np
import pytest
from PIL import Image
from tests.conftest import STATED, WHY

from countenance import errors, look
from countenance.gate.rule import add_months
from countenance.records import Consent
from countenance.store import faces, photos

PLACES = {  # degrees north, degrees west
    "US-IL": (39.78, 89.65),
    "US-TX": (30.27, 97.74),
    "GB": (51.5, 0.12),
}
CONSENTED = STATED | {"mode": "enrolled", "art9": "explicit-consent", "retention_days": 3650}
RESERVED = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" \
xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/"><rdf:Description plus:DataMining="DMI-PROHIBITED"/></rdf:RDF></x:xmpmeta>'
SIGNS = {
    ".well-known/tdmrep.json": json.dumps([{"location": "/", "tdm-reservation": 1}]).encode(),
    "robots.txt": b"User-agent: *\nContent-Usage: train-ai=n\n",
    "taken.jpg.xmp": RESERVED,
    "taken.XMP": RESERVED,
}


@pytest.fixture
def embedded(monkeypatch):
    """The pictures in which faces were looked for."""
    seen = []
    real = look.examine
    monkeypatch.setattr(look, "examine", lambda admitted, **more: seen.append(admitted) or real(admitted, **more))
    return seen


@pytest.fixture
def taken(tmp_path, portrait):
    """Make a folder with the portrait, as taken at a place."""

    def make(place=None, name="taken.jpg", **options):
        folder = tmp_path / "taken"
        folder.mkdir(exist_ok=True)
        exif = Image.Exif()
        if place:
            north, west = ((int(each), int(each % 1 * 60), 0) for each in PLACES[place])
            exif[0x8825] = {1: "N", 2: north, 3: "W", 4: west}
        portrait.save(folder / name, exif=exif, **options)
        return folder

    return make


@pytest.fixture
def club(empty, tmp_path, portrait, clock):
    """Make the collection "club" and register a folder; in mode enrolled with its one subject."""

    def make(folder, **stated):
        made = empty.create_collection("club", **stated)
        if made.mode == "enrolled":
            portrait.crop((60, 0, 400, 300)).save(tmp_path / "enrolment.png")
            consent = Consent(by="x", given_at=clock(), text="y", until=clock() + timedelta(days=3650))
            empty.enrol("X", [tmp_path / "enrolment.png"], collection="club", consent=consent)
        return empty.create_source(folder, collection="club", controller="us", evidence="ours")

    return make


def only(vault, source):
    (photo,) = vault.photos(source.id)
    return photo


def explained(vault, record):
    return " ".join(vault.why(record.id).sentences)


def test_a_photo_taken_in_illinois_is_refused_where_everybodys_faces_are_kept(empty, club, taken, embedded):
    source = club(taken("US-IL"), **STATED)
    added = empty.add(source.id)
    assert (added.added, added.faces, added.refused, embedded) == (0, 0, {"needs-consent": 1}, [])
    assert "Biometric Information Privacy Act" in added.sentences["needs-consent"]
    photo = only(empty, source)
    assert (photo.state, photo.reason, photo.faces) == ("refused", "needs-consent", 0)
    assert added.sentences["needs-consent"] in explained(empty, photo)
    assert empty.log.lines(kind="photo:refused")[-1].public["reason"] == "needs-consent"
    assert empty.counts("club")["faces"] == 0


def test_the_same_photo_is_added_once_the_collection_has_what_illinois_asks_for(empty, club, taken, clock):
    source = club(taken("US-IL"), **CONSENTED)
    assert empty.add(source.id).refused == {"needs-policy": 1}
    empty.set_collection("club", policy="example.org/retention", release="signed at enrolment")
    added = empty.add(source.id)
    assert (added.added, added.faces, added.refused) == (1, 1, {})
    assert only(empty, source).expires_at == add_months(clock(), 36)
    assert empty.add(source.id).unchanged == 1


def test_texas_shortens_the_retention_of_the_photo_and_of_its_faces(empty, club, taken, clock):
    source = club(taken("US-TX"), **CONSENTED)
    assert empty.add(source.id).faces == 1
    end = add_months(clock(), 12)
    assert only(empty, source).expires_at == end
    assert empty.search(subject="X", **WHY).faces[0].hits[0].expires_at == end
    clock.now = end
    assert not empty.search(subject="X", **WHY).found


def test_a_photo_that_the_operator_places_in_texas_is_kept_no_longer_than_texas_allows(empty, club, taken, clock):
    source = club(taken(), **CONSENTED)
    assert empty.add(source.id).faces == 1
    assert only(empty, source).expires_at == clock() + timedelta(days=3650)
    clock.forward(days=100)
    empty.correct_evidence(only(empty, source).id, "US-TX")
    end = add_months(clock() - timedelta(days=100), 12)
    assert only(empty, source).expires_at == end
    assert empty.search(subject="X", **WHY).faces[0].hits[0].expires_at == end


def test_the_collections_own_retention_wins_where_it_is_shorter(empty, club, taken, clock):
    source = club(taken("US-TX"), **CONSENTED | {"retention_days": 30})
    empty.add(source.id)
    assert only(empty, source).expires_at == clock() + timedelta(days=30)


def test_a_collection_that_takes_in_people_of_the_eu_does_not_start_without_a_representative(
    empty, club, taken, embedded, monkeypatch, portrait, tmp_path, clock
):
    folder = taken()
    source = club(folder, **STATED | {"representative": "", "takes_in": "FR,US-IL", "established": "CA-QC"})
    monkeypatch.setattr("countenance.sources.folder.Folder.photos", lambda *_: pytest.fail("a photo was read"))
    consent = Consent(by="x", given_at=clock(), text="y", until=clock() + timedelta(days=9))
    acts = {
        "add": lambda: empty.add(source.id),
        "enrol": lambda: empty.enrol("X", [folder / "taken.jpg"], collection="club", consent=consent),
        "search": lambda: empty.search(folder / "taken.jpg", **WHY),
    }
    for act in acts.values():
        with pytest.raises(errors.Incomplete) as raised:
            act()
        for words in ("a representative in EU", "public retention policy", "signed release", "declaration", "mode enr"):
            assert words in str(raised.value)
        command = "`countenance collection set club --art9 explicit-consent --mode enrolled --declared-on … "
        assert command + "--representative … --policy … --release …`" in str(raised.value)
    assert embedded == []


def test_a_collection_whose_law_is_not_met_any_more_shows_nothing(empty, club, taken):
    source = club(taken(), **STATED)
    empty.add(source.id)
    assert empty.search(taken() / "taken.jpg", **WHY).found
    empty.set_collection("club", representative="")
    with pytest.raises(errors.Refused, match="a representative in EU"):
        empty.search(taken() / "taken.jpg", **WHY)


def test_a_photo_whose_law_is_not_met_any_more_is_not_shown(empty, club, taken):
    source = club(taken(), **STATED)
    empty.add(source.id)
    assert empty.search(taken() / "taken.jpg", **WHY).found
    empty.correct_evidence(only(empty, source).id, "US-IL")
    assert not empty.search(taken() / "taken.jpg", **WHY).found


def test_a_photo_that_may_be_from_illinois_is_added_once_the_operator_says_where_it_is_from(empty, club, taken):
    source = club(taken(), **STATED)
    empty.create_collection("elsewhere", **STATED)
    abroad = empty.create_source(taken(), collection="elsewhere", controller="us", evidence="ours", country="US")
    assert empty.add(abroad.id).refused == {"needs-consent": 1}
    empty.correct_evidence(only(empty, abroad).id, "US-CA")
    assert empty.add(abroad.id).faces == 1
    assert {each.territory for each in only(empty, abroad).evidence} == {"US", "US-CA"}
    assert empty.add(source.id).faces == 1


def test_once_the_purpose_is_over_nothing_is_added_and_nothing_shown(empty, club, taken, clock):
    folder = taken("GB")
    source = club(folder, **STATED | {"purpose_ends": clock().date() + timedelta(days=2)})
    assert empty.add(source.id).faces == 1
    assert only(empty, source).expires_at.date() == clock().date() + timedelta(days=2)
    clock.forward(days=2)
    for act in (lambda: empty.add(source.id), lambda: empty.search(folder / "taken.jpg", **WHY)):
        with pytest.raises(errors.Refused, match="a purpose that is not over"):
            act()


def test_a_retention_that_is_shortened_later_holds_for_what_is_held_inside_the_scan_too(empty, club, taken, clock):
    folder = taken("GB")
    source = club(folder, **STATED)
    empty.add(source.id)
    assert empty.search(folder / "taken.jpg", **WHY).found
    empty.set_collection("club", retention_days=5)
    assert empty.log.lines(kind="collection:changed")[-1].public["shortened"] == 1
    assert only(empty, source).expires_at == clock() + timedelta(days=5)
    end = int((clock() + timedelta(days=5)).timestamp())
    with empty.database.read() as tx:
        engine = empty.galleries.of(tx, empty.collection("club").id)
        probe = faces.template(tx, faces.stored(tx, state="held")[0].id).reshape(1, -1).astype(np.float32)
    assert len(engine.search(probe, threshold=0.5, now=end - 1)[0][0]) == 1
    assert len(engine.search(probe, threshold=0.5, now=end)[0][0]) == 0
    empty.set_collection("club", retention_days=900)
    assert only(empty, source).expires_at == clock() + timedelta(days=5)
    assert empty.check().problems == ()


def test_a_photo_that_its_own_metadata_reserve_is_refused_and_nothing_of_it_embedded(empty, club, taken, embedded):
    source = club(taken(xmp=RESERVED), **STATED)
    added = empty.add(source.id)
    assert (added.refused, embedded, empty.counts("club")["faces"]) == ({"reserved": 1}, [], 0)
    photo = only(empty, source)
    assert (photo.state, photo.reason) == ("refused", "reserved")
    with empty.database.read() as tx:
        assert photos.fields(tx, photo.id)["reserved"] == [["plus:DataMining DMI-PROHIBITED", "XMP"]]
    assert "plus:DataMining DMI-PROHIBITED (XMP)" in explained(empty, photo)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("sign", SIGNS)
def test_what_stands_beside_a_photo_reserves_it(empty, club, taken, embedded, sign, packed, tmp_path):
    folder = taken()
    (folder / sign).parent.mkdir(exist_ok=True)
    (folder / sign).write_bytes(SIGNS[sign])
    place = folder
    if packed:
        place = tmp_path / "taken.zip"
        with zipfile.ZipFile(place, "w") as archive:
            for file in (folder / "taken.jpg", folder / sign):
                archive.write(file, file.relative_to(folder))
    source = club(place, **STATED)
    added = empty.add(source.id)
    assert (added.refused, added.added, embedded) == ({"reserved": 1}, 0, [])
    assert "Its owner reserves: " in explained(empty, only(empty, source))


def test_a_photo_that_is_reserved_later_loses_its_faces_at_the_next_scan(empty, club, taken, embedded):
    folder = taken()
    source = club(folder, **STATED)
    assert empty.add(source.id).faces == 1
    (folder / "robots.txt").write_bytes(SIGNS["robots.txt"])
    assert empty.add(source.id).refused == {"reserved": 1}
    assert (only(empty, source).state, empty.counts("club")["faces"], len(embedded)) == ("refused", 0, 1)
    assert not empty.search(folder / "taken.jpg", **WHY).found
    assert empty.add(source.id).unchanged == 1


def test_what_reserves_training_alone_is_recorded_and_refuses_nothing(empty, club, taken):
    source = club(taken(xmp=RESERVED.replace(b"DMI-PROHIBITED", b"DMI-PROHIBITED-AIMLTRAINING")), **STATED)
    assert empty.add(source.id).faces == 1
    assert "Its owner reserves: plus:DataMining DMI-PROHIBITED-AIMLTRAINING (XMP)." in explained(
        empty, only(empty, source)
    )


@pytest.mark.parametrize(
    ("place", "options", "words"),
    [("US-IL", {}, "Biometric Information Privacy Act"), (None, {"xmp": RESERVED}, "The owner reserved this picture")],
)
def test_nobody_is_enrolled_from_a_photo_that_may_not_be_looked_at(
    empty, taken, embedded, clock, place, options, words
):
    empty.create_collection("club", **CONSENTED)
    photo = taken(place, **options) / "taken.jpg"
    consent = Consent(by="x", given_at=clock(), text="y", until=clock() + timedelta(days=9))
    with pytest.raises(errors.Refused, match=words):
        empty.enrol("X", [photo], collection="club", consent=consent)
    assert (empty.subjects("club"), embedded) == ([], [])


def test_a_collection_says_what_its_law_asks_for_on_the_command_line(run):
    made = run("collection", "create", "club", "--purpose", "p", "--takes-in", "UK, us-il", "--established", "GB")
    assert made.code == 0
    assert "takes_in" in made.out
    assert "GB, US-IL" in made.out
    assert "a written, public retention policy" in made.err
    changed = run("collection", "set", "club", "--declared-on", "2026-01-31", "--youngest", "12", "--json")
    shown = json.loads(changed.out)
    assert (shown["takes_in"], shown["declared_on"], shown["youngest"]) == (["GB", "US-IL"], "2026-01-31", 12)
    assert any("the consent of those who speak for people under 13" in each for each in shown["missing"])
    explained = run("why", shown["id"])
    assert "the consent of those who speak for people under 13" in explained.out


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("takes_in", "GB,Atlantis", "Atlantis is no territory"),
        ("established", "XX", "XX is no territory"),
        ("declared_on", "2026-02-30", "declared_on must be a date"),
        ("purpose_ends", "soon", "purpose_ends must be a date"),
        ("youngest", -1, "An age of -1 years cannot be"),
        ("youngest", 121, "An age of 121 years cannot be"),
    ],
)
def test_what_a_collection_cannot_state_is_refused_with_a_sentence(vault, field, value, words):
    before = vault.collection("club")
    with pytest.raises(errors.UsageError, match=words):
        vault.set_collection("club", **{field: value})
    assert vault.collection("club") == before


def test_what_a_collection_stated_can_be_taken_back(vault):
    vault.set_collection("club", purpose_ends="2030-01-31", declared_on="2026-01-31", policy="here")
    club = vault.set_collection("club", purpose_ends="", declared_on="", policy="", takes_in="")
    assert (club.purpose_ends, club.declared_on, club.policy, club.takes_in) == (None, None, "", ())
    assert vault.collection("club") == club
