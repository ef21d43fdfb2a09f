"""A proof for outsiders that one line is in the log: C2SP tlog-proof, one text with the checkpoint it leads to.

The line itself stands in the proof's `extra` field, so that the file needs nothing beside it but the log's public key.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import NamedTuple

from countenance.audit.verify import HASH, Checkpoint, Key, inclusion_holds, leaf_hash, open_checkpoint, unbase64

FIRST = "c2sp.org/tlog-proof@v1"


class Proof(NamedTuple):
    """What a proof shows: that `leaf` is line `number` of the log in the state of `checkpoint`."""

    number: int
    leaf: bytes
    checkpoint: Checkpoint


def write(index: int, leaf: bytes, path: Sequence[bytes], note: str) -> str:
    """The proof's text: the leaf, its number, its inclusion path from the sibling up, and the signed checkpoint."""
    hashes = "".join(f"{base64.b64encode(node).decode()}\n" for node in path)
    return f"{FIRST}\nextra {base64.b64encode(leaf).decode()}\nindex {index}\n{hashes}\n{note}"


def read(text: str, key: Key) -> Proof:
    """What a proof shows to whoever trusts `key`. Raises ValueError, with what is wrong, if it shows nothing."""
    stated, _, note = text.partition("\n\n")
    first, extra, index, *path = stated.split("\n") + [""] * 2
    number = re.fullmatch(r"index (0|[1-9][0-9]{0,15})", index)
    if first != FIRST or not extra.startswith("extra ") or not number:
        raise ValueError("it is not a proof of a line of this kind of log")
    leaf = unbase64(extra.removeprefix("extra "))
    signed = open_checkpoint(note.encode(), key)
    nodes = [unbase64(node, HASH) for node in path[: len(path) - 2]]
    if not inclusion_holds(leaf_hash(leaf), int(number[1]), signed.size, nodes, signed.root):
        raise ValueError("the line is not in the log at that place")
    return Proof(int(number[1]), leaf, signed)
