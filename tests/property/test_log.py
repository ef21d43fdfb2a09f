"""Whatever is done to the stored log, checking it finds it: random tamperings, each undone afterwards."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import delete, func, insert, select, update

import countenance
from countenance.audit import checkpoint, log
from countenance.audit.verify import leaf_hash
from countenance.records import Entry
from countenance.store import entries, photos, tree
from countenance.store.database import Database, Tx
from countenance.store.keys import Keys
from countenance.store.tables import entry, node, part, vault
from countenance.vault import Vault

TIMES = 36  # tamperings of each kind; with 29 kinds more than a thousand
LINES = 300  # more than one tile of 256
ERASED = range(1, 40)  # items whose keys are gone
HEAD = ("log_size", "log_frontier", "log_at", "checkpoint", "cosigned")


class Told(NamedTuple):
    """A log, and what it looked like at some sizes before: its head's columns."""

    database: Database
    before: dict[int, dict[str, Any]]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    path = tmp_path_factory.mktemp("log") / "vault"
    countenance.create(path, clock=lambda: datetime(2036, 1, 1, tzinfo=UTC))
    keys = Keys.open(path / "keys")
    database = Database(path / "records.db", keys, lambda: datetime(2036, 1, 1, tzinfo=UTC))
    before = {}
    for number in range(60):
        with database.write() as tx:
            log.extend(tx, [made(5 * number + n) for n in range(5)])
            if number in {20, 55}:
                cosign(tx)
            head = tx.sql.execute(select(*(vault.c[name] for name in HEAD))).one()
            before[head.log_size] = dict(head._mapping)
    keys.advance(ERASED)
    with database.write() as tx:
        log.erase(tx, ERASED)
    with database.read() as tx:
        found = log.verify(tx)
    assert found.problems == ()
    assert found.size > LINES
    assert found.erased > 10
    yield Told(database, before)
    database.close()
    keys.close()


def made(number: int) -> Entry:
    parts = tuple((1 + (number * 7 + n) % 97, {"face": f"face {number} {n}"}) for n in range(number % 4))
    return Entry(kind=("photo:added", "search:done")[number % 2], public={"seen": number}, parts=parts)


def cosign(tx: Tx) -> None:
    signing = Ed25519PrivateKey.generate()
    note = entries.head(tx).checkpoint
    size = entries.head(tx).size
    whole = note + checkpoint.cosign(note.partition("\n\n")[0] + "\n", "witness.example", signing, 1)
    witness = checkpoint.Cosigner("witness.example", signing.public_key().public_bytes_raw())
    log.append(tx, Entry(kind=log.COSIGNED, public={"witness": str(witness), "size": size}))
    entries.keep_cosigned(tx, whole)


# The tamperings: each changes the stored log, and returns a checkpoint that somebody kept where it takes one to see it.


def flipped(rnd: random.Random, data: bytes) -> bytes:
    at = rnd.randrange(len(data))
    return data[:at] + bytes([data[at] ^ rnd.randrange(1, 256)]) + data[at + 1 :]


def altered(rnd: random.Random, text: str) -> str:
    at = rnd.randrange(len(text))
    other = rnd.choice([c for c in "0aZ/\n +=" if c != text[at]])
    return text[:at] + rnd.choice([other, "", text[at] + other]) + text[at + 1 :]


def a_line(tx: Tx, rnd: random.Random) -> Any:
    return rnd.choice(tx.sql.execute(select(entry)).all())


def a_part(tx: Tx, rnd: random.Random, *, erased: bool = False) -> Any:
    query = select(part).where(part.c.detail.is_(None) if erased else part.c.detail.is_not(None))
    return rnd.choice(tx.sql.execute(query).all())


def put(tx: Tx, number: int, **columns: Any) -> None:
    tx.sql.execute(update(entry).where(entry.c.number == number).values(**columns))


def put_part(tx: Tx, row: int, **columns: Any) -> None:
    tx.sql.execute(update(part).where(part.c.row == row).values(**columns))


def size(tx: Tx) -> int:
    return tx.sql.execute(select(func.count()).select_from(entry)).scalar_one()


def cut(tx: Tx, count: int) -> None:
    """Leave the first lines, their details and the nodes that they complete."""
    tx.sql.execute(delete(part).where(part.c.entry >= count))
    tx.sql.execute(delete(entry).where(entry.c.number >= count))
    tx.sql.execute(delete(node).where((node.c.number + 1) * 256 > count, node.c.level == 1))


def shift(tx: Tx, first: int, by: int) -> None:
    """Renumber the lines from `first` on, with their details."""
    for table, column in ((entry, entry.c.number), (part, part.c.entry)):
        far = 1_000_000 + by  # there and back, so that no two meet on the way
        tx.sql.execute(update(table).where(column >= first).values({column: column + far}))
        tx.sql.execute(update(table).where(column >= 1_000_000).values({column: column - 1_000_000}))


def leaf_byte(tx, rnd, _):
    line = a_line(tx, rnd)
    put(tx, line.number, leaf=flipped(rnd, line.leaf))


def leaf_and_hash(tx, rnd, _):
    line = a_line(tx, rnd)
    leaf = flipped(rnd, line.leaf)
    put(tx, line.number, leaf=leaf, hash=leaf_hash(leaf))


def stored_hash(tx, rnd, _):
    line = a_line(tx, rnd)
    put(tx, line.number, hash=flipped(rnd, line.hash))


def leaf_and_everything_but_the_signature(tx, rnd, _):
    line = a_line(tx, rnd)
    said = json.loads(line.leaf)
    said["public"] = {"seen": rnd.randrange(10**6, 10**7)}
    put(tx, line.number, leaf=rfc8785.dumps(said), hash=leaf_hash(rfc8785.dumps(said)))
    leaves = [row.hash for row in tx.sql.execute(select(entry.c.hash).order_by(entry.c.number))]
    frontier, nodes = log.merkle.Frontier().extend(leaves)
    tx.sql.execute(delete(node))
    tx.sql.execute(insert(node), [made._asdict() for made in nodes])
    tx.sql.execute(update(vault).values(log_frontier=frontier.dump()))


def listed_kind(tx, rnd, _):
    line = a_line(tx, rnd)
    put(tx, line.number, kind=altered(rnd, line.kind))


def line_removed(tx, rnd, _):
    line = a_line(tx, rnd)
    tx.sql.execute(delete(part).where(part.c.entry == line.number))
    tx.sql.execute(delete(entry).where(entry.c.number == line.number))


def line_removed_and_the_rest_moved_up(tx, rnd, _):
    line = a_line(tx, rnd)
    tx.sql.execute(delete(part).where(part.c.entry == line.number))
    tx.sql.execute(delete(entry).where(entry.c.number == line.number))
    shift(tx, line.number + 1, -1)


def two_lines_exchanged(tx, rnd, _):
    one, other = rnd.sample(tx.sql.execute(select(entry)).all(), 2)
    put(tx, one.number, leaf=other.leaf, hash=other.hash, kind=other.kind)
    put(tx, other.number, leaf=one.leaf, hash=one.hash, kind=one.kind)


def two_lines_exchanged_with_their_details(tx, rnd, _):
    one, other = (row.number for row in rnd.sample(tx.sql.execute(select(entry)).all(), 2))
    for table, column in ((entry, entry.c.number), (part, part.c.entry)):
        for old, new in ((one, -7), (other, one), (-7, other)):
            tx.sql.execute(update(table).where(column == old).values({column: new}))


def line_added_at_the_end(tx, rnd, _):
    line = a_line(tx, rnd)
    tx.sql.execute(insert(entry).values(number=size(tx), kind=line.kind, leaf=line.leaf, hash=line.hash))


def line_doubled_in_its_place(tx, rnd, _):
    line = a_line(tx, rnd)
    shift(tx, line.number + 1, 1)
    tx.sql.execute(insert(entry).values(number=line.number + 1, kind=line.kind, leaf=line.leaf, hash=line.hash))


def line_made_up_and_inserted(tx, rnd, _):
    number = rnd.randrange(size(tx))
    shift(tx, number, 1)
    said = {"number": number, "at": "2036-01-01T00:00:00Z", "kind": "act:refused", "public": {}, "parts": []}
    leaf = rfc8785.dumps(said)
    tx.sql.execute(insert(entry).values(number=number, kind="act:refused", leaf=leaf, hash=leaf_hash(leaf)))


def detail_byte(tx, rnd, _):
    one = a_part(tx, rnd)
    put_part(tx, one.row, detail=flipped(rnd, one.detail))


def detail_removed(tx, rnd, _):
    put_part(tx, a_part(tx, rnd).row, detail=None)


def detail_row_removed(tx, rnd, _):
    tx.sql.execute(delete(part).where(part.c.row == a_part(tx, rnd, erased=rnd.random() < 0.5).row))


def detail_row_added(tx, rnd, _):
    one, line = a_part(tx, rnd, erased=rnd.random() < 0.5), a_line(tx, rnd)
    said = {"item": one.item, "bound": one.bound, "detail": one.detail}
    tx.sql.execute(insert(part).values(entry=line.number, number=9, **said))


def detail_moved_to_another_line(tx, rnd, _):
    one = a_part(tx, rnd, erased=rnd.random() < 0.5)
    line = a_line(tx, rnd)
    put_part(tx, one.row, entry=line.number if line.number != one.entry else one.entry + 1, number=7)


def detail_moved_within_its_line(tx, rnd, _):
    put_part(tx, a_part(tx, rnd, erased=rnd.random() < 0.5).row, number=rnd.randrange(5, 50))


def two_details_exchanged(tx, rnd, _):
    one, other = a_part(tx, rnd), a_part(tx, rnd, erased=rnd.random() < 0.5)
    while other.row == one.row:
        other = a_part(tx, rnd)
    for row, said in ((one, other), (other, one)):
        put_part(tx, row.row, item=said.item, bound=said.bound, detail=said.detail)


def detail_passed_off_as_erased(tx, rnd, _):
    one = a_part(tx, rnd)
    put_part(tx, one.row, item=rnd.choice(ERASED), detail=rnd.choice([None, one.detail]))


def detail_bound_elsewhere(tx, rnd, _):
    one = a_part(tx, rnd, erased=rnd.random() < 0.5)
    put_part(tx, one.row, bound=flipped(rnd, one.bound))


def checkpoint_text_or_signature(tx, rnd, _):
    note = entries.head(tx).checkpoint
    further = note + "\N{EM DASH} another.example " + base64.b64encode(rnd.randbytes(68)).decode() + "\n"
    tx.sql.execute(update(vault).values(checkpoint=rnd.choice([altered(rnd, note), further])))


def checkpoint_of_another_time(tx, rnd, told):
    other = rnd.choice([*told.before.values()][:-1])["checkpoint"]
    tx.sql.execute(update(vault).values(checkpoint=rnd.choice([other, ""])))


def cosigned_checkpoint(tx, rnd, told):
    note = entries.cosigned(tx)
    others = {old["cosigned"] for old in told.before.values()} - {note}
    entries.keep_cosigned(tx, rnd.choice([altered(rnd, note), note.rpartition("— ")[0], *others]))


def cut_at_the_end(tx, rnd, _):
    cut(tx, size(tx) - rnd.randrange(1, 50))


def head_of_the_log(tx, rnd, told):
    head = entries.head(tx)
    name, value = rnd.choice(
        [
            ("log_size", head.size + rnd.choice([-1, 1])),
            ("log_frontier", flipped(rnd, head.frontier)),
            ("log_at", altered(rnd, head.at)),
        ]
    )
    tx.sql.execute(update(vault).values({name: value}))


def stored_node(tx, rnd, _):
    one = tx.sql.execute(select(node)).one()
    harms = [
        delete(node),
        update(node).values(hash=flipped(rnd, one.hash)),
        update(node).values(number=rnd.randrange(1, 9)),
        insert(node).values(level=rnd.randrange(1, 4), number=rnd.randrange(1, 9), hash=one.hash),
    ]
    tx.sql.execute(rnd.choice(harms))


def rolled_back(tx, rnd, told):
    kept = entries.head(tx).checkpoint
    old = rnd.choice([*told.before.values()][:-1])
    cut(tx, old["log_size"])
    tx.sql.execute(update(vault).values(**old))
    assert log.verify(tx).problems == ()  # by itself it is a log; only who kept a checkpoint can tell
    return kept


def rolled_back_and_grown_again(tx, rnd, told):
    kept = rolled_back(tx, rnd, told)
    while size(tx) < int(kept.split("\n")[1]) + rnd.randrange(3):
        log.append(tx, Entry(kind="act:refused", public={"seen": rnd.randrange(10**6)}))
    return kept


HARMS = [
    *(leaf_byte, leaf_and_hash, stored_hash, leaf_and_everything_but_the_signature, listed_kind, line_removed),
    *(line_removed_and_the_rest_moved_up, two_lines_exchanged, two_lines_exchanged_with_their_details),
    *(line_added_at_the_end, line_doubled_in_its_place, line_made_up_and_inserted, detail_byte, detail_removed),
    *(detail_row_removed, detail_row_added, detail_moved_to_another_line, detail_moved_within_its_line),
    *(two_details_exchanged, detail_passed_off_as_erased, detail_bound_elsewhere, checkpoint_text_or_signature),
    *(checkpoint_of_another_time, cosigned_checkpoint, cut_at_the_end, head_of_the_log, stored_node),
    *(rolled_back, rolled_back_and_grown_again),
]


class Undo(Exception):
    pass


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
def test_checking_the_log_finds_every_random_tampering(told: Told, tally: Counter[str], harm: Any) -> None:
    for _ in range(TIMES):
        seed = random.getrandbits(32)
        with pytest.raises(Undo), told.database.write() as tx:
            tx.sql.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
            kept = harm(tx, random.Random(seed), told)
            assert log.verify(tx, kept or "").problems, f"{harm.__name__} with seed {seed} was not found"
            raise Undo
        tally["tamperings caught"] += 1
    with told.database.read() as tx:
        assert log.verify(tx).problems == ()


def test_there_are_at_least_a_thousand_tamperings() -> None:
    assert TIMES * len(HARMS) >= 1_000


def test_every_earlier_state_of_the_log_is_one_that_today_s_log_begins_with(told: Told) -> None:
    for old in told.before.values():
        with told.database.read() as tx:
            assert log.verify(tx, old["checkpoint"]).problems == ()


def test_what_is_left_of_an_entry_about_an_erased_person_matches_no_guess(filled: Vault, vault_path: Path) -> None:
    """Who knows every id that could stand in a detail finds it by its salt while that is there, and not afterwards."""
    photo = filled.photos(filled.sources()[0].id)[0]
    with filled.database.read() as tx:
        guesses, salts = details(tx)
        known = matched(tx, guesses, salts)
        about = {number for number, _ in entries.about(tx, [item_of(tx, photo.id)])}
        gone = [(n, commitment) for n, commitment in known if n in about]
    assert len(known) == sum(len(json.loads(line.leaf)["parts"]) for line in leaves(filled))
    assert gone
    filled.erase(filled.scope(photo=photo.id))
    with filled.database.read() as tx:
        _, left = details(tx)
        still = matched(tx, guesses, [*left, ""])
        destroyed = set(salts) - set(left)
    lost = set(known) - set(still)
    assert lost
    assert {n for n, _ in gone} <= {n for n, _ in lost}
    held = b"".join(path.read_bytes() for path in vault_path.rglob("*") if path.is_file())
    assert not any(salt.encode() in held or bytes.fromhex(salt) in held for salt in destroyed)
    assert filled.log.verify().problems == ()


def leaves(held: Vault) -> list[entries.Line]:
    with held.database.read() as tx:
        return list(entries.lines(tx))


def details(tx: Tx) -> tuple[list[bytes], list[str]]:
    """Every detail that can be opened, as canonical JSON, and every salt."""
    opened = []
    for one in entries.details(tx):
        try:
            clear = log.unseal(tx.keys.item_key(one.item), "part", one.item, one.detail)
        except tree.Punctured:
            continue
        opened.append(json.loads(clear))
    return [rfc8785.dumps(each["detail"]) for each in opened], [each["salt"] for each in opened]


def matched(tx: Tx, guesses: list[bytes], salts: list[str]) -> list[tuple[int, str]]:
    """The commitments (line, hash) that some guess under some salt gives."""
    tried = {
        hashlib.sha256(b'{"detail":%s,"salt":"%s"}' % (guess, salt.encode())).hexdigest()
        for guess, salt in product(set(guesses), salts)
    }
    said = [(line.number, json.loads(line.leaf)["parts"]) for line in entries.lines(tx)]
    return [(number, commitment) for number, parts in said for commitment in parts if commitment in tried]


def item_of(tx: Tx, photo_id: str) -> int:
    return photos.items(tx, [photo_id])[photo_id]
