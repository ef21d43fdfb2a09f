"""Known ways to get the protocol wrong, each put into a copy of the source: the harness must find every one.

A harness that finds none proves nothing. Kills find most; an fsync that is missing shows only in the power-cut model, and
a key left in freed blocks only on its medium.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.crash.conftest import ROOT
from tests.crash.test_faults import points
from tests.crash.test_power import SEED

NEW_FILE = """\
    whole = bytearray(path.read_bytes())
    whole[number * SIZE : (number + 1) * SIZE] = data
    other = path.with_suffix(".new")
    descriptor = os.open(other, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.pwrite(descriptor, whole, 0)
        os.fsync(descriptor)
        other.replace(path)
"""
RECORDED = 'erasures.advance(tx, run.erasure_id, "{}", progress)\n'

WRITTEN = "        slots.write(self.folder / state.SLOTS, slot)\n        return new\n"
SYNCED = "        os.pwrite(descriptor, data, number * SIZE)\n        os.fsync(descriptor)\n"
IN_PLACE = (
    "    descriptor = os.open(path, os.O_RDWR)  # never O_TRUNC: that would free the blocks and leave the key in them\n"
)

MUTANTS = {  # file, what stands there exactly once, what the mutant has instead, and what finds it
    "the old slot is zeroed before the new one is written": (
        "store/keys.py",
        WRITTEN,
        "        slots.clear(self.folder / state.SLOTS, old.number)\n" + WRITTEN,
        "kill",
    ),
    "the state file is not synced": (
        "store/state.py",
        "            rest = rest[os.write(descriptor, rest) :]\n        os.fsync(descriptor)\n",
        "            rest = rest[os.write(descriptor, rest) :]\n",
        "power",
    ),
    "what the rotation starts from is not recorded before it": (
        "orders/erase.py",
        'progress["epoch"], progress["state"] = keys.epoch, keys.state_hash\n'
        "        with run.database.write() as tx:\n            " + RECORDED.format("stopped"),
        'progress["epoch"], progress["state"] = keys.epoch, keys.state_hash\n',
        "kill",
    ),
    "nothing is resumed at opening": ("vault.py", "                self.resume()\n", "                pass\n", "kill"),
    "rows count as deleted before they are": (
        "orders/erase.py",
        'sealed under its keys."""\n    with run.database.write() as tx:\n',
        'sealed under its keys."""\n    with run.database.write() as tx:\n        '
        + RECORDED.format("purged")
        + "    with run.database.write() as tx:\n",
        "kill",
    ),
    "the epoch slot is written as a new file and renamed": (
        "store/slots.py",
        IN_PLACE + "    try:\n" + SYNCED,
        NEW_FILE,
        "power",
    ),
    "the old slot is kept": (
        "store/slots.py",  # not only in Keys.advance: settling, which follows it, clears the slot too
        "    _overwrite(path, epoch % 2, ZERO)\n",
        "",
        "kill",
    ),
    "nothing is synced between the new slot and the zeroing of the old": (
        "store/slots.py",
        SYNCED,
        "        os.pwrite(descriptor, data, number * SIZE)\n",
        "power",
    ),
    "after an error behind the point of no return the keys are rotated once more": (
        "orders/erase.py",
        "    keys.reload()  # an error behind the point of no return left the old epoch in memory: it would be rotated twice\n",
        "",
        "eio",
    ),
}


def mutated(name: str, folder: Path) -> Path:
    """A copy of the source with one mutant in it."""
    file, old, new, _ = MUTANTS[name]
    copy = folder / "src"
    shutil.copytree(ROOT / "src", copy, ignore=shutil.ignore_patterns("__pycache__"))
    text = (copy / "countenance" / file).read_text()
    assert text.count(old) == 1, f"{file} has changed; the mutant has to follow it"
    (copy / "countenance" / file).write_text(text.replace(old, new))
    return copy


def problems(rigs, way: str) -> Iterator[str]:
    """What one part of the harness finds, one by one."""
    if way == "power":
        outcomes = rigs.stream({"act": "erase", "power": {"area": "keys", "seed": SEED}})
    else:
        first = rigs.ask({"act": "erase", "mode": "trace"})
        yield from first["problems"]
        keys = next(n for n, call in enumerate(first["trace"], 1) if call == ["write", "vault/keys/epoch.slots"])
        struck = sorted(points(rigs, "erase", way, every=False), key=lambda at: (at < keys, at))  # from there on first
        outcomes = (rigs.ask({"act": "erase", "mode": way, "at": at}) for at in struck)
    for outcome in outcomes:
        yield from outcome["problems"]


@pytest.mark.parametrize("name", MUTANTS)
def test_the_harness_finds_a_mutant_of_the_protocol(name, rigs, start, tmp_path, tally, everything):
    if not everything and MUTANTS[name][3] != "power":
        mutated(name, tmp_path)  # the text it changes is still there
        pytest.skip("`make test` tries those that only the power-cut model finds, `make test-crash` every mutant")
    assert rigs.ask({"act": "erase", "mode": "count"})["problems"] == [], "without the mutant it fails too"
    mutant = start(mutated(name, tmp_path), 1)
    try:
        found = next(problems(mutant, MUTANTS[name][3]), None)
    finally:
        mutant.close()
    assert found, f"nothing was found where {name}"
    tally["mutants of the protocol found"] += 1
