"""What the tests of the whole share: the command line as people run it, and what a vault holds as plain rows."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from countenance.cli import main
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
        program = f"{before}\nfrom countenance.cli.main import run\nrun()"
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
