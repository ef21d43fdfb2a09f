"""Replicas and rotations as an open vault has them: what is held back, what is finished, what is refused."""

from __future__ import annotations

import shutil

import pytest
from sqlalchemy import select
from tests.conftest import WHY

import countenance
from countenance import errors
from countenance.store import erasures, slots, standing, tree
from countenance.store.keys import Keys
from countenance.store.tables import metadata


@pytest.fixture
def replicated(filled, tmp_path):
    """The filled vault with a live replica of its keys."""
    filled.custody.replicate(tmp_path / "replica")
    return filled


def scope_of_all(vault, photos):
    return vault.scope(search=vault.search(photos / "portrait.png", **WHY).id)


def certified_keys(vault):
    with vault.database.read() as tx:
        return erasures.every(tx)[-1].progress["keys"]


def test_a_certificate_counts_the_replicas_that_destroyed_the_key_too(replicated, photos):
    assert replicated.erase(scope_of_all(replicated, photos)).state == "certified"
    assert certified_keys(replicated)["replicas"] == 1
    assert [place.clean and place.in_step for place in replicated.custody.status().places] == [True, True]


def test_without_a_replica_the_certificate_says_none(filled, photos):
    filled.erase(scope_of_all(filled, photos))
    assert certified_keys(filled)["replicas"] == 0


def test_a_replica_out_of_reach_leaves_an_erasure_unfinished_and_everything_in_scope_hidden(
    replicated, photos, tmp_path, reopen
):
    scope = scope_of_all(replicated, photos)
    probe = tmp_path / "probe.png"
    shutil.copy(photos / "portrait.png", probe)
    (tmp_path / "replica").rename(tmp_path / "away")
    with pytest.raises(errors.ReplicaUnreachable, match="--resume"):
        replicated.erase(scope)
    assert replicated.keys.epoch == 1
    other = reopen()
    assert "cannot be brought along" in other.warning
    for vault in (replicated, other):
        assert not vault.search(probe, **WHY).found
        assert [each.state for each in vault.erasures.list()] == ["stopped"]
    (tmp_path / "away").rename(tmp_path / "replica")
    assert [each.state for each in other.resume()] == ["certified"]
    assert certified_keys(other)["replicas"] == 1
    assert other.check().problems == ()


def test_a_replica_taken_off_the_list_lets_the_erasure_go_on(replicated, photos, tmp_path, reopen):
    scope = scope_of_all(replicated, photos)
    (tmp_path / "replica").rename(tmp_path / "away")
    with pytest.raises(errors.ReplicaUnreachable):
        replicated.erase(scope)
    assert replicated.custody.remove_replica(tmp_path / "replica") is False
    assert [each.state for each in replicated.resume()] == ["certified"]
    kinds = [line.kind for line in replicated.log.lines()]
    assert "keys:replicated" in kinds
    assert [line.public for line in replicated.log.lines(kind="keys:replica-removed")] == [{"destroyed": False}]


def test_an_erasure_delayed_while_another_was_finished_states_its_own_epochs(replicated, photos, tmp_path):
    with replicated.database.read() as tx:
        face = tx.sql.execute(select(metadata.tables["face"].c.photo_id)).scalars().all()
    first, second = replicated.scope(photo=face[0]), replicated.scope(photo=face[1])
    (tmp_path / "replica").rename(tmp_path / "away")
    with pytest.raises(errors.ReplicaUnreachable):
        replicated.erase(first)
    (tmp_path / "away").rename(tmp_path / "replica")
    replicated.erase(second)
    replicated.resume()
    with replicated.database.read() as tx:
        found = {each.id: each.progress["keys"] for each in erasures.every(tx)}
    epochs = [(keys["epoch_before"], keys["epoch_after"]) for keys in found.values()]
    assert epochs == [(2, 3), (1, 2)]
    assert replicated.check().problems == ()


def test_a_replica_lost_behind_the_point_of_no_return_keeps_the_erasure_from_its_certificate(
    replicated, photos, tmp_path, monkeypatch, reopen
):
    scope, clear = scope_of_all(replicated, photos), slots.clear

    def lose(path, epoch):
        if path.parent == tmp_path / "replica":
            raise OSError(5, "gone")
        clear(path, epoch)

    monkeypatch.setattr(slots, "clear", lose)
    with pytest.raises(errors.ReplicaUnreachable):
        replicated.erase(scope)
    assert replicated.keys.epoch == 2
    other = reopen()
    assert [each.state for each in other.erasures.list()] == ["stopped"]
    monkeypatch.undo()
    assert [each.state for each in other.resume()] == ["certified"]
    assert certified_keys(other)["replicas"] == 1


def test_a_rotation_punctures_what_was_discarded_and_other_processes_follow(filled, photos, portrait, reopen):
    other = reopen()
    portrait.rotate(180).save(photos / "smaller.jpg")
    filled.add(photos)
    with filled.database.read() as tx:
        discarded = erasures.discarded(tx)
    assert discarded
    assert filled.custody.rotate() == 2
    for item in discarded:
        with pytest.raises(tree.Punctured):
            filled.keys.item_key(item)
    with filled.database.read() as tx:
        assert (erasures.discarded(tx), standing.epoch(tx)) == ([], 2)
    (line,) = filled.log.lines(kind="keys:rotated")
    assert line.public["items"] == len(discarded)
    assert filled.check().problems == ()
    assert other.search(photos / "portrait.png", **WHY).found
    other.keys.reload()
    assert other.keys.epoch == 2


def test_a_rotation_cut_short_after_the_keys_moved_on_is_finished_at_the_next_open(filled, monkeypatch, reopen):
    with monkeypatch.context() as patch:
        patch.setattr("countenance.custody._rotated", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            filled.custody.rotate()
    other = reopen()
    with other.database.read() as tx:
        assert standing.epoch(tx) == other.keys.epoch == 2
    assert len(other.log.lines(kind="keys:rotated")) == 1


def test_records_from_before_a_plain_rotation_are_refused_too(filled, vault_path, tmp_path, settings, clock):
    filled.database.truncate_wal()
    shutil.copy(vault_path / "records.db", tmp_path / "old.db")
    filled.create_collection("later")
    filled.custody.rotate()
    filled.close()
    shutil.copy(tmp_path / "old.db", vault_path / "records.db")
    with pytest.raises(errors.RecordsOld):
        countenance.open(vault_path, settings=settings, clock=clock)


def test_an_erasure_that_stopped_does_not_make_older_records_pass_for_current(
    filled, photos, vault_path, tmp_path, settings, clock, monkeypatch
):
    with filled.database.read() as tx:
        ids = tx.sql.execute(select(metadata.tables["face"].c.photo_id)).scalars().all()
    with monkeypatch.context() as patch:
        patch.setattr(Keys, "advance", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            filled.erase(filled.scope(photo=ids[0]))
    filled.database.truncate_wal()
    shutil.copy(vault_path / "records.db", tmp_path / "old.db")  # the first has noted epoch 1 and not got there
    filled.erase(filled.scope(photo=ids[1]))
    filled.close()
    shutil.copy(tmp_path / "old.db", vault_path / "records.db")
    with pytest.raises(errors.RecordsOld):
        countenance.open(vault_path, settings=settings, clock=clock)


def test_status_warns_of_what_an_operator_must_do(filled, tmp_path):
    assert "There is no replica" in filled.custody.status().warnings[0]
    filled.custody.replicate(tmp_path / "replica")
    assert "same file system" in filled.custody.status().warnings[0]
    (tmp_path / "replica").rename(tmp_path / "away")
    assert "cannot be reached" in filled.custody.status().warnings[0]
    (filled.path / "keys" / "ledger").write_bytes(b"")
    assert not filled.custody.status().warnings[-1].startswith("The erasure ledger")  # nothing was to be in it yet
    (tmp_path / "away").rename(tmp_path / "replica")
    filled.custody.rotate()
    (filled.path / "keys" / "ledger").write_bytes(b"")
    assert filled.custody.status().warnings[-1].startswith("The erasure ledger is not whole")
