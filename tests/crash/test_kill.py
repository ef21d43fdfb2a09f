"""An erasure killed with SIGKILL at any step is finished by the next process, and never half seen."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from tests.conftest import STATED, WHY

import countenance
from countenance.audit import verify
from countenance.orders.erase import STEPS

KILLED = """
import os, signal, sys
from contextlib import contextmanager
import countenance
from countenance.orders import erase
from countenance.settings import Settings
from countenance.store.database import Database
from countenance.store.keys import Keys

path, source, state, when = sys.argv[1:]
step, write = erase.STEPS[state], Database.write

def die():
    os.kill(os.getpid(), signal.SIGKILL)

@contextmanager
def deadly(self, **options):
    with write(self, **options) as tx:
        yield tx
        if when == "before its first commit":
            die()
    die()

def last(run, progress):
    if when == "at its start":
        die()
    if when == "after the keys are destroyed":
        advance = Keys.advance
        Keys.advance = lambda self, items: (advance(self, items), die())
    else:
        Database.write = deadly
    step(run, progress)

erase.STEPS[state] = last
with countenance.open(path, settings=Settings(workers=0)) as vault:
    vault.erase(vault.scope(source=source), ground="request", approved_by=["somebody"])
"""


MOMENTS = [
    *(
        (state, when)
        for state in STEPS
        for when in ("at its start", "before its first commit", "after its first commit")
    ),
    ("stopped", "after the keys are destroyed"),
]


@pytest.mark.parametrize(("state", "when"), MOMENTS)
def test_an_erasure_killed_in_any_step_is_finished_by_the_next_open(state, when, tmp_path, photos, settings, portrait):
    path = tmp_path / "vault"
    countenance.create(path)
    portrait.save(tmp_path / "probe.png")
    with countenance.open(path, settings=settings) as vault:
        vault.create_collection("club", **STATED)
        source = vault.create_source(photos, collection="club", controller="x", evidence="y", on_erase="delete").id
        vault.add(source)
    killed = subprocess.run([sys.executable, "-c", KILLED, path, source, state, when], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with countenance.open(path, settings=settings) as vault:
        assert vault.warning == ""
        assert [erasure.state for erasure in vault.erasures()] == ["certified"]
        assert not vault.search(tmp_path / "probe.png", **WHY).found
        assert vault.check().problems == ()
        assert list(photos.iterdir()) == []
        report = verify.examine(verify.unpack(vault.certificate(vault.erasures()[0].id)))
        assert report.statement, report.checks[-1]
