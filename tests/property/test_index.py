"""P11 for the index: after any history it answers as brute force over a plain dict does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from countenance.index import block as blocks
from countenance.index import exact
from countenance.index.block import LEVELS, STRIP, ZERO, Block
from countenance.index.exact import Exact

D = 16
seeds = st.integers(0, 2**32 - 1)
some_rows = st.lists(st.integers(0, 60), max_size=40)
times = st.integers(0, 20)


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def made(seed, count, spread):
    """Templates around a centre (spread small), all over, or with their weight in a few numbers (spread large)."""
    random = np.random.default_rng(seed)
    rows = random.standard_normal((count, D))
    if spread == "near":
        rows = np.ones(D) + 0.3 * rows
    if spread == "sharp":
        rows = rows**9
    if spread == "same":
        rows = np.repeat(rows[:1], count, axis=0)
    return unit(rows)


spreads = st.sampled_from(["near", "all", "sharp", "same"])


@pytest.fixture(scope="module", autouse=True)
def _always_sieve():
    """Small indexes are scored plainly; here they are sifted first, and blocks are small, so that both are tested."""
    patch = pytest.MonkeyPatch()
    patch.setattr(exact, "PLAIN", 4)
    patch.setattr(exact, "ROWS", 16)
    yield
    patch.undo()


class History(RuleBasedStateMachine):
    @initialize()
    def start(self):
        self.index = Exact(D)
        self.held = {}  # row -> template, expiry, blocked
        self.gone = []

    @rule(rows=some_rows, seed=seeds, spread=spreads, expires=times)
    def add(self, rows, seed, spread, expires):
        new = sorted(set(rows) - set(self.held), reverse=bool(seed % 2))
        templates = made(seed, len(new), spread)
        if seed % 3:
            self.index.add(new, templates, [expires] * len(new))
        else:
            self.index.reserve(len(new) + seed % 4)[: len(new)] = templates
            self.index.commit(new, [expires] * len(new))
        self.held |= {row: [template, expires, False] for row, template in zip(new, templates, strict=True)}

    @rule(rows=some_rows)
    def remove(self, rows):
        removed = [self.held.pop(row) for row in set(rows) if row in self.held]
        assert self.index.remove(rows) == len(removed)
        self.gone += [template.tobytes() for template, _, _ in removed]

    @rule(rows=some_rows, blocked=st.booleans())
    def mask(self, rows, blocked):
        self.index.mask(rows, blocked=blocked)
        for row in set(rows) & set(self.held):
            self.held[row][2] = blocked

    @rule(
        seed=seeds,
        count=st.sampled_from([1, 2, 4, 5, 9]),
        spread=spreads,
        threshold=st.floats(-1, 1),
        now=times,
        limit=st.none() | st.integers(1, 5),
        own=st.booleans(),
    )
    def search(self, *, seed, count, spread, threshold, now, limit, own):
        probes = made(seed, count, spread)
        if own and self.held:
            rows = sorted(self.held)
            probes[0] = self.held[rows[seed % len(rows)]][0]
            other = self.held[rows[seed // 7 % len(rows)]][0]
            threshold = float(np.float32(probes[0].astype(np.float64) @ other.astype(np.float64)))
        answers = self.index.search(probes, threshold=threshold, now=now, limit=limit)
        for probe, (found, scores) in zip(probes, answers, strict=True):
            right = []
            for row, (template, expires, blocked) in self.held.items():
                score = np.float32(probe.astype(np.float64) @ template.astype(np.float64))
                if float(score) >= threshold and expires > now and not blocked:
                    right.append((-float(score), row))
            right = sorted(right)[:limit]
            assert found.tolist() == [row for _, row in right]
            assert scores.tolist() == [-score for score, _ in right]

    @invariant()
    def it_holds_what_was_added_and_not_removed(self):
        assert len(self.index) == len(self.held)
        assert all(self.index.contains(row) == (row in self.held) for row in range(0, 61, 7))

    @invariant()
    def bytes_of_removed_rows_are_gone(self):
        still = {template.tobytes() for template, _, _ in self.held.values()}
        memory = b"".join(block.floats.tobytes() for block in self.index._blocks)
        assert not any(template in memory for template in self.gone if template not in still)
        for block in self.index._blocks:
            dead = np.flatnonzero(~block.live)
            assert not block.floats[dead].any()
            assert not block.codes[dead // STRIP, :, dead % STRIP].any()
            assert not block.excess[dead].any()

    def teardown(self):
        self.index.close()


History.TestCase.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)
TestAnyHistoryIsAnsweredAsBruteForceWould = History.TestCase


def coded(block, row):
    return block.codes[row // STRIP, :, row % STRIP].astype(np.float64)


@settings(deadline=None)
@given(seed=seeds, spread=spreads, more=spreads)
def test_the_distance_of_a_row_from_its_bytes_is_never_above_the_residual(seed, spread, more):
    block = Block(64, D)
    for number, kind in enumerate((spread, more)):
        block.reserve(20)[:] = made(seed + number, 20, kind)
        block.commit(np.arange(20) + 20 * number, np.ones(20, np.int64))
    for row in range(40):
        distance = np.linalg.norm(block.floats[row].astype(np.float64) - np.float32(block.scale) * coded(block, row))
        assert distance <= block.residual + blocks.SLACK / 4
        assert block.excess[row] == ZERO * coded(block, row).sum()


@settings(deadline=None)
@given(seed=seeds, spread=spreads, threshold=st.floats(-1, 1), probes=st.integers(1, 8))
def test_the_sieve_lets_through_every_row_that_scores_the_threshold(seed, spread, threshold, probes):
    block = Block(64, D)
    block.reserve(60)[:] = made(seed, 60, spread)
    block.commit(np.arange(60), np.ones(60, np.int64))
    asked = made(seed + 1, probes, spread).astype(np.float64)
    scores = (asked @ block.floats[:60].T.astype(np.float64)).astype(np.float32)
    passed = exact._sieve(asked, threshold)((block, 0, 60))
    assert set(np.flatnonzero((scores >= threshold).any(axis=0))) <= set(passed.tolist())
    assert (passed < 60).all()


def test_the_sieve_rules_out_nearly_all_rows_that_are_far_below_the_threshold():
    block = Block(2_000, D)
    block.reserve(2_000)[:] = made(1, 2_000, "all")
    block.commit(np.arange(2_000), np.ones(2_000, np.int64))
    probe = made(2, 1, "all").astype(np.float64)
    near = int((probe @ block.floats.T > 0.55).sum())
    assert len(exact._sieve(probe, 0.6)((block, 0, 2_000))) <= near


@pytest.mark.parametrize("sign", [1, -1])
def test_a_row_whose_rounding_errors_all_point_towards_the_probe_is_not_lost(sign):
    # The probe's bytes are exact, and all of the row's numbers but one round to 0.
    row = np.full((1, D), 0.4 / LEVELS)
    row[0, 0] = 1
    row, probe = sign * unit(row), np.full((1, D), sign / D**0.5)
    block = Block(1, D)
    block.reserve(1)[:] = row
    block.commit(np.array([1]), np.array([1]))
    score = float((probe @ row[0].astype(np.float64))[0])
    assert exact._sieve(probe, score)((block, 0, 1)).tolist() == [0]


def test_no_pair_of_products_can_saturate_sixteen_bits():
    assert 2 * (2 * ZERO) * LEVELS <= 2**15 - 1
