"""The puncturable key tree: one 32-byte key per item, and an erased item's key that no later state can derive.

A binary tree of height 40 (Goldreich, Goldwasser and Micali, "How to construct random functions", 1986): each inner
node's seed gives its two children by HMAC-SHA-256, and an item's key is the seed of its leaf. The state is the set of
subtrees still whole, at first the root alone. To puncture an item (puncturable pseudorandom functions: Boneh and
Waters; Kiayias et al.; Boyle et al., all 2013) is to replace the subtree that covers it by the siblings along the path.

>>> tree = puncture(birth(bytes(32)), [7])
>>> len(derive(tree, 8))
32
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HEIGHT = 40
ITEMS = 1 << HEIGHT
KEY = 32

_MAGIC = b"CNTREE1\n"
_NODE = 6 + KEY  # a node's number fits 41 bits
_CHILD = (b"countenance tree 1 left", b"countenance tree 1 right")

# HMAC (RFC 2104) written out, because the library's call costs 1.9 µs and this 1.0; a test compares the two.
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))
_INNER_REST = tuple(b"\x36" * 32 + child for child in _CHILD)
_OUTER_REST = b"\x5c" * 32


class Punctured(LookupError):
    """The item was erased: no key of it can be derived any more."""


class Malformed(ValueError):
    """The bytes are not a tree that `dump` wrote."""


@dataclass(frozen=True, slots=True)
class Tree:
    """The subtrees still whole: node number to seed. The root is 1, the children of n are 2n and 2n+1."""

    nodes: Mapping[int, bytearray] = field(repr=False)


class Path:
    """The way to the last leaf derived from one tree: drop it with the tree, and never share it between threads."""

    __slots__ = ("last", "seeds", "top")

    def __init__(self) -> None:
        self.seeds: list[bytes | bytearray] = [b""] * (HEIGHT + 1)  # by height, the leaf's at 0
        self.last = 0
        self.top = -1  # the height at which a whole subtree covers the leaf


def birth(seed: bytes) -> Tree:
    """Return the tree in which every item has a key, from 32 random bytes."""
    if len(seed) != KEY:
        raise ValueError("A tree grows from exactly 32 bytes.")
    return Tree({1: bytearray(seed)})


def derive(tree: Tree, item: int) -> bytes:
    """Return the 32-byte key of `item` (0 to 2**40 - 1), or raise `Punctured`."""
    return derive_many(tree, (item,))[0]


def derive_many(tree: Tree, items: Iterable[int], path: Path | None = None) -> list[bytes]:
    """Return the keys of `items` in their order; neighbours share their path, so ascending numbers are fastest.

    A `path` kept from the last call with this same tree makes a neighbour's key 4 µs instead of 40. Without one,
    nothing derived outlives the call. Raises `Punctured` if any item is erased.
    """
    path = path or Path()
    seeds, last, top = path.seeds, path.last, path.top
    path.top = -1  # a call that does not end well leaves nothing to build on
    keys = []
    for item in items:
        leaf = _leaf(item)
        height = (leaf ^ last).bit_length()  # where the two paths meet
        if height > top:
            top = height = _cover(tree, leaf)
            seeds[top] = tree.nodes[leaf >> top]
        last = leaf
        seed = seeds[height]
        while height:
            height -= 1
            seed = seeds[height] = _child(seed, leaf >> height & 1)
        keys.append(bytes(seed))
    path.last, path.top = last, top
    return keys


def puncture(tree: Tree, items: Iterable[int]) -> Tree:
    """Return the tree without `items`; every other item's key stays the same, and items already erased are passed over.

    The seeds that survive are shared with `tree`; see `wipe`.
    """
    nodes = dict(tree.nodes)
    for item in items:
        leaf = _leaf(item)
        height = _height(nodes, leaf)
        if height is None:
            continue
        seed: bytes | bytearray = nodes.pop(leaf >> height)
        while height:
            height -= 1
            node = leaf >> height
            nodes[node ^ 1] = bytearray(_child(seed, ~node & 1))
            seed = _child(seed, node & 1)
    return Tree(nodes)


def wipe(tree: Tree, keep: Tree | None = None) -> None:
    """Overwrite in memory every seed of `tree` that is not also one of `keep`; `tree` is useless afterwards.

    What Python copied on the way (path seeds, keys already handed out) cannot be reached from here.
    """
    for node, seed in tree.nodes.items():
        if keep is None or keep.nodes.get(node) is not seed:
            seed[:] = bytes(len(seed))


def dump(tree: Tree) -> bytearray:
    """Return the tree as bytes: a magic, then each node (6 bytes, big-endian) and seed (32), from left to right."""
    out = bytearray(_MAGIC)
    for node in sorted(tree.nodes, key=_first):
        out += node.to_bytes(6, "big") + tree.nodes[node]
    return out


def load(data: bytes | bytearray | memoryview) -> Tree:
    """Return the tree that `dump` wrote; raise `Malformed` for anything else, so each tree has one spelling."""
    view = memoryview(data)
    if view[: len(_MAGIC)] != _MAGIC or (len(view) - len(_MAGIC)) % _NODE:
        raise Malformed("the key tree does not begin or end as one")
    nodes: dict[int, bytearray] = {}
    free = 0  # the first item that no node covers yet
    for at in range(len(_MAGIC), len(view), _NODE):
        node = int.from_bytes(view[at : at + 6], "big")
        if not 1 <= node < 2 * ITEMS or _first(node) < free or (node > 1 and node ^ 1 in nodes):
            raise Malformed("the key tree's nodes contradict each other")
        nodes[node] = bytearray(view[at + 6 : at + _NODE])
        free = _first(node) + (ITEMS >> (node.bit_length() - 1))
    return Tree(nodes)


def _leaf(item: int) -> int:
    if not 0 <= item < ITEMS:
        raise ValueError("An item's number is from 0 to 2**40 - 1.")
    return ITEMS | item


def _first(node: int) -> int:
    """Return the first item under a node."""
    return (node << (HEIGHT + 1 - node.bit_length())) - ITEMS


def _height(nodes: Mapping[int, bytearray], leaf: int) -> int | None:
    """Return the height of the whole subtree over a leaf, None if it is punctured."""
    return next((height for height in range(HEIGHT + 1) if leaf >> height in nodes), None)


def _cover(tree: Tree, leaf: int) -> int:
    height = _height(tree.nodes, leaf)
    if height is None:
        raise Punctured("This item was erased; its key no longer exists.")
    return height


def _child(seed: bytes | bytearray, side: int) -> bytes:
    """Return HMAC-SHA-256(seed, `_CHILD[side]`)."""
    inner = sha256(seed.translate(_INNER) + _INNER_REST[side]).digest()
    return sha256(seed.translate(_OUTER) + _OUTER_REST + inner).digest()
