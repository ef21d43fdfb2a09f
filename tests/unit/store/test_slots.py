from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from countenance.errors import VaultError
from countenance.store import slots
from countenance.store.slots import SIZE, Slot

if TYPE_CHECKING:
    from pathlib import Path

ONE = Slot(1, "slot-file", b"\x11" * 32)
TWO = Slot(2, "slot-file", b"\x22" * 32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    slots.create(tmp_path / "epoch.slots")
    return tmp_path / "epoch.slots"


def test_a_new_file_is_two_blocks_of_zeros_for_its_owner_only_and_holds_no_slot(path: Path) -> None:
    assert path.read_bytes() == bytes(2 * SIZE)
    assert path.stat().st_mode & 0o777 == 0o600
    assert slots.read(path) == []


def test_a_file_that_is_there_is_never_made_anew(path: Path) -> None:
    with pytest.raises(FileExistsError):
        slots.create(path)


def test_slots_read_back_newest_first_and_no_file_holds_none(path: Path) -> None:
    slots.write(path, ONE)
    slots.write(path, TWO)
    assert slots.read(path) == [TWO, ONE]
    assert slots.read(path.with_name("nothing")) == []


def test_slots_are_overwritten_where_they_lie(path: Path) -> None:
    inode = path.stat().st_ino
    slots.write(path, ONE)
    slots.write(path, Slot(3, "slot-file", b"\x33" * 32))
    assert path.stat().st_ino == inode
    assert path.stat().st_size == 2 * SIZE
    assert b"\x11" * 32 not in path.read_bytes()


def test_clearing_leaves_zeros_and_the_other_slot(path: Path) -> None:
    slots.write(path, ONE)
    slots.write(path, TWO)
    assert not slots.clean(path, 1)
    slots.clear(path, 1)
    assert slots.clean(path, 1)
    assert slots.read(path) == [TWO]
    assert b"\x11" * 32 not in path.read_bytes()


@pytest.mark.parametrize("whole", [512, 1024, 4064, 4095])
@pytest.mark.parametrize("over", [b"\0", b"\xff"])
def test_a_torn_slot_is_no_slot(path: Path, whole: int, over: bytes) -> None:
    slots.write(path, ONE)
    data = path.read_bytes()
    path.write_bytes(data[: SIZE + whole] + over * (SIZE - whole))
    if path.read_bytes() != data:
        assert slots.read(path) == []


def test_any_changed_byte_makes_it_no_slot(path: Path) -> None:
    slots.write(path, TWO)
    data = path.read_bytes()
    for at in [*range(80), 100, 2000, *range(SIZE - 40, SIZE)]:
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert slots.read(path) == [], at


def test_a_slot_in_the_other_ones_place_is_no_slot(path: Path) -> None:
    slots.write(path, TWO)
    data = path.read_bytes()
    path.write_bytes(data[SIZE:] + data[:SIZE])
    assert slots.read(path) == []


def test_a_short_file_holds_no_slot(path: Path) -> None:
    slots.write(path, ONE)
    path.write_bytes(path.read_bytes()[:-1])
    assert slots.read(path) == []


def test_a_payload_that_does_not_fit_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        slots.write(path, Slot(1, "slot-file", bytes(SIZE)))
    with pytest.raises(ValueError, match="does not fit"):
        slots.write(path, Slot(1, "a-provider-name-too-long", b""))


def test_a_disk_that_does_not_keep_what_was_written_is_noticed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pwrite", lambda _descriptor, data, _at: len(data))
    with pytest.raises(VaultError, match="does not read back"):
        slots.write(path, ONE)


def test_without_direct_reading_the_slot_is_read_back_all_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def refuse(name: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_DIRECT:
            raise OSError(errno.EINVAL, "no direct reading here")
        return real(name, flags, mode)

    monkeypatch.setattr(os, "open", refuse)
    slots.write(path, ONE)
    assert slots.read(path) == [ONE]


def test_the_payload_is_not_in_what_is_printed() -> None:
    assert "x11" not in repr(ONE)
