"""What the tests of the whole share: the command line as people run it, and what a vault holds as plain rows."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.conftest import STATED, WHY
from tests.orders import replace_vision
from tests.property import test_vault

import countenance
from countenance import enrolment
from countenance.cli import main
from countenance.records import Consent, Looked
from countenance.settings import Settings
from countenance.store import faces
from countenance.vault import Vault

SKIP = {"process", "sqlite_sequence"}  # who has the vault open


class Ran(NamedTuple):
    """What a command gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object on stdout; anything else there is an error."""
        return json.loads(self.out)


@pytest.fixture
def here(vault_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands mean the test's vault."""
    monkeypatch.setenv("COUNTENANCE_VAULT", str(vault_path))
    monkeypatch.setenv("COUNTENANCE_WORKERS", "0")
    monkeypatch.delenv("COUNTENANCE_PASSPHRASE", raising=False)


@pytest.fixture
def run(here: None, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run a command in this process."""

    def one(*arguments: object) -> Ran:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main.run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Ran(int(ended.value.code or 0), out, err)

    return one


@pytest.fixture
def start(here: None) -> Callable[..., subprocess.Popen[str]]:
    """Start a command in a process of its own; `before` is Python that runs in it first."""

    def one(*arguments: object, before: str = "") -> subprocess.Popen[str]:
        heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # where tests run in the background
        program = f"{heed}\n{before}\nfrom countenance.cli.main import run\nrun()"
        return subprocess.Popen(
            [sys.executable, "-c", program, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )

    return one


@pytest.fixture
def held() -> Callable[[Vault], list[Any]]:
    """What a vault holds of its sources, without what differs from run to run: ids, times, keys."""

    def of(vault: Vault) -> list[Any]:
        found = []
        with vault.database.read() as tx:
            for source in vault.sources():
                for photo in vault.photos(source.id):
                    seen = [(face.box, face.landmarks, repr(face.quality)) for face in faces.of_photo(tx, photo.id)]
                    about = (photo.address, photo.state, photo.reason, photo.width, photo.height, photo.faces)
                    found.append((about, photo.evidence, sorted(seen)))
        return sorted(found)

    return of


@pytest.fixture
def rows(vault_path: Path) -> Callable[[], dict[str, list[Any]]]:
    """Every row of every table, but for who has the vault open."""

    def now() -> dict[str, list[Any]]:
        with closing(sqlite3.connect(vault_path / "records.db")) as sql:
            names = [name for (name,) in sql.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return {name: sql.execute(f"SELECT * FROM {name}").fetchall() for name in names if name not in SKIP}

    return now


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Callable[[], Any]) -> Iterator[Callable[..., Vault]]:
    """Make a vault with a collection "club" of photos that are words, added; called without photos, open it once more."""
    replace_vision(monkeypatch)
    seen = lambda content, *_: Looked(facts=test_vault.FACTS, evidence=(), outcome=test_vault.seen(content))  # noqa: E731
    monkeypatch.setattr(enrolment, "look_at_portrait", seen)
    opened: list[Vault] = []

    def one(photos: dict[str, str] | None = None, *, subjects: Iterable[str] = (), **changes: Any) -> Vault:
        if not (tmp_path / "vault").exists():
            countenance.create(tmp_path / "vault", clock=clock)
        opened.append(countenance.open(tmp_path / "vault", settings=Settings(workers=0), clock=clock))
        vault = opened[-1]
        if photos:
            folder = tmp_path / "words"
            folder.mkdir()
            for name, text in photos.items():
                (folder / name).write_text(text)
            vault.create_collection("club", **STATED | changes)
            vault.create_source(folder, collection="club", controller="x", evidence="y", on_erase="delete")
            for name in subjects:
                enrolled(vault, name, tmp_path)
            vault.add(folder)
        return vault

    yield one
    for vault in opened:
        vault.close()


def enrolled(vault: Vault, name: str, folder: Path) -> str:
    """Enrol somebody from a photo that is their name; returns the subject's id."""
    portrait = folder / f"{name}.png"
    portrait.write_text(name)
    consent = Consent(by=name, given_at=vault.clock(), text="agreed", until=vault.clock() + timedelta(days=9))
    return vault.enrol(name, [portrait], collection="club", consent=consent).id


def hits(vault: Vault, picture: str | None = None, **asked: Any) -> set[str]:
    """The addresses at which a search finds somebody: by a photo that is their name, a face or a subject."""
    content = picture.encode() if picture else None
    return {hit.address for hit in vault.search(content, fpir=0.5, **WHY, **asked).faces[0].hits}


def face_at(vault: Vault, address: str, number: int = 0) -> str:
    """The id of a face in the photo at an address, hidden ones too."""
    with vault.database.read() as tx:
        return faces.stored(tx, photo_id=photo_at(vault, address))[number].id


def photo_at(vault: Vault, address: str) -> str:
    """The id of the photo at an address."""
    return next(p.id for source in vault.sources() for p in vault.photos(source.id) if p.address == address)
