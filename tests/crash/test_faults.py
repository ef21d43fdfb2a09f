"""Every call by which an act changes files is a fault point: the process is killed there, or the call fails.

`make test` kills the erasure at each of its points; otherwise it takes every call that is not one of SQLite's page
writes, the page write that follows it, and few of those within a transaction. `make test-crash` takes all, in all ways.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

NAMES = {
    "kill": "fault points killed",
    "torn": "fault points torn",
    "eio": "fault points failed with EIO",
    "full": "fault points failed with ENOSPC",
}
PAGES = ("vault/records.db", "vault/records.db-wal")
SPARSE = 24  # one page write of so many: within a transaction each is like the next
QUICK = {("init", "kill"), ("init", "eio"), ("add", "kill"), ("add", "full"), ("approve", "kill"), ("approve", "eio")}
QUICK |= {("erase", mode) for mode in NAMES}
DRIFT = 12  # calls by which two runs of one act differ at most: random values pack into pages differently


def points(rigs, act: str, mode: str, *, every: bool) -> Iterator[int]:
    """The fault points to strike, from 1: every one, or those that differ."""
    pages, page = 0, False
    trace = rigs.ask({"act": act, "mode": "trace"})["trace"]
    for at, (kind, role) in enumerate(trace, 1):
        before, page = page, kind == "write" and role in PAGES
        pages += page
        if mode == "torn" and kind != "write":
            continue
        if every or not (page and before) or pages % SPARSE == 0:
            yield at


@pytest.mark.parametrize("mode", NAMES)
@pytest.mark.parametrize("act", ["init", "add", "erase", "again", "approve"])
def test_an_act_struck_at_any_call_is_whole_or_undone_and_the_next_open_finishes_it(act, mode, rigs, everything, tally):
    if (act, mode) not in QUICK and not everything:
        pytest.skip("it goes the way of the others; `make test-crash` strikes it all the same")
    struck = list(points(rigs, act, mode, every=everything or (act, mode) == ("erase", "kill")))
    outcomes = rigs.all([{"act": act, "mode": mode, "at": at} for at in struck])
    wrong = [
        f"{act} {mode} at {at}: {p}" for at, found in zip(struck, outcomes, strict=True) for p in found["problems"]
    ]
    assert not wrong, "\n".join(wrong[:20])
    tally[NAMES[mode]] += len(struck)
    if mode in {"kill", "torn"}:
        lived = [at for at, found in zip(struck, outcomes, strict=True) if not found["died"]]
        assert all(at > struck[-1] - DRIFT for at in lived), "it was not killed where it should have been"
    else:
        assert sum(bool(found["raised"]) for found in outcomes) > len(struck) / 3, "hardly a failed call was noticed"


def test_the_shim_sees_what_sqlite_and_python_write_so_that_nothing_can_be_counted_without_being_there(rigs):
    seen = Counter(map(tuple, rigs.ask({"act": "erase", "mode": "trace"})["trace"]))
    for call in [
        ("write", "vault/records.db"),
        ("write", "vault/records.db-wal"),
        ("sync", "vault/records.db"),
        ("sync", "vault/records.db-wal"),
        ("truncate", "vault/records.db-wal"),
        ("create", "vault/keys/state."),
        ("write", "vault/keys/epoch.slots"),
        ("sync", "vault/keys/epoch.slots"),
        ("unlink", "vault/keys/state."),
        ("sync", "vault/keys"),
        ("unlink", "deleted/cat.jpg"),
    ]:
        assert seen[call] > 0, f"no {' '.join(call)} among {sum(seen.values())} calls"
    assert any(kind == "rename" and role.startswith("redacted/") for kind, role in seen)


def test_a_fault_behind_the_last_call_changes_nothing(rigs):
    for mode in NAMES:
        found = rigs.ask({"act": "erase", "mode": mode, "at": 100_000})
        assert (found["died"], found["raised"], found["problems"]) == (False, "", [])
