from __future__ import annotations

import csv
import os
import shutil
import struct
import sys
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import event, update

import countenance
from countenance import errors, ingest
from countenance.errors import BAD_IMAGE
from countenance.settings import Settings
from countenance.sources.folder import Folder
from countenance.store import tables

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes are Linux's")


def png(width: int, height: int, *chunks: tuple[bytes, bytes], data: bytes = b"") -> bytes:
    """A PNG of grey pixels that says what it is told to say."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    all_of_it = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(data, 9)), (b"IEND", b"")]
    packed = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in all_of_it]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def jpeg(picture: Image.Image) -> bytes:
    memory = BytesIO()
    picture.save(memory, "JPEG", quality=90)
    return memory.getvalue()


MAKE: dict[str, tuple[Callable[[bytes], bytes], set[str]]] = {  # name -> (bytes made of a sound JPEG, what may be said)
    "zero-bytes.jpg": (lambda whole: b"", {"empty"}),
    "not-an-image.jpg": (lambda whole: b"This is a letter, not a picture.\n" * 30, {"not-an-image"}),
    "truncated.jpg": (lambda whole: whole[: len(whole) // 2], {"truncated"}),
    "header-only.jpg": (lambda whole: whole[:20], {"truncated", "corrupt"}),
    "garbage.jpg": (lambda whole: whole[:2] + bytes(range(256)) * 40, {"truncated", "corrupt", "not-an-image"}),
    "claims.png": (lambda whole: png(100_000, 100_000, data=bytes(1000)), {"too-many-pixels"}),
    "bomb.png": (lambda whole: png(20_000, 20_000, data=bytes(20_001 * 20_000)), {"too-many-pixels"}),
    "text-bomb.png": (
        lambda whole: png(64, 64, (b"zTXt", b"a\0\0" + zlib.compress(bytes(200_000_000), 9)), data=bytes(65 * 64)),
        {"corrupt", "too-much-memory", "held"},
    ),
    "no-pixels.png": (lambda whole: png(0, 0), {"corrupt", "truncated"}),
    "too-large.jpg": (lambda whole: whole + bytes(256 * 2**20), {"too-many-bytes"}),
}


@pytest.fixture
def sound(portrait) -> bytes:
    return jpeg(portrait)


def states(vault) -> dict[str, str]:
    return {photo.address: photo.reason or photo.state for photo in vault.photos(vault.sources()[0].id)}


def test_one_bad_photo_never_stops_the_rest_and_each_says_what_is_wrong(vault_path, settings, tmp_path, sound, run):
    folder = tmp_path / "mixed"
    folder.mkdir()
    for name, (make, _) in MAKE.items():
        (folder / name).write_bytes(make(sound))
    os.truncate(folder / "too-large.jpg", 256 * 2**20 + 1)  # a hole: it takes no room
    for name in ("a-first.jpg", "misnamed.png", "without-ending", "z-last.jpg"):
        (folder / name).write_bytes(sound)
    with countenance.open(vault_path, settings=settings.model_copy(update={"workers": 2})) as vault:
        vault.create_collection("club", **basis())
        source = vault.create_source(folder, collection="club", controller="the test suite", evidence="made here")
        added = vault.add(folder)
        found = states(vault)
        assert {name for name in MAKE if found[name] not in MAKE[name][1]} == set()
        assert [found[name] for name in ("a-first.jpg", "misnamed.png", "without-ending", "z-last.jpg")] == ["held"] * 4
        assert added.faces == 4
        assert all(
            slug in BAD_IMAGE and added.sentences[slug].endswith(f"{BAD_IMAGE[slug]}.") for slug in added.refused
        )
        assert vault.add(folder).looked_at == 0
        assert vault.check().problems == ()
    listed = run("source", "refused", source.id)
    assert {line.split("\t")[2] for line in listed.out.splitlines()} == {n for n in MAKE if found[n] != "held"}


def basis() -> dict[str, object]:
    return {
        "purpose": "testing",
        "controller": "the test suite",
        "contact": "the test suite",
        "art6": "legitimate-interests",
        "art9": "made-public",
        "notice": "public-domain portrait",
        "retention_days": 30,
        "mode": "all",
        "justification": "tests",
        "takes_in": "GB",
        "established": "GB",
        "representative": "the test suite, Paris",
    }


def test_real_damaged_turned_and_placed_photos_go_through_worker_processes(vault_path, shared_photos):
    with countenance.open(vault_path, settings=Settings(workers=2)) as vault:
        vault.create_collection("club", **basis())
        found = {}
        for name in ("corrupt", "orientation", "geo"):
            folder = shared_photos / name
            source = vault.create_source(folder, collection="club", controller="the test suite", evidence="a data set")
            added = vault.add(folder)
            assert added.looked_at + sum(added.skipped.values()) == sum(p.is_file() for p in folder.rglob("*"))
            assert "decoder-crashed" not in added.refused
            found[name] = vault.photos(source.id)
        held = {name: [p for p in every if p.state == "held"] for name, every in found.items()}
        with (shared_photos / "geo_truth.csv").open(newline="", encoding="utf-8") as file:
            sound = {row["path"].removeprefix("geo/") for row in csv.DictReader(file) if row["decode"] == "ok"}
        assert len(held["corrupt"]) == 33
        lawless = [p for p in found["geo"] if p.reason == "needs-consent"]  # Canada may be Québec, until somebody says
        assert {e.territory for p in lawless for e in p.evidence} == {"CA"}
        assert {p.address for p in held["geo"]} | {p.address for p in lawless} == sound
        assert sum(bool(p.evidence) for p in held["geo"]) >= 20
        assert len(held["orientation"]) == 16
        for lying, size in (("landscape", (600, 450)), ("portrait", (450, 600))):
            assert {(p.width, p.height) for p in held["orientation"] if lying in p.address} == {size}
        assert vault.check().problems == ()


def test_a_photo_of_nobody_is_held_and_keeps_no_template(filled):
    photo = next(p for p in filled.photos(filled.sources()[0].id) if p.address == "meadow.jpg")
    assert (photo.state, photo.faces) == ("held", 0)


def test_a_probe_of_nobody_is_said_plainly(filled, photos):
    with pytest.raises(errors.NoFace, match="nothing was searched"):
        filled.search(photos / "meadow.jpg", collection="club", purpose="a test", case="case 1")
    with pytest.raises(errors.NoFace, match="nothing was compared"):
        filled.compare(
            photos / "portrait.png", photos / "meadow.jpg", collection="club", purpose="a test", case="case 1"
        )


@pytest.mark.parametrize("slug", sorted(set(MAKE) - {"too-large.jpg", "text-bomb.png"}))
def test_a_bad_probe_is_refused_with_its_reason_and_nothing_is_logged_as_searched(vault, sound, slug):
    make, reasons = MAKE[slug]
    with pytest.raises(errors.BadImage) as caught:
        vault.search(make(sound), collection="club", purpose="a test", case="case 1")
    assert caught.value.reason in reasons
    assert vault.log.lines(kind="search:done") == []


def test_a_thousand_faces_in_one_photo_are_kept(vault, photos, portrait):
    face = portrait.crop((150, 30, 300, 180)).resize((64, 64))
    crowd = Image.new("RGB", (40 * 64, 25 * 64))
    for n in range(1000):
        crowd.paste(face, (n % 40 * 64, n // 40 * 64))
    crowd.save(photos / "crowd.png")
    added = vault.add(photos)
    crowded = next(p for p in vault.photos(added.source_id) if p.address == "crowd.png")
    assert crowded.faces >= 950
    assert added.faces + sum(added.not_embedded.values()) == crowded.faces + 3
    assert vault.check().problems == ()


def test_links_and_loops_of_links_are_left_out_and_counted(vault, photos):
    (photos / "loop").symlink_to(photos, target_is_directory=True)
    (photos / "a.jpg").symlink_to(photos / "b.jpg")
    (photos / "b.jpg").symlink_to(photos / "a.jpg")
    (photos / "dangling.jpg").symlink_to(photos / "nowhere.jpg")
    added = vault.add(photos)
    assert added.added == 4
    assert added.skipped["link"] == 4


@LINUX
def test_names_that_are_not_utf8_are_added_listed_and_erased(vault, photos, portrait, run):
    raw = os.fsencode(photos) + b"/caf\xe9.png"
    shutil.copy(photos / "portrait.png", raw)
    added = vault.add(photos)
    photo = next(p for p in vault.photos(added.source_id) if p.address == "caf\udce9.png")
    assert photo.state == "held"
    assert vault.add(photos).unchanged == 5
    found = vault.search(raw.decode("utf-8", "surrogateescape"), collection="club", purpose="a test", case="case 1")
    assert photo.address in {hit.address for hit in found.faces[0].hits}
    shown = run("search", photos / "portrait.png", "-c", "club", "--purpose", "a test", "--case", "case 1")
    assert "caf\\udce9.png" in shown.out or "caf\\xe9.png" in shown.out
    assert vault.why(photo.id).sentences
    vault.erase(vault.scope(photo=photo.id))
    assert not Path(os.fsdecode(raw)).exists()


def test_a_file_that_may_not_be_read_is_counted_and_the_rest_is_added(vault, photos, monkeypatch):
    whole = os.open

    def guarded(path, *rest, **how):  # permissions do not hold back the superuser, who may run the tests
        if path == "smaller.jpg":
            raise PermissionError(13, "Permission denied")
        return whole(path, *rest, **how)

    monkeypatch.setattr(os, "open", guarded)
    added = vault.add(photos)
    assert (added.added, added.refused) == (3, {"unreadable": 1})
    assert "permission denied" in added.sentences["unreadable"]


def test_a_folder_that_vanishes_midway_loses_nothing_that_was_added(vault, photos, tmp_path, monkeypatch):
    away = tmp_path / "away"
    read = Folder.read

    def unplugged(self, address):
        if address.path == "portrait.png":
            photos.rename(away)
        return read(self, address)

    monkeypatch.setattr(Folder, "read", unplugged)
    with pytest.raises(errors.SourceGone, match="What was added before is kept"):
        vault.add(photos)
    assert states(vault) == {"meadow.jpg": "held", "mirrored.jpg": "held"}
    with pytest.raises(errors.SourceGone):
        vault.add(photos)
    assert set(states(vault).values()) == {"held"}
    monkeypatch.undo()
    away.rename(photos)
    added = vault.add(photos)
    assert (added.added, added.unchanged, added.vanished) == (2, 2, 0)


def test_another_folder_in_the_place_of_the_source_marks_nothing_as_vanished_midway(
    vault, photos, tmp_path, monkeypatch
):
    read = Folder.read

    def swapped(self, address):
        if address.path == "mirrored.jpg":
            photos.rename(tmp_path / "away")
            photos.mkdir()
        return read(self, address)

    monkeypatch.setattr(Folder, "read", swapped)
    with pytest.raises(errors.SourceGone, match="another folder is in its place"):
        vault.add(photos)
    assert "vanished" not in states(vault).values()


def test_a_full_disk_is_said_and_what_was_added_before_is_whole(vault, photos, portrait, monkeypatch, held):
    for n in range(6):
        portrait.rotate(n + 1).save(photos / f"turned-{n}.png")
    monkeypatch.setattr(ingest, "BATCH_PHOTOS", 1)
    with vault.database.read() as tx:
        pages = tx.sql.exec_driver_sql("PRAGMA page_count").scalar_one()

    def small(connection, _record):
        connection.execute(f"PRAGMA max_page_count = {pages + 20}")

    event.listen(vault.database.engine, "connect", small)
    vault.database.engine.dispose()
    with pytest.raises(errors.DiskFull, match="What was added before is kept"):
        vault.add(photos)
    kept = held(vault)
    assert 0 < len(kept) < 10
    assert vault.check().problems == ()
    event.remove(vault.database.engine, "connect", small)
    vault.database.engine.dispose()
    added = vault.add(photos)
    assert (added.unchanged, added.added) == (len(kept), 10 - len(kept))
    assert vault.check().problems == ()


@pytest.fixture
def closed(filled) -> Path:
    """A vault with three faces that nobody has open."""
    filled.close()
    return filled.path


def fingerprint(path: Path) -> dict[str, bytes]:
    names = ("vault.toml", "records.db", "keys/epoch.slots", "keys/state.1")
    return {name: (path / name).read_bytes() for name in names if (path / name).is_file()}


def test_keys_of_another_vault_open_nothing_and_change_nothing(closed, tmp_path, settings):
    countenance.create(tmp_path / "other")
    shutil.rmtree(closed / "keys")
    shutil.copytree(tmp_path / "other" / "keys", closed / "keys")
    before = fingerprint(closed)
    with pytest.raises(errors.WrongKey):
        countenance.open(closed, settings=settings)
    assert fingerprint(closed) == before


def test_a_missing_keys_folder_is_said_with_where_it_must_be(closed, settings):
    shutil.rmtree(closed / "keys")
    with pytest.raises(errors.KeysMissing, match="keys"):
        countenance.open(closed, settings=settings)
    assert not (closed / "keys").exists()


def test_a_wrong_passphrase_exits_5_and_the_right_one_opens(tmp_path, run, monkeypatch):
    monkeypatch.setenv("COUNTENANCE_PASSPHRASE", "the right words")
    assert run("init", tmp_path / "locked", "--passphrase").code == 0
    assert run("collection", "create", "club", "--vault", tmp_path / "locked").code == 0
    before = fingerprint(tmp_path / "locked")
    monkeypatch.setenv("COUNTENANCE_PASSPHRASE", "other words")
    wrong = run("collection", "list", "--vault", tmp_path / "locked")
    assert (wrong.code, wrong.out) == (5, "")
    assert wrong.err.strip() == str(errors.WrongKey())
    assert fingerprint(tmp_path / "locked") == before
    monkeypatch.delenv("COUNTENANCE_PASSPHRASE")
    assert run("collection", "list", "--vault", tmp_path / "locked").code == 5
    monkeypatch.setenv("COUNTENANCE_PASSPHRASE", "the right words")
    assert "club" in run("collection", "list", "--vault", tmp_path / "locked").out


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", errors.VaultDamaged),
        ("\0\0\0\0", errors.VaultDamaged),
        ("format = 2\n", errors.VaultDamaged),
        ('format = "one"\npublic_key = "00"\n', errors.VaultDamaged),
        ('format = 2\npublic_key = "00"\n', errors.WrongKey),
        ("format = 3\n", errors.VaultNewer),
        ("format = 1\n", errors.VaultOlder),
        ('format = 99\n[keys]\nnew = "table"\n', errors.VaultNewer),
    ],
)
def test_a_vault_toml_that_is_damaged_foreign_or_newer_is_said(closed, settings, text, error):
    (closed / "vault.toml").write_text(text)
    with pytest.raises(error):
        countenance.open(closed, settings=settings)


def test_records_of_a_newer_version_are_refused_unchanged(filled, settings):
    with filled.database.write(quiet=True) as tx:
        tx.sql.execute(update(tables.vault).values(format=7))
    filled.close()
    before = fingerprint(filled.path)
    with pytest.raises(errors.VaultNewer, match="format 7"):
        countenance.open(filled.path, settings=settings)
    assert fingerprint(filled.path) == before


def zeroed(whole: bytes) -> bytes:
    return bytes(100) + whole[100:]


@pytest.mark.parametrize(
    "harm", [zeroed, lambda whole: whole[: len(whole) // 2], lambda whole: whole[:50], lambda _: b""]
)
def test_a_damaged_database_is_said_and_left_as_it_is(closed, settings, harm):
    file = closed / "records.db"
    file.write_bytes(harm(file.read_bytes()))
    before = file.read_bytes()
    with pytest.raises(errors.VaultDamaged, match="damaged"):
        found = countenance.open(closed, settings=settings)
        found.check()
    assert len(file.read_bytes()) >= len(before)


def test_a_missing_database_is_said(closed, settings):
    (closed / "records.db").unlink()
    with pytest.raises(errors.VaultDamaged, match="missing"):
        countenance.open(closed, settings=settings)
    assert not (closed / "records.db").exists()


def test_any_page_of_the_database_that_is_overwritten_is_noticed(closed, settings):
    file = closed / "records.db"
    whole = file.read_bytes()
    for page in np.linspace(1, len(whole) // 4096 - 1, 12).astype(int):
        at = int(page) * 4096
        file.write_bytes(whole[:at] + bytes(b ^ 0xA5 for b in whole[at : at + 4096]) + whole[at + 4096 :])
        try:
            with countenance.open(closed, settings=settings) as vault:
                noticed = bool(vault.check().problems)
        except errors.VaultDamaged:
            noticed = True
        assert noticed, f"page {page}"
        for rest in closed.glob("records.db-*"):
            rest.unlink()


def test_settings_that_cannot_be_are_named(run, monkeypatch):
    monkeypatch.setenv("COUNTENANCE_WORKERS", "many")
    said = run("collection", "list")
    assert (said.code, said.out) == (2, "")
    assert "workers" in said.err


def test_a_source_or_picture_that_is_not_there_is_said(vault, run, tmp_path):
    with pytest.raises(errors.UsageError, match="no such file or directory"):
        vault.create_source(tmp_path / "nowhere", collection="club", controller="c", evidence="e")
    with pytest.raises(errors.UsageError, match="Nothing is fetched from a network"):
        vault.create_source("https://example.com/photos", collection="club", controller="c", evidence="e")
    missing = run("search", tmp_path / "nowhere.jpg", "-c", "club", "--purpose", "p", "--case", "c")
    assert missing.code == 1
    assert "no such file" in missing.err.lower()
