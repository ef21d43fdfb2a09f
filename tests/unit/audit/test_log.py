"""Appending to the log."""

from __future__ import annotations

from countenance.audit import log
from countenance.records import Entry
from countenance.store import entries
from countenance.vault import Vault


def made(number: int) -> Entry:
    return Entry(kind="photo:added", public={"seen": number}, parts=((1, {"photo": f"photo {number}"}),))


def test_lines_appended_together_stand_in_their_order_and_verify_with_their_details(empty: Vault) -> None:
    with empty.database.write() as tx:
        before = log.verify(tx)
        first = log.extend(tx, [made(n) for n in range(3)])
        after = log.verify(tx)
        shown = list(log.show(tx, first=first))
    assert first == before.size
    assert (after.size, after.details, after.problems) == (before.size + 3, before.details + 3, ())
    assert [line.public["seen"] for line in shown] == [0, 1, 2]
    assert [line.parts for line in shown] == [({"photo": f"photo {n}"},) for n in range(3)]


def test_lines_appended_together_give_the_same_checkpoint_as_one_by_one(empty: Vault) -> None:
    heads = []
    with empty.database.write() as tx:
        for batches in ([range(5)], [range(n, n + 1) for n in range(5)]):
            with tx.sql.begin_nested() as attempt:
                for batch in batches:
                    log.extend(tx, map(made, batch), random=bytes)
                heads.append(entries.head(tx))
                attempt.rollback()
    assert heads[0] == heads[1]


def test_appending_nothing_leaves_the_log_as_it_is(empty: Vault) -> None:
    with empty.database.write() as tx:
        before = entries.head(tx)
        assert log.extend(tx, []) == before.size
        assert entries.head(tx) == before
