"""P9: a request needs no face and no identity card."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import inspect
import pkgutil
import re
from datetime import timedelta

import pytest
import typer
from PIL import Image
from tests.conftest import STATED, WHY

import countenance
from countenance import Consent
from countenance.cli.main import app
from countenance.orders import residue
from countenance.settings import Settings
from countenance.store import faces
from countenance.store.tables import metadata

DOCUMENT = re.compile(
    r"identity(?!_?type)|passport|id_?card|document_?number|driving|ausweis|social_security|national_id"
)
"""Names that a field for an identity document would have."""


def test_a_photo_can_be_erased_by_its_id_and_a_source_by_its_own_without_showing_a_face(filled):
    source = filled.sources("club")[0]
    photo = filled.photos(source.id)[0]
    assert filled.scope(photo=photo.id).photos == (photo.id,)
    assert len(filled.scope(source=source.id).photos) == 4


@pytest.fixture
def album(empty, photos, portrait, clock):
    """A vault with a photo in an album, dated, and an enrolled person; returns what its requests find, as file names."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2026:05:18 12:00:00"
    (photos / "lake").mkdir()
    portrait.resize((420, 420)).save(photos / "lake" / "swim.jpg", exif=exif)
    empty.create_collection("club", **STATED)
    source = empty.create_source(photos, collection="club", controller="x", evidence="y", on_erase="delete")
    empty.add(photos)
    consent = Consent(by="x", given_at=clock(), text="y", until=clock() + timedelta(days=9))
    empty.enrol("A. Person", [photos / "portrait.png"], collection="club", consent=consent)

    def find(request, **given):
        names = {photo.id: photo.address for photo in empty.photos(source.id)}
        return {names.get(one.photo_id) for one in empty.requests.identify(request, **given)} - {None}

    return find


@pytest.mark.parametrize("by", ["address", "file", "hash", "album and date", "receipt", "name"])
def test_a_request_is_found_and_carried_out_by_what_a_person_has_and_no_face_is_looked_at(
    by, empty, album, photos, monkeypatch
):
    content = (photos / "lake" / "swim.jpg").read_bytes()
    earlier = empty.requests.open("access").id
    if by == "receipt":
        assert album(earlier, clues=[("address", "swim.jpg")]) == {"lake/swim.jpg"}
        empty.requests.review(earlier, {one.photo_id: "yes" for one in empty.requests.show(earlier).request.reviews})
    given = {
        "address": {"clues": [("address", "https://club.example/Lake/swim.jpg?size=1")]},
        "file": {"files": [content]},
        "hash": {"clues": [("sha256", hashlib.sha256(content).hexdigest())]},
        "album and date": {"clues": [("album", "lake 2026-05-18")]},
        "receipt": {"clues": [("receipt", empty.requests.show(earlier).receipt)]},
        "name": {"clues": [("name", "a. person")]},
    }[by]
    request = empty.requests.open("erasure").id
    with monkeypatch.context() as patch:
        patch.setattr("countenance.vision.detect.first", lambda *_: pytest.fail("a face was looked for"))
        assert "lake/swim.jpg" in album(request, **given)
    empty.requests.review(request, {one.photo_id: "yes" for one in empty.requests.show(request).request.reviews})
    (erasure,) = empty.requests.erase(request)
    assert erasure.state == "certified"
    assert not (photos / "lake" / "swim.jpg").exists()


@pytest.mark.parametrize("workers", [0, 1])
def test_an_offered_photo_is_matched_in_memory_and_never_written(
    workers, vault_path, filled, portrait, tmp_path, clock
):
    offered = tmp_path / "brought along.png"
    portrait.resize((350, 350)).save(offered)
    with countenance.open(vault_path, settings=Settings(workers=workers), clock=clock) as vault:
        request = vault.requests.open("access").id
        found = vault.requests.identify(request, pictures=[offered])
        assert {one.by for one in found} == {("picture",)}
        (line,) = vault.log.lines(kind="request:looked")
        assert (line.public["offered"], line.public["kept"]) == (True, 0)
        assert "brought along" not in str(vault.log.lines())
        digest = hashlib.sha256(offered.read_bytes())
        values = [*residue.varied(offered.read_bytes()), digest.digest(), digest.hexdigest().encode()]
        scan = residue.scan(vault_path, values, words=[b"brought along"], temporary=vault.settings.temporary)
        assert (scan.hits, scan.control_hits) == (0, 2)
        with vault.database.read() as tx:  # nor sealed, where the scan would not see it
            assert digest.hexdigest() not in str(dataclasses.asdict(vault.requests.show(request).request))
            assert len(faces.stored(tx)) == 3
    (vault_path / "copy").write_bytes(offered.read_bytes())
    assert residue.scan(vault_path, values).hits == 1  # a copy would have been found


def test_a_search_by_an_offered_photo_keeps_nothing_of_it(filled, portrait, tmp_path):
    offered = tmp_path / "brought along.png"
    portrait.crop((60, 0, 400, 300)).save(offered)
    with filled.database.read() as tx:
        before = (len(faces.stored(tx)), len(tx.sql.execute(metadata.tables["photo"].select()).all()))
    assert filled.search(offered, **WHY).found
    with filled.database.read() as tx:
        after = (len(faces.stored(tx)), len(tx.sql.execute(metadata.tables["photo"].select()).all()))
    assert before == after
    assert not any("brought along" in str(line) for line in filled.log.lines())


def options(command, path=()):
    """Every option and argument of every command."""
    for parameter in command.params:
        yield (*path, parameter.name)
        yield from ((*path, name) for name in parameter.opts)
    for name, inner in getattr(command, "commands", {}).items():
        yield from options(inner, (*path, name))


def fields():
    """Every field of every record in the whole package, and every parameter of a verb."""
    for module in pkgutil.walk_packages(countenance.__path__, "countenance."):
        if module.name.endswith(("__main__", "demo")):
            continue
        for name, kind in vars(importlib.import_module(module.name)).items():
            if inspect.isclass(kind) and dataclasses.is_dataclass(kind):
                yield from ((name, field.name) for field in dataclasses.fields(kind))
            if inspect.isclass(kind) and kind.__module__.startswith(("countenance.vault", "countenance.verbs")):
                for verb, function in inspect.getmembers(kind, inspect.isfunction):
                    yield from ((name, verb, parameter) for parameter in inspect.signature(function).parameters)


def test_there_is_no_field_for_an_identity_document_in_any_option_setting_table_or_record():
    known = [
        *options(typer.main.get_command(app)),
        *((name,) for name in Settings.model_fields),
        *((table.name, column.name) for table in metadata.tables.values() for column in table.columns),
        *fields(),
    ]
    assert ("request", "identify", "photo") in known
    assert ("request", "fields") in known
    assert ("Asked", "contact") in known
    assert ("Requests", "identify", "pictures") in known
    assert [path for path in known if DOCUMENT.search(path[-1].replace("-", "_"))] == []
    assert DOCUMENT.search("passport_number")


def test_no_letter_and_no_reason_for_a_pause_asks_for_an_identity_document_or_a_photo(filled):
    request = filled.requests.open("access").id
    filled.requests.pause(request, "identity", said="the album")
    assert "need not send us an identity document or a photo" in filled.requests.letter(request, "pause").text
