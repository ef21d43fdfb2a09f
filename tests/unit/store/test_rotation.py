"""A rotation stopped at every step: by a crash or error at each call, and by a power cut that loses what is unsynced."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from countenance.errors import CountenanceError, DiskFull, KeysMissing
from countenance.store import slots
from countenance.store.keys import Keys
from countenance.store.tree import Punctured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ERASED, KEPT = 5, 6
CALLS = ("open", "write", "pwrite", "fsync", "unlink")


class Stop(BaseException):
    """The process ends here."""


@contextmanager
def interrupted(monkeypatch: pytest.MonkeyPatch, at: int, how: str) -> Iterator[list[int]]:
    """Stop at the `at`-th call that changes a file: before it, after it, half way through it, or with an error."""
    count = [0]

    def wrap(name: str, real: Callable) -> Callable:
        def call(first, *rest, **more):
            if name == "open" and not (rest and rest[0] & os.O_CREAT):
                return real(first, *rest, **more)
            count[0] += 1
            if count[0] - 1 != at:
                return real(first, *rest, **more)
            if how in ("EIO", "ENOSPC"):
                raise OSError(getattr(errno, how), how)
            if how == "half" and name in ("write", "pwrite"):
                real(first, bytes(rest[0])[: len(rest[0]) // 2], *rest[1:])
            if how == "after":
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


def settled(folder: Path, keys: Keys) -> bool:
    """One slot, the other all zero, one state, that of the epoch, and a ledger with every epoch up to it."""
    states = [path.name for path in folder.glob("state.*")]
    one = [slot.epoch for slot in slots.read(folder / "epoch.slots")] == [keys.epoch]
    whole = [record.epoch for record in keys.history()] == list(range(2, keys.epoch + 1))
    return one and whole and slots.clean(folder / "epoch.slots", keys.epoch + 1) and states == [f"state.{keys.epoch}"]


def holds(folder: Path, secret: bytes) -> bool:
    return any(secret in path.read_bytes() for path in folder.iterdir())


@pytest.fixture(params=["slot-file", "passphrase"])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str | None, bytes, bytes]:
    """A folder after one rotation, its passphrase, the key of KEPT, and what the slot holds of the epoch key."""
    passphrase = "correct horse" if request.param == "passphrase" else None
    keys = Keys.create(tmp_path / "start", request.param, passphrase, cost=16)
    keys.advance([1])
    (slot,) = slots.read(tmp_path / "start" / "epoch.slots")
    assert passphrase or slot.payload == keys._now.key
    return tmp_path / "start", passphrase, keys.item_key(KEPT), slot.payload


@pytest.mark.parametrize("how", ["before", "after", "half", "EIO", "ENOSPC"])
def test_a_rotation_stopped_at_any_call_settles_on_one_whole_epoch(start, tmp_path, monkeypatch, how: str) -> None:
    origin, passphrase, kept, old_key = start
    epochs = []
    for at in itertools.count():
        folder = shutil.copytree(origin, tmp_path / str(at))
        running = Keys.open(folder, passphrase)
        with interrupted(monkeypatch, at, how) as count, suppress(Stop, CountenanceError):
            running.advance([ERASED])
        if count[0] <= at:
            break
        if at % 2:  # the process lived on: it follows and repeats
            running.reload()
            assert running.item_key(KEPT) == kept
        keys = Keys.open(folder, passphrase)
        assert settled(folder, keys)
        assert keys.item_key(KEPT) == kept
        assert gone(keys) == (keys.epoch == 3)
        epochs.append(keys.epoch)
        again = running if at % 2 else keys
        again.advance([ERASED])
        assert gone(again)
        assert gone(Keys.open(folder, passphrase))
        assert not holds(folder, old_key)
        assert settled(folder, again)
    assert at > 8
    assert epochs == sorted(epochs)  # once the new epoch stands it stays
    assert set(epochs) == {2, 3}


def test_a_recovery_that_is_itself_stopped_at_any_call_recovers(start, tmp_path, monkeypatch) -> None:
    origin, passphrase, kept, old_key = start
    tried = 0
    for at in itertools.count():
        crashed = shutil.copytree(origin, tmp_path / f"crashed-{at}")
        with interrupted(monkeypatch, at, "half") as count, suppress(Stop):
            Keys.open(crashed, passphrase).advance([ERASED])
        if count[0] <= at:
            break
        for second in itertools.count():
            folder = shutil.copytree(crashed, tmp_path / f"{at}-{second}")
            with interrupted(monkeypatch, second, "half") as count, suppress(Stop):
                Keys.open(folder, passphrase)
            if count[0] <= second:
                break
            tried += 1
            keys = Keys.open(folder, passphrase)
            assert settled(folder, keys)
            assert keys.item_key(KEPT) == kept
            assert gone(keys) == (keys.epoch == 3)
            assert gone(keys) != holds(folder, old_key)
    assert tried > 20


def test_keys_whose_creation_was_stopped_are_missing_or_whole_and_never_half(tmp_path, monkeypatch) -> None:
    for how in ("before", "half", "after"):
        for at in itertools.count():
            folder = tmp_path / f"{how}-{at}"
            with interrupted(monkeypatch, at, how) as count, suppress(Stop):
                Keys.create(folder)
            if count[0] <= at:
                break
            if folder.exists() and (folder / "epoch.slots").exists() and slots.read(folder / "epoch.slots"):
                assert settled(folder, Keys.open(folder))
            else:
                with pytest.raises(KeysMissing):
                    Keys.open(folder)


@pytest.mark.parametrize("at", range(7))  # the lock; the ledger; making, writing and syncing the new state
def test_a_full_disk_says_so_and_leaves_the_folder_as_it_was(start, monkeypatch, at: int) -> None:
    folder, passphrase, *_ = start
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    keys = Keys.open(folder, passphrase)
    with interrupted(monkeypatch, at, "ENOSPC"), pytest.raises(DiskFull):
        keys.advance([ERASED])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not gone(keys)


# A power cut. A trace of what `advance` asked of the system is replayed up to each point; of what was not yet synced
# there, every subset may have reached the device, and any write may have reached it by half.

Step = tuple  # ("create" | "unlink" | "sync", name) or ("write", name, offset, data)


def trace(folder: Path, passphrase: str | None, monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    steps: list[Step] = []
    names: dict[int, str] = {}
    ends: dict[int, int] = {}
    real = {name: getattr(os, name) for name in CALLS}

    def _open(path, flags, *rest, **more):
        new = flags & os.O_CREAT and not Path(path).exists()
        descriptor = real["open"](path, flags, *rest, **more)
        names[descriptor], ends[descriptor] = ("." if Path(path) == folder else Path(path).name), 0
        if new:
            steps.append(("create", names[descriptor]))
        return descriptor

    def _write(descriptor, data):
        steps.append(("write", names[descriptor], ends[descriptor], bytes(data)))
        ends[descriptor] += len(data)
        return real["write"](descriptor, data)

    def _pwrite(descriptor, data, at):
        steps.append(("write", names[descriptor], at, bytes(data)))
        return real["pwrite"](descriptor, data, at)

    def _fsync(descriptor):
        steps.append(("sync", names[descriptor]))
        return real["fsync"](descriptor)

    def _unlink(path, **more):
        steps.append(("unlink", Path(path).name))
        return real["unlink"](path, **more)

    keys = Keys.open(folder, passphrase)
    with monkeypatch.context() as patch:
        for name, stand_in in zip(CALLS, (_open, _write, _pwrite, _fsync, _unlink), strict=True):
            patch.setattr(os, name, stand_in)
        keys.advance([ERASED])
    return steps


class Device:
    """What is on it: contents, and the names that lead to them. A content can be synced before its name is."""

    def __init__(self, contents: dict[str, bytes], names: set[str]) -> None:
        self.contents, self.names = contents, names

    def copy(self) -> Device:
        return Device(dict(self.contents), set(self.names))

    def apply(self, what: str, name: str, at: int = 0, data: bytes = b"") -> None:
        if what == "write":
            old = self.contents.get(name, b"")
            self.contents[name] = old.ljust(at, b"\0")[:at] + data + old[at + len(data) :]
        else:
            (self.names.add if what == "create" else self.names.discard)(name)

    def files(self) -> dict[str, bytes]:
        return {name: self.contents.get(name, b"") for name in self.names}


def images(before: dict[str, bytes], steps: list[Step]) -> Iterator[tuple[bool, dict[str, bytes]]]:
    """Yield (whether `advance` had returned, files) for every device that a power cut could leave."""
    for end in range(len(steps) + 1):
        synced, pending = Device(dict(before), set(before)), []
        for step in steps[:end]:
            if step[0] != "sync":
                pending.append(step)
                continue
            own = [p for p in pending if (p[0] != "write" if step[1] == "." else p[:2] == ("write", step[1]))]
            for each in own:
                synced.apply(*each)
            pending = [p for p in pending if p not in own]
        for chosen in itertools.product((0, 1, 2), repeat=len(pending)):  # not there, there, half there
            device = synced.copy()
            for part, step in zip(chosen, pending, strict=True):
                if part == 1:
                    device.apply(*step)
                elif part and step[0] == "write":
                    device.apply(*step[:3], step[3][: len(step[3]) // 2])
            yield end == len(steps), device.files()


def violations(folder: Path, before: dict[str, bytes], steps: list[Step], start) -> int:
    _, passphrase, kept, old_key = start
    found = 0
    for returned, files in images(before, steps):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, data in files.items():
            (folder / name).write_bytes(data)
        leaves_key = returned and holds(folder, old_key)
        try:
            keys = Keys.open(folder, passphrase)
        except CountenanceError:
            found += 1
            continue
        fine = keys.item_key(KEPT) == kept and settled(folder, keys) and gone(keys) == (keys.epoch == 3)
        found += leaves_key or not fine or (returned and not gone(keys))
    return found


@pytest.fixture
def recorded(start, tmp_path, monkeypatch) -> tuple[dict[str, bytes], list[Step]]:
    folder = shutil.copytree(start[0], tmp_path / "recorded")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    return before, trace(folder, start[1], monkeypatch)


def test_the_steps_of_a_rotation_are_those_of_the_design_in_that_order(recorded) -> None:
    assert [step[:2] for step in recorded[1]] == [
        ("write", "ledger"),
        ("sync", "ledger"),
        ("create", "state.3"),
        ("write", "state.3"),
        ("sync", "state.3"),
        ("sync", "."),
        ("write", "epoch.slots"),
        ("sync", "epoch.slots"),
        ("write", "epoch.slots"),
        ("sync", "epoch.slots"),
        ("unlink", "state.2"),
        ("sync", "."),
    ]


def test_a_power_cut_at_any_point_loses_no_epoch_and_after_the_end_leaves_no_old_key(start, recorded, tmp_path) -> None:
    assert violations(tmp_path / "cut", *recorded, start) == 0


@pytest.mark.parametrize(
    ("mutant", "order"),
    [
        ("the ledger is not synced", [0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        ("the ledger comes last", [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0, 1]),
        ("the state is not synced", [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11]),
        ("the state's name is not synced", [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]),
        ("no sync between the new slot and zeroing the old", [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11]),
        ("the zeros are not synced", [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11]),
        ("the old slot is kept", [0, 1, 2, 3, 4, 5, 6, 7, 10, 11]),
        ("the old slot is zeroed first", [0, 1, 2, 3, 4, 5, 8, 9, 6, 7, 10, 11]),
        ("the state comes last", [0, 1, 6, 7, 8, 9, 2, 3, 4, 5, 10, 11]),
        ("the old state goes first", [0, 1, 2, 10, 11, 3, 4, 5, 6, 7, 8, 9]),
    ],
)
def test_the_power_cut_finds_a_protocol_that_is_wrong(start, recorded, tmp_path, mutant: str, order: list[int]) -> None:
    before, steps = recorded
    assert violations(tmp_path / "cut", before, [steps[n] for n in order], start) > 0
