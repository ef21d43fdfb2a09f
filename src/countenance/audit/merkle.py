"""The log's tree: RFC 6962 roots and proofs over 32-byte leaf hashes. What is proved here, `verify` checks.

A tree is read in tiles as C2SP tlog-tiles cuts it: tile n of level l holds up to 256 hashes, each the root of a complete
subtree of 256**l leaves. A proof in a tree of a million leaves reads at most five tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from countenance.audit.verify import EMPTY_ROOT, inclusion_holds, node_hash
from countenance.errors import VaultDamaged

WIDTH = 256  # hashes of a full tile
_HEIGHT = 8  # of the subtree that a tile is: its width is 2 to this
_HASH = 32  # bytes, SHA-256


class Node(NamedTuple):
    """The root of a complete subtree of 256**level leaves, the `number`th of its level."""

    level: int
    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Frontier:
    """What of a tree is needed to go on appending: the root of each complete subtree, largest first."""

    size: int = 0  # leaves
    nodes: tuple[bytes, ...] = ()  # one for each 1 in the binary form of `size`

    def extend(self, leaves: Iterable[bytes]) -> tuple[Frontier, list[Node]]:
        """The frontier with more leaf hashes, and the nodes of level 1 and above that they complete."""
        nodes, size, done = [*self.nodes], self.size, []
        for leaf in leaves:
            nodes.append(leaf)
            height = 0
            while size >> height & 1:
                right = nodes.pop()
                nodes[-1] = node_hash(nodes[-1], right)
                height += 1
                if height % _HEIGHT == 0:
                    done.append(Node(height // _HEIGHT, size >> height, nodes[-1]))
            size += 1
        return Frontier(size, tuple(nodes)), done

    def root(self) -> bytes:
        """The tree's root, 32 bytes."""
        return _joined(self.nodes) if self.nodes else EMPTY_ROOT

    def dump(self) -> bytes:
        """8 bytes of size, big-endian, and the nodes."""
        return self.size.to_bytes(8, "big") + b"".join(self.nodes)

    @classmethod
    def load(cls, data: bytes) -> Frontier:
        """Read what `dump` gave. Raises VaultDamaged where the length does not fit the size."""
        size = int.from_bytes(data[:8], "big")
        if len(data) != 8 + _HASH * size.bit_count():
            raise VaultDamaged(what="the log's frontier has the wrong length")
        return cls(size, tuple(data[at : at + _HASH] for at in range(8, len(data), _HASH)))


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree of `size` leaves whose tiles are read when a proof needs them.

    `tile(level, number, width)` gives the first `width` hashes of a tile; it is asked for no hash outside the tree.
    """

    size: int
    tile: Callable[[int, int, int], Sequence[bytes]]

    def root(self) -> bytes:
        """The tree's root, 32 bytes."""
        return self._node(self.size.bit_length(), 0) if self.size else EMPTY_ROOT

    def inclusion(self, index: int) -> list[bytes]:
        """The path from the leaf at `index` up: RFC 6962 PATH(index, D[size]); 0 <= index < size."""
        return self._path(0, index)

    def consistency(self, old: int) -> list[bytes]:
        """That the tree begins with its first `old` leaves: RFC 6962 PROOF(old, D[size]); 0 <= old <= size."""
        if old in {0, self.size}:
            return []
        height = (old & -old).bit_length() - 1  # of the last complete subtree of the old tree
        index = (old - 1) >> height
        path = self._path(height, index)
        return path if old == 1 << height else [self._node(height, index), *path]  # the checker has a whole old root

    def _path(self, height: int, index: int) -> list[bytes]:
        path = []
        while (self.size - 1) >> height:  # there is more than one node at this height
            if (index ^ 1) << height < self.size:
                path.append(self._node(height, index ^ 1))
            height, index = height + 1, index >> 1
        return path

    def _node(self, height: int, index: int) -> bytes:
        """The hash over those of the 2**height leaves from `index` times that on which the tree has."""
        start = index << height
        count = min(1 << height, self.size - start)
        whole = []
        for below in reversed(range(count.bit_length())):
            if count >> below & 1:
                whole.append(self._complete(below, start >> below))
                start += 1 << below
        return _joined(whole)

    def _complete(self, height: int, index: int) -> bytes:
        level, rest = divmod(height, _HEIGHT)
        number, first = divmod(index << rest, WIDTH)
        width = min(WIDTH, (self.size >> _HEIGHT * level) - number * WIDTH)
        return root(self.tile(level, number, width)[first : first + (1 << rest)])


def of(leaves: Sequence[bytes]) -> Tree:
    """The tree over leaf hashes that are in memory."""
    levels = [leaves]
    while len(below := levels[-1]) >= WIDTH:
        levels.append([root(below[at : at + WIDTH]) for at in range(0, len(below) - WIDTH + 1, WIDTH)])
    return Tree(len(leaves), lambda level, number, width: levels[level][number * WIDTH :][:width])


def root(leaves: Sequence[bytes]) -> bytes:
    """The root of the tree over these leaf hashes, 32 bytes: an odd last node of a level goes up as it is."""
    level = leaves or [EMPTY_ROOT]
    while len(level) > 1:
        pairs = [node_hash(left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
        level = pairs if len(level) % 2 == 0 else [*pairs, level[-1]]
    return level[0]


def consistency_holds(old_size: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]) -> bool:
    """Whether the tree of `size` leaves begins with the tree of `old_size` leaves (RFC 9162, 2.1.4.2)."""
    if not 0 <= old_size <= size:
        return False
    if old_size in {0, size}:
        return not path and old_root == (root if old_size else EMPTY_ROOT) and (size > 0 or root == EMPTY_ROOT)
    shift = (old_size & -old_size).bit_length() - 1  # height of the last complete subtree of the old tree
    index, count = (old_size - 1) >> shift, ((size - 1) >> shift) + 1  # of subtrees as large as that one
    inner = (index ^ (count - 1)).bit_length()
    older, *rest = [old_root, *path] if old_size == 1 << shift else path or [b""]
    if not inclusion_holds(older, index, count, rest, root):
        return False
    for height, sibling in enumerate(rest):
        if height >= inner or index >> height & 1:
            older = node_hash(sibling, older)
    return older == old_root


def _joined(whole: Sequence[bytes]) -> bytes:
    """The hash over complete subtrees in falling size."""
    *rest, joined = whole
    for left in reversed(rest):
        joined = node_hash(left, joined)
    return joined
