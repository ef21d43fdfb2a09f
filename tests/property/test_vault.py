"""Any history of files written, scanned, restricted, erased by photo or by face answers searches as a plain dict does.

Vision is replaced by a reader of tiny text "photos" such as ``ann+bob``, so that a history takes milliseconds; gate, store,
keys, index, search, orders and log are the real ones.
"""

from __future__ import annotations

import shutil
import tempfile
import zlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.conftest import STATED, WHY

import countenance
from countenance import ingest
from countenance.gate.admit import admit, admit_probe
from countenance.records import Admitted, Looked, PictureFacts, Quality, Seen, SeenFace
from countenance.search import find
from countenance.settings import Settings
from countenance.store import faces

NAMES = ("ann", "bob", "cat")
FACTS = PictureFacts(format="TEXT", width=9, height=9, taken_at=None, latitude=None, longitude=None, evidence=())


def noon():
    """The time in which all happens."""
    return datetime(2026, 11, 23, 12, tzinfo=UTC)


def template(name):
    vector = np.random.default_rng(zlib.crc32(name.encode())).normal(size=128).astype(np.float32)
    return vector / np.linalg.norm(vector)


def seen(content):
    return Seen(
        width=1000,
        height=100,
        model="sface",
        faces=tuple(
            SeenFace(
                box=(100 * n, 0, 50, 50),
                landmarks=((0.0, 0.0),) * 5,
                quality=Quality(sharpness=90, illumination=90, pose=90, size=90, confidence=90),
                reasons=(),
                template=template(name),
                crop=b"crop of " + name.encode(),
                crop_box=(100 * n, 0, 50, 50),
            )
            for n, name in enumerate(content.decode().split("+"))
        ),
    )


def look(content, collection, _source, _address, now, *_):
    admitted = admit(collection, content, evidence=(), suppressed_by=None, now=now)
    return Looked(facts=FACTS, evidence=(), outcome=seen(content) if isinstance(admitted, Admitted) else admitted)


def look_at_probe(content, collection, purpose, case, now, _cache):
    admitted = admit_probe(collection, content, purpose=purpose, case=case, now=now)
    return seen(content) if isinstance(admitted, Admitted) else admitted


class Histories(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(ingest, "look", look)
        self.patch.setattr(find, "look", look_at_probe)
        self.patch.setattr("countenance.vault.examine.prepare", lambda _: None)
        self.patch.setattr("countenance.vault.examine.ready", lambda _: None)
        self.folder = Path(tempfile.mkdtemp())
        self.photos = self.folder / "photos"
        self.photos.mkdir()
        countenance.create(self.folder / "vault", clock=noon)
        self.vault = self.open()
        self.vault.create_collection("club", **STATED)
        self.source = self.vault.create_source(self.photos, collection="club", controller="x", evidence="y").id
        self.held: dict[str, tuple[str, set[str]]] = {}  # address -> content, names still held
        self.contents: set[str] = set()  # suppressed
        self.addresses: set[str] = set()
        self.restricted: dict[str, tuple[str, str | None]] = {}  # id -> address, and the name, or None for the photo

    def open(self):
        return countenance.open(self.folder / "vault", settings=Settings(workers=0), clock=noon)

    @rule(
        address=st.sampled_from(["1.jpg", "2.jpg", "3.jpg"]),
        names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True),
    )
    def write(self, address, names):
        (self.photos / address).write_text("+".join(names))

    @rule(address=st.sampled_from(["1.jpg", "2.jpg", "3.jpg"]))
    def remove(self, address):
        (self.photos / address).unlink(missing_ok=True)

    @rule()
    def scan(self):
        self.vault.add(self.source)
        for file in self.photos.iterdir():
            content = file.read_text()
            if self.held.get(file.name, ("", set()))[0] == content:
                continue
            if content in self.contents or file.name in self.addresses:
                continue
            if any(address == file.name for address, _ in self.restricted.values()):
                continue  # it is looked at again when that ends
            self.held[file.name] = (content, set(content.split("+")))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def erase_photo(self, data):
        address = data.draw(st.sampled_from(sorted(self.held)))
        self.vault.erase(self.vault.scope(photo=self.id_of(address)))
        self.forget(address)

    @precondition(lambda self: any(names for _, names in self.held.values()))
    @rule(data=st.data())
    def erase_face(self, data):
        address, name = data.draw(st.sampled_from(sorted((a, n) for a, (_, names) in self.held.items() for n in names)))
        self.vault.erase(self.vault.scope(face=self.face_of(address, name)))
        self.restricted = {one: of for one, of in self.restricted.items() if of != (address, name)}
        content, names = self.held[address]
        names.discard(name)
        self.contents.add(content)
        if not names:
            self.forget(address)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def restrict(self, data):
        address = data.draw(st.sampled_from(sorted(self.held)))
        name = data.draw(st.sampled_from([None, *sorted(self.held[address][1])]))
        record = self.face_of(address, name) if name else self.id_of(address)
        self.restricted[self.vault.faces.restrict(record, ground="operator").restriction.id] = (address, name)

    @precondition(lambda self: self.restricted)
    @rule(data=st.data())
    def lift(self, data):
        chosen = data.draw(st.sampled_from(list(self.restricted)))
        self.vault.faces.unrestrict(chosen, reason="r", told="t")
        del self.restricted[chosen]

    @rule()
    def open_again(self):
        self.vault.close()
        self.vault = self.open()

    @invariant()
    def every_search_finds_exactly_what_is_held(self):
        for name in NAMES:
            hidden = {address for address, of in self.restricted.values() if of in {None, name}}
            expected = sorted(
                address for address, (_, names) in self.held.items() if name in names and address not in hidden
            )
            assert sorted(hit.address for hit in self.search(name)) == expected

    @invariant()
    def everything_agrees(self):
        assert self.vault.check().problems == ()

    def search(self, name):
        return self.vault.search(name.encode(), fpir=0.5, **WHY).faces[0].hits

    def id_of(self, address):
        return next(photo.id for photo in self.vault.photos(self.source) if photo.address == address)

    def face_of(self, address, name):
        with self.vault.database.read() as tx:
            ids = [face.id for face in faces.stored(tx, photo_id=self.id_of(address))]
            there = {face.box[0] // 100: face.id for face in faces.several(tx, ids)}
        return there[self.held[address][0].split("+").index(name)]

    def forget(self, address):
        self.contents.add(self.held.pop(address)[0])
        self.addresses.add(address)
        self.restricted = {one: of for one, of in self.restricted.items() if of[0] != address}

    def teardown(self):
        with self.vault.database.read() as tx:
            assert len(faces.stored(tx)) == sum(len(names) for _, names in self.held.values())
        self.vault.close()
        self.patch.undo()
        shutil.rmtree(self.folder)


Histories.TestCase.settings = settings(
    max_examples=25, stateful_step_count=14, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate)
)  # no shrinking: it would take minutes, and a history of 14 steps reads as it is
TestHistories = Histories.TestCase
