from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countenance.audit import merkle
from countenance.audit.merkle import consistency_holds
from countenance.audit.verify import EMPTY_ROOT, inclusion_holds, leaf_hash, node_hash
from countenance.errors import VaultDamaged

SIZES = 131

# The reference tree of Certificate Transparency's test data: eight leaves, and the roots of its first 0 to 8.
LEAVES = [b"", b"\x00", b"\x10", b"\x20\x21", b"\x30\x31", b"\x40\x41\x42\x43", bytes(range(0x50, 0x58))]
LEAVES += [bytes(range(0x60, 0x70))]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PATHS = {
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
}
CONSISTENCY = {
    (1, 1): [],
    (1, 8): PATHS[0, 8],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}

# RFC 6962, section 2.1, word for word: slow, and the measure of the fast one.


def split(size: int) -> int:
    return 1 << (size - 1).bit_length() - 1


def tree(hashes: list[bytes]) -> bytes:
    if len(hashes) < 2:
        return hashes[0] if hashes else hashlib.sha256(b"").digest()
    k = split(len(hashes))
    return node_hash(tree(hashes[:k]), tree(hashes[k:]))


def path(m: int, hashes: list[bytes]) -> list[bytes]:
    if len(hashes) == 1:
        return []
    k = split(len(hashes))
    return [*path(m, hashes[:k]), tree(hashes[k:])] if m < k else [*path(m - k, hashes[k:]), tree(hashes[:k])]


def subproof(m: int, hashes: list[bytes], *, whole: bool) -> list[bytes]:
    if m == len(hashes):
        return [] if whole else [tree(hashes)]
    k = split(len(hashes))
    if m <= k:
        return [*subproof(m, hashes[:k], whole=whole), tree(hashes[k:])]
    return [*subproof(m - k, hashes[k:], whole=False), tree(hashes[:k])]


def hashes_of(size: int) -> list[bytes]:
    return [leaf_hash(b"entry %d" % number) for number in range(size)]


def frontier_of(hashes: list[bytes]) -> merkle.Frontier:
    return merkle.Frontier().extend(hashes)[0]


@pytest.mark.parametrize("size", range(9))
def test_the_public_reference_tree_has_its_published_roots(size):
    hashes = [leaf_hash(leaf) for leaf in LEAVES[:size]]
    assert merkle.root(hashes).hex() == ROOTS[size]
    assert frontier_of(hashes).root().hex() == ROOTS[size]


def test_the_public_reference_tree_has_its_published_proofs():
    hashes = [leaf_hash(leaf) for leaf in LEAVES]
    for (index, size), expected in PATHS.items():
        assert [node.hex() for node in merkle.of(hashes[:size]).inclusion(index)] == expected
    for (old, size), expected in CONSISTENCY.items():
        assert [node.hex() for node in merkle.of(hashes[:size]).consistency(old)] == expected
        roots = bytes.fromhex(ROOTS[old]), bytes.fromhex(ROOTS[size])
        assert consistency_holds(old, roots[0], size, roots[1], [bytes.fromhex(node) for node in expected])


@pytest.mark.parametrize("size", range(SIZES))
def test_roots_and_inclusion_paths_are_those_of_the_standard_and_hold(size):
    hashes = hashes_of(size)
    root = merkle.root(hashes)
    assert root == tree(hashes) == frontier_of(hashes).root()
    whole = merkle.of(hashes)
    assert whole.root() == root
    for index in range(size):
        found = whole.inclusion(index)
        assert found == path(index, hashes)
        assert inclusion_holds(hashes[index], index, size, found, root)


@pytest.mark.parametrize("size", range(SIZES))
def test_consistency_proofs_are_those_of_the_standard_and_hold(size):
    hashes = hashes_of(size)
    root = merkle.root(hashes)
    for old in range(size + 1):
        found = merkle.of(hashes).consistency(old)
        assert found == (subproof(old, hashes, whole=True) if old else [])
        assert consistency_holds(old, merkle.root(hashes[:old]), size, root, found)


LARGE = (255, 256, 257, 511, 512, 513, 767, 1_024, 65_535, 65_536, 65_537, 70_000)


@pytest.mark.parametrize("size", LARGE)
def test_trees_of_several_tiles_give_the_proofs_of_the_standard_from_the_nodes_that_appending_completes(size):
    hashes = hashes_of(size)
    frontier, done = merkle.Frontier(), []
    for first in range(0, size, 300):
        frontier, more = frontier.extend(hashes[first : first + 300])
        done += more
    assert len(done) == size // 256 + size // 65_536
    held = {(node.level, node.number): node.hash for node in done}
    asked = set()

    def tile(level, number, width):
        asked.add((level, number))
        first = number * 256
        return hashes[first : first + width] if level == 0 else [held[level, first + n] for n in range(width)]

    stored = merkle.Tree(size, tile)
    assert stored.root() == frontier.root() == merkle.root(hashes)
    indexes = {0, 1, 254, 255, 256, size // 2, size - 2, size - 1} & set(range(size))
    for index in indexes:
        asked.clear()
        assert stored.inclusion(index) == path(index, hashes) == merkle.of(hashes).inclusion(index)
        assert len(asked) <= 5
    for old in indexes - {0}:
        asked.clear()
        assert stored.consistency(old) == subproof(old, hashes, whole=True)
        assert len(asked) <= 5


@given(st.data())
def test_an_inclusion_proof_with_anything_altered_fails(data):
    size = data.draw(st.integers(1, 300))
    hashes = hashes_of(size)
    index = data.draw(st.integers(0, size - 1))
    proof = [hashes[index], index, size, merkle.of(hashes).inclusion(index), merkle.root(hashes)]
    assert inclusion_holds(*proof)
    leaf, _, _, nodes, root = proof
    what = data.draw(st.sampled_from(["leaf", "index", "root", "node", "more", "fewer", "swap", "short"]))
    if what == "leaf":
        proof[0] = flipped(data, leaf)
    elif what == "index":
        proof[1] = data.draw(st.integers(-2, size + 2).filter(lambda other: other != index))
    elif what == "root":
        proof[4] = flipped(data, root)
    elif what == "more":
        proof[3] = [*nodes, data.draw(st.sampled_from([*hashes, root]))]
    elif not nodes:
        proof[3] = [leaf]
    else:
        at = data.draw(st.integers(0, len(nodes) - 1))
        altered = {
            "node": [*nodes[:at], flipped(data, nodes[at]), *nodes[at + 1 :]],
            "fewer": nodes[:at] + nodes[at + 1 :],
            "swap": [*nodes[1:], nodes[0], nodes[0]],
            "short": [*nodes[:at], nodes[at][:-1], *nodes[at + 1 :]],
        }
        proof[3] = altered[what]
    assert not inclusion_holds(*proof)


@given(st.data())
def test_a_consistency_proof_with_anything_altered_fails(data):
    size = data.draw(st.integers(2, 300))
    old = data.draw(st.integers(1, size - 1))
    hashes = hashes_of(size)
    proof = [old, merkle.root(hashes[:old]), size, merkle.root(hashes), merkle.of(hashes).consistency(old)]
    assert consistency_holds(*proof)
    nodes = proof[4]
    at = data.draw(st.integers(0, len(nodes) - 1))
    what = data.draw(st.sampled_from(["old", "new", "node", "more", "fewer", "rewritten"]))
    if what in {"old", "new"}:
        place = 1 if what == "old" else 3
        proof[place] = flipped(data, proof[place])
    elif what == "rewritten":  # the log was rolled back and grew again over other entries
        gone = data.draw(st.integers(0, old - 1))
        other = [*hashes[:gone], leaf_hash(b"other"), *hashes[gone + 1 :]]
        proof[3:] = [merkle.root(other), merkle.of(other).consistency(old)]
    else:
        altered = {
            "node": [*nodes[:at], flipped(data, nodes[at]), *nodes[at + 1 :]],
            "more": [*nodes, nodes[at]],
            "fewer": nodes[:at] + nodes[at + 1 :],
        }
        proof[4] = altered[what]
    assert not consistency_holds(*proof)


@pytest.mark.parametrize("size", range(2, 20))
def test_a_root_or_a_pair_cut_elsewhere_is_not_taken_for_a_leaf(size):
    hashes = hashes_of(size)
    root = merkle.root(hashes)
    assert not any(inclusion_holds(root, index, size, [], root) for index in range(size))
    leaf, (sibling, *rest) = hashes[0], merkle.of(hashes).inclusion(0)
    assert not inclusion_holds(leaf[:-1], 0, size, [leaf[-1:] + sibling, *rest], root)


def test_nothing_is_proved_about_the_empty_tree_but_that_it_is_empty():
    some = leaf_hash(b"some")
    assert consistency_holds(0, EMPTY_ROOT, 0, EMPTY_ROOT, [])
    assert consistency_holds(0, EMPTY_ROOT, 1, some, [])
    assert not consistency_holds(0, some, 0, some, [])
    assert not consistency_holds(0, EMPTY_ROOT, 0, some, [])
    assert not consistency_holds(0, EMPTY_ROOT, 1, some, [some])
    assert not consistency_holds(2, some, 1, some, [])
    assert not consistency_holds(1, some, 2, some, [])
    assert not inclusion_holds(some, 0, 0, [], EMPTY_ROOT)


@given(st.integers(0, 300))
def test_a_frontier_survives_being_stored(size):
    frontier = frontier_of(hashes_of(size))
    again = merkle.Frontier.load(frontier.dump())
    assert again == frontier
    assert again.extend([leaf_hash(b"next")])[0].root() == merkle.root([*hashes_of(size), leaf_hash(b"next")])


@given(st.integers(1, 300), st.integers(-40, 40).filter(bool))
def test_a_stored_frontier_of_the_wrong_length_is_refused(size, change):
    data = frontier_of(hashes_of(size)).dump()
    with pytest.raises(VaultDamaged):
        merkle.Frontier.load(data + bytes(change) if change > 0 else data[:change])


def flipped(data: st.DataObject, original: bytes) -> bytes:
    at = data.draw(st.integers(0, len(original) - 1))
    return original[:at] + bytes([original[at] ^ 1 << data.draw(st.integers(0, 7))]) + original[at + 1 :]
