"""The log: every act that changes or shows something appends one line, in the act's own transaction (promise P7).

A line is canonical JSON (RFC 8785) that stays for ever and holds nothing personal: number, time, kind, counts, and the
commitments of its parts. A part says which record the act was about; it is sealed under that record's own key with a
random salt, and its commitment is SHA-256 over salt and detail. Erasing the record destroys the key and with it the
salt: the commitment can no longer be matched with anything, and the tree over the lines still verifies.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import rfc8785

from countenance.audit import checkpoint, merkle
from countenance.audit.verify import leaf_hash
from countenance.errors import VaultDamaged
from countenance.ids import Random
from countenance.records import Entry
from countenance.store import entries, tree
from countenance.store.database import Tx
from countenance.store.seal import seal, unseal


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line as it is shown: parts that were erased are None."""

    number: int
    at: str
    kind: str
    public: dict[str, Any]
    parts: tuple[dict[str, Any] | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What checking the whole log found."""

    size: int
    root: str  # hex
    details: int  # parts opened and matched with their commitment
    erased: int  # parts that can no longer be opened, as erasure wants
    problems: tuple[str, ...]


def append(tx: Tx, entry: Entry, *, random: Random = os.urandom) -> int:
    """Append a line within the transaction of the act, sign the new checkpoint, and return the line's number."""
    return extend(tx, [entry], random=random)


def extend(tx: Tx, new: Iterable[Entry], *, random: Random = os.urandom) -> int:
    """Append lines in their order under one new checkpoint, which halves what a line costs; return the first's number."""
    head = entries.head(tx)
    frontier = merkle.Frontier.load(head.frontier) if head.frontier else merkle.Frontier()
    lines, parts = [], []
    for number, entry in enumerate(new, head.size):
        commitments = []
        for n, (item, detail) in enumerate(entry.parts):
            clear = rfc8785.dumps({"salt": random(16).hex(), "detail": _portable(detail)})
            sealed = seal(tx.keys.item_key(item), "part", item, clear)
            parts.append(entries.Part(entry=number, number=n, item=item, detail=sealed))
            commitments.append(hashlib.sha256(clear).hexdigest())
        leaf = rfc8785.dumps(
            {"number": number, "at": stamp(tx.now), "kind": entry.kind, "public": entry.public, "parts": commitments}
        )
        lines.append(entries.Line(number=number, kind=entry.kind, leaf=leaf, hash=leaf_hash(leaf)))
        frontier = frontier.append(lines[-1].hash)
    size = head.size + len(lines)
    signed = checkpoint.sign(origin(tx), size, frontier.root(), tx.keys.signing_key())
    entries.put(tx, lines, parts, entries.Head(size=size, frontier=frontier.dump(), checkpoint=signed))
    return head.size


def show(tx: Tx, *, first: int = 0, kind: str | None = None, newest: int | None = None) -> Iterator[Line]:
    """The lines in order, with every detail that was not erased."""
    for line in entries.lines(tx, first=first, kind=kind, newest=newest):
        leaf = _json(line.leaf)
        opened = [_open(tx, item, sealed) for item, sealed in entries.parts(tx, line.number)]
        yield Line(
            number=line.number,
            at=leaf["at"],
            kind=leaf["kind"],
            public=leaf["public"],
            parts=tuple(_json(clear)["detail"] if clear is not None else None for clear in opened),
        )


def leaf(tx: Tx, number: int) -> bytes:
    """The bytes of one line, as the tree holds them."""
    return next(entries.lines(tx, only=[number])).leaf


def verify(tx: Tx) -> Verified:
    """Check the log against its signed checkpoint: every line, its place, and every detail that is still there."""
    head = entries.head(tx)
    problems: list[str] = []
    hashes: list[bytes] = []
    details = erased = 0
    for line in entries.lines(tx):
        hashes.append(leaf_hash(line.leaf))
        if line.hash != hashes[-1]:
            problems.append(f"line {line.number} was altered: its hash is another")
        number, commitments = _said(line.leaf)
        if not number == line.number == len(hashes) - 1:
            problems.append(f"line {line.number} is not in its place")
        parts = entries.parts(tx, line.number)
        if len(parts) != len(commitments):
            problems.append(f"line {line.number} has {len(parts)} details, not {len(commitments)}")
        for (item, sealed), commitment in zip(parts, commitments, strict=False):
            wrong = _wrong(tx, item, sealed, commitment)
            if wrong:
                problems.append(f"a detail of line {line.number} {wrong}")
            elif wrong is None:
                erased += 1
            else:
                details += 1
    root = merkle.root(hashes)
    if head.size != len(hashes):
        problems.append(f"the log has {len(hashes)} lines, its checkpoint says {head.size}")
    if head.size:
        problems += checkpoint.problems(head.checkpoint, origin(tx), head.size, root, tx.keys.public_key())
    return Verified(size=len(hashes), root=root.hex(), details=details, erased=erased, problems=tuple(problems))


def _said(leaf: bytes) -> tuple[int | None, list[str]]:
    """The number and the commitments that a line states; None and nothing if it is no line any more."""
    try:
        stated = _json(leaf)
        return stated["number"], list(stated["parts"])
    except (ValueError, KeyError, TypeError):
        return None, []


def _wrong(tx: Tx, item: int, sealed: bytes | None, commitment: str) -> str | None:
    """What is wrong with a detail; empty if nothing, None if it was erased together with its key."""
    try:
        key = tx.keys.item_key(item)
    except tree.Punctured:
        return None
    if sealed is None:
        return "was removed, though nothing was erased: its key is still there"
    try:
        clear = unseal(key, "part", item, sealed)
    except VaultDamaged:
        return "was altered: it does not open"
    return "" if hashlib.sha256(clear).hexdigest() == commitment else "was altered: it is not what was committed to"


def proofs(tx: Tx, numbers: Iterable[int]) -> tuple[str, list[dict[str, Any]]]:
    """The signed checkpoint, and for each line its leaf and its inclusion path under it (for a certificate's bundle)."""
    hashes = entries.hashes(tx)
    wanted = sorted(set(numbers))
    leaves = {line.number: line.leaf for line in entries.lines(tx, only=wanted)}
    found = [
        {
            "index": n,
            "leaf": base64.b64encode(leaves[n]).decode(),
            "path": [base64.b64encode(node).decode() for node in merkle.inclusion(hashes, n)],
        }
        for n in wanted
    ]
    return entries.head(tx).checkpoint, found


def erase(tx: Tx, items: Iterable[int]) -> int:
    """Remove the details sealed under these leaves and return how many; the lines stay and the tree still verifies."""
    return entries.erase_parts(tx, items)


def reseal(tx: Tx, old_item: int, new_item: int) -> None:
    """Move the details about a record that gets a new leaf."""
    moved = []
    for number, n in entries.about(tx, [old_item]):
        item, sealed = entries.parts(tx, number)[n]
        assert sealed is not None
        clear = unseal(tx.keys.item_key(item), "part", item, sealed)
        moved.append((number, n, seal(tx.keys.item_key(new_item), "part", new_item, clear)))
    entries.move_parts(tx, moved, new_item)


def origin(tx: Tx) -> str:
    """The log's name on checkpoints and certificates: made of its public key, so that no two vaults share one."""
    return "countenance/" + hashlib.sha256(tx.keys.public_key()).hexdigest()[:32]


def stamp(moment: datetime) -> str:
    """A time as the log and certificates write it: ISO 8601, UTC, whole seconds, ending in Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _open(tx: Tx, item: int, sealed: bytes | None) -> bytes | None:
    try:
        return None if sealed is None else unseal(tx.keys.item_key(item), "part", item, sealed)
    except tree.Punctured:  # its key is destroyed and the row not purged yet
        return None


def _json(clear: bytes) -> Any:
    return json.loads(clear)


def _portable(detail: dict[str, Any]) -> dict[str, Any]:
    """Names that are not UTF-8 cannot stand in canonical JSON: write their bytes as escapes."""
    return {
        key: value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        if isinstance(value, str)
        else value
        for key, value in detail.items()
    }
