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
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from itertools import groupby
from typing import Any

import rfc8785

from countenance.audit import checkpoint, merkle, proof
from countenance.audit.verify import Checkpoint, Key, leaf_hash, open_checkpoint
from countenance.errors import NotFound, ProofFailed, VaultDamaged
from countenance.ids import Random
from countenance.records import Entry
from countenance.store import entries, standing, tree
from countenance.store.database import Tx
from countenance.store.seal import seal, unseal

COSIGNED = "log:cosigned"
SHOWN = 100  # problems that are told one by one
MOST = 900  # details of one line, of 67 bytes each: C2SP tlog-tiles has room for lines of 65,535 bytes


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
    at = max(stamp(tx.now), head.at)
    lines, parts = [], []
    for number, entry in enumerate(_short(new), head.size):
        commitments = []
        for n, (item, detail) in enumerate(entry.parts):
            clear = b'{"detail":%s,"salt":"%s"}' % (rfc8785.dumps(_portable(detail)), random(16).hex().encode())
            commitments.append(hashlib.sha256(clear).hexdigest())
            parts.append(_sealed(tx, number, n, item, clear, commitments[-1]))
        leaf = _leaf(number, at, entry, commitments)
        lines.append(entries.Line(number=number, kind=entry.kind, leaf=leaf, hash=leaf_hash(leaf)))
    if not lines:
        return head.size
    before = merkle.Frontier.load(head.frontier) if head.frontier else merkle.Frontier()
    frontier, nodes = before.extend(line.hash for line in lines)
    signed = checkpoint.sign(origin(tx), frontier.size, frontier.root(), tx.keys.signing_key())
    after = entries.Head(size=frontier.size, frontier=frontier.dump(), at=at, checkpoint=signed)
    entries.put(tx, lines, parts, nodes, after)
    return head.size


def show(
    tx: Tx, *, first: int = 0, kind: str | None = None, newest: int | None = None, only: Iterable[int] | None = None
) -> Iterator[Line]:
    """The lines in order, with every detail that was not erased; `only` limits them to these numbers."""
    for line in entries.lines(tx, first=first, kind=kind, newest=newest, only=only):
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


def verify(tx: Tx, kept: str = "") -> Verified:
    """Check the whole log, recomputing everything that is stored about it.

    Every line and its place, every detail that is still there, the tree's nodes, the signed checkpoint and the cosigned
    one, and, if given, a checkpoint kept from earlier: whether the log still begins with what that signed. Raises
    `ProofFailed` if this log did not sign the kept one.
    """
    head = entries.head(tx)
    earlier = {"kept checkpoint": _signed(tx, kept)} if kept else {}
    problems: list[str] = []
    if note := entries.cosigned(tx):
        try:
            earlier["cosigned checkpoint"] = _signed(tx, note)
        except ProofFailed as error:
            problems.append(f"the cosigned checkpoint was altered: {error.facts['why']}")
    seen = _Seen()
    for line, parts in _with_parts(tx, problems):
        problems += seen.take(tx, line, parts)
        problems += [
            f"rewritten: the first {old.size} lines are not those that the {name} signed"
            for name, old in earlier.items()
            if old.size == seen.frontier.size and old.root != seen.frontier.root()
        ]
    size = seen.frontier.size
    problems += [
        f"rolled back: the {name} signed {old.size} lines, and there are {size}"
        for name, old in earlier.items()
        if old.size > size
    ]
    public = tx.keys.public_key()
    problems += _cosigned_problems(note, seen.cosigned, earlier.get("cosigned checkpoint"), public)
    if seen.nodes != entries.nodes(tx):
        problems.append("the stored nodes of the tree are not those of its lines: no proof made from them holds")
    if (head.size, head.frontier, head.at) != (size, seen.frontier.dump() if size else b"", seen.at):
        problems.append(
            f"the log has {size} lines until {seen.at}; its head says {head.size} until {head.at}, or others"
        )
    if head.size:
        problems += checkpoint.problems(head.checkpoint, origin(tx), size, seen.frontier.root(), public)
    shown = (*problems[:SHOWN], *([f"and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []))
    root = seen.frontier.root().hex()
    return Verified(size=size, root=root, details=seen.details, erased=seen.erased, problems=shown)


@dataclass(slots=True)
class _Seen:
    """What `verify` has met so far, line by line."""

    frontier: merkle.Frontier = field(default_factory=merkle.Frontier)
    nodes: dict[tuple[int, int], bytes] = field(default_factory=dict)
    at: str = ""
    cosigned: dict[str, Any] | None = None  # what the last line about a witness says
    details: int = 0
    erased: int = 0

    def take(self, tx: Tx, line: entries.Line, parts: list[entries.Part]) -> Iterator[str]:
        """Go past a line and its details, and yield what is wrong with them."""
        place, digest, said = self.frontier.size, leaf_hash(line.leaf), _said(line.leaf)
        self.frontier, done = self.frontier.extend([digest])
        self.nodes.update({(node.level, node.number): node.hash for node in done})
        if line.hash != digest:
            yield f"line {line.number} was altered: its hash is another"
        if not said["number"] == line.number == place:
            yield f"line {line.number} is not in its place"
        if said["kind"] != line.kind:
            yield f"line {line.number} is listed under another kind"
        if said["at"] < self.at:
            yield f"line {line.number} is earlier than the one before it"
        self.at = said["at"]
        if said["kind"] == COSIGNED:
            self.cosigned = said["public"]
        if len(parts) != len(said["parts"]):
            yield f"line {line.number} has {len(parts)} details, not {len(said['parts'])}"
        for part, commitment in zip(parts, said["parts"], strict=False):
            wrong = _wrong(tx, part, commitment)
            if wrong:
                yield f"a detail of line {line.number} {wrong}"
            elif wrong is None:
                self.erased += 1
            else:
                self.details += 1


def _with_parts(tx: Tx, problems: list[str]) -> Iterator[tuple[entries.Line, list[entries.Part]]]:
    """Each line with its details. Details that belong to no line are a problem."""
    found = ((number, list(parts)) for number, parts in groupby(entries.details(tx), key=lambda part: part.entry))
    ahead = next(found, None)
    for line in entries.lines(tx):
        while ahead and ahead[0] < line.number:
            problems.append(f"there are details of line {ahead[0]}, which is missing")
            ahead = next(found, None)
        parts: list[entries.Part] = []
        if ahead and ahead[0] == line.number:
            parts, ahead = ahead[1], next(found, None)
        yield line, parts
    if ahead:
        problems.append(f"there are details of line {ahead[0]}, which is missing")


def _said(leaf: bytes) -> dict[str, Any]:
    """What a line states; nothing if it is no line any more."""
    try:
        said = _json(leaf)
        parts, public = [str(commitment) for commitment in said["parts"]], dict(said["public"])
        return {"number": said["number"], "kind": said["kind"], "at": str(said["at"]), "public": public, "parts": parts}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {"number": None, "kind": None, "at": "", "public": {}, "parts": []}


def _wrong(tx: Tx, part: entries.Part, commitment: str) -> str | None:
    """What is wrong with a detail; empty if nothing, None if it was erased together with its key."""
    if part.bound != _bound(tx, part.entry, part.number, part.item, commitment):
        return "was moved, or is said to be about another record"
    try:
        key = tx.keys.item_key(part.item)
    except tree.Punctured:
        return None
    if part.detail is None:
        return "was removed, though nothing was erased: its key is still there"
    try:
        clear = unseal(key, "part", part.item, part.detail)
    except VaultDamaged:
        return "was altered: it does not open"
    return "" if hashlib.sha256(clear).hexdigest() == commitment else "was altered: it is not what was committed to"


def _signed(tx: Tx, note: str) -> Checkpoint:
    """What an earlier checkpoint says. It may be from before a restore, when the log's name was another."""
    try:
        return open_checkpoint(note.encode(), Key(note.partition("\n")[0], tx.keys.public_key()))
    except ValueError as error:
        raise ProofFailed(why=f"this vault's key did not sign the checkpoint ({error})") from None


def _cosigned_problems(note: str, said: dict[str, Any] | None, found: Checkpoint | None, public: bytes) -> list[str]:
    """Whether the cosigned checkpoint is the one that the last line about a witness speaks of."""
    if not note and not said:
        return []
    try:
        if said and found and said["size"] == found.size:
            checkpoint.cosigned_at(note, Key(found.origin, public), checkpoint.parse_cosigner(said["witness"]))
            return []
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return ["the cosigned checkpoint is not the one that the log says a witness signed"]


def grown(tx: Tx, size: int | None = None) -> merkle.Tree:
    """The tree over the first `size` lines, or all, from the hashes that were stored as it grew."""

    @cache
    def tile(level: int, number: int, width: int) -> list[bytes]:
        return entries.hashes(tx, level, number * merkle.WIDTH, width)

    return merkle.Tree(entries.head(tx).size if size is None else size, tile)


def proofs(tx: Tx, numbers: Iterable[int]) -> tuple[str, list[dict[str, Any]]]:
    """The signed checkpoint, and for each line its leaf and its inclusion path under it (for a certificate's bundle)."""
    tree = grown(tx)
    wanted = sorted(set(numbers))
    leaves = {line.number: line.leaf for line in entries.lines(tx, only=wanted)}
    found = [
        {
            "index": n,
            "leaf": base64.b64encode(leaves[n]).decode(),
            "path": [base64.b64encode(node).decode() for node in tree.inclusion(n)],
        }
        for n in wanted
    ]
    return entries.head(tx).checkpoint, found


def prove(tx: Tx, number: int) -> str:
    """A proof for outsiders that this line is in the log (see `audit.proof`), under the cosigned checkpoint if that has it.

    Raises `NotFound`, or `VaultDamaged` if the proof that came out does not hold.
    """
    head, name = entries.head(tx), key(tx)
    if not 0 <= number < head.size:
        raise NotFound(noun="log entry", name=str(number))
    note = entries.cosigned(tx)
    if not note or note.partition("\n")[0] != name.name or _signed(tx, note).size <= number:
        note = head.checkpoint
    path = grown(tx, _signed(tx, note).size).inclusion(number)
    text = proof.write(number, leaf(tx, number), path, note)
    try:
        proof.read(text, name)
    except ValueError as error:
        raise VaultDamaged(what=f"the proof of line {number} does not hold ({error})") from None
    return text


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
        moved.append(_sealed(tx, number, n, new_item, clear, hashlib.sha256(clear).hexdigest()))
    entries.move_parts(tx, moved)


def origin(tx: Tx) -> str:
    """The log's name on checkpoints and certificates: made of its public key, so that no two vaults share one.

    After a restore lines may be missing that an older checkpoint has seen: then it goes on under another name.
    """
    restored = standing.restored(tx)
    name = "countenance/" + hashlib.sha256(tx.keys.public_key()).hexdigest()[:32]
    return f"{name}/restored-{restored}" if restored else name


def key(tx: Tx) -> Key:
    """The public key that checks this log's checkpoints; `str()` of it is what outsiders are given."""
    return Key(origin(tx), tx.keys.public_key())


def moment(tx: Tx) -> str:
    """The time of this transaction, or of the log's last line if the clock has gone back behind it."""
    return max(stamp(tx.now), entries.head(tx).at)


def stamp(moment: datetime) -> str:
    """A time as the log and certificates write it: ISO 8601, UTC, whole seconds, ending in Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _leaf(number: int, at: str, entry: Entry, commitments: list[str]) -> bytes:
    """RFC 8785, written out but for what varies, which takes half the time; a test compares the two."""
    parts, public = json.dumps(commitments, separators=(",", ":")).encode(), rfc8785.dumps(entry.public)
    head = (at.encode(), json.dumps(entry.kind).encode(), number)
    return b'{"at":"%s","kind":%s,"number":%d,"parts":%s,"public":%s}' % (*head, parts, public)


def _sealed(tx: Tx, line: int, number: int, item: int, clear: bytes, commitment: str) -> entries.Part:  # noqa: PLR0917
    detail = seal(tx.keys.item_key(item), "part", item, clear)
    bound = _bound(tx, line, number, item, commitment)
    return entries.Part(entry=line, number=number, item=item, bound=bound, detail=detail)


def _bound(tx: Tx, line: int, number: int, item: int, commitment: str) -> bytes:
    """Ties a detail's record to its place: else who can write the file could pass it off as a record that was erased."""
    return tx.keys.lookup_token("part", f"{line} {number} {item} {commitment}".encode(errors="replace"))[:16]


def _short(new: Iterable[Entry]) -> Iterator[Entry]:
    """Entries whose lines fit; the details that do not fit go on in lines of kind `noun:more`."""
    for entry in new:
        yield entry if len(entry.parts) <= MOST else replace(entry, parts=entry.parts[:MOST])
        for first in range(MOST, len(entry.parts), MOST):
            more = entry.kind.partition(":")[0] + ":more"
            yield replace(entry, kind=more, public={"details-from": first}, parts=entry.parts[first : first + MOST])


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
