from __future__ import annotations

import os
from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import delete, event

import countenance
from countenance import ids
from countenance.records import ErasedBefore
from countenance.store import erasures, suppressions
from countenance.store.tables import band, suppression

FIRST_BAND = [61, 111, 126, 235, 164, 92, 171, 195, 177, 110, 72, 148, 132, 68, 142, 212, 197, 245, 44, 147]


@pytest.fixture
def vault(empty):
    return empty


@pytest.fixture
def erasure(vault):
    """The id of an erasure that is done."""
    erasure_id = ids.new("erasure")
    collection = vault.create_collection("club").id
    with vault.database.write() as tx:
        erasures.insert_planned(tx, erasure_id, collection, "photo", {"states": []}, ())
        erasures.advance(tx, erasure_id, "certified", {"states": []})
    return erasure_id


def imprint(seed: int = 1) -> bytes:
    return np.random.default_rng(seed).bytes(32)


def changed(kept: bytes, bits: int) -> bytes:
    """The imprint with so many of its bits turned over, evenly chosen."""
    found = np.unpackbits(np.frombuffer(kept, np.uint8))
    found[np.linspace(0, 255, bits, dtype=int)] ^= 1
    return np.packbits(found).tobytes()


def test_a_picture_is_recognised_by_an_imprint_that_is_near_and_by_none_that_is_far(vault, erasure):
    with vault.database.write() as tx:
        suppressions.add_picture(tx, (imprint(), imprint(2)), erasure)
        known = ErasedBefore(erasure_id=erasure, by="picture")
        assert suppressions.like(tx, (imprint(),)) == known
        assert suppressions.like(tx, (imprint(3), imprint(4), imprint(2))) == known
        assert suppressions.like(tx, (changed(imprint(), 8),)) == known
        assert suppressions.like(tx, (changed(imprint(), 60),)) is None
        assert suppressions.like(tx, (imprint(3),)) is None
        assert suppressions.like(tx, ()) is None


def test_bands_of_several_pictures_or_windows_are_not_counted_together(vault, erasure):
    few = suppressions.ENOUGH - 1
    index = suppressions.choice()

    def sharing(first: int) -> bytes:
        """An imprint that has few bands in common with the kept one, from band `first` on, and the others not."""
        kept = np.unpackbits(np.frombuffer(imprint(), np.uint8))
        bits = 1 - kept
        for number in range(first, first + few):
            bits[index[number]] = kept[index[number]]
        return np.packbits(bits).tobytes()

    with vault.database.write() as tx:
        suppressions.add_picture(tx, (sharing(0),), erasure)
        suppressions.add_picture(tx, (sharing(12),), erasure)
        assert suppressions.like(tx, (imprint(),)) is None
    with vault.database.write() as tx:
        tx.sql.execute(delete(band))
        tx.sql.execute(delete(suppression))
        suppressions.add_picture(tx, (imprint(),), erasure)
        assert suppressions.like(tx, (sharing(0), sharing(12))) is None
        assert suppressions.like(tx, (sharing(0), imprint())) is not None


def test_each_band_takes_20_bits_and_no_bit_stands_in_more_than_one_band_of_an_order():
    index = suppressions.choice()
    assert index.shape == (suppressions.BANDS, suppressions.BITS) == (36, 20)
    for start in range(0, 36, 12):
        assert len(set(index[start : start + 12].ravel().tolist())) == 240
    assert np.bincount(index.ravel(), minlength=256).max() <= 3


def test_the_choice_of_bits_is_the_same_for_ever():
    assert suppressions.choice()[0].tolist() == FIRST_BAND


def test_tokens_depend_on_the_vaults_key_and_hold_no_bits_of_the_imprint(vault, erasure, tmp_path, settings):
    countenance.create(tmp_path / "other", clock=lambda: datetime(2026, 11, 23, tzinfo=UTC))
    with (
        countenance.open(
            tmp_path / "other", settings=settings, clock=lambda: datetime(2026, 11, 23, tzinfo=UTC)
        ) as other,
        vault.database.read() as tx,
        other.database.read() as elsewhere,
    ):
        assert not set(suppressions._tokens(tx, (imprint(),))) & set(suppressions._tokens(elsewhere, (imprint(),)))
        flat = suppressions._tokens(tx, (bytes(32),))
    assert len(set(flat)) == suppressions.BANDS  # the band's number is in its token


def test_what_an_erasure_left_is_put_back_as_it_was_and_twice_is_the_same_as_once(vault, erasure):
    with vault.database.write() as tx:
        suppressions.add(tx, os.urandom(32), "content", erasure)
        suppressions.add(tx, os.urandom(32), "address", erasure)
        suppressions.add_picture(tx, (imprint(), imprint(2)), erasure)
        left = suppressions.of(tx, erasure)
        counted = suppressions.counts(tx, erasure)
        assert counted == {"content": 1, "address": 1, "picture": 1, "band": 72}
        tx.sql.execute(delete(band))
        tx.sql.execute(delete(suppression))
        assert suppressions.like(tx, (imprint(),)) is None
        for _ in range(2):
            suppressions.put_back(tx, left)
            assert suppressions.of(tx, erasure) == left
            assert suppressions.counts(tx, erasure) == counted
        assert suppressions.like(tx, (changed(imprint(2), 8),)).erasure_id == erasure
    assert vault.database.integrity() == []


def test_the_same_picture_erased_twice_leaves_its_bands_once(vault, erasure):
    with vault.database.write() as tx:
        for _ in range(2):
            suppressions.add_picture(tx, (imprint(),), erasure)
        assert suppressions.counts(tx, erasure) == {"picture": 1, "band": 36}


def test_a_picture_is_looked_up_in_two_queries_and_one_if_nothing_was_erased(vault, erasure):
    asked = []
    event.listen(vault.database.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    with vault.database.write() as tx:
        asked.clear()
        suppressions.like(tx, (imprint(),) * 10)
        assert len(asked) == 1
        suppressions.add_picture(tx, (imprint(),), erasure)
        asked.clear()
        suppressions.like(tx, (imprint(),) * 10)
        assert len(asked) == 2
