"""Outside the vault: what an erasure does at the sources, beside the photos, and to exports."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image, ImageOps
from tests.conftest import STATED, WHY

from countenance import errors
from countenance.audit import verify
from countenance.orders import companions, exports, files, worklist
from countenance.orders.residue import scan
from countenance.sources.folder import Folder
from countenance.store import entries, faces, tree
from countenance.store import photos as stored

NAMED = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4">
<Iptc4xmpExt:PersonInImage><rdf:Bag><rdf:li>SECRET NAME</rdf:li></rdf:Bag></Iptc4xmpExt:PersonInImage>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""
BESIDE = {
    "pair.png.xmp": NAMED.encode(),
    "@eaDir/pair.png/SYNOPHOTO_THUMB_M.jpg": b"\xff\xd8\xff a thumbnail",
    "pair.MOV": b"\0\0\0\x14ftypqt  a film that says nothing of a Live Photo",
    "Thumbs.db": b"thumbnails of the whole folder",
}


def fill(folder, pair):
    """Write the group photo and what lies beside it."""
    file = io.BytesIO()
    pair.save(file, "PNG")
    for name, content in {"pair.png": file.getvalue(), **BESIDE}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def zipped(folder, place):
    with zipfile.ZipFile(place, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return place


def tarred(folder, place):
    with tarfile.open(place, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.add(file, file.relative_to(folder), recursive=False)
    return place


def bytes_of(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def said(vault, erasure):
    report = verify.examine(verify.unpack(vault.erasures.certificate(erasure.id)))
    assert report.statement, report.checks[-1]
    return report.statement


def source_of(vault, place, on_erase):
    vault.create_collection("club", **STATED)
    source = vault.create_source(place, collection="club", controller="us", evidence="ours", on_erase=on_erase)
    vault.add(source.id)
    return source


@pytest.fixture
def group(empty, tmp_path, pair):
    """A folder with the group photo and its companions, the source that it is (redact), and its two faces."""
    folder = fill(tmp_path / "groups", pair)
    source = source_of(empty, folder, "redact")
    with empty.database.read() as tx:
        return folder, source, faces.stored(tx, state="held")


def flat(picture, box):
    left, top, width, height = box
    pixels = np.array(Image.open(picture).convert("RGB"))[top : top + height, left : left + width]
    return bool((pixels == pixels[0, 0]).all())


def box_of(vault, face):
    with vault.database.read() as tx:
        return tuple(faces.fields(tx, face.id)["box"])


@pytest.mark.parametrize("whole", [True, False], ids=["photo", "face"])
@pytest.mark.parametrize("on_erase", ["delete", "redact", "worklist"])
@pytest.mark.parametrize("kind", ["folder", "read-only", "zip", "tar", "gone"])
def test_the_source_decides_what_happens_to_file_companions_worklist_and_certificate(
    empty, tmp_path, pair, monkeypatch, kind, on_erase, whole
):
    folder = fill(tmp_path / "groups", pair)
    place = {"zip": zipped, "tar": tarred}.get(kind, lambda folder, _: folder)(folder, tmp_path / "photos.bin")
    source_of(empty, place, on_erase)
    with empty.database.read() as tx:
        first, second = faces.stored(tx, state="held")
    box = box_of(empty, first)
    if kind == "read-only":
        monkeypatch.setattr(Folder, "writable", False)
    if kind == "gone":
        folder = folder.rename(tmp_path / "elsewhere")
    before, archive = bytes_of(folder), place.read_bytes() if place.is_file() else b""
    erasure = empty.erase(empty.scope(photo=first.photo_id) if whole else empty.scope(face=first.id))

    goes = whole or on_erase == "delete"  # the photo's record, too
    action = "delete" if goes and on_erase != "redact" else "redact"
    by_hand = {("pair.png", action)}
    counts = {"deleted": 0, "redacted": 0, "failed": 0}
    after = bytes_of(folder)
    if kind == "folder" and on_erase != "worklist":
        by_hand = {("pair.MOV", action), ("Thumbs.db", action)}
        left = {"pair.MOV", "Thumbs.db"} | ({"pair.png", "pair.png.xmp"} if action == "redact" else set())
        assert set(after) == left
        assert not (folder / "@eaDir" / "pair.png").exists()
        if action == "redact":
            assert flat(folder / "pair.png", box)
            assert b"SECRET" not in after["pair.png.xmp"]
            assert b'xmp:Rating="4"' in after["pair.png.xmp"]
        counts["deleted" if action == "delete" else "redacted"] = 1
    else:
        assert after == before
        assert archive == (place.read_bytes() if place.is_file() else b"")
        if kind in {"folder", "read-only"}:
            thumbnail = "@eaDir/pair.png/SYNOPHOTO_THUMB_M.jpg"
            by_hand |= {(name, "delete" if name == thumbnail else action) for name in BESIDE}
    lines = empty.erasures.worklist()
    assert {(line.address, line.action) for line in lines} == by_hand
    assert all(line.why.endswith(".") for line in lines)
    assert erasure.files == counts | {"worklist": len(by_hand)}
    statement = said(empty, erasure)
    assert statement["source"] == erasure.files
    done = kind == "folder" and on_erase != "worklist"
    assert (statement["counts"]["companions"], statement["counts"]["exports"]) == (2 * done, 0)
    assert statement["counts"]["photo-records"] == goes
    with empty.database.read() as tx:
        assert [face.id for face in faces.stored(tx)] == ([] if goes else [second.id])
    assert empty.check().problems == ()


@pytest.mark.parametrize("on_erase", ["redact", "worklist"])
def test_the_record_of_a_group_photo_gets_a_new_key_and_its_neighbours_templates_stay_bit_for_bit(
    empty, tmp_path, pair, on_erase
):
    source = source_of(empty, fill(tmp_path / "groups", pair), on_erase)
    with empty.database.read() as tx:
        first, second = faces.stored(tx, state="held")
        template = faces.template(tx, second.id).tobytes()
        (old,) = stored.items(tx, [first.photo_id]).values()
        details = len(entries.about(tx, [old]))
        before = stored.fields(tx, first.photo_id)
    assert details
    erasure = empty.erase(empty.scope(face=first.id))
    with pytest.raises(tree.Punctured):
        empty.keys.item_key(old)
    with empty.database.read() as tx:
        (new,) = stored.items(tx, [first.photo_id]).values()
        assert entries.about(tx, [old]) == []
        assert len(entries.about(tx, [new])) == details
        assert faces.template(tx, second.id).tobytes() == template
        after = stored.fields(tx, first.photo_id)
        assert after["address"] == before["address"]
        assert (after["sha256"] == before["sha256"]) is (on_erase == "worklist")
    assert said(empty, erasure)["scope"]["resealed"] >= 1
    assert empty.log.verify().problems == ()
    assert empty.check().problems == ()
    assert empty.add(source.id).unchanged == 1


def test_a_second_erasure_in_the_same_group_photo_redacts_the_second_face_too(empty, group):
    folder, _, (first, second) = group
    box = box_of(empty, second)
    empty.erase(empty.scope(face=first.id))
    assert not flat(folder / "pair.png", box)
    assert empty.erase(empty.scope(face=second.id)).files["redacted"] == 1
    assert flat(folder / "pair.png", box)


@pytest.mark.parametrize(
    ("module", "after"),
    [
        *((stored, name) for name in ("note", "rewritten", "reseal")),
        *((files.log, "reseal"), (companions, "_act"), (worklist, "put"), (exports, "_problem"), (Folder, "replace")),
    ],
)
def test_a_crash_at_any_step_outside_the_vault_changes_neither_result_nor_counts(
    empty, group, module, after, monkeypatch, tmp_path
):
    folder, _, (first, second) = group
    found = empty.search(face=second.id, **WHY)  # a mirror image: it finds the other
    assert [hit.face_id for face in found.faces for hit in face.hits] == [first.id]
    empty.exports.write(found, tmp_path / "sheet.html")
    original = getattr(module, after)

    def fails(*given, **named):
        original(*given, **named)
        raise RuntimeError("cut short")

    monkeypatch.setattr(module, after, fails)
    with pytest.raises(RuntimeError):
        empty.erase(empty.scope(face=first.id))
    monkeypatch.undo()
    (erasure,) = empty.resume()
    assert erasure.files == {"deleted": 0, "redacted": 1, "worklist": 2, "failed": 0}
    counts = said(empty, erasure)["counts"]
    assert (counts["companions"], counts["exports"]) == (2, 1)
    with empty.database.read() as tx:
        resealed = [r.id for r in files.erasures.ledger(tx, erasure.id) if r.kind == "resealed"]
    assert resealed.count(first.photo_id) == 1
    assert len(resealed) == len(set(resealed))
    assert set(bytes_of(folder)) == {"pair.png", "pair.png.xmp", "pair.MOV", "Thumbs.db"}
    assert empty.check().problems == ()


def test_a_photo_in_which_no_face_is_known_is_looked_at_by_a_person_and_the_worklist_says_why(empty, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (200, 150), (90, 120, 60)).save(folder / "meadow.jpg")
    source = source_of(empty, folder, "redact")
    erasure = empty.erase(empty.scope(photo=empty.photos(source.id)[0].id))
    assert erasure.files == {"deleted": 0, "redacted": 0, "worklist": 1, "failed": 0}
    (line,) = empty.erasures.worklist()
    assert "No face is known in it" in line.why


def test_where_strangers_faces_were_discarded_the_worklist_says_how_many_are_not_redacted(empty, tmp_path, pair):
    source = source_of(empty, fill(tmp_path / "groups", pair), "redact")
    photo = empty.photos(source.id)[0]
    with empty.database.write() as tx:
        stored.renew(tx, photo.id, faces_seen=5)
    erasure = empty.erase(empty.scope(photo=photo.id))
    assert erasure.files["redacted"] == 1
    assert any(
        "Of 5 faces in it 2 were known" in line.why for line in empty.erasures.worklist() if line.address == "pair.png"
    )


def test_a_companion_that_two_erased_photos_share_goes_with_the_second(empty, tmp_path, portrait):
    folder = tmp_path / "photos"
    folder.mkdir()
    portrait.save(folder / "one.png")
    ImageOps.mirror(portrait).save(folder / "one.jpg", quality=90)
    (folder / "one.xmp").write_text(NAMED)
    source_of(empty, folder, "delete")
    found = empty.search(folder / "one.png", **WHY)
    erasure = empty.erase(empty.scope(search=found.id))
    assert erasure.files == {"deleted": 2, "redacted": 0, "worklist": 0, "failed": 0}
    assert said(empty, erasure)["counts"]["companions"] == 1
    assert bytes_of(folder) == {}


@pytest.mark.parametrize("names", [("one.jpg", "one-edited.jpg"), ("one-edited.jpg", "one.jpg")])
def test_a_companion_that_one_photo_has_to_leave_and_another_takes_is_on_no_worklist(filled, tmp_path, names):
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "one.jpg.json").write_text("{}")
    ids = [photo.id for photo in filled.photos(filled.sources("club")[0].id)]
    done = [companions.Done(photo_id=i, path=name, action="delete") for i, name in zip(ids, names, strict=False)]
    with Folder(str(tmp_path / "beside")) as opened:
        cleared = companions.clear(filled.database, lambda: filled.pool, opened, "era_one", done, writable=True)
    assert cleared == (1, [])
    assert bytes_of(tmp_path / "beside") == {}


def test_a_companion_of_a_photo_that_stays_is_left_to_a_person(empty, tmp_path, portrait):
    folder = tmp_path / "photos"
    folder.mkdir()
    portrait.save(folder / "one.png")
    Image.new("RGB", (200, 150), (90, 120, 60)).save(folder / "one.jpg")
    (folder / "one.xmp").write_text(NAMED)
    source_of(empty, folder, "delete")
    empty.erase(empty.scope(search=empty.search(folder / "one.png", **WHY).id))
    (line,) = empty.erasures.worklist()
    assert (line.address, line.action, line.why) == ("one.xmp", "delete", companions.SHARED)


def test_the_film_of_a_live_photo_goes_with_it_and_a_link_beside_it_leads_nowhere(empty, tmp_path, portrait):
    folder = tmp_path / "photos"
    folder.mkdir()
    portrait.save(folder / "one.png")
    (folder / "one.MOV").write_bytes(b"\0\0\0\x14ftypqt  moov meta " + companions.LIVE)
    (tmp_path / "outside").write_text("kept")
    (folder / "one.png.xmp").symlink_to(tmp_path / "outside")
    source_of(empty, folder, "delete")
    empty.erase(empty.scope(search=empty.search(folder / "one.png", **WHY).id))
    assert {file.name for file in folder.iterdir()} == {"one.png.xmp"}
    assert (tmp_path / "outside").read_text() == "kept"
    assert [(line.address, line.why) for line in empty.erasures.worklist()] == [("one.png.xmp", companions.WHY["link"])]


def test_a_sidecar_that_cannot_be_rewritten_safely_goes_on_the_worklist_untouched(empty, group):
    folder, _, (first, _) = group
    bomb = '<!DOCTYPE x [<!ENTITY a "b">]>' + NAMED
    (folder / "pair.png.xmp").write_text(bomb)
    (folder / "pair.json").write_text('{"somebody": "else\'s"}')
    empty.erase(empty.scope(face=first.id))
    lines = {line.address: line for line in empty.erasures.worklist()}
    assert (folder / "pair.png.xmp").read_text() == bomb
    assert lines["pair.png.xmp"].why == companions.WHY["xmp"]
    assert lines["pair.json"].action == "redact"


# Exports


@pytest.fixture
def sheet(filled, photos, tmp_path):
    """A contact sheet of all three faces."""
    return filled.exports.write(filled.search(photos / "portrait.png", **WHY), tmp_path / "sheet.html")


def test_an_export_is_on_record_with_its_hash_and_size_and_sealed(filled, sheet, tmp_path):
    content = (tmp_path / "sheet.html").read_bytes()
    assert filled.exports.list() == [sheet]
    assert (sheet.path, sheet.size, sheet.faces) == (str(tmp_path / "sheet.html"), len(content), 3)
    assert sheet.sha256 == hashlib.sha256(content).hexdigest()
    assert (tmp_path / "sheet.html").stat().st_mode & 0o777 == 0o600
    filled.database.truncate_wal()
    assert scan(filled.path, [str(tmp_path / "sheet.html").encode()]).where == ()


def test_an_export_stays_known_when_its_search_has_expired(filled, sheet, clock, photos):
    clock.forward(days=20)
    filled.search(photos / "portrait.png", **WHY)
    assert [export.id for export in filled.exports.list()] == [sheet.id]


@pytest.mark.parametrize("state", ["as written", "changed", "gone", "linked", "unreachable"])
def test_an_erasure_deletes_every_known_export_that_shows_an_erased_face(filled, sheet, photos, tmp_path, state):
    path = tmp_path / "sheet.html"
    if state == "changed":
        path.write_text("somebody's notes")
    elif state == "gone":
        path.unlink()
    elif state == "linked":
        (tmp_path / "second name.html").hardlink_to(path)
    elif state == "unreachable":
        with filled.database.write() as tx:
            exports.exports.remove(tx, sheet.id)
        (tmp_path / "disk").mkdir()
        filled.exports.write(filled.search(photos / "smaller.jpg", **WHY), tmp_path / "disk" / "sheet.html")
        (tmp_path / "disk").rename(tmp_path / "not mounted")
        path = tmp_path / "disk" / "sheet.html"
    scope = filled.scope(search=filled.search(photos / "portrait.png", **WHY).id)
    erasure = filled.erase(scope)
    assert path.exists() == (state == "changed")
    assert filled.exports.list() == []
    statement = said(filled, erasure)
    assert statement["counts"]["exports"] == (state in {"as written", "gone"})
    lines = {(line.address, line.action, line.why) for line in filled.erasures.worklist()}
    why = {"changed": exports.CHANGED, "linked": exports.LINKED, "unreachable": exports.GONE}.get(state)
    assert lines == ({(str(path), "delete", why)} if why else set())
    assert erasure.files["worklist"] == len(lines)


def test_an_export_that_shows_none_of_the_erased_stays_and_stays_known(filled, sheet, photos, tmp_path):
    meadow = next(photo for photo in filled.photos(filled.sources("club")[0].id) if photo.address == "meadow.jpg")
    filled.erase(filled.scope(photo=meadow.id))
    assert (tmp_path / "sheet.html").exists()
    assert filled.exports.list() == [sheet]


def test_an_export_with_a_neighbour_whose_crop_showed_the_erased_face_goes_too(empty, tmp_path, portrait):
    folder = tmp_path / "groups"
    folder.mkdir()
    face = portrait.crop((165, 20, 275, 220))
    close = Image.new("RGB", (220, 200))
    close.paste(face, (0, 0))
    close.paste(face, (110, 0))
    close.resize((660, 600)).save(folder / "close.png")
    source_of(empty, folder, "redact")
    with empty.database.read() as tx:
        first, second = faces.stored(tx, state="held")
    found = empty.search(face=first.id, **WHY)
    assert [hit.face_id for face in found.faces for hit in face.hits] == [second.id]
    empty.exports.write(found, tmp_path / "sheet.html")
    erasure = empty.erase(empty.scope(face=first.id))
    assert not (tmp_path / "sheet.html").exists()
    assert said(empty, erasure)["counts"]["exports"] == 1


def test_the_key_of_an_erased_export_is_destroyed_in_the_same_rotation(filled, sheet, photos):
    with filled.database.read() as tx:
        table = exports.exports.export
        item = tx.sql.execute(table.select().where(table.c.id == sheet.id)).one().item
    filled.erase(filled.scope(search=filled.search(photos / "portrait.png", **WHY).id))
    with pytest.raises(tree.Punctured):
        filled.keys.item_key(item)


def test_nothing_is_exported_that_an_erasure_has_reached_since_it_was_found(filled, photos, tmp_path):
    found = filled.search(photos / "portrait.png", **WHY)
    filled.erase(filled.scope(search=found.id))
    with pytest.raises(errors.Refused, match="An erasure has reached"):
        filled.exports.write(found, tmp_path / "sheet.html")
    assert not (tmp_path / "sheet.html").exists()
    assert filled.exports.list() == []


def test_an_export_overwrites_nothing_and_follows_no_link(filled, photos, tmp_path):
    (tmp_path / "mine.html").write_text("mine")
    (tmp_path / "link.html").symlink_to(tmp_path / "nothing.html")
    found = filled.search(photos / "portrait.png", **WHY)
    for name in ("mine.html", "link.html"):
        with pytest.raises(errors.UsageError, match="is there already"):
            filled.exports.write(found, tmp_path / name)
    assert (tmp_path / "mine.html").read_text() == "mine"
    assert not (tmp_path / "nothing.html").exists()
    assert filled.exports.list() == []


def test_a_page_that_cannot_be_written_leaves_no_half_of_it(filled, photos, tmp_path, monkeypatch):
    found = filled.search(photos / "portrait.png", **WHY)
    monkeypatch.setattr(exports.os, "fsync", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        filled.exports.write(found, tmp_path / "sheet.html")
    assert not (tmp_path / "sheet.html").exists()
    assert filled.exports.list() == []
    assert [line.kind for line in filled.log.lines()][-2:] == ["export:written", "export:deleted"]


def test_an_export_can_be_deleted_and_one_that_was_changed_is_kept_with_its_record(filled, sheet, tmp_path):
    path = tmp_path / "sheet.html"
    content = path.read_bytes()
    path.write_text("somebody's notes")
    with pytest.raises(errors.SourceError, match="delete it yourself"):
        filled.exports.delete(sheet.id)
    assert (path.read_text(), filled.exports.list()) == ("somebody's notes", [sheet])
    path.write_bytes(content)
    filled.exports.delete(sheet.id)
    assert (path.exists(), filled.exports.list()) == (False, [])
    assert filled.log.lines()[-1].kind == "export:deleted"
    with pytest.raises(errors.NotFound):
        filled.exports.delete(sheet.id)


def test_a_crash_between_an_exports_file_and_its_record_counts_it_once(filled, sheet, photos, monkeypatch):
    scope = filled.scope(search=filled.search(photos / "portrait.png", **WHY).id)
    remove = exports.exports.remove
    monkeypatch.setattr(exports.exports, "remove", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        filled.erase(scope)
    monkeypatch.setattr(exports.exports, "remove", remove)
    (erasure,) = filled.resume()
    assert json.loads(json.dumps(said(filled, erasure)))["counts"]["exports"] == 1
    assert filled.erasures.worklist() == ()


@pytest.mark.parametrize("on_erase", ["delete", "redact"])
def test_a_piece_of_an_erased_photo_in_the_temporary_folder_keeps_the_certificate_back(empty, tmp_path, pair, on_erase):
    (tmp_path / "photos").mkdir()
    pair.save(tmp_path / "photos" / "pair.png")
    content = (tmp_path / "photos" / "pair.png").read_bytes()
    left = empty.settings.temporary / "half of it"
    left.write_bytes(content[len(content) // 2 - 100 :][:9000])
    empty.create_collection("club", **STATED)
    source = empty.create_source(
        tmp_path / "photos", collection="club", controller="us", evidence="ours", on_erase=on_erase
    )
    empty.add(source.id)
    with empty.database.read() as tx:
        first = faces.stored(tx, state="held")[0]
    try:
        with pytest.raises(errors.VaultError, match="half of it"):
            empty.erase(empty.scope(face=first.id))
    finally:
        left.unlink()
    assert [done.state for done in empty.resume()] == ["certified"]
