from __future__ import annotations

from pathlib import Path

import pytest

from countenance.store import medium
from countenance.store.medium import classify

ROOT = "27 1 254:1 / / rw,relatime - ext4 /dev/none rw,discard\n"


def mount(point: str, kind: str, options: str = "rw", source: str = "/dev/none") -> str:
    return f"40 27 0:99 / {point} rw,relatime shared:7 master:1 - {kind} {source} {options}\n"


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_ext4_and_xfs_are_class_b_and_the_note_speaks_of_flash(kind: str) -> None:
    found = classify(Path("/vault/keys"), mount("/vault", kind))
    assert found.cls == "B"
    assert kind in found.note
    assert "flash" in found.note


def test_ext4_that_journals_data_is_class_c_in_either_list_of_options() -> None:
    assert classify(Path("/vault"), mount("/vault", "ext4", "rw,data=journal")).cls == "C"
    assert classify(Path("/vault"), ROOT.replace("relatime", "data=journal")).cls == "C"
    assert "journal" in classify(Path("/vault"), mount("/vault", "ext4", "rw,data=journal")).note


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("btrfs", "new place"),
        ("zfs", "new place"),
        ("overlay", "another file system"),
        ("nfs4", "another machine"),
        ("tmpfs", "memory"),
        ("fuse.something", "not one that was measured"),
    ],
)
def test_every_other_file_system_is_class_c_and_says_why(kind: str, word: str) -> None:
    found = classify(Path("/vault/keys"), ROOT + mount("/vault", kind))
    assert found.cls == "C"
    assert word in found.note


def test_the_deepest_mount_counts_and_a_longer_name_beside_it_does_not() -> None:
    table = mount("/vault/keys", "btrfs") + ROOT + mount("/vau", "tmpfs")
    assert "btrfs" in classify(Path("/vault/keys"), table).note
    assert "ext4" in classify(Path("/vault/other"), table).note


def test_of_two_mounts_on_one_point_the_later_counts() -> None:
    assert "btrfs" in classify(Path("/vault"), mount("/vault", "ext4") + mount("/vault", "btrfs")).note


def test_a_mount_point_with_a_space_is_found() -> None:
    assert "btrfs" in classify(Path("/my vault/keys"), ROOT + mount("/my\\040vault", "btrfs")).note


def test_a_path_under_no_listed_mount_is_class_c() -> None:
    assert classify(Path("/vault"), "").cls == "C"


def test_a_file_marked_to_journal_its_data_is_class_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(medium.fcntl, "ioctl", lambda *_: (0x4000).to_bytes(8, "little"))
    assert classify(tmp_path, ROOT).cls == "C"
    monkeypatch.setattr(medium.fcntl, "ioctl", lambda *_: bytes(8))
    assert classify(tmp_path, ROOT).cls == "B"


def test_a_system_that_does_not_tell_is_class_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", refuse)
    assert classify(tmp_path).cls == "C"


def test_this_machine_gets_an_answer(tmp_path: Path) -> None:
    assert classify(tmp_path).note.endswith(".")
