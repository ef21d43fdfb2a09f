"""P5: erased means gone."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from PIL import Image
from tests.conftest import STATED, WHY

from countenance import Consent, errors
from countenance.audit import verify
from countenance.orders import erase, files, residue
from countenance.orders.residue import forms_of_template, scan
from countenance.store import entries, faces, tree
from countenance.store import photos as stored
from countenance.store.tables import metadata


@pytest.fixture
def group(empty, tmp_path, pair):
    """A folder with one group photo, and the source that it is: added, and redacted on erasure."""
    folder = tmp_path / "groups"
    folder.mkdir()
    pair.save(folder / "pair.png")
    empty.create_collection("club", **STATED)
    source = empty.create_source(folder, collection="club", controller="us", evidence="ours", on_erase="redact")
    empty.add(source.id)
    return folder, source


def everything(vault, photos):
    """Erase all that a search with the portrait finds."""
    found = vault.search(photos / "portrait.png", **WHY)
    return vault.erase(vault.scope(search=found.id), ground="request")


def test_photo_face_crop_log_detail_and_search_result_are_gone_and_the_files_at_the_source_too(filled, photos):
    with filled.database.read() as tx:
        held = faces.stored(tx, state="held")
        items = [face.item for face in held]
        values = [form for face in held for form in forms_of_template(faces.template(tx, face.id))]
        values += [*(faces.crop(tx, face.id) for face in held), *faces.sealed_bytes(tx, [face.id for face in held])]
        assert entries.about(tx, items)
    erasure = everything(filled, photos)
    assert (erasure.state, erasure.photos, erasure.faces) == ("certified", 3, 3)
    assert {file.name for file in photos.iterdir()} == {"meadow.jpg"}
    assert scan(filled.path, [*values, b"portrait.png", b"mirrored.jpg"]).where == ()
    with filled.database.read() as tx:
        assert faces.stored(tx) == []
        assert entries.about(tx, items) == []
        for table in ("hit", "search"):
            assert tx.sql.execute(metadata.tables[table].select().where(False)).all() == []
        assert tx.sql.execute(metadata.tables["hit"].select()).all() == []


def test_no_key_of_what_was_erased_can_be_derived_any_more(filled, photos):
    with filled.database.read() as tx:
        items = [face.item for face in faces.stored(tx, state="held")]
    before = filled.keys.epoch
    everything(filled, photos)
    assert filled.keys.epoch == before + 1
    for item in items:
        with pytest.raises(tree.Punctured):
            filled.keys.item_key(item)


def test_a_search_with_the_erased_faces_own_photo_finds_nobody(filled, photos, portrait):
    everything(filled, photos)
    portrait.save(photos.parent / "probe.png")
    assert not filled.search(photos.parent / "probe.png", **WHY).found


def test_the_certificate_holds_for_a_stranger_and_names_what_it_does_not_cover(filled, photos, tmp_path):
    erasure = everything(filled, photos)
    report = verify.examine(verify.unpack(filled.erasures.certificate(erasure.id)))
    assert report.statement, report.checks[-1]
    assert report.statement["scope"]["items"] == 6
    assert report.statement["scan"]["hits"] == 0
    assert report.statement["scan"]["patterns"] > 20
    assert report.statement["search"] == {"probes": 3, "hits": 0}
    assert report.statement["not_covered"]
    assert "portrait" not in json.dumps(report.statement)


def test_bytes_that_are_left_anywhere_in_the_vault_keep_the_certificate_back_until_they_are_gone(
    filled, photos, reopen, portrait
):
    portrait.save(photos.parent / "probe.png")
    left = filled.path / "export.csv"
    left.write_text("address,found\nportrait.png,yes\n")
    with pytest.raises(errors.VaultError, match=r"export\.csv"):
        everything(filled, photos)
    stuck = filled.erasures.list()[-1]
    assert stuck.state == "purged"
    with pytest.raises(errors.NotFound):
        filled.erasures.certificate(stuck.id)
    with pytest.raises(errors.VaultError, match=r"export\.csv"):
        filled.resume()
    other = reopen()
    assert "export.csv" in other.warning
    assert not other.search(photos.parent / "probe.png", **WHY).found
    left.unlink()
    assert [done.state for done in filled.resume()] == ["certified"]


def test_a_byte_scan_that_cannot_find_its_canary_fails(filled, photos, monkeypatch):
    monkeypatch.setattr(residue, "_read", lambda *_: 0)
    with pytest.raises(errors.VaultError, match="canary"):
        everything(filled, photos)


def test_erasing_one_face_of_a_group_photo_redacts_it_at_the_source_and_keeps_the_other(empty, group):
    folder, source = group
    with empty.database.read() as tx:
        first, second = faces.stored(tx, state="held")
        left, top, width, height = faces.fields(tx, first.id)["box"]
    before = Image.open(folder / "pair.png").convert("RGB").crop((left, top, left + width, top + height))
    scope = empty.scope(face=first.id)
    assert (scope.photos, scope.faces) == ((), (first.id,))
    erasure = empty.erase(scope)
    assert erasure.files["redacted"] == 1
    after = Image.open(folder / "pair.png").convert("RGB").crop((left, top, left + width, top + height))
    assert before.tobytes() != after.tobytes()
    assert [face.id for face in empty.search(face=second.id, **WHY).faces[0].hits] == []
    assert empty.check().problems == ()
    added = empty.add(source.id)
    assert (added.unchanged, added.added) == (1, 0)


def test_a_neighbour_whose_crop_showed_the_erased_face_gets_a_new_key_and_a_crop_without_it(empty, tmp_path, portrait):
    folder = tmp_path / "groups"
    folder.mkdir()
    face = portrait.crop((165, 20, 275, 220))
    close = Image.new("RGB", (220, 200))
    close.paste(face, (0, 0))
    close.paste(face, (110, 0))
    close.resize((660, 600)).save(folder / "close.png")
    empty.create_collection("club", **STATED)
    source = empty.create_source(folder, collection="club", controller="us", evidence="ours", on_erase="redact")
    empty.add(source.id)
    with empty.database.read() as tx:
        first, second = faces.stored(tx, state="held")
        crop = faces.crop(tx, second.id)
        template = faces.template(tx, second.id)
    empty.erase(empty.scope(face=first.id))
    with empty.database.read() as tx:
        stayed = faces.stored(tx, state="held")[0]
        assert stayed.item != second.item
        assert faces.crop(tx, second.id) != crop
        assert (faces.template(tx, second.id) == template).all()
    with pytest.raises(tree.Punctured):
        empty.keys.item_key(second.item)
    assert empty.log.verify().problems == ()
    assert empty.check().problems == ()


def test_a_source_that_is_not_written_to_gets_a_line_on_the_worklist(empty, photos):
    empty.create_collection("club", **STATED)
    empty.create_source(photos, collection="club", controller="us", evidence="ours")
    empty.add(photos)
    erasure = everything(empty, photos)
    assert erasure.files == {"deleted": 0, "redacted": 0, "worklist": 3, "failed": 0}
    lines = empty.erasures.worklist()
    assert {line.action for line in lines} == {"delete"}
    assert all((photos / line.address).is_file() for line in lines)
    for line in lines:
        empty.erasures.finish_work(line.id)
    assert empty.erasures.worklist() == ()


def test_a_file_that_cannot_be_deleted_goes_on_the_worklist_and_the_erasure_is_still_carried_out(
    filled, photos, monkeypatch
):
    def fails(*_):
        raise errors.SourceError("It cannot be deleted.")

    monkeypatch.setattr("countenance.sources.folder.Folder.erase_file", fails)
    erasure = everything(filled, photos)
    assert erasure.state == "certified"
    assert erasure.files == {"deleted": 0, "redacted": 0, "worklist": 3, "failed": 3}


def test_a_file_that_has_another_name_elsewhere_is_deleted_here_and_goes_on_the_worklist(filled, photos, tmp_path):
    (tmp_path / "second name.png").hardlink_to(photos / "portrait.png")
    erasure = everything(filled, photos)
    assert erasure.files == {"deleted": 2, "redacted": 0, "worklist": 1, "failed": 0}
    assert [line.address for line in filled.erasures.worklist()] == ["portrait.png"]


def test_a_redaction_that_was_cut_short_after_the_file_was_written_is_not_done_twice(empty, group, monkeypatch):

    folder, _ = group
    with empty.database.read() as tx:
        first, _ = faces.stored(tx, state="held")
    monkeypatch.setattr(stored, "rewritten", _stop)
    with pytest.raises(RuntimeError):
        empty.erase(empty.scope(face=first.id))
    monkeypatch.undo()
    written = (folder / "pair.png").stat().st_mtime_ns
    (done,) = empty.resume()
    assert (done.state, done.files["redacted"], done.files["failed"]) == ("certified", 1, 0)
    assert (folder / "pair.png").stat().st_mtime_ns == written


def test_withdrawing_consent_erases_the_subject_with_name_templates_and_matches(
    empty, photos, clock, portrait, tmp_path
):

    empty.create_collection("club", **STATED | {"mode": "enrolled"})
    consent = Consent(by="the person", given_at=clock(), text="yes", until=clock() + timedelta(days=9))
    enrolment = tmp_path / "enrolment.png"
    portrait.crop((60, 0, 400, 300)).save(enrolment)
    empty.enrol("Subject Number One", [enrolment], collection="club", consent=consent)
    source = empty.create_source(photos, collection="club", controller="us", evidence="ours", on_erase="delete")
    assert empty.add(source.id).faces == 3
    erasure = empty.withdraw("Subject Number One", collection="club")
    assert (erasure.faces, erasure.subjects) == (4, 1)
    assert empty.subjects() == []
    assert scan(empty.path, [b"Subject Number One"]).where == ()
    assert empty.check().problems == ()


def test_an_erasure_that_was_cut_short_at_any_step_is_finished_by_the_next_open(filled, photos, reopen, monkeypatch):

    found = filled.search(photos / "portrait.png", **WHY)
    scope = filled.scope(search=found.id)
    original = dict(erase.STEPS)
    for state in original:
        monkeypatch.setitem(erase.STEPS, state, _stop)
    with pytest.raises(RuntimeError):
        filled.erase(scope)
    for done in original:  # one more step each time, by a new process each time
        monkeypatch.setitem(erase.STEPS, done, original[done])
        if done != "verified":
            with pytest.raises(RuntimeError):
                reopen()
    other = reopen()
    assert [erasure.state for erasure in other.erasures.list()] == ["certified"]
    report = verify.examine(verify.unpack(other.erasures.certificate(other.erasures.list()[0].id)))
    assert report.statement, report.checks[-1]
    assert any("memory only" in limit for limit in report.statement["not_covered"])


def _stop(*_):
    raise RuntimeError("cut short")


def test_files_at_the_source_are_cleared_once_even_if_the_step_is_done_twice(filled, photos):
    found = filled.search(photos / "portrait.png", **WHY)

    plan = erase.plan(filled.database, filled.scope(search=found.id), ground="request", by="a test")
    run = filled._run(plan)
    with filled.database.read() as tx:
        progress = erase.erasures.find(tx, plan).progress
    erase.STEPS["planned"](run, progress)
    first = files.clear(filled.database, lambda: filled.pool, plan).files
    second = files.clear(filled.database, lambda: filled.pool, plan).files
    assert first == second == {"deleted": 3, "redacted": 0, "worklist": 0, "failed": 0}


def test_a_scope_that_the_vault_has_outgrown_since_it_was_shown_is_refused_and_nothing_is_changed(
    filled, photos, portrait
):
    scope = filled.scope(source=filled.sources("club")[0].id)
    portrait.rotate(3).save(photos / "one more.png")
    filled.add(photos)
    with pytest.raises(errors.UsageError, match="has changed since"):
        filled.erase(scope)
    assert filled.erasures.list() == []
    assert filled.erase(filled.scope(source=scope.sources[0])).photos == 5
    assert filled.sources("club") == []


def test_another_process_acknowledges_the_new_key_epoch_before_the_erasure_is_certified(filled, reopen, photos):
    other = reopen()
    with filled.database.read() as tx:
        item = faces.stored(tx)[0].item
    found = filled.search(photos / "portrait.png", **WHY)
    assert other.search(photos / "portrait.png", **WHY).found
    erasure = filled.erase(filled.scope(search=found.id))
    assert erasure.unanswered == ()
    with pytest.raises(tree.Punctured):
        other.keys.item_key(item)


def test_a_process_that_does_not_answer_is_named_in_the_certificate(filled, reopen, photos, monkeypatch):
    other = reopen()
    other._stop.set()
    other._follower.join()
    monkeypatch.setattr(erase, "ANSWER_SECONDS", 0.2)
    erasure = everything(filled, photos)
    assert len(erasure.unanswered) == 1
    assert erasure.unanswered[0].startswith("process ")
    other._stop.clear()
