"""P2: nothing personal at rest in the clear."""

from __future__ import annotations

import re
import sqlite3
import struct
from collections.abc import Iterable
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image, ImageOps
from tests.conftest import STATED

from countenance import Consent
from countenance.gate import metadata
from countenance.orders.residue import forms_of_template, windows
from countenance.store import faces, wishes
from countenance.store import photos as stored_photos

NAME, CAPTION, PLACE = "Subject Number One", "Caption Number One", "Street Number One"
APPROVER, OPERATOR = "Approver Number One", "Operator Number One"
WHY = {"collection": "club", "purpose": "Purpose Number One", "case": "Case Number One"}
LATITUDE, LONGITUDE = (55.0, 57.0, 12.3), (3.0, 11.0, 17.3)  # as a fraction they have more than 8 characters
MARKS = {  # what a picture begins with; the shortest is eight bytes, so that sealed bytes do not hold it by chance
    "JPEG": rb"\xff\xd8\xff[\xe0-\xef]..(JFIF|Exif|http|Phot|ICC_|MPF)",
    "JFIF": rb"JFIF\x00\x01[\x00-\x02][\x00-\x02]",
    "Exif": rb"Exif\x00\x00(II\*|MM\x00)",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "WEBP": rb"RIFF....WEBPVP8",
    "HEIC, AVIF": rb"ftyp(heic|heix|hevc|heim|heis|mif1|msf1|avif|avis)",
    "TIFF": rb"(II\*\x00|MM\x00\*)....[\x01-\x40]\x00",
    "XMP": rb"<x:xmpmeta",
    "IPTC": rb"Photoshop 3\.0\x008BIM",
}
EMPTY = {"back", "discarded", "gone", "node"}  # tables that this vault does not fill


def captioned(portrait: Image.Image) -> bytes:
    """A JPEG with a name, a caption and a position in each of EXIF, IPTC and XMP."""
    exif = Image.Exif()
    exif[0x010E], exif[0x013B] = CAPTION, NAME
    exif[0x8825] = {1: "N", 2: LATITUDE, 3: "W", 4: LONGITUDE}
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description xmlns:exif="{metadata.EXIF}" exif:GPSLatitude="55,57.198N" exif:GPSLongitude="3,11.298W" '
        f'xmlns:ext="{metadata.EXT}" ext:PersonInImage="{NAME}" ext:Sublocation="{PLACE}"/></rdf:RDF></x:xmpmeta>'
    )
    out = BytesIO()
    portrait.save(out, "JPEG", quality=92, exif=exif.tobytes(), xmp=packet.encode())
    block = b"".join(
        struct.pack(">BBBH", 0x1C, 2, number, len(text)) + text.encode()
        for number, text in ((120, CAPTION), (92, PLACE))
    )
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(block)) + block + b"\0" * (len(block) % 2)
    segment = b"Photoshop 3.0\0" + resource
    whole = out.getvalue()
    return whole[:2] + b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment + whole[2:]


@pytest.fixture
def places(tmp_path) -> list[Path]:
    """The folders that a vault writes to: itself, a replica of its keys, a backup."""
    return [tmp_path / name for name in ("vault", "replica", "backup")]


@pytest.fixture
def busy(filled, photos, clock, portrait, tmp_path, places):
    """An open vault with something in every table."""
    filled.by = OPERATOR
    (photos / f"{PLACE} captioned.jpg").write_bytes(captioned(portrait.rotate(4)))
    portrait.rotate(-4).save(photos / "modern.webp", quality=90)
    pillow_heif.from_pillow(ImageOps.mirror(portrait).rotate(6)).save(photos / "modern.heic", quality=80)
    (photos / f"{NAME} broken.jpg").write_bytes(b"no picture")
    filled.add(photos)
    archive = tmp_path / "archive of Number One"
    archive.mkdir()
    portrait.rotate(8).save(archive / "turned.png")
    kept = filled.create_source(archive, collection="club", controller="us", evidence="Evidence Number One")
    filled.add(kept.id)
    consent = Consent(by=NAME, given_at=clock(), text="I agree to be found", until=clock() + timedelta(days=9))
    filled.create_collection("members of Number One", **STATED)
    pictures = [photos / "portrait.png", photos / "smaller.jpg"]
    filled.enrol(NAME, pictures, collection="members of Number One", consent=consent)
    filled.custody.replicate(places[1])
    found = filled.search(photos / "mirrored.jpg", **WHY)
    filled.exports.write(found, tmp_path / "sheet of Number One.html")
    filled.compare(*pictures, **WHY)
    filled.erase(filled.scope(search=found.id, only=[found.faces[0].hits[0].face_id]), approved_by=[APPROVER])
    asked = filled.requests.open("access", name=NAME, contact=f"{NAME}, {PLACE}", text=f"I am {NAME}: turned.png").id
    filled.requests.identify(asked, clues=[("address", "turned.png"), ("name", NAME)], pictures=[pictures[0]])
    filled.requests.review(asked, {one.photo_id: "yes" for one in filled.requests.show(asked).request.reviews})
    filled.requests.pause(asked, "identity", said=f"Which album, {NAME}?")
    filled.requests.sheet(asked, tmp_path / "candidates of Number One.html")
    with filled.database.read() as tx:
        turned = next(photo.id for photo in stored_photos.of_source(tx, kept.id))
    filled.erase(filled.scope(photo=turned))
    assert filled.erasures.worklist()
    again = filled.search(photos / "portrait.png", **WHY)
    filled.exports.write(again, tmp_path / "second sheet of Number One.html")
    wish = Consent(by=NAME, given_at=clock(), text="I wish to be kept out", until=clock() + timedelta(days=9))
    filled.wishes.record([photos / "portrait.png"], consent=wish)
    filled.orders.draft(
        "order: countenance/order/v1\nauthority: x\ncountry: GB\nreference: y\nissued: 2026-11-01\n"
        f"measures: [stop]\nscope: {{territories: [GB]}}\nnote: {NAME}\n"
    )
    one, other, *_ = [hit.face_id for hit in again.faces[0].hits]
    filled.faces.not_same(one, other, reason=f"{NAME} says so")
    restricted = filled.faces.restrict(one, ground="objection", reason=f"{NAME} objects").restriction.id
    filled.faces.unrestrict(restricted, reason=f"{NAME} agreed", told=f"to {NAME} by letter")
    filled.backup(places[2])
    return filled


def clear_values(vault, photos: Path) -> dict[str, list[bytes]]:
    """What must not be found, by what it is; long values by their start, middle and end."""
    texts = [
        NAME,
        CAPTION,
        PLACE,
        APPROVER,
        OPERATOR,
        "Number One",
        "I agree to be found",
        "I wish to be",
        *WHY.values(),
        str(photos),
    ]
    texts += [STATED[name] for name in ("notice", "controller", "justification", "representative")]
    values: dict[str, list[bytes]] = {
        "text": [],
        "address": [],
        "template": [],
        "crop": [],
        "photo": [],
        "position": [],
    }
    with vault.database.read() as tx:
        for template in wishes.live(tx, model=vault.wishes.list()[0].model, threshold=lambda _: 1.0).templates:
            values["template"] += forms_of_template(template)
        held = faces.stored(tx, state="held")
        assert len(held) > 6
        for face in held:
            photo = stored_photos.find(tx, face.photo_id)
            matrix = vault.galleries.transform(tx, photo.collection_id)
            template = faces.template(tx, face.id)
            values["template"] += [*forms_of_template(template), *forms_of_template(template @ matrix.T)]
            values["crop"].append(faces.crop(tx, face.id))
            values["address"].append(photo.address.encode())
    files = [
        file
        for file in photos.parent.rglob("*")
        if file.is_file() and file.parent.name in {photos.name, "archive of Number One"}
    ]
    values["address"] += [file.name.encode() for file in files]
    values["photo"] += [file.read_bytes() for file in files if file.stat().st_size > 1000]
    values["text"] += [
        text.encode(code) for text in texts if len(text) > 6 for code in ("utf-8", "utf-16-le", "utf-16-be")
    ]
    for degrees, minutes, seconds in (LATITUDE, LONGITUDE):
        angle = degrees + minutes / 60 + seconds / 3600
        for number in (angle, -angle):
            values["position"] += [struct.pack("<d", number), struct.pack(">d", number), repr(number)[:9].encode()]
    return {name: [window for value in some for window in windows(value)] for name, some in values.items()}


def looked_through(pieces: Iterable[tuple[str, bytes]], values: dict[str, list[bytes]]) -> set[tuple[str, str]]:
    """(where, what) of everything that is found in the clear."""
    marks = {mark: re.compile(pattern, re.DOTALL) for mark, pattern in MARKS.items()}
    found = set()
    for where, data in pieces:
        found |= {(where, name) for name, some in values.items() if any(value in data for value in some)}
        found |= {(where, mark) for mark, pattern in marks.items() if pattern.search(data)}
    return found


def files_in(folders: list[Path]) -> list[tuple[str, bytes]]:
    """Every file: its name, and its path inside the folder with its content."""
    found = [(folder, path) for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    return [(path.name, bytes(path.relative_to(folder)) + b"\0" + path.read_bytes()) for folder, path in found]


def rows_of(path: Path) -> dict[str, list[bytes]]:
    """Every value of every table: a long one is spread over pages in the file."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: database.execute(f'SELECT * FROM "{name}"').fetchall() for name in tables}
    database.close()
    values = {name: [value for row in some for value in row] for name, some in rows.items()}
    return {
        name: [value if isinstance(value, bytes) else str(value).encode() for value in some]
        for name, some in values.items()
    }


def test_no_file_of_a_busy_vault_its_replica_and_its_backup_holds_anything_personal_in_the_clear(busy, photos, places):
    values = clear_values(busy, photos)
    assert all(some for some in values.values())
    assert sum(map(len, values.values())) > 200
    while_open = files_in(places)
    assert {"records.db-wal", "vault.toml", "epoch.slots"} <= {name for name, _ in while_open}
    assert sum(len(data) for name, data in while_open if name == "records.db-wal") > 0
    assert looked_through(while_open, values) == set()
    busy.close()
    closed = files_in(places)
    assert all(len([name for name, _ in files_in([place])]) >= 1 for place in places)
    assert looked_through(closed, values) == set()


def test_no_row_of_any_table_of_a_busy_vault_holds_anything_personal_in_the_clear(busy, photos):
    values = clear_values(busy, photos)
    rows = rows_of(busy.path / "records.db")
    assert {name for name, some in rows.items() if not some} <= EMPTY, "a table that this vault does not fill"
    pieces = ((table, value) for table, some in rows.items() for value in some)
    assert looked_through(pieces, values) == set()


def test_the_same_look_finds_each_of_these_where_it_stands_in_the_clear(busy, photos, portrait, tmp_path):
    values = clear_values(busy, photos)
    for name, some in values.items():
        for value in some:
            assert ("planted", name) in looked_through([("planted", bytes(99) + value + bytes(99))], {name: some})
    whole = {
        file.name: looked_through([("planted", bytes(99) + file.read_bytes())], {})
        for file in photos.iterdir()
        if "broken" not in file.name
    }
    portrait.save(tmp_path / "plain.tiff")
    whole["plain.tiff"] = looked_through([("planted", (tmp_path / "plain.tiff").read_bytes())], {})
    marks = {mark for found in whole.values() for _, mark in found}
    assert marks == set(MARKS)
    assert all(whole.values())
    captions = looked_through([("planted", (photos / f"{PLACE} captioned.jpg").read_bytes())], values)
    assert {("planted", "text"), ("planted", "photo")} <= captions
    with busy.database.write() as tx:
        tx.sql.exec_driver_sql("CREATE TABLE planted (value BLOB)")
        tx.sql.exec_driver_sql("INSERT INTO planted VALUES (?)", (values["template"][0],))
    assert (busy.path / "records.db").stat().st_size
    assert any(name == "template" for _, name in looked_through(files_in([busy.path]), values))


def test_nothing_is_left_in_the_temporary_folder(busy, photos, tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    Image.open(photos / "meadow.jpg").save(photos / "again.png")
    busy.add(photos, collection="club")
    busy.search(photos / "portrait.png", **WHY)
    assert list(folder.iterdir()) == []


def test_only_the_owner_may_read_the_vaults_folder(vault_path):
    assert vault_path.stat().st_mode & 0o077 == 0
    assert (vault_path / "keys").stat().st_mode & 0o077 == 0
