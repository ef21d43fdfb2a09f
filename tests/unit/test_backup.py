"""Backing up: incremental, while others write, and whole or not there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

import pytest
from tests.conftest import STATED

import countenance
from countenance import errors
from countenance.orders import residue
from countenance.restore import restore
from countenance.settings import Settings
from countenance.store import shelf, snapshot
from countenance.store.lock import held


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def grown(vault, mebibytes):
    """Make the records so large with bytes that stand for sealed ones."""
    with vault.database.write() as tx:
        tx.sql.exec_driver_sql("CREATE TABLE ballast (bytes BLOB)")
        for _ in range(mebibytes):
            tx.sql.exec_driver_sql("INSERT INTO ballast VALUES (?)", (os.urandom(1 << 20),))


def test_a_second_backup_of_an_unchanged_vault_writes_nothing_and_logs_nothing(filled, tmp_path):
    first = filled.backup(tmp_path / "b")
    before, log = files(tmp_path / "b"), filled.log.lines()
    second = filled.backup(tmp_path / "b")
    assert (second.name, second.new, second.bytes_written) == (first.name, 0, 0)
    assert files(tmp_path / "b") == before
    assert filled.log.lines() == log
    assert [line.kind for line in log].count("vault:backed-up") == 1


def test_only_the_pieces_that_changed_are_written_again(filled, tmp_path):
    grown(filled, 12)
    first = filled.backup(tmp_path / "b")
    filled.create_collection("another")
    second = filled.backup(tmp_path / "b")
    assert first.new > 12
    assert 1 <= second.new <= 4
    assert second.bytes_written < first.bytes_written / 2
    assert len(list((tmp_path / "b" / "manifests").iterdir())) == 2


def test_a_dry_run_says_how_much_would_be_written_and_writes_nothing(filled, tmp_path, settings, clock):
    before = filled.log.lines()
    with countenance.open(filled.path, settings=settings, clock=clock, dry_run=True) as dry:
        would = dry.backup(tmp_path / "b")
    assert not (tmp_path / "b").exists()
    assert filled.log.lines() == before
    done = filled.backup(tmp_path / "b")
    assert would.pieces == done.pieces
    assert abs(would.bytes_written - done.bytes_written) < 10_000


def test_keeping_so_many_drops_older_backups_and_the_pieces_that_only_they_name(filled, tmp_path, clock):
    names = []
    for number in range(4):
        names.append(filled.backup(tmp_path / "b").name)
        clock.forward(minutes=1)
        filled.create_collection(f"collection {number}")
    done = filled.backup(tmp_path / "b", keep=2)
    assert done.dropped == 3
    left = sorted(path.name for path in (tmp_path / "b" / "manifests").iterdir())
    assert left == sorted([names[-1], done.name])
    said = [json.loads((tmp_path / "b" / "manifests" / name).read_bytes())["manifest"] for name in left]
    named = {piece for each in said for piece in [*each["pieces"], each["about"]]}
    assert {path.name for path in (tmp_path / "b" / "pieces").iterdir()} == named
    with pytest.raises(errors.UsageError):
        filled.backup(tmp_path / "b", keep=0)


def test_another_vaults_backups_a_changed_manifest_and_a_place_inside_the_vault_are_refused(filled, tmp_path, settings):
    countenance.create(tmp_path / "other")
    with countenance.open(tmp_path / "other", settings=settings) as other:
        other.backup(tmp_path / "b")
    with pytest.raises(errors.UsageError, match="another vault"):
        filled.backup(tmp_path / "b")
    with pytest.raises(errors.UsageError, match="inside the vault"):
        filled.backup(filled.path / "b")
    name = filled.backup(tmp_path / "c").name
    (manifest,) = (tmp_path / "c" / "manifests").iterdir()
    manifest.write_bytes(manifest.read_bytes().replace(b'"epoch":1', b'"epoch":2'))
    with pytest.raises(errors.UsageError, match=name):
        filled.backup(tmp_path / "c")


def test_a_backup_while_others_write_is_a_consistent_moment(filled, tmp_path, clock, reopen):
    other, stop, made = reopen(), threading.Event(), []

    def write():
        while not stop.is_set():
            made.append(other.create_collection(f"collection {len(made)}").id)

    grown(filled, 8)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        names = [filled.backup(tmp_path / "b").name for _ in range(3)]
    finally:
        stop.set()
        writer.join()
    assert len(made) > 3
    filled.close()
    other.close()
    for name in names:
        path = tmp_path / name
        path.mkdir()
        (path / "keys").symlink_to(filled.path / "keys")
        restore(tmp_path / "b", path, at=name)
        with countenance.open(path, settings=Settings(workers=0), clock=clock) as vault:
            assert vault.log.verify().problems == ()
            assert vault.database.integrity() == []
            kept = [each.id for each in vault.collections()][1:]
        assert kept == made[: len(kept)]


def test_a_backup_and_an_erasure_at_once_do_not_get_into_each_others_way(filled, photos, tmp_path, settings):
    grown(filled, 8)
    stop, done = threading.Event(), []

    def back_up():
        while not stop.is_set():
            filled.create_collection(f"collection {len(done)}")
            done.append(filled.backup(tmp_path / "b"))

    writer = threading.Thread(target=back_up)
    writer.start()
    try:
        source = filled.sources("club")[0].id
        assert filled.erase(filled.scope(source=source)).state == "certified"
    finally:
        stop.set()
        writer.join()
    assert done


def test_no_copy_of_the_records_has_a_name_while_an_erasure_searches_the_files(filled, monkeypatch):
    scan, free = residue.scan, []

    def watched(*args, **more):
        with held(filled.path / snapshot.COPYING, wait=False) as mine:
            free.append(mine)
        return scan(*args, **more)

    monkeypatch.setattr(residue, "scan", watched)
    (filled.path / snapshot.NAME).write_bytes((filled.path / "records.db").read_bytes())  # a killed backup's
    assert filled.erase(filled.scope(source=filled.sources("club")[0].id)).state == "certified"
    assert free == [False]


KILLED = """
import os, signal, sys
from pathlib import Path
import countenance
from countenance.settings import Settings
from countenance.store import state

path, backup, at = sys.argv[1:]
count = 0

def wrap(real):
    def call(*args, **more):
        global count
        count += 1
        if count == int(at):
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **more)
    return call

vault = countenance.open(path, settings=Settings(workers=0))
for name in ("write", "fsync", "replace", "unlink", "open"):
    setattr(os, name, wrap(getattr(os, name)))
vault.backup(backup)
os._exit(0)
"""


def test_a_backup_killed_at_any_step_is_not_there_and_the_next_one_is_whole(filled, tmp_path, settings, clock, tally):
    filled.close()
    for at in range(1, 40, 4):
        backup = tmp_path / f"b{at}"
        done = subprocess.run([sys.executable, "-c", KILLED, filled.path, backup, str(at)], check=False)
        with countenance.open(filled.path, settings=settings, clock=clock) as vault:
            assert not (filled.path / snapshot.NAME).exists()
            vault.create_collection(f"after {at}")
            vault.backup(backup)
        path = tmp_path / f"r{at}"
        path.mkdir()
        (path / "keys").symlink_to(filled.path / "keys")
        for name in shelf.Folder(backup).names(shelf.MANIFESTS):  # two, if it was killed at its very end
            restore(backup, path, at=name, dry_run=True)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        tally["steps at which a backup was killed"] += 1
    assert at > 20


def test_what_is_added_says_nothing_personal_of_the_place(filled, tmp_path):
    filled.backup(tmp_path / "a secret place")
    (line,) = filled.log.lines(kind="vault:backed-up")
    assert line.public == {"epoch": 1}
    with suppress(FileNotFoundError):
        assert b"secret" not in (filled.path / "records.db-wal").read_bytes()


def test_a_bucket_without_obstore_says_what_to_install(filled, monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(errors.UsageError, match=r"countenance\[bucket\]"):
        filled.backup("s3://bucket/vault")


def test_a_bucket_holds_the_same_as_a_folder(filled, tmp_path, monkeypatch, clock):
    stores = pytest.importorskip("obstore.store")
    memory = stores.MemoryStore()
    monkeypatch.setattr(stores, "from_url", lambda _: memory)
    first = filled.backup("s3://bucket/vault")
    clock.forward(minutes=1)
    filled.create_collection("one", **STATED)
    second = filled.backup("s3://bucket/vault", keep=1)
    assert (first.new > 0, second.dropped) == (True, 1)
    assert filled.backup("s3://bucket/vault").new == 0
    filled.close()
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "keys").symlink_to(filled.path / "keys")
    assert restore("s3://bucket/vault", tmp_path / "new").backup == second.name
    with pytest.raises(errors.NotFound):
        restore("s3://bucket/vault", tmp_path / "newer", at=first.name, keys=filled.path / "keys")
