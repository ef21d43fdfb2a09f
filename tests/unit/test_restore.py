"""Restoring: what is refused leaves nothing, and what is cut short serves nothing."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.conftest import WHY
from tests.orders import ASSESSMENT, order_text

import countenance
from countenance import errors
from countenance.audit import manifest, verify_order
from countenance.restore import restore
from countenance.store import faces, shelf, slots, standing, tree


@pytest.fixture
def lost(filled, photos, tmp_path):
    """A backup, an erasure after it, and a machine that is gone but for a replica of the keys."""
    filled.custody.replicate(tmp_path / "replica")
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
        places = vault.custody.status().places
        assert [(place.role, place.in_step, place.clean) for place in places] == [
            ("original", True, True),
            ("replica", True, True),
        ]
        with vault.database.read() as tx:
            left = faces.stored(tx, state="held")[0]
        vault.erase(vault.scope(photo=left.photo_id))
        assert vault.check().problems == ()
        assert all(place.in_step and place.clean for place in vault.custody.status().places)
        assert vault.keys.epoch == 3
        statement = vault.erasures.list()[-1]
        assert statement.state == "certified"


def test_the_log_goes_on_under_another_name_and_says_what_is_missing(lost, settings, clock):
    done = restore(lost / "backup", lost / "new", keys=lost / "replica")
    with countenance.open(lost / "new", settings=settings, clock=clock) as vault:
        (line,) = vault.log.lines(kind="vault:restored")
        assert line.public["log-size"] == done.lines
        assert line.public["known-size"] == done.lines + done.lines_missing > done.lines
        assert vault.log.checkpoint().split("\n")[0].endswith("/restored-1")
        assert vault.log.verify().problems == ()


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
        assert vault.log.checkpoint().split("\n")[0].endswith("/restored-2")
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
    countenance.create(tmp_path / "vault", passphrase="correct horse", clock=clock)
    with_one = type(settings)(workers=0, passphrase="correct horse")
    with countenance.open(tmp_path / "vault", settings=with_one, clock=clock) as vault:
        vault.custody.replicate(tmp_path / "replica")
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
        assert [each.state for each in vault.erasures.list()] == ["replayed"]
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
            assert [each.state for each in vault.erasures.list()] == ["replayed"]
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


# Orders


def an_order(vault, *, scope="{everything: yes}", measures="[stop]", confirm=True):
    order = vault.orders.draft(order_text(scope=scope, measures=measures))
    number = vault.orders.preview(order.id).stopped if confirm else None
    return vault.orders.approve(order.id, confirm=number).id


def hits(vault, photos):
    return vault.search(photos / "portrait.png", **WHY).found


def restored(tmp_path, vault, photos, settings, clock):
    """The backup from before, with today's keys: the vault that comes of it."""
    vault.close()
    (tmp_path / "new").mkdir()
    shutil.copytree(vault.path / "keys", tmp_path / "new" / "keys")
    done = restore(tmp_path / "backup", tmp_path / "new", clock=clock)
    return done, countenance.open(tmp_path / "new", settings=settings, clock=clock)


@pytest.mark.parametrize("known", [False, True], ids=["before the draft", "after the draft"])
@pytest.mark.parametrize("rotated", [False, True])
def test_an_order_approved_since_the_backup_is_in_force_before_the_restored_vault_serves(
    filled, photos, tmp_path, settings, clock, known, rotated
):
    text = order_text(scope="{everything: yes}", measures="[stop]")
    order = filled.orders.draft(text) if known else None
    filled.backup(tmp_path / "backup")
    order = order or filled.orders.draft(text)
    filled.orders.approve(order.id, by="First Person", confirm=4)
    if rotated:
        filled.custody.rotate()
    done, vault = restored(tmp_path, filled, photos, settings, clock)
    with vault:
        assert done.orders == 1
        (found,) = vault.orders.list()
        assert (found.id, found.state, found.approved_by) == (order.id, "stopped", ("First Person",))
        with pytest.raises(errors.Refused, match="case A 1"):
            hits(vault, photos)
        assert vault.add(photos).refused == {}
        (photos / "new.png").write_bytes((photos / "portrait.png").read_bytes() + b"1")
        assert vault.add(photos).refused == {"order": 1}
        assert [line.kind for line in vault.log.lines() if line.kind == "order:restored"] == ["order:restored"]
        assert vault.log.verify().problems == vault.check().problems == ()


def test_an_order_carried_out_since_the_backup_is_carried_out_again_and_proves_it(
    filled, photos, tmp_path, settings, clock
):
    filled.backup(tmp_path / "backup")
    text = order_text(scope="{everything: yes}", more="delete_by: 2026-11-24\ndaily: EUR 100")
    order = filled.orders.draft(text)
    filled.orders.approve(order.id, confirm=4)
    filled.orders.carry_out(order.id, signed_by="A Named Person")
    clock.forward(days=10)
    done, vault = restored(tmp_path, filled, photos, settings, clock)
    with vault:
        assert (done.orders, done.replayed.erasures) == (1, 1)
        assert vault.orders.show(order.id).state == "stopped"
        assert "A restore did it again" in vault.why(vault.erasures.list()[0].id).sentences[0]
        assert vault.orders.show(order.id).deadline.late == 0  # it was carried out in time, the first time
        with pytest.raises(errors.UsageError, match="has a proof"):
            vault.orders.proof(order.id)
        vault.orders.carry_out(order.id, signed_by="Another Person")
        assert vault.orders.show(order.id).deadline.late == 0
        zipfile.ZipFile(io.BytesIO(vault.orders.proof(order.id))).extractall(tmp_path / "proof")
        assert verify_order.main([str(tmp_path / "proof"), "--key", vault.keys.public_key().hex()]) == 0


def test_an_order_lifted_since_the_backup_is_not_in_force_and_hides_nothing(filled, photos, tmp_path, settings, clock):
    first, second = an_order(filled), an_order(filled, scope="{territories: [GB]}")
    filled.backup(tmp_path / "backup")
    filled.orders.lift(first, reason="won on appeal", assessment=ASSESSMENT)
    done, vault = restored(tmp_path, filled, photos, settings, clock)
    with vault:
        assert done.orders == 1
        assert {each.id: each.state for each in vault.orders.list()} == {first: "lifted", second: "stopped"}
        assert not hits(vault, photos)  # the other one reaches what has no evidence
        assert {photo.state for photo in vault.photos(vault.sources("club")[0].id)} == {"stopped"}
        vault.orders.lift(second, reason="r", assessment=ASSESSMENT)
        assert hits(vault, photos)
        assert vault.check().problems == ()


def test_what_an_order_lifted_since_the_backup_hid_stays_hidden_where_a_restriction_names_it(
    filled, photos, tmp_path, settings, clock
):
    order = an_order(filled)
    restricted = [photo.id for photo in filled.photos(filled.sources("club")[0].id) if photo.state == "stopped"]
    for photo_id in restricted:
        filled.faces.restrict(photo_id, ground="accuracy")
    filled.backup(tmp_path / "backup")
    filled.orders.lift(order, reason="won on appeal", assessment=ASSESSMENT)
    _, vault = restored(tmp_path, filled, photos, settings, clock)
    with vault:
        assert vault.orders.show(order).state == "lifted"
        assert not hits(vault, photos)
        still = {photo.id for photo in vault.photos(vault.sources("club")[0].id) if photo.state == "stopped"}
        assert still == set(restricted)


def test_records_put_back_from_before_an_approval_serve_only_with_the_order_in_force(
    filled, photos, tmp_path, settings, clock
):
    """Nothing was rotated since, so nothing else tells these records from today's."""
    filled.close()
    shutil.copytree(filled.path, tmp_path / "old")
    with countenance.open(filled.path, settings=settings, clock=clock) as vault:
        order = an_order(vault)
    shutil.copy(tmp_path / "old" / "records.db", filled.path / "records.db")
    with countenance.open(filled.path, settings=settings, clock=clock) as vault:
        assert vault.orders.show(order).state == "stopped"
        with pytest.raises(errors.Refused, match="case A 1"):
            hits(vault, photos)
        assert vault.log.verify().problems == ()


def test_an_approval_cut_short_after_it_was_noted_is_in_force_at_the_next_open(
    filled, photos, settings, clock, monkeypatch
):
    note = filled.keys.note

    class Killed(BaseException):
        pass

    def die(record):
        note(record)
        raise Killed

    monkeypatch.setattr(filled.keys, "note", die)
    with pytest.raises(Killed):
        an_order(filled)
    assert [each.state for each in filled.orders.list()] == ["drafted"]
    filled.close()
    with countenance.open(filled.path, settings=settings, clock=clock) as vault:
        assert [each.state for each in vault.orders.list()] == ["stopped"]
        assert vault.log.verify().problems == vault.check().problems == ()


def test_a_lifting_cut_short_before_it_was_noted_is_noted_at_the_next_open(
    filled, photos, tmp_path, settings, clock, monkeypatch
):
    order = an_order(filled)
    filled.backup(tmp_path / "backup")

    class Killed(BaseException):
        pass

    def die(_):
        raise Killed

    monkeypatch.setattr(filled.keys, "note", die)
    with pytest.raises(Killed):
        filled.orders.lift(order, reason="r", assessment=ASSESSMENT)
    filled.close()
    with countenance.open(filled.path, settings=settings, clock=clock) as vault:
        assert vault.orders.show(order).state == "lifted"
        assert [each.order["state"] for each in vault.keys.noted()] == ["approved", "lifted"]
        _, again = restored(tmp_path, vault, photos, settings, clock)
    with again:
        assert again.orders.show(order).state == "lifted"
        assert hits(again, photos)


def test_a_replica_that_cannot_be_reached_keeps_no_order_from_coming_into_force(filled, tmp_path, settings, clock):
    filled.custody.replicate(tmp_path / "replica")
    (tmp_path / "replica").rename(tmp_path / "away")
    order = an_order(filled)
    assert filled.orders.show(order).state == "stopped"
    filled.close()
    (tmp_path / "away").rename(tmp_path / "replica")
    with countenance.open(filled.path, settings=settings, clock=clock) as vault:
        assert all(place.in_step for place in vault.custody.status().places)
        assert (tmp_path / "replica" / "ledger").read_bytes() == (filled.path / "keys" / "ledger").read_bytes()


def test_the_ledger_keeps_an_orders_names_under_the_orders_own_key_only(filled):
    order = filled.orders.draft(order_text(scope="{everything: yes}"))
    filled.orders.approve(order.id, by="First Person", confirm=4)
    (noted,) = filled.keys.noted()
    assert not any(name in str(noted) for name in ("An Authority", "case A 1", "First Person"))


def test_a_replica_knows_an_order_as_soon_as_it_is_in_force(filled, tmp_path):
    filled.custody.replicate(tmp_path / "replica")
    an_order(filled)
    assert (tmp_path / "replica" / "ledger").read_bytes() == (filled.path / "keys" / "ledger").read_bytes() != b""
