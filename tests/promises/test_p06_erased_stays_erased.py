"""P6: erased stays erased."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image, ImageOps
from sqlalchemy import create_engine
from tests.conftest import STATED, WHY

import countenance
from countenance import errors
from countenance.restore import restore
from countenance.store import faces, suppressions, tree
from countenance.store import photos as stored_photos
from countenance.store.keys import Keys
from countenance.store.tables import metadata
from countenance.vision.decode import decode
from countenance.vision.imprint import imprints


def erase_all(vault, photos):
    found = vault.search(photos / "portrait.png", **WHY)
    return vault.erase(vault.scope(search=found.id), ground="request")


def test_the_same_file_is_refused_when_it_comes_back_and_nothing_of_it_is_stored(filled, photos, portrait):
    copy = photos.parent / "copy.png"
    shutil.copy(photos / "portrait.png", copy)
    erasure = erase_all(filled, photos)
    shutil.copy(copy, photos / "under another name.png")
    added = filled.add(photos)
    assert added.refused == {"erased-before": 1}
    assert erasure.id in added.sentences["erased-before"]
    assert added.faces == 0
    assert len(filled.photos(filled.sources("club")[0].id)) == 1


def test_another_picture_at_an_erased_address_is_refused(filled, photos, portrait):
    erase_all(filled, photos)
    portrait.rotate(3).save(photos / "portrait.png")
    assert filled.add(photos).refused == {"erased-before": 1}


def test_the_same_file_is_refused_in_another_collection_and_as_an_enrolment_photo(filled, photos, clock):

    copy = photos.parent / "elsewhere"
    shutil.copytree(photos, copy)
    erase_all(filled, photos)
    filled.create_collection("other", **STATED)
    source = filled.create_source(copy, collection="other", controller="us", evidence="ours")
    assert filled.add(source.id).refused == {"erased-before": 3}
    consent = countenance.Consent(by="x", given_at=clock(), text="y", until=clock() + timedelta(days=1))
    with pytest.raises(errors.Refused, match="erased before"):
        filled.enrol("X", [copy / "portrait.png"], collection="other", consent=consent)


def test_what_keeps_a_photo_out_is_a_token_under_a_secret_key_and_no_template(filled, photos):

    digest = hashlib.sha256((photos / "portrait.png").read_bytes()).digest()
    erase_all(filled, photos)
    with filled.database.read() as tx:
        rows = tx.sql.execute(metadata.tables["suppression"].select()).all()
        bands = tx.sql.execute(metadata.tables["band"].select()).all()
    kinds = Counter(row.kind for row in rows)
    assert kinds["content"] == kinds["address"] == 3
    assert 1 <= kinds["picture"] <= 3
    assert len(bands) == kinds["picture"] * 2 * suppressions.BANDS
    assert {len(row.token) for row in rows} == {32}
    assert digest not in {row.token for row in rows}


def test_a_copy_of_the_records_from_before_the_erasure_cannot_be_decrypted_with_todays_keys(filled, photos, vault_path):

    filled.database.truncate_wal()
    backup = vault_path.parent / "backup.db"
    shutil.copy(vault_path / "records.db", backup)
    erase_all(filled, photos)
    engine = create_engine(f"sqlite:///{backup}")
    with engine.connect() as old:
        faces = old.execute(metadata.tables["face"].select()).all()
    engine.dispose()
    assert len(faces) == 3
    for face in faces:
        with pytest.raises(tree.Punctured):
            filled.keys.item_key(face.item)


def trimmed(picture, left=0.0, top=0.0, right=0.0, bottom=0.0):
    width, height = picture.size
    return picture.crop(
        (round(left * width), round(top * height), round(width * (1 - right)), round(height * (1 - bottom)))
    )


def half(picture):
    return picture.resize((picture.width // 2, picture.height // 2))


AGAIN = {  # what is done to the picture, and the JPEG quality it comes back with
    "quality 60": (lambda picture: picture, 60),
    "half size": (half, 90),
    "half size, quality 60": (half, 60),
    "mirrored": (ImageOps.mirror, 80),
    "mirrored, quality 60": (ImageOps.mirror, 60),
    "2 % off each side": (partial(trimmed, left=0.02, top=0.02, right=0.02, bottom=0.02), 90),
    "2 % off the left": (partial(trimmed, left=0.02), 90),
    "2 % off the top": (partial(trimmed, top=0.02), 90),
    "2 % off the right": (partial(trimmed, right=0.02), 90),
    "2 % off the bottom": (partial(trimmed, bottom=0.02), 90),
    "2 % off a corner": (partial(trimmed, left=0.02, bottom=0.02), 90),
    "mirrored, 2 % off a corner, half size": (
        lambda picture: half(ImageOps.mirror(trimmed(picture, top=0.02, right=0.02))),
        60,
    ),
}


@pytest.mark.parametrize("variant", AGAIN)
def test_the_same_picture_encoded_again_is_refused_with_the_reason_and_nothing_of_it_is_stored(
    vault, photos, portrait, variant, tally
):
    change, quality = AGAIN[variant]
    for name in ("mirrored.jpg", "smaller.jpg"):
        (photos / name).unlink()
    vault.add(photos)
    erasure = erase_all(vault, photos)
    change(portrait).save(photos / "again.jpg", quality=quality)
    added = vault.add(photos)
    assert added.refused == {"erased-before": 1}
    assert erasure.id in added.sentences["erased-before"]
    assert "encoded again" in added.sentences["erased-before"]
    assert added.faces == 0
    assert len(vault.photos(vault.sources("club")[0].id)) == 1
    line = vault.log.lines(kind="photo:refused")[-1]
    assert line.public["by"] == "picture"
    assert line.parts == ()
    tally["re-ingest variants refused"] += 1


def test_pictures_of_many_kinds_are_refused_when_they_come_back_changed(empty, shared_photos, tmp_path, tally):
    names = ("congress/gallery/A000055_0.jpg", "congress/probe/A000148_1.jpg", "london/gallery/012_03.jpg")
    names += ("groups/solvay1927.jpg", "noface/skimage__rocket.jpg")
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    after.mkdir()
    for name in names:
        shutil.copy(shared_photos / name, before)
    empty.create_collection("club", **STATED)
    source = empty.create_source(before, collection="club", controller="us", evidence="ours", on_erase="delete")
    assert empty.add(source.id).added == len(names)
    empty.erase(empty.scope(source=source.id))
    for name in names:
        with Image.open(shared_photos / name) as picture:
            for variant, (change, quality) in AGAIN.items():
                file = f"{name.replace('/', ' ')} {variant.replace('%', 'percent')}.jpg"
                change(picture.convert("RGB")).save(after / file, quality=quality)
    added = empty.add(empty.create_source(after, collection="club", controller="us", evidence="ours").id)
    assert added.refused == {"erased-before": len(names) * len(AGAIN)}
    tally["re-ingest variants refused"] += len(names) * len(AGAIN)


def test_other_pictures_of_the_same_studio_pose_and_person_are_not_refused(empty, shared_photos, tmp_path):
    erased, others = tmp_path / "erased", tmp_path / "others"
    erased.mkdir()
    others.mkdir()
    shutil.copy(shared_photos / "london/gallery/012_03.jpg", erased)
    shutil.copy(shared_photos / "london/probe/012_08.jpg", others)  # the same person smiles
    for number in ("101", "103", "018"):
        shutil.copy(next((shared_photos / "london").glob(f"*/{number}_03.jpg")), others)
    empty.create_collection("club", **STATED)
    source = empty.create_source(erased, collection="club", controller="us", evidence="ours")
    empty.add(source.id)
    empty.erase(empty.scope(source=source.id))
    added = empty.add(empty.create_source(others, collection="club", controller="us", evidence="ours").id)
    assert (added.added, added.refused) == (4, {})


def test_a_picture_too_plain_to_tell_apart_is_kept_out_by_file_and_address_only(filled, photos):
    meadow = next(p for p in filled.photos(filled.sources("club")[0].id) if p.address == "meadow.jpg")
    filled.erase(filled.scope(photo=meadow.id))
    Image.new("RGB", (300, 100), (90, 120, 60)).save(photos / "another meadow.jpg")
    assert filled.add(photos).refused == {}


def test_an_enrolment_photo_that_was_erased_and_encoded_again_is_refused(filled, photos, portrait, clock):
    erase_all(filled, photos)
    again = photos.parent / "again.jpg"
    ImageOps.mirror(portrait).save(again, quality=60)
    consent = countenance.Consent(by="x", given_at=clock(), text="y", until=clock() + timedelta(days=1))
    with pytest.raises(errors.Refused, match="encoded again"):
        filled.enrol("X", [again], collection="club", consent=consent)
    assert filled.subjects() == []


def test_a_group_photo_with_one_face_erased_stays_and_its_original_encoded_again_is_refused(empty, photos, portrait):
    group = photos.parent / "group"
    group.mkdir()
    pair = Image.new("RGB", (1024, 512), (60, 90, 120))
    pair.paste(portrait, (0, 0))
    pair.paste(ImageOps.mirror(portrait).resize((400, 400)), (560, 80))
    pair.save(group / "pair.png")
    empty.create_collection("club", **STATED)
    source = empty.create_source(group, collection="club", controller="us", evidence="ours", on_erase="redact")
    empty.add(source.id)
    probe = empty.search(group / "pair.png", face=1, **WHY).faces[0].hits[0]
    assert empty.erase(empty.scope(face=probe.face_id)).files["redacted"] == 1
    pair.save(group / "again.jpg", quality=60)
    shutil.copy(group / "pair.png", group / "copy of the redacted.png")  # as near to the original as that
    added = empty.add(source.id)
    assert (added.unchanged, added.refused) == (1, {"erased-before": 2})
    with empty.database.write() as tx:
        stored_photos.look_again(tx, empty.collection("club").id)
    added = empty.add(source.id)
    assert (added.unchanged, added.refused) == (1, {"erased-before": 2})
    assert [photo.state for photo in empty.photos(source.id)] == ["held"]
    assert empty.counts("club")["faces"] == 1


def test_no_file_of_the_vault_holds_a_pictures_imprint_in_the_clear_before_or_after_its_erasure(filled, photos):
    kept = imprints(decode((photos / "portrait.png").read_bytes()).pixels)[0]
    for act in (filled.database.truncate_wal, partial(erase_all, filled, photos)):
        act()
        held = b"".join(file.read_bytes() for file in filled.path.rglob("*") if file.is_file())
        assert kept not in held
        assert kept.hex().encode() not in held


@pytest.fixture
def copy_of(photos, tmp_path):
    """The photos as they were, for somebody who brings them back."""
    return shutil.copytree(photos, tmp_path / "copies")


@pytest.fixture
def backed_up(filled, photos, tmp_path, clock, settings, copy_of):
    """A vault backed up with four photos, from which the portrait was erased since: its path, the backup, what was erased."""
    backup = tmp_path / "backup"
    made = filled.backup(backup)
    found = filled.search(photos / "portrait.png", **WHY)
    one = next(hit for hit in found.faces[0].hits if hit.address == "portrait.png")
    erasure = filled.erase(filled.scope(photo=one.photo_id), ground="request")
    kept = templates(filled)
    filled.close()
    return SimpleNamespace(path=filled.path, backup=backup, name=made.name, erased=one, erasure=erasure, kept=kept)


def templates(vault):
    with vault.database.read() as tx:
        return {face.id: faces.template(tx, face.id).tobytes() for face in faces.stored(tx, state="held")}


def lost(backed_up, tmp_path):
    """The machine is gone; the keys were somewhere else."""
    path = tmp_path / "new machine"
    path.mkdir()
    shutil.move(backed_up.path / "keys", path / "keys")
    shutil.rmtree(backed_up.path)
    return path


def test_a_backup_from_before_an_erasure_restored_with_todays_keys_does_not_show_who_was_erased(
    backed_up, tmp_path, settings, clock, copy_of, photos
):
    path = lost(backed_up, tmp_path)
    done = restore(backed_up.backup, path)
    assert (done.replayed.erasures, done.replayed.photos, done.replayed.faces) == (1, 1, 1)
    with countenance.open(path, settings=settings, clock=clock) as vault:
        hits = vault.search(copy_of / "portrait.png", **WHY).faces[0].hits
        assert hits
        assert backed_up.erased.face_id not in {hit.face_id for hit in hits}
        assert templates(vault) == backed_up.kept
        with pytest.raises(errors.NotFound):
            vault.scope(photo=backed_up.erased.photo_id)
        assert vault.check().problems == ()
        assert vault.log.verify().problems == ()
        assert [e.state for e in vault.erasures.list()] == ["replayed"]
        assert vault.resume() == []
        shutil.copy(copy_of / "portrait.png", photos / "again.png")
        assert vault.add(photos).refused == {"erased-before": 1}


def test_what_a_restore_brings_back_of_the_records_holds_no_row_that_was_erased(backed_up, tmp_path):
    restore(backed_up.backup, path := lost(backed_up, tmp_path))
    engine = create_engine(f"sqlite:///{path / 'records.db'}")
    with engine.connect() as sql:
        assert backed_up.erased.face_id not in {row.id for row in sql.execute(metadata.tables["face"].select())}
        assert backed_up.erased.photo_id not in {row.id for row in sql.execute(metadata.tables["photo"].select())}
        kinds = {row.kind for row in sql.execute(metadata.tables["suppression"].select())}
    engine.dispose()
    assert {"content", "address"} <= kinds


def test_nothing_in_a_backup_can_be_decrypted_once_it_was_erased(backed_up, tmp_path):
    keys = Keys.open(backed_up.path / "keys")
    data = b"".join((backed_up.backup / "pieces" / name).read_bytes() for name in _pieces(backed_up))
    (tmp_path / "old.db").write_bytes(data)
    engine = create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    with engine.connect() as old:
        items = {row.id: row.item for row in old.execute(metadata.tables["face"].select())}
    engine.dispose()
    assert len(items) == 3
    assert set(backed_up.kept) | {backed_up.erased.face_id} == set(items)
    with pytest.raises(tree.Punctured):
        keys.item_key(items[backed_up.erased.face_id])


def test_a_backup_holds_nothing_of_the_keys(filled, tmp_path):
    filled.backup(tmp_path / "backup")
    secrets = [filled.keys.epoch_key(), *filled.keys.item_keys(range(1, 10)), bytes(filled.keys._now.lasting[:32])]
    for path in (tmp_path / "backup").rglob("*"):
        if path.is_file():
            assert not any(secret in path.read_bytes() for secret in secrets)


def _pieces(backed_up):
    return json.loads((backed_up.backup / "manifests" / backed_up.name).read_bytes())["manifest"]["pieces"]


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-7])


def _edit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _reorder(path):
    frames = path.read_bytes().split(b"CNLEDG1\n")[1:]
    path.write_bytes(b"".join(b"CNLEDG1\n" + frame for frame in [*frames[1:], frames[0]]))


@pytest.mark.parametrize("harm", [Path.unlink, _truncate, _edit, _reorder])
def test_without_the_whole_ledger_an_old_backup_is_not_restored(backed_up, tmp_path, harm, settings, clock, copy_of):
    with countenance.open(backed_up.path, settings=settings, clock=clock) as vault:
        vault.custody.rotate()
    path = lost(backed_up, tmp_path)
    harm(path / "keys" / "ledger")
    with pytest.raises(errors.LedgerBroken):
        restore(backed_up.backup, path)
    assert [each.name for each in path.iterdir()] == ["keys"]


def test_losing_the_keys_loses_everything_and_says_so(backed_up, tmp_path):
    with pytest.raises(errors.KeysMissing, match="Without them nothing sealed can be read, by anyone"):
        restore(backed_up.backup, tmp_path / "new machine")
    assert not (tmp_path / "new machine").exists()


def test_an_old_copy_of_the_records_put_back_is_refused_until_it_is_restored(
    filled, photos, vault_path, tmp_path, settings, clock, copy_of
):
    filled.database.truncate_wal()
    shutil.copy(vault_path / "records.db", tmp_path / "old.db")
    erase_all(filled, photos)
    filled.close()
    shutil.copy(tmp_path / "old.db", vault_path / "records.db")
    for options in ({}, {"dry_run": True}):
        with pytest.raises(errors.RecordsOld, match="countenance restore"):
            countenance.open(vault_path, settings=settings, clock=clock, **options)
    assert restore(vault_path, vault_path).replayed.faces == 3
    with countenance.open(vault_path, settings=settings, clock=clock) as vault:
        assert vault.check().problems == ()
        assert not vault.search(copy_of / "portrait.png", **WHY).found


def test_old_keys_put_back_are_refused_and_nothing_is_changed(filled, photos, vault_path, tmp_path, settings, clock):
    shutil.copytree(vault_path / "keys", tmp_path / "old")
    erase_all(filled, photos)
    filled.close()
    shutil.rmtree(vault_path / "keys")
    shutil.copytree(tmp_path / "old", vault_path / "keys")
    with pytest.raises(errors.KeysOld):
        countenance.open(vault_path, settings=settings, clock=clock)


def test_a_backup_made_after_the_keys_were_copied_is_refused_with_the_copy(filled, photos, vault_path, tmp_path):
    (tmp_path / "new").mkdir()
    shutil.copytree(vault_path / "keys", tmp_path / "new" / "keys")
    erase_all(filled, photos)
    filled.backup(tmp_path / "backup")
    with pytest.raises(errors.KeysOld):
        restore(tmp_path / "backup", tmp_path / "new")
    assert [each.name for each in (tmp_path / "new").iterdir()] == ["keys"]


def test_a_neighbour_that_got_a_new_key_since_the_backup_is_looked_at_again(
    empty, tmp_path, pair, settings, clock, vault_path
):
    photos = tmp_path / "group"
    photos.mkdir()
    pair.save(photos / "pair.png")
    empty.create_collection("club", **STATED)
    empty.create_source(photos, collection="club", controller="us", evidence="ours", on_erase="redact")
    empty.add(photos)
    empty.backup(tmp_path / "backup")
    with empty.database.read() as tx:
        first, second = faces.stored(tx, state="held")
        crop_box = faces.find(tx, second.id).crop_box
    erasure = empty.erase(empty.scope(face=first.id), ground="request")
    empty.close()
    shutil.move(vault_path / "keys", (tmp_path / "new").mkdir() or tmp_path / "new" / "keys")
    done = restore(tmp_path / "backup", tmp_path / "new")
    with countenance.open(tmp_path / "new", settings=settings, clock=clock) as vault:
        assert vault.check().problems == ()
        assert done.replayed.faces in (1, 2)  # two if the neighbour's crop showed the erased face
        vault.add(photos)
        assert vault.check().problems == ()
        with vault.database.read() as tx:
            (left,) = faces.stored(tx, state="held")
            assert left.id != first.id
            assert faces.template(tx, left.id).shape == (128,)
    del crop_box, erasure
