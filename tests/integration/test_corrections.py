"""A wrong match, corrected: no search and no scan joins again what somebody has said is not the same."""

from __future__ import annotations

import json

import pytest
from tests.conftest import STATED, WHY
from tests.integration.conftest import enrolled, face_at, hits, photo_at
from tests.property.test_vault import template

import countenance
from countenance import errors
from countenance.orders import residue
from countenance.restore import restore
from countenance.settings import Settings
from countenance.store import faces, tables, tree

ALIKE = {"1.jpg": "ann", "2.jpg": "ann", "3.jpg": "ann"}
TEAM = {"team.jpg": "ann+bob", "two.jpg": "ann"}


def linked(vault):
    with vault.database.read() as tx:
        return {f.photo_id: f.subject_id for f in faces.stored(tx, enrolled=False)}


def test_an_error_about_a_subject_has_its_id_and_not_its_name(words, tmp_path):
    vault = words({"1.jpg": "bertha"})
    subject = enrolled(vault, "bertha", tmp_path)
    with pytest.raises(errors.UsageError, match=subject) as refused:
        vault.faces.not_same(face_at(vault, str(tmp_path / "bertha.png")), subject, reason="r")
    assert "bertha" not in str(refused.value)


def test_a_search_by_a_face_never_returns_a_face_that_is_known_to_be_somebody_else(words):
    vault = words(ALIKE)
    first, second = face_at(vault, "1.jpg"), face_at(vault, "2.jpg")
    assert hits(vault, face=first) == {"2.jpg", "3.jpg"}
    vault.faces.not_same(first, second, reason="they are twins")
    assert hits(vault, face=first) == {"3.jpg"}
    assert hits(vault, face=second) == {"3.jpg"}
    assert hits(vault, face=face_at(vault, "3.jpg")) == {"1.jpg", "2.jpg"}
    assert hits(vault, "ann") == {"1.jpg", "2.jpg", "3.jpg"}


def test_a_face_that_is_not_a_subject_is_unlinked_and_neither_search_returns_the_other(words, tmp_path):
    vault = words(ALIKE)
    ann = enrolled(vault, "ann", tmp_path)
    face = face_at(vault, "1.jpg")
    assert hits(vault, subject="ann") == {"1.jpg", "2.jpg", "3.jpg"}
    done = vault.faces.not_same(face, "ann", reason="her sister")
    assert (done.unlinked, done.discarded) == (True, False)
    assert linked(vault)[photo_at(vault, "1.jpg")] is None
    assert hits(vault, subject="ann") == {"2.jpg", "3.jpg"}
    assert hits(vault, face=face) == set()
    assert hits(vault, face=face_at(vault, "2.jpg")) == {"3.jpg", str(tmp_path / "ann.png")}
    assert vault.faces.links()[0].subject_id == ann
    assert "her sister" in " ".join(vault.why(face).sentences)
    assert "her sister" in " ".join(vault.why(ann).sentences)


def test_in_mode_enrolled_the_face_is_discarded_and_its_key_destroyed_at_once(words):
    vault = words(TEAM, subjects=["ann"], mode="enrolled")
    face = face_at(vault, "team.jpg")
    with vault.database.read() as tx:
        [stored] = faces.stored(tx, id=face)
        key, form = tx.keys.item_key(stored.item), faces.template(tx, face)
    done = vault.faces.not_same(face, "ann", reason="another person")
    assert (done.unlinked, done.discarded) == (True, True)
    with vault.database.read() as tx, pytest.raises(tree.Punctured):
        tx.keys.item_key(stored.item)
    assert residue.scan(vault.path, [key, *residue.forms_of_template(form)]).hits == 0
    assert hits(vault, "ann") == {"two.jpg", str(vault.path.parent / "ann.png")}
    assert (vault.path.parent / "words" / "team.jpg").exists()  # a correction touches no file
    assert vault.erasures.list() == []
    assert vault.check().problems == ()


def test_no_scan_gives_a_face_a_subject_again_that_it_is_not(words, tmp_path):
    vault = words(TEAM, subjects=["ann"], mode="enrolled")
    folder = tmp_path / "words"
    vault.faces.not_same(face_at(vault, "team.jpg"), "ann", reason="another person")
    assert vault.add(folder).faces == 0
    enrolled(vault, "bob", tmp_path)
    assert vault.add(folder).faces == 1  # bob beside her
    assert hits(vault, "bob") == {"team.jpg", str(tmp_path / "bob.png")}
    (folder / "team.jpg").write_text("ann+bob @GB")  # the file is written again: a new record of the same place
    (folder / "new.jpg").write_text("ann")
    vault.add(folder)
    assert hits(vault, "bob") == {"team.jpg", str(tmp_path / "bob.png")}
    assert hits(vault, "ann") == {"new.jpg", "two.jpg", str(tmp_path / "ann.png")}


def test_a_face_that_is_not_one_subject_may_be_the_next(words, tmp_path):
    vault = words({"1.jpg": "ann"}, subjects=["ann"], mode="enrolled")
    twin = tmp_path / "twin.png"
    twin.write_text("ann ")  # another file of the same face
    monkey = pytest.MonkeyPatch()
    monkey.setattr("tests.property.test_vault.template", lambda name: template(name.strip()))
    consent = vault.subjects()[0].consent
    other = vault.enrol("twin", [twin], collection="club", consent=consent).id
    vault.add(tmp_path / "words")
    vault.faces.not_same(face_at(vault, "1.jpg"), "ann", reason="it is her twin")
    vault.add(tmp_path / "words")
    monkey.undo()
    assert linked(vault)[photo_at(vault, "1.jpg")] == other


@pytest.mark.parametrize("end", ["face", "subject", "photo", "other face"])
def test_a_link_goes_with_its_key_when_either_end_is_erased(words, tmp_path, end):
    vault = words(ALIKE)
    if end != "other face":
        enrolled(vault, "ann", tmp_path)
    face, other = face_at(vault, "1.jpg"), face_at(vault, "2.jpg")
    vault.faces.not_same(face, other if end == "other face" else "ann", reason="a reason for the link")
    vault.faces.restrict(other, ground="accuracy")
    with vault.database.read() as tx:
        [item] = [row.item for row in tx.sql.execute(tables.link.select())]
    chosen = {
        "face": {"face": face},
        "subject": {"subject": "ann"},
        "photo": {"photo": photo_at(vault, "1.jpg")},
        "other face": {"face": other},
    }[end]
    vault.erase(vault.scope(**chosen))
    assert vault.faces.links() == []
    with vault.database.read() as tx, pytest.raises(tree.Punctured):
        tx.keys.item_key(item)
    assert vault.check().problems == ()


def test_the_place_of_a_face_that_is_not_kept_is_free_again_when_its_photo_is_erased(words):
    vault = words(TEAM, subjects=["ann"], mode="enrolled")
    vault.faces.not_same(face_at(vault, "team.jpg"), "ann", reason="another person")
    assert len(vault.faces.links()) == 1
    vault.erase(vault.scope(photo=photo_at(vault, "team.jpg")))
    assert vault.faces.links() == []


def test_a_backup_from_before_an_erasure_brings_no_link_and_no_restriction_of_it_back(words, tmp_path, clock):
    vault = words(ALIKE)
    first, second = face_at(vault, "1.jpg"), face_at(vault, "2.jpg")
    vault.faces.not_same(first, second, reason="twins")
    vault.faces.restrict(first, ground="accuracy")
    vault.faces.restrict(face_at(vault, "3.jpg"), ground="accuracy")
    vault.backup(tmp_path / "backup")
    vault.erase(vault.scope(face=first))
    vault.close()
    (tmp_path / "vault").rename(tmp_path / "lost")
    restore(tmp_path / "backup", tmp_path / "vault", keys=tmp_path / "lost" / "keys")
    with countenance.open(tmp_path / "vault", settings=Settings(workers=0), clock=clock) as again:
        assert again.faces.links() == []
        assert [len(one.faces) for one in again.faces.restrictions()] == [1]
        assert hits(again, "ann") == {"2.jpg"}
        assert again.check().problems == ()


def test_what_cannot_be_is_refused_and_changes_nothing(words, tmp_path):
    vault = words(ALIKE | {"team.jpg": "ann+bob"}, subjects=["ann"])
    vault.create_collection("other", **STATED)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "far.jpg").write_text("ann  ")
    vault.create_source(folder, collection="other", controller="x", evidence="y")
    vault.add(folder)
    face, before = face_at(vault, "1.jpg"), len(vault.log.lines())
    for wrong, other, reason, match in (
        (face_at(vault, str(tmp_path / "ann.png")), "ann", "r", "enrolment photo"),
        (face, face_at(vault, "2.jpg"), "r", "say which of them"),
        (face, face_at(vault, "far.jpg"), "r", "one collection"),
        (face, face, "r", "one collection"),
        (face, "ann", " ", "says why"),
    ):
        with pytest.raises(errors.UsageError, match=match):
            vault.faces.not_same(wrong, other, reason=reason)
    for wrong, other in ((face, "nobody"), ("fac_none", "ann"), (face, "fac_none")):
        with pytest.raises(errors.NotFound):
            vault.faces.not_same(wrong, other, reason="r")
    with pytest.raises(errors.NotFound):
        vault.faces.not_same(face, "ann", reason="r", request="req_none")
    assert vault.faces.links() == []
    assert len(vault.log.lines()) == before


def test_said_twice_it_is_recorded_once(words):
    vault = words(ALIKE)
    first, second = face_at(vault, "1.jpg"), face_at(vault, "2.jpg")
    once = vault.faces.not_same(first, second, reason="twins")
    assert vault.faces.not_same(second, first, reason="twins") == once
    assert len(vault.faces.links()) == 1


def test_who_said_it_and_why_stand_nowhere_in_the_clear(words, tmp_path):
    vault = words(ALIKE)
    vault.by = "an operator by name"
    face = face_at(vault, "1.jpg")
    vault.faces.not_same(face, face_at(vault, "2.jpg"), reason="a confidential reason")
    vault.faces.restrict(face, ground="claims", reason="a very private reason")
    vault.faces.unrestrict(vault.faces.restrictions()[0].id, reason="it was settled", told="by a registered letter")
    vault.close()
    marks = [b"operator by name", b"confidential reason", b"very private", b"was settled", b"registered letter"]
    assert residue.scan(tmp_path / "vault", marks).hits == 0


def test_the_command_corrects_restricts_and_lists(words, run, tmp_path):
    vault = words(ALIKE, subjects=["ann"])
    face = face_at(vault, "1.jpg")
    dry = run("face", "not-same", face, "--subject", "ann", "--reason", "r", "--dry-run")
    assert (dry.code, vault.faces.links()) == (0, [])
    done = run("face", "not-same", face, "--subject", "ann", "--reason", "r", "--json").json
    assert done["unlinked"] is True
    assert run("face", "not-same", face, "--reason", "r").code == 2
    dry = run("face", "restrict", "--subject", "ann", "--ground", "objection", "--dry-run", "--json")
    assert (dry.json["hidden"], dry.json["changed"]) == (3, False)
    assert vault.faces.restrictions() == []
    made = run("face", "restrict", "--subject", "ann", "--ground", "objection", "--json").json
    assert hits(vault, "ann") == {"1.jpg"}
    listed = run("face", "list", "--json").json
    assert [one["id"] for one in listed["restrictions"]] == [made["restriction"]["id"]]
    assert len(listed["links"]) == 1
    assert run("face", "unrestrict", made["restriction"]["id"], "--reason", "r").code == 2
    lifted = run("face", "unrestrict", made["restriction"]["id"], "--reason", "r", "--told", "by letter")
    assert lifted.code == 0
    assert len(vault.search(b"ann", fpir=0.5, **WHY).faces[0].hits) == 4
    assert json.loads(run("face", "list", "--json").out)["restrictions"] == []
