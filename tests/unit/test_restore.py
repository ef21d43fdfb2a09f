"""Restoring: what is refused leaves nothing, and what is cut short serves nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.conftest import WHY

import countenance
from countenance import errors
from countenance.audit import manifest
from countenance.restore import restore
from countenance.store import faces, shelf, slots, standing, tree


@pytest.fixture
def lost(filled, photos, tmp_path):
    """A backup, an erasure after it, and a machine that is gone but for a replica of the keys."""
    filled.replicate_keys(tmp_path / "replica")
    filled.backup(tmp_path / "backup")
    with filled.database.read() as tx:
        one = faces.stored(tx, state="held")[0]
    filled.erase(filled.scope(photo=one.photo_id), ground="request")
    filled.close()
    shutil.rmtree(filled.path)
    return tmp_path


def piece_of(backup, number=0):
    return sorted((backup / "pieces").iterdir(), key=lambda path: -path.stat().st_size)[number]


def test_a_replica_becomes_the_original_and_stays_a_replica(lost, settings, clock):
    done = restore(lost / "backup", lost / "new", keys=lost / "replica")
    assert (done.epoch_before, done.epoch, done.replayed.erasures) == (1, 2, 1)
    with countenance.open(lost / "new", settings=settings, clock=clock) as vault:
        places = vault.keys_status().places
        assert [(place.role, place.in_step, place.clean) for place in places] == [
            ("original", True, True),
            ("replica", True, True),
        ]
        with vault.database.read() as tx:
            left = faces.stored(tx, state="held")[0]
        vault.erase(vault.scope(photo=left.photo_id))
        assert vault.check().problems == ()
        assert all(place.in_step and place.clean for place in vault.keys_status().places)
        assert vault.keys.epoch == 3
        statement = vault.erasures()[-1]
        assert statement.state == "certified"


def test_the_log_goes_on_under_another_name_and_says_what_is_missing(lost, settings, clock):
    done = restore(lost / "backup", lost / "new", keys=lost / "replica")
    with countenance.open(lost / "new", settings=settings, clock=clock) as vault:
        (line,) = vault.log(kind="vault:restored")
        assert line.public["log-size"] == done.lines
        assert line.public["known-size"] == done.lines + done.lines_missing > done.lines
        assert vault.checkpoint().split("\n")[0].endswith("/restored-1")
        assert vault.verify_log().problems == ()


def test_no_item_number_is_given_twice(lost, settings, clock):
    restore(lost / "backup", lost / "new", keys=lost / "replica")
    with countenance.open(lost / "new", settings=settings, clock=clock) as vault:
        with vault.database.read() as tx:
            assert standing.next_item(tx) > 2**30
        with vault.database.write() as tx:
            item = tx.take_items(1)
        assert len(vault.keys.item_key(item)) == 32
        assert item < tree.ITEMS


def test_restored_twice_it_is_the_same_vault_with_the_next_name(lost, settings, clock):
    restore(lost / "backup", lost / "new", keys=lost / "replica")
    with countenance.open(lost / "new", settings=settings, clock=clock) as vault:
        vault.backup(lost / "second")
    (lost / "newer").mkdir()
    (lost / "new" / "keys").rename(lost / "newer" / "keys")
    assert restore(lost / "second", lost / "newer").replayed.erasures == 0
    with countenance.open(lost / "newer", settings=settings, clock=clock) as vault:
        assert vault.checkpoint().split("\n")[0].endswith("/restored-2")
        assert vault.check().problems == ()


def _flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _resign(path):
    """What somebody without the vault's key can do: sign with another, or move a manifest to another name."""
    path.rename(path.with_name("2099-01-01T00-00-00Z-000000001-00000000"))


@pytest.mark.parametrize(
    ("what", "harm"),
    [
        ("piece", _flip),
        ("piece", lambda path: path.write_bytes(path.read_bytes()[:-1])),
        ("piece", lambda path: path.unlink()),
        ("manifest", _flip),
        ("manifest", lambda path: path.write_bytes(path.read_bytes().replace(b'"epoch":1', b'"epoch":2'))),
        ("manifest", lambda path: path.write_bytes(b"{}")),
        ("manifest", _resign),
    ],
)
def test_a_changed_piece_or_manifest_is_refused_and_nothing_is_left(lost, what, harm):
    harm(piece_of(lost / "backup") if what == "piece" else next((lost / "backup" / "manifests").iterdir()))
    with pytest.raises(errors.BackupDamaged):
        restore(lost / "backup", lost / "new", keys=lost / "replica")
    assert not (lost / "new").exists()
    assert slots.read(lost / "replica" / "epoch.slots")


def test_a_manifest_that_somebody_else_signed_in_this_vaults_name_is_refused(lost):
    (path,) = (lost / "backup" / "manifests").iterdir()
    said = json.loads(path.read_bytes())["manifest"]
    forged = manifest.Manifest(**said | {"pieces": tuple(said["pieces"]), "next_item": 1})
    path.unlink()
    path.with_name(forged.name).write_bytes(manifest.sign(forged, Ed25519PrivateKey.generate()))
    with pytest.raises(errors.BackupDamaged, match="was changed"):
        restore(lost / "backup", lost / "new", keys=lost / "replica")


def test_another_vaults_keys_open_nothing(lost):
    countenance.create(lost / "other")
    (lost / "new").mkdir()
    shutil.copytree(lost / "other" / "keys", lost / "new" / "keys")
    with pytest.raises(errors.BackupDamaged, match="another vault"):
        restore(lost / "backup", lost / "new")
    assert [path.name for path in (lost / "new").iterdir()] == ["keys"]


def test_a_folder_that_holds_anything_else_is_refused_and_left_as_it_is(lost):
    (lost / "new").mkdir()
    (lost / "new" / "file").write_text("x")
    with pytest.raises(errors.VaultExists):
        restore(lost / "backup", lost / "new", keys=lost / "replica")
    assert [path.name for path in (lost / "new").iterdir()] == ["file"]
    with pytest.raises(errors.NotFound):
        restore(lost / "nowhere", lost / "newer", keys=lost / "replica")
    with pytest.raises(errors.NotFound):
        restore(lost / "backup", lost / "newer", keys=lost / "replica", at="2026")
    assert not (lost / "newer").exists()


def test_a_dry_run_restores_nothing_and_says_what_it_would_do(lost):
    would = restore(lost / "backup", lost / "new", keys=lost / "replica", dry_run=True)
    assert not (lost / "new").exists()
    assert would.replayed == restore(lost / "backup", lost / "new", keys=lost / "replica").replayed


def test_with_a_passphrase_the_replica_alone_restores_nothing(tmp_path, settings, clock):
    countenance.create(tmp_path / "vault", passphrase="correct horse")
    with_one = type(settings)(workers=0, passphrase="correct horse")
    with countenance.open(tmp_path / "vault", settings=with_one, clock=clock) as vault:
        vault.replicate_keys(tmp_path / "replica")
        vault.backup(tmp_path / "backup")
    with pytest.raises(errors.WrongKey):
        restore(tmp_path / "backup", tmp_path / "new", keys=tmp_path / "replica", passphrase="wrong")
    assert not (tmp_path / "new").exists()
    restore(tmp_path / "backup", tmp_path / "new", keys=tmp_path / "replica", passphrase="correct horse")


def test_records_in_step_need_no_restore_in_place(filled):
    filled.close()
    before = (filled.path / "records.db").read_bytes()
    with pytest.raises(errors.UsageError, match="in step"):
        restore(filled.path, filled.path)
    assert (filled.path / "records.db").read_bytes() == before
    assert not list(filled.path.glob("*restoring*"))


def test_an_erasure_that_the_backup_knows_unfinished_is_replayed(
    filled, photos, tmp_path, settings, clock, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr("countenance.store.keys.Keys.advance", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            filled.erase(filled.scope(source=filled.sources("club")[0].id))
    filled.backup(tmp_path / "backup")
    assert [each.state for each in filled.resume()] == ["certified"]
    filled.close()
    (tmp_path / "new").mkdir()
    shutil.move(filled.path / "keys", tmp_path / "new" / "keys")
    restore(tmp_path / "backup", tmp_path / "new")
    with countenance.open(tmp_path / "new", settings=settings, clock=clock) as vault:
        assert [each.state for each in vault.erasures()] == ["replayed"]
        assert vault.warning == ""
        assert vault.sources() == []
        assert vault.check().problems == ()


KILLED = """
import os, signal, sys
from countenance.restore import restore
from countenance.store import slots

backup, path, keys, at = sys.argv[1:]
count = 0

def wrap(real):
    def call(*args, **more):
        global count
        count += 1
        if count == int(at):
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **more)
    return call

for name in ("write", "pwrite", "fsync", "replace", "unlink", "open", "rename", "mkdir"):
    setattr(os, name, wrap(getattr(os, name)))
restore(backup, path, keys=None if keys == "-" else keys)
os._exit(0)
"""


@pytest.mark.parametrize("given", [True, False])
def test_a_restore_killed_at_any_step_serves_nothing_and_can_be_run_again(lost, settings, clock, tally, given):
    for at in range(1, 80, 4):
        path, here = lost / f"new{at}", shutil.copytree(lost / "replica", lost / f"replica{at}")
        if not given:
            path.mkdir()
            shutil.copytree(here, path / "keys")
            (path / "keys" / "replica.json").unlink()
        keys = here if given else "-"
        command = [sys.executable, "-c", KILLED, lost / "backup", path, keys, str(at)]
        done = subprocess.run(command, check=False)
        if not (path / "records.db").exists():
            with pytest.raises((errors.VaultMissing, errors.VaultDamaged)):
                countenance.open(path, settings=settings, clock=clock)
            restore(lost / "backup", path, keys=here if given else None)
        with countenance.open(path, settings=settings, clock=clock) as vault:
            assert vault.check().problems == ()
            assert [each.state for each in vault.erasures()] == ["replayed"]
            assert vault.counts("club")["faces"] == 2
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        tally["steps at which a restore was killed"] += 1
    assert at > 15


def test_the_manifest_names_what_it_is(lost):
    (name,) = shelf.Folder(lost / "backup").names(shelf.MANIFESTS)
    keys = countenance.store.keys.Keys.open(lost / "replica")
    found = manifest.verify((lost / "backup" / "manifests" / name).read_bytes(), name, keys.public_key())
    assert (found.epoch, found.format) == (1, manifest.FORMAT)
    assert os.fspath(lost) not in (lost / "backup" / "manifests" / name).read_text()
    assert WHY["collection"] not in (lost / "backup" / "manifests" / name).read_text()
