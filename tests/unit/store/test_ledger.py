"""The erasure ledger: every change to it shows, and what a power cut leaves at its end is cut off."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from countenance.store import ledger
from countenance.store.ledger import NONE, Record

KEY = bytes(range(32))


def write(path: Path, *records: Record, head: bytes = NONE) -> bytes:
    for record in records:
        head = ledger.append(path, KEY, head, record, os.urandom)
    return head


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
def three() -> list[Record]:
    reached = (("photo", "pho_x", 7), ("face", "fac_y", 8))
    tokens = (("content", "ab" * 32, ""), ("picture", "cd" * 32, "ef" * 64))
    full = Record(
        erasure="era_z", collection="col_c", reason="photo", reached=reached, tokens=tokens, log_root="00" * 32
    )
    return [
        replace(full, epoch=2, items=(7, 8, 9), next_item=10, log_size=5),
        Record(epoch=3, items=(11,), next_item=12, log_size=6),
        replace(full, epoch=4, items=(12,), next_item=14, log_size=9),
    ]


def bare(records: list[Record]) -> list[Record]:
    return [replace(record, previous="") for record in records]


def test_what_was_appended_is_read_back_in_order(path: Path, three) -> None:
    head = write(path, *three)
    assert bare(ledger.read(path, KEY, head)) == three
    assert ledger.since(ledger.read(path, KEY, head), 2, 4) == ledger.read(path, KEY, head)[1:]
    assert ledger.since([], 1, 1) == []
    assert ledger.read(path.with_name("none"), KEY, NONE) == []


def test_it_is_sealed_and_readable_by_its_owner_only(path: Path, three) -> None:
    write(path, *three)
    data = path.read_bytes()
    assert not any(word in data for word in (b"era_z", b"pho_x", b"photo", b"reached"))
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("tail", [b"\0" * 4096, b"CNLEDG1\n", b"CNLEDG1\n\0\0\0\0\0\0\0\5\0\0\1\0half", b"x"])
def test_a_torn_tail_counts_for_nothing_and_the_next_append_cuts_it_off(path: Path, three, tail: bytes) -> None:
    head = write(path, *three[:2])
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    assert bare(ledger.read(path, KEY, head)) == three[:2]
    head = write(path, three[2], head=head)
    assert bare(ledger.read(path, KEY, head)) == three
    data = path.read_bytes()
    assert data.startswith(whole + b"CNLEDG1\n")
    assert list(ledger._frames(data))[-1][1] == len(data)


def test_the_record_of_a_rotation_that_was_taken_back_gives_way_to_the_next_of_its_number(path: Path, three) -> None:
    head = write(path, three[0])
    write(path, replace(three[1], items=(99,)), head=head)  # its slot never came
    head = write(path, *three[1:], head=head)
    assert bare(ledger.read(path, KEY, head)) == three
    write(path, three[2], head=head)
    ledger.cut(path, KEY, head)
    assert bare(ledger.read(path, KEY, head)) == three


def test_every_change_to_the_file_shows(path: Path, three, tally) -> None:
    head = write(path, *three)
    data = path.read_bytes()
    begins = [at for at in range(len(data)) if data.startswith(b"CNLEDG1\n", at)] + [len(data)]
    frames = [data[a:b] for a, b in pairwise(begins)]
    assert len(frames) == 3
    changed = [
        b"".join(frames[n] for n in order) for order in ((1, 0, 2), (0, 2, 1), (2, 1, 0), (0, 2), (1, 2), (0, 1))
    ]
    changed.append(frames[0] + b"between" + frames[1] + frames[2])
    chance = random.Random(7)
    for _ in range(300):
        at = chance.randrange(len(data))
        changed.append(data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :])
        changed.append(data[:at])
    for each in changed:
        path.write_bytes(each)
        assert ledger.since(ledger.read(path, KEY, head), 1, 4) is None
        tally["changes to the erasure ledger caught"] += 1
    path.write_bytes(data)
    assert ledger.read(path, bytes(32), head) == []
    assert ledger.read(path, KEY, NONE) == []


def test_after_damage_it_goes_on_and_backups_since_then_can_be_restored(path: Path, three) -> None:
    head = write(path, *three[:2])
    path.write_bytes(b"rubbish")
    head = write(path, three[2], replace(three[1], epoch=5), head=head)
    found = ledger.read(path, KEY, head)
    assert [record.epoch for record in found] == [4, 5]
    assert ledger.since(found, 3, 5) == found
    assert ledger.since(found, 2, 5) is None


def order(name: str, state: str = "approved") -> Record:
    return Record(order={"id": name, "item": 3, "state": state, "fields": "ab"}, log_size=4)


def test_an_order_is_noted_between_rotations_and_the_next_rotation_names_it(path: Path, three) -> None:
    head = write(path, three[0])
    ledger.append(path, KEY, head, replace(order("ord_a"), epoch=2), os.urandom)
    ledger.append(path, KEY, head, replace(order("ord_b"), epoch=2), os.urandom)
    assert [each.order["id"] for each in ledger.noted(path, KEY, head)] == ["ord_a", "ord_b"]
    whole = path.read_bytes()
    first, a, b = (whole[begin:end] for begin, end in ledger._frames(whole))
    path.write_bytes(first + b + a)
    assert ledger.noted(path, KEY, head) == []
    path.write_bytes(first + b)
    assert ledger.noted(path, KEY, head) == []
    path.write_bytes(whole)
    write(path, replace(three[1], items=(99,)), head=head)  # a rotation that never came to be
    ledger.cut(path, KEY, head)
    ledger.append(path, KEY, head, replace(order("ord_c"), epoch=2), os.urandom)
    head = write(path, three[1], head=head)
    assert ledger.noted(path, KEY, head) == []
    found = ledger.read(path, KEY, head)
    assert [each.order and each.order["id"] for each in found] == [None, "ord_a", "ord_b", "ord_c", None]
    assert found[-1].noted == 3
    assert [each.epoch for each in ledger.since(found, 1, 3)] == [2, 3]


def test_an_order_can_be_noted_before_the_first_rotation(path: Path, three) -> None:
    assert ledger.noted(path, KEY, NONE) == []
    ledger.append(path, KEY, NONE, replace(order("ord_a"), epoch=1), os.urandom)
    ledger.cut(path, KEY, NONE)
    assert len(ledger.read(path, KEY, NONE)) == 1
    head = write(path, three[0])
    assert [each.epoch for each in ledger.since(ledger.read(path, KEY, head), 1, 2)] == [2]


def test_a_noted_order_that_was_altered_or_cut_off_before_a_rotation_shows(path: Path, three, tally) -> None:
    head = write(path, three[0])
    ledger.append(path, KEY, head, replace(order("ord_a"), epoch=2), os.urandom)
    alone = path.read_bytes()
    first, at = head, len(path.read_bytes())
    head = write(path, three[1], head=head)
    data = path.read_bytes()
    begin = list(ledger._frames(data))[1][0]
    assert list(ledger._frames(data))[1][1] == at
    path.write_bytes(data[:begin] + data[at:])
    assert ledger.since(ledger.read(path, KEY, head), 2, 3) is None
    for where in range(begin, at):
        path.write_bytes(data[:where] + bytes([data[where] ^ 1]) + data[where + 1 :])
        assert ledger.since(ledger.read(path, KEY, head), 2, 3) is None
        path.write_bytes(alone[:where] + bytes([alone[where] ^ 1]) + alone[where + 1 :])
        assert ledger.noted(path, KEY, first) == []
        tally["changes to the erasure ledger caught"] += 1
