"""The log's tree: RFC 6962 roots and proofs over 32-byte leaf hashes. What is proved here, `verify` checks.

A tree's levels hold one node for every started subtree: the last node of an odd level goes up as it is, which gives the
same tree as splitting at the largest power of two (RFC 6962, section 2.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from countenance.audit.verify import EMPTY_ROOT, node_hash
from countenance.errors import VaultDamaged

_HASH = 32  # bytes, SHA-256


@dataclass(frozen=True, slots=True)
class Frontier:
    """What of a tree is needed to go on appending: the root of each complete subtree, largest first."""

    size: int = 0  # leaves
    nodes: tuple[bytes, ...] = ()  # one for each 1 in the binary form of `size`

    def append(self, leaf: bytes) -> Frontier:
        """The frontier with one more leaf hash; O(log n)."""
        nodes, height = [*self.nodes, leaf], self.size
        while height & 1:
            right = nodes.pop()
            nodes[-1] = node_hash(nodes[-1], right)
            height >>= 1
        return Frontier(self.size + 1, tuple(nodes))

    def root(self) -> bytes:
        """The tree's root, 32 bytes."""
        if not self.nodes:
            return EMPTY_ROOT
        *rest, whole = self.nodes
        for left in reversed(rest):
            whole = node_hash(left, whole)
        return whole

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


def root(leaves: Sequence[bytes]) -> bytes:
    """The root of the tree over these leaf hashes, 32 bytes."""
    return _levels(leaves)[-1][0] if leaves else EMPTY_ROOT


def inclusion(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The path from the leaf at `index` up: RFC 6962 PATH(index, D[n])."""
    return inclusions(leaves, [index])[0]


def inclusions(leaves: Sequence[bytes], indexes: Iterable[int]) -> list[list[bytes]]:
    """The path of each of several leaves, for the price of one tree."""
    levels = _levels(leaves)
    return [_path(levels, index) for index in indexes]


def consistency(leaves: Sequence[bytes], old: int, size: int) -> list[bytes]:
    """That the first `size` leaves begin with the first `old`: RFC 6962 PROOF(old, D[size]); 0 <= old <= size."""
    if old in (0, size):
        return []
    levels = _levels(leaves[:size])
    height = (old & -old).bit_length() - 1  # of the last complete subtree of the old tree
    index = (old - 1) >> height
    path = _path(levels[height:], index)
    return path if old == 1 << height else [levels[height][index], *path]  # the checker has a whole old tree's root


def _levels(leaves: Sequence[bytes]) -> list[Sequence[bytes]]:
    levels = [leaves]
    while len(below := levels[-1]) > 1:
        level = [node_hash(left, right) for left, right in zip(below[::2], below[1::2], strict=False)]
        levels.append(level if len(below) % 2 == 0 else [*level, below[-1]])
    return levels


def _path(levels: Sequence[Sequence[bytes]], index: int) -> list[bytes]:
    siblings = ((level, index >> height ^ 1) for height, level in enumerate(levels))
    return [level[sibling] for level, sibling in siblings if sibling < len(level)]
