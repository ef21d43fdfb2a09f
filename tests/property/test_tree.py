from __future__ import annotations

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countenance.store.tree import (
    HEIGHT,
    ITEMS,
    Malformed,
    Path,
    Punctured,
    birth,
    derive,
    derive_many,
    dump,
    load,
    puncture,
    wipe,
)

SEED = bytes(range(32))
near = st.integers(0, 40)
items = st.one_of(near, st.integers(0, ITEMS - 1), st.integers(ITEMS - 8, ITEMS - 1))
sets = st.lists(items, max_size=12)


def formula(seed: bytes, item: int) -> bytes:
    for height in reversed(range(HEIGHT)):
        side = b"right" if item >> height & 1 else b"left"
        seed = hmac.digest(seed, b"countenance tree 1 " + side, "sha256")
    return seed


@given(items)
def test_an_items_key_is_the_chain_of_hmacs_that_the_formula_gives(item: int) -> None:
    assert derive(birth(SEED), item) == formula(SEED, item)


@given(sets, sets)
def test_exactly_the_punctured_items_have_no_key_and_all_others_keep_theirs(
    erased: list[int], asked: list[int]
) -> None:
    tree = birth(SEED)
    after = puncture(tree, erased)
    neighbours = [item ^ 1 for item in erased]
    for item in [*erased, *neighbours, *asked]:
        if item in erased:
            with pytest.raises(Punctured):
                derive(after, item)
        else:
            assert derive(after, item) == derive(tree, item)


@given(sets, sets)
def test_an_erased_items_leaf_cannot_be_reached_from_any_seed_that_is_left(erased: list[int], more: list[int]) -> None:
    after = puncture(puncture(birth(SEED), erased), more)
    for item in [*erased, *more]:
        leaf = ITEMS | item
        assert not any(leaf >> height in after.nodes for height in range(HEIGHT + 1))


@given(sets, st.randoms(use_true_random=False))
def test_the_order_and_number_of_times_do_not_matter(erased: list[int], random) -> None:
    shuffled = random.sample(erased, len(erased))
    one_by_one = birth(SEED)
    for item in shuffled:
        one_by_one = puncture(one_by_one, [item])
    assert dump(one_by_one) == dump(puncture(birth(SEED), erased))
    assert dump(puncture(one_by_one, erased)) == dump(one_by_one)


@given(sets)
def test_a_tree_survives_its_bytes_and_has_one_spelling(erased: list[int]) -> None:
    tree = puncture(birth(SEED), erased)
    assert load(dump(tree)).nodes == tree.nodes
    assert dump(load(dump(tree))) == dump(tree)


@given(sets, sets)
def test_many_keys_at_once_equal_one_at_a_time_with_and_without_a_kept_path(
    erased: list[int], asked: list[int]
) -> None:
    tree = puncture(birth(SEED), erased)
    alive = [item for item in asked if item not in erased]
    expected = [derive(tree, item) for item in alive]
    path = Path()
    assert derive_many(tree, alive) == expected
    assert [derive_many(tree, [item], path)[0] for item in alive] == expected


@given(near, sets, near)
def test_a_kept_path_still_gives_right_keys_after_a_refusal(first: int, between: list[int], then: int) -> None:
    tree = puncture(birth(SEED), [50])
    path = Path()
    derive_many(tree, [first], path)
    with pytest.raises(Punctured):
        derive_many(tree, [*(item for item in between if item != 50), 50], path)
    assert derive_many(tree, [then], path) == [derive(tree, then)]


@given(sets, st.data())
def test_any_change_of_length_or_structure_of_the_bytes_is_refused(erased: list[int], data) -> None:
    good = bytes(dump(puncture(birth(SEED), [7, *erased])))
    at = data.draw(st.integers(0, len(good) - 1))
    for bad in (good[:at], good + good[8:46], good[:8] + good[46:84] + good[8:46] + good[84:]):
        if (len(bad) - 8) % 38 == 0 and bad[:8] == good[:8] and bad == good[: len(bad)] and len(bad) < len(good):
            continue  # whole nodes missing at the end is a tree too: its seal, not its form, tells
        with pytest.raises(Malformed):
            load(bad)


@pytest.mark.parametrize(
    "nodes",
    [[0], [2 * ITEMS], [1, 1], [1, 2], [2, 3], [3, 2], [2, 4]],
    ids=["none", "too-deep", "twice", "under-another", "both-siblings", "right-to-left", "inside-the-last"],
)
def test_nodes_that_contradict_each_other_are_refused(nodes: list[int]) -> None:
    with pytest.raises(Malformed):
        load(b"CNTREE1\n" + b"".join(node.to_bytes(6, "big") + SEED for node in nodes))


@pytest.mark.parametrize("item", [-1, ITEMS])
def test_a_number_beyond_forty_bits_is_refused(item: int) -> None:
    with pytest.raises(ValueError, match="from 0 to"):
        derive(birth(SEED), item)
    with pytest.raises(ValueError, match="from 0 to"):
        puncture(birth(SEED), [item])


def test_a_tree_grows_from_32_bytes_only() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        birth(b"short")


def test_the_state_is_small_and_says_nothing_when_printed() -> None:
    tree = birth(SEED)
    assert len(dump(tree)) == 46
    assert len(dump(puncture(tree, [5]))) == 8 + 40 * 38
    assert SEED.hex() not in repr(tree)
    assert str(SEED) not in repr(tree)


def test_wiping_overwrites_what_the_next_tree_does_not_share_and_leaves_the_next_one_whole() -> None:
    first = puncture(birth(SEED), [1])
    second = puncture(first, [1 << 20])
    lost = [seed for node, seed in first.nodes.items() if node not in second.nodes]
    expected = derive(second, 2)
    wipe(first, second)
    assert lost
    assert not any(any(seed) for seed in lost)
    assert derive(second, 2) == expected
    wipe(second)
    assert not any(any(seed) for seed in second.nodes.values())
