"""What `check --residue` finds in the clear."""

from __future__ import annotations

import shutil

import pytest
from tests.conftest import WHY

from countenance import errors
from countenance.orders import exposed
from countenance.store import faces, photos
from countenance.store.faces import stored


@pytest.fixture
def temporary(filled):
    return filled.settings.temporary


def test_a_vault_that_keeps_its_promise_is_clean_and_the_search_proves_that_it_can_find(filled):
    found = filled.check_residue()
    assert found.clean
    assert found.faces == 3
    assert found.inside.control_hits == 1
    assert found.inside.patterns > 50


@pytest.mark.parametrize("what", ["address", "template", "untransformed", "crop"])
def test_what_is_held_and_stands_in_the_clear_in_the_vault_is_found(filled, what):
    with filled.database.read() as tx:
        face = stored(tx, state="held")[0]
        template = faces.template(tx, face.id)
        transform = filled.galleries.transform(tx, filled.collection("club").id)
        value = {
            "address": photos.find(tx, face.photo_id).address.encode(),
            "template": template.tobytes(),
            "untransformed": (template @ transform.T).astype("<f2").tobytes(),
            "crop": faces.crop(tx, face.id),
        }[what]
    (filled.path / "dump").write_bytes(b"xx" + value)
    found = filled.check_residue()
    assert found.inside.where == ("dump",)
    assert not found.clean


def test_a_part_of_an_offered_file_is_found_in_the_temporary_folder(filled, photos, temporary):
    content = (photos / "portrait.png").read_bytes()
    left = temporary / "core"
    left.write_bytes(content[len(content) // 2 :])
    try:
        found = filled.check_residue([photos / "portrait.png"])
        assert found.everywhere.where == (str(left),)
    finally:
        left.unlink()
    assert filled.check_residue([photos / "portrait.png"]).clean


def test_a_whole_file_that_an_erasure_reached_is_recognised_in_the_temporary_folder(filled, photos, temporary):
    copy = temporary / "copy"
    shutil.copy(photos / "portrait.png", photos.parent / "kept.png")
    result = filled.search(photos / "portrait.png", **WHY)
    erasure = filled.erase(filled.scope(search=result.id))
    assert filled.check_residue().clean
    shutil.copyfile(photos.parent / "kept.png", copy)
    try:
        assert filled.check_residue().erased == ((str(copy), erasure.id),)
    finally:
        copy.unlink()


def test_an_offered_file_that_cannot_be_read_is_said(filled, photos):
    with pytest.raises(errors.UsageError, match="Nothing was searched"):
        filled.check_residue([photos / "none.png"])


def test_a_sample_of_the_faces_is_searched_for_where_there_are_many(filled, monkeypatch):
    monkeypatch.setattr(exposed, "SAMPLE", 2)
    assert filled.check_residue().faces == 2
