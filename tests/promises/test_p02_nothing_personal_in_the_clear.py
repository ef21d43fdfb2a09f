"""P2: nothing personal at rest in the clear."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image
from tests.conftest import STATED, WHY

from countenance import Consent
from countenance.orders.residue import forms_of_template, scan
from countenance.store import faces
from countenance.store import photos as stored_photos

NAME = "Subject Number One"
APPROVER = "Approver Number One"


@pytest.fixture
def busy(filled, photos, clock):
    """A vault with a bit of everything in it."""
    consent = Consent(by=NAME, given_at=clock(), text="I agree to be found", until=clock() + timedelta(days=9))
    filled.create_collection("members", **STATED)
    filled.enrol(NAME, [photos / "portrait.png", photos / "smaller.jpg"], collection="members", consent=consent)
    found = filled.search(photos / "mirrored.jpg", **WHY)
    filled.erase(filled.scope(search=found.id, only=[found.faces[0].hits[0].face_id]), approved_by=[APPROVER])
    filled.search(photos / "portrait.png", **WHY)
    return filled


def test_no_file_of_a_busy_vault_holds_an_address_name_template_crop_or_picture_in_the_clear(busy, photos, portrait):
    with busy.database.read() as tx:
        held = faces.stored(tx, state="held")
        values = [form for face in held for form in forms_of_template(faces.template(tx, face.id))]
        values += [faces.crop(tx, face.id) for face in held]
        values += [stored_photos.find(tx, face.photo_id).address.encode() for face in held]
    values += [
        b"portrait.png",
        NAME.encode(),
        APPROVER.encode(),
        b"I agree to be found",
        str(photos).encode(),
        b"a test",
    ]
    values += [STATED["notice"].encode(), *((photos / name).read_bytes() for name in ("portrait.png", "smaller.jpg"))]
    found = scan(busy.path, values)
    assert found.patterns > 40
    assert found.where == ()


def test_no_file_of_a_busy_vault_carries_the_mark_of_a_picture(busy):
    busy.database.truncate_wal()
    for file in busy.path.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert b"JFIF" not in content
            assert b"\x89PNG" not in content


def test_the_scan_that_shows_this_finds_what_is_written_in_the_clear(busy):
    (busy.path / "note.txt").write_text(f"seen today: {NAME}")
    assert scan(busy.path, [NAME.encode()]).where == ("note.txt",)


def test_nothing_is_left_in_the_temporary_folder(busy, photos, tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    Image.open(photos / "portrait.png").save(photos / "again.png")
    busy.add(photos, collection="club")
    busy.search(photos / "again.png", **WHY)
    assert list(Path(folder).iterdir()) == []


def test_only_the_owner_may_read_the_vaults_folder(vault_path):
    assert vault_path.stat().st_mode & 0o077 == 0
    assert (vault_path / "keys").stat().st_mode & 0o077 == 0
