"""Appending to the log."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import rfc8785
from sqlalchemy import delete
from tests.conftest import Clock

from countenance import errors
from countenance.audit import log, merkle, proof, verify
from countenance.records import Entry
from countenance.store import entries
from countenance.store.tables import node
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
        for batches in ([range(300)], [range(n, n + 1) for n in range(300)]):
            with tx.sql.begin_nested() as attempt:
                for batch in batches:
                    log.extend(tx, map(made, batch), random=bytes)
                heads.append((entries.head(tx), entries.nodes(tx)))
                attempt.rollback()
    assert heads[0] == heads[1]
    assert heads[0][1].keys() == {(1, 0)}


def test_appending_nothing_leaves_the_log_as_it_is(empty: Vault) -> None:
    with empty.database.write() as tx:
        before = entries.head(tx)
        assert log.extend(tx, []) == before.size
        assert entries.head(tx) == before


def test_every_line_is_canonical_json(filled: Vault) -> None:
    with filled.database.write() as tx:
        odd = {"z": "é\n\"'\\\x01", "a": {"b": [1, None, True]}, "\u20ac": 2**53 - 1}
        log.append(tx, Entry(kind="odd:kind", public=odd, parts=((1, {"text": "\udcff \u2028 \x7f"}),)))
        for line in entries.lines(tx):
            assert line.leaf == rfc8785.dumps(json.loads(line.leaf)) == verify.canonical(json.loads(line.leaf))
        for one in entries.details(tx):
            clear = log.unseal(tx.keys.item_key(one.item), "part", one.item, one.detail)
            assert clear == rfc8785.dumps(json.loads(clear))


@pytest.mark.parametrize("count", [log.MOST, log.MOST + 1, 2 * log.MOST + 1])
def test_an_entry_about_very_many_records_goes_on_in_further_lines_that_fit_an_entry_bundle(
    empty: Vault, count: int
) -> None:
    entry = Entry(kind="search:done", public={"hits": count}, parts=((1, {"face": "x"}),) * count)
    with empty.database.write() as tx:
        first = log.append(tx, entry)
        found = list(entries.lines(tx, first=first))
        assert log.verify(tx).problems == ()
        assert log.verify(tx).details == count
    assert [line.kind for line in found] == ["search:done", *["search:more"] * ((count - 1) // log.MOST)]
    assert all(len(line.leaf) < 1 << 16 for line in found)


# Time


def test_the_log_s_time_stands_still_while_the_clock_is_behind_it(empty: Vault, clock: Clock) -> None:
    for span in (timedelta(0), timedelta(days=-1), timedelta(hours=23), timedelta(hours=2)):
        clock.now += span
        with empty.database.write() as tx:
            number = log.append(tx, made(1))
            line = next(log.show(tx, first=number))
            assert line.at == log.moment(tx)
    times = [line.at for line in empty.log.lines()[-4:]]
    assert times == sorted(times)
    assert times[0] == times[1] == times[2] < times[3] == log.stamp(clock.now)
    assert empty.log.verify().problems == ()


@pytest.mark.parametrize("when", [6, 12, 18])
def test_a_clock_that_goes_back_a_day_between_two_steps_gives_a_certificate_whose_steps_are_in_order(
    filled: Vault, clock: Clock, when: int
) -> None:
    readings = 0

    def now() -> datetime:
        nonlocal readings
        readings += 1
        clock.forward(minutes=1)
        if readings == when:
            clock.forward(days=-1)
        return clock.now

    scope = filled.scope(photo=filled.photos(filled.sources()[0].id)[0].id)
    filled.database.clock = now
    erasure = filled.erase(scope)
    assert readings > when
    report = verify.examine(verify.unpack(filled.erasures.certificate(erasure.id)))
    assert report.statement is not None, report.checks[-1]
    times = [step["at"] for step in report.statement["states"]]
    assert times == sorted(times)
    assert len(set(times)) < len(times)
    assert report.statement["issued_at"] >= times[-1]


# Proofs


@pytest.fixture
def long(empty: Vault) -> Vault:
    """A log of more than 700 lines."""
    with empty.database.write() as tx:
        log.extend(tx, map(made, range(700)))
    return empty


def test_proofs_from_the_stored_nodes_are_those_of_the_whole_tree_and_read_a_few_tiles(
    long: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    with long.database.read() as tx:
        hashes = entries.hashes(tx, 0, 0, entries.head(tx).size)
        whole, reading, asked = merkle.of(hashes), entries.hashes, []
        monkeypatch.setattr(entries, "hashes", lambda *a: asked.append(a) or reading(*a))
        for index in (0, 255, 256, 511, 512, len(hashes) - 1):
            asked.clear()
            assert log.grown(tx).inclusion(index) == whole.inclusion(index)
            assert len(asked) <= 3
        for old in (1, 255, 256, 257, 513, len(hashes) - 1):
            asked.clear()
            assert log.grown(tx).consistency(old) == whole.consistency(old)
            assert len(asked) <= 3
            assert log.grown(tx, old).root() == merkle.root(hashes[:old])


def test_a_missing_node_is_damage_and_no_false_proof(long: Vault) -> None:
    with long.database.write() as tx:
        tx.sql.execute(delete(node).where(node.c.number == 0))
        with pytest.raises(errors.VaultDamaged, match="log verify"):
            log.proofs(tx, [600])
        assert any("stored nodes" in problem for problem in log.verify(tx).problems)


def test_a_proof_for_outsiders_needs_nothing_beside_it_but_the_log_s_key(long: Vault) -> None:
    key = verify.parse_key(long.log.key())
    for number in (0, 300, 700):
        shown = proof.read(long.log.prove(number), key)
        assert shown.number == number == json.loads(shown.leaf)["number"]
        assert shown.checkpoint.size == 701
    for number in (-1, 701):
        with pytest.raises(errors.NotFound):
            long.log.prove(number)


def test_a_proof_with_anything_altered_shows_nothing(long: Vault) -> None:
    key, text = verify.parse_key(long.log.key()), long.log.prove(300)
    assert text.startswith("c2sp.org/tlog-proof@v1\nextra ")
    lines = text.split("\n")
    for at, line in enumerate(lines[:-2]):
        middle = len(line) // 2
        other = line[:middle] + ("A" if line[middle : middle + 1] != "A" else "B") + line[middle + 1 :]
        for changed in ([other], [], [line, line], [f"{line} "]):
            if changed == [line]:
                continue
            with pytest.raises(ValueError, match=r"."):
                proof.read("\n".join([*lines[:at], *changed, *lines[at + 1 :]]), key)


# Checkpoints that were kept


def test_old_records_put_back_over_newer_ones_are_seen_by_who_kept_a_checkpoint(
    reopen: Callable[[], Vault], vault_path: Path, photos: Path
) -> None:
    held = reopen()
    held.create_collection("first")
    early = held.log.checkpoint()
    held.close()
    old = (vault_path / "records.db").read_bytes()
    held = reopen()
    held.create_collection("second")
    late = held.log.checkpoint()
    assert held.log.verify(early).problems == held.log.verify(late).problems == ()
    held.close()
    (vault_path / "records.db").write_bytes(old)
    held = reopen()
    assert held.log.verify().problems == ()  # nothing in it is wrong: it is only old
    (problem,) = held.log.verify(late).problems
    assert problem.startswith("rolled back: the kept checkpoint signed")
    held.create_collection("other")
    held.create_collection("another")
    assert any(problem.startswith("rewritten") for problem in held.log.verify(late).problems)
    assert held.log.verify(early).problems == ()


def test_a_checkpoint_that_this_vault_did_not_sign_proves_nothing(empty: Vault) -> None:
    empty.create_collection("one")
    kept = empty.log.checkpoint()
    for text in ("", "nonsense", kept.replace("\n2\n", "\n3\n"), kept[:-9] + kept[-8:]):
        if not text:
            assert empty.log.verify(text).problems == ()
            continue
        with pytest.raises(errors.ProofFailed, match="did not sign"):
            empty.log.verify(text)
