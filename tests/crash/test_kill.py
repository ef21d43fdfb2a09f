"""An erasure killed with SIGKILL at any moment is either not begun or finished by the next process, and never half seen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

import pytest
from tests.conftest import STATED, WHY

import countenance
from countenance.audit import verify

SHARES = (0.55, 0.7, 0.8, 0.85, 0.9, 0.95)  # of the time that an undisturbed erasure takes, its start-up included


def erase(vault_path, source_id):
    return subprocess.Popen(
        [sys.executable, "-m", "countenance", "erase", "--source", source_id, "--yes", "--vault", str(vault_path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "COUNTENANCE_WORKERS": "1"},
    )


@pytest.fixture
def prepared(tmp_path, photos, settings):
    """A vault with four photos of a source that deletes, closed; and copies of both to start from each time."""
    path = tmp_path / "vault"
    countenance.create(path)
    with countenance.open(path, settings=settings) as vault:
        vault.create_collection("club", **STATED)
        source = vault.create_source(photos, collection="club", controller="x", evidence="y", on_erase="delete").id
        vault.add(source)
    for name in ("vault", "photos"):
        shutil.copytree(tmp_path / name, tmp_path / f"{name}-before")
    return path, source


def start_again(tmp_path):
    for name in ("vault", "photos"):
        shutil.rmtree(tmp_path / name)
        shutil.copytree(tmp_path / f"{name}-before", tmp_path / name)


def test_an_erasure_killed_at_any_moment_is_not_begun_or_is_finished_by_the_next_open(
    prepared, tmp_path, photos, settings, portrait
):
    path, source = prepared
    portrait.save(tmp_path / "probe.png")
    begun = time.monotonic()
    assert erase(path, source).wait() == 0
    whole = time.monotonic() - begun
    for share in SHARES:
        start_again(tmp_path)
        running = erase(path, source)
        try:
            running.wait(whole * share)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
        with countenance.open(path, settings=settings) as vault:
            found = vault.search(tmp_path / "probe.png", **WHY).found
            erasures = vault.erasures()
            assert vault.check().problems == ()
            if not erasures:
                assert found
                assert len(list(photos.iterdir())) == 4
                continue
            assert not found
            assert [erasure.state for erasure in erasures] == ["certified"]
            assert list(photos.iterdir()) == []
            report = verify.examine(verify.unpack(vault.certificate(erasures[0].id)))
            assert report.statement, report.checks[-1]
