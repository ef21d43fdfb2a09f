"""Live replicas: in one epoch with the original after a stop at any step, and never one that keeps an old key."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from countenance.errors import CountenanceError, KeysOld, NotFound, ReplicaUnreachable, UsageError, VaultExists
from countenance.store import slots
from countenance.store.keys import Keys
from countenance.store.replicas import enlist
from countenance.store.tree import Punctured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ERASED, KEPT = 5, 6
CALLS = ("open", "write", "pwrite", "fsync", "unlink", "ftruncate", "rename", "replace")


class Stop(BaseException):
    """The process ends here."""


@contextmanager
def interrupted(monkeypatch: pytest.MonkeyPatch, at: int, how: str) -> Iterator[list[int]]:
    """Stop at the `at`-th call that changes a file: before it, half way through it, after it, or with an error."""
    count = [0]

    def wrap(name: str, real: Callable) -> Callable:
        def call(first, *rest, **more):
            if name == "open" and not (rest and rest[0] & os.O_CREAT):
                return real(first, *rest, **more)
            count[0] += 1
            if count[0] - 1 != at:
                return real(first, *rest, **more)
            if how == "EIO":
                raise OSError(errno.EIO, how)
            if how == "half" and name in ("write", "pwrite"):
                real(first, bytes(rest[0])[: len(rest[0]) // 2], *rest[1:])
            if how == "after":
                with suppress(OSError):
                    real(first, *rest, **more)
            raise Stop

        return call

    with monkeypatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, wrap(name, getattr(os, name)))
        yield count


def gone(keys: Keys) -> bool:
    try:
        keys.item_key(ERASED)
    except Punctured:
        return True
    return False


def in_one_epoch(keys: Keys, *folders: Path) -> bool:
    """Every folder holds the one slot of the epoch, the other all zero, its state alone, and the same ledger."""
    found = [slots.read(folder / "epoch.slots") for folder in folders]
    ledgers = {(folder / "ledger").read_bytes() for folder in folders}
    states = [[path.name for path in folder.glob("state.*")] for folder in folders]
    clean = all(slots.clean(folder / "epoch.slots", keys.epoch + 1) for folder in folders)
    whole = [record.epoch for record in keys.history()] == list(range(2, keys.epoch + 1))
    same = all(each == found[0] and len(each) == 1 and each[0].epoch == keys.epoch for each in found)
    return same and clean and whole and len(ledgers) == 1 and states == [[f"state.{keys.epoch}"]] * len(folders)


def holds(folder: Path, secret: bytes) -> bool:
    return any(secret in path.read_bytes() for path in folder.iterdir())


class Trio:
    """An original and two replicas after one rotation."""

    def __init__(self, root: Path, passphrase: str | None) -> None:
        self.root, self.passphrase = root, passphrase
        self.folders = [root / "vault" / "keys", root / "a", root / "b"]
        self.original = self.folders[0]

    @classmethod
    def make(cls, root: Path, passphrase: str | None) -> Trio:
        made = cls(root, passphrase)
        (root / "vault").mkdir(parents=True)
        keys = Keys.create(made.original, "passphrase" if passphrase else "slot-file", passphrase, cost=16)
        for folder in made.folders[1:]:
            keys.replicate(folder)
        keys.advance([1])
        return made

    def copy(self, root: Path) -> Trio:
        """The same elsewhere: the list of replicas names the copies."""
        shutil.copytree(self.root, root)
        there = Trio(root, self.passphrase)
        enlist(there.open()._source(), there.folders[1:])
        return there

    def open(self) -> Keys:
        return Keys.open(self.original, self.passphrase)

    @property
    def secret(self) -> bytes:
        return slots.read(self.original / "epoch.slots")[0].payload


@pytest.fixture(params=[None, "correct horse"], ids=["slot-file", "passphrase"])
def trio(request: pytest.FixtureRequest, tmp_path: Path) -> Trio:
    return Trio.make(tmp_path / "start", request.param)


def test_a_rotation_brings_every_replica_along_and_leaves_no_old_key_in_any(trio: Trio) -> None:
    keys, old, before = trio.open(), trio.secret, trio.open().item_key(KEPT)
    keys.advance([ERASED])
    assert in_one_epoch(keys, *trio.folders)
    assert not any(holds(folder, old) for folder in trio.folders)
    for folder in trio.folders[1:]:
        replica = Keys.open(folder, trio.passphrase)
        assert replica.item_key(KEPT) == before
        assert gone(replica)
    assert keys.align() == 2


@pytest.mark.parametrize("how", ["before", "after", "half", "EIO"])
def test_a_rotation_stopped_at_any_call_ends_in_one_epoch_everywhere(tmp_path, monkeypatch, how, tally) -> None:
    trio = Trio.make(tmp_path / "start", None)
    old, epochs = trio.secret, []
    for at in itertools.count():
        here = trio.copy(tmp_path / str(at))
        running = here.open()
        with interrupted(monkeypatch, at, how) as count, suppress(Stop, OSError, CountenanceError):
            running.advance([ERASED])
        if count[0] <= at:
            break
        for folder in here.folders[1:]:  # a replica alone always opens, as what the original may become
            copy = shutil.copytree(folder, tmp_path / f"{at}-{folder.name}")
            assert Keys.open(copy, here.passphrase).epoch in (2, 3)
        keys = here.open()
        assert keys.align() == 2
        assert in_one_epoch(keys, *here.folders)
        assert gone(keys) == (keys.epoch == 3)
        assert any(holds(folder, old) for folder in here.folders) == (keys.epoch == 2)
        epochs.append(keys.epoch)
        keys.advance([ERASED])
        assert in_one_epoch(keys, *here.folders)
        assert gone(keys)
        assert not any(holds(folder, old) for folder in here.folders)
        tally["points at which a rotation with replicas was stopped"] += 1
    assert at > 40
    assert set(epochs) == {2, 3}
    assert how == "EIO" or epochs == sorted(epochs)  # once the new epoch stands it stays


def test_a_recovery_of_replicas_that_is_itself_stopped_at_any_call_recovers(tmp_path, monkeypatch) -> None:
    trio = Trio.make(tmp_path / "start", None)
    tried = 0
    for at in range(0, 60, 4):
        crashed = trio.copy(tmp_path / f"crashed-{at}")
        with interrupted(monkeypatch, at, "half"), suppress(Stop):
            crashed.open().advance([ERASED])
        for second in itertools.count():
            here = crashed.copy(tmp_path / f"{at}-{second}")
            with interrupted(monkeypatch, second, "half") as count, suppress(Stop):
                here.open().align()
            if count[0] <= second:
                break
            tried += 1
            keys = here.open()
            keys.align()
            assert in_one_epoch(keys, *here.folders)
    assert tried > 30


def test_a_rotation_stopped_while_a_replica_is_made_leaves_none_that_nobody_knows_of(tmp_path, monkeypatch) -> None:
    (tmp_path / "start").mkdir()
    Keys.create(tmp_path / "start" / "keys")
    for at in itertools.count():
        folder = tmp_path / str(at)
        shutil.copytree(tmp_path / "start", folder)
        replica = tmp_path / f"replica-{at}"
        with interrupted(monkeypatch, at, "half") as count, suppress(Stop):
            Keys.open(folder / "keys").replicate(replica)
        if count[0] <= at:
            break
        keys = Keys.open(folder / "keys")
        listed = list(keys.look())
        assert listed == [replica] or not replica.exists() or not holds(replica, keys.epoch_key())
        keys.replicate(replica)
        assert keys.align() == 1


@pytest.mark.parametrize("harm", ["moved away", "another disk", "not writable"])
def test_a_replica_out_of_reach_holds_a_rotation_back_before_the_point_of_no_return(trio: Trio, harm: str) -> None:
    keys, old, away = trio.open(), trio.secret, trio.root / "away"
    replica = trio.folders[2]
    if harm == "not writable":
        shutil.copytree(replica, away)
        (replica / "epoch.slots").unlink()
        (replica / "epoch.slots").mkdir()
    else:
        replica.rename(away)
    if harm == "another disk":
        (trio.root / "other").mkdir()
        Keys.create(trio.root / "other" / "keys").replicate(replica)
        before = {path.name: path.read_bytes() for path in replica.iterdir()}
    with pytest.raises(ReplicaUnreachable, match="what is in scope stays hidden"):
        keys.advance([ERASED])
    assert not gone(keys)
    assert (keys.epoch, trio.secret) == (2, old)
    if harm == "another disk":
        assert {path.name: path.read_bytes() for path in replica.iterdir()} == before
    shutil.rmtree(replica, ignore_errors=True)
    away.rename(replica)
    keys.advance([ERASED])
    assert gone(keys)
    assert in_one_epoch(keys, *trio.folders)


def test_a_replica_lost_behind_the_point_of_no_return_is_named_until_it_is_in_step(trio, monkeypatch) -> None:
    keys, old = trio.open(), trio.secret
    clear = slots.clear

    def lose(path, epoch):
        if path.parent == trio.folders[2]:
            raise OSError(errno.EHOSTDOWN, "host is down")
        clear(path, epoch)

    monkeypatch.setattr(slots, "clear", lose)
    with pytest.raises(ReplicaUnreachable, match="host is down"):
        keys.advance([ERASED])
    assert gone(keys)
    with pytest.raises(ReplicaUnreachable):
        keys.align()
    assert [look.clean for look in keys.look().values()] == [True, False]
    monkeypatch.undo()
    assert keys.align() == 2
    assert not any(holds(folder, old) for folder in trio.folders)


def test_an_original_put_back_from_an_old_copy_is_refused_by_its_replica(trio: Trio, tmp_path) -> None:
    shutil.copytree(trio.original, tmp_path / "old")
    trio.open().advance([ERASED])
    shutil.rmtree(trio.original)
    shutil.copytree(tmp_path / "old", trio.original)
    before = {path.name: path.read_bytes() for path in trio.folders[1].iterdir()}
    keys = trio.open()
    for act in (keys.align, lambda: keys.advance([])):
        with pytest.raises(KeysOld):
            act()
    assert {path.name: path.read_bytes() for path in trio.folders[1].iterdir()} == before


def test_a_replica_put_back_from_an_old_copy_is_brought_in_step(trio: Trio, tmp_path) -> None:
    shutil.copytree(trio.folders[1], tmp_path / "old")
    keys, old = trio.open(), trio.secret
    for item in (ERASED, 7, 8):
        keys.advance([item])
    shutil.rmtree(trio.folders[1])
    shutil.copytree(tmp_path / "old", trio.folders[1])
    assert keys.align() == 2
    assert in_one_epoch(keys, *trio.folders)
    assert not holds(trio.folders[1], old)


def test_a_folder_that_holds_something_else_or_lies_in_the_vault_becomes_no_replica(trio: Trio, tmp_path) -> None:
    keys = trio.open()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("x")
    with pytest.raises(VaultExists):
        keys.replicate(tmp_path / "full")
    for folder in (trio.original, trio.original.parent / "copy", trio.root):
        with pytest.raises(UsageError):
            keys.replicate(folder)
    (trio.root / "other").mkdir()
    Keys.create(trio.root / "other" / "keys").replicate(tmp_path / "theirs")
    with pytest.raises(VaultExists):
        keys.replicate(tmp_path / "theirs")
    assert len(keys.look()) == 2


def test_a_replica_taken_off_the_list_is_overwritten_and_holds_nothing_back(trio: Trio) -> None:
    keys, payload = trio.open(), trio.secret
    assert keys.forget(trio.folders[1])
    assert list(trio.folders[1].iterdir()) == []
    trio.folders[2].rename(trio.root / "away")
    assert not keys.forget(trio.folders[2])
    assert holds(trio.root / "away", payload)
    with pytest.raises(NotFound):
        keys.forget(trio.folders[2])
    keys.advance([ERASED])
    assert keys.align() == 0
    assert gone(keys)


def test_a_replica_is_readable_by_its_owner_only(trio: Trio) -> None:
    for folder in trio.folders[1:]:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
