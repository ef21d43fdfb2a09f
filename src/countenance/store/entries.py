"""The log's lines as rows, and the details that die with the records they are about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import insert, select, update

from countenance.errors import VaultDamaged
from countenance.store.database import Tx, among
from countenance.store.tables import entry, node, part, vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where the log stands."""

    size: int
    frontier: bytes
    at: str  # ISO time of the last line; empty before the first
    checkpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One stored line."""

    number: int
    kind: str
    leaf: bytes  # canonical JSON
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One detail of a line, sealed under the leaf of the record it is about."""

    entry: int
    number: int
    item: int
    bound: bytes  # HMAC that ties the item to this place in the log
    detail: bytes | None  # None once erased


def head(tx: Tx) -> Head:
    """The log's size, frontier, last time and signed checkpoint."""
    row = tx.sql.execute(select(vault.c.log_size, vault.c.log_frontier, vault.c.log_at, vault.c.checkpoint)).one()
    return Head(size=row.log_size, frontier=row.log_frontier, at=row.log_at, checkpoint=row.checkpoint)


def cosigned(tx: Tx) -> str:
    """The last checkpoint that a witness signed too; empty if none did."""
    return str(tx.sql.execute(select(vault.c.cosigned)).scalar_one())


def keep_cosigned(tx: Tx, note: str) -> None:
    """Keep a cosigned checkpoint in place of the last."""
    tx.sql.execute(update(vault).values(cosigned=note))


def put(
    tx: Tx, new: Sequence[Line], details: Sequence[Part], nodes: Sequence[tuple[int, int, bytes]], after: Head
) -> None:
    """Append lines, their sealed details and the nodes (level, number, hash) they complete, and move the head on."""
    if new:
        rows = [{"number": line.number, "kind": line.kind, "leaf": line.leaf, "hash": line.hash} for line in new]
        tx.sql.execute(insert(entry), rows)
    if details:
        rows = [
            {"entry": d.entry, "number": d.number, "item": d.item, "bound": d.bound, "detail": d.detail}
            for d in details
        ]
        tx.sql.execute(insert(part), rows)
    if nodes:
        rows = [{"level": level, "number": number, "hash": value} for level, number, value in nodes]
        tx.sql.execute(insert(node), rows)
    moved = {"log_size": after.size, "log_frontier": after.frontier, "log_at": after.at}
    tx.sql.execute(update(vault).values(**moved, checkpoint=after.checkpoint))


def lines(
    tx: Tx, *, first: int = 0, kind: str | None = None, newest: int | None = None, only: Iterable[int] | None = None
) -> Iterator[Line]:
    """The lines in order: from number `first` on, of one kind, the `newest` many, or `only` these numbers."""
    query = select(entry).where(entry.c.number >= first)
    if kind:
        query = query.where(entry.c.kind == kind)
    if only is not None:
        query = query.where(among(entry.c.number, only))
    if newest is not None:
        query = query.order_by(entry.c.number.desc()).limit(newest)
        chosen = query.subquery()
        query = select(chosen).order_by(chosen.c.number)
    else:
        query = query.order_by(entry.c.number)
    for row in tx.sql.execute(query):
        yield Line(number=row.number, kind=row.kind, leaf=row.leaf, hash=row.hash)


def hashes(tx: Tx, level: int, first: int, count: int) -> list[bytes]:
    """Consecutive hashes of the log's tree: of its lines at level 0, of complete subtrees of 256**level lines above it.

    Raises `VaultDamaged` if one is missing.
    """
    table = node if level else entry
    query = select(table.c.hash).where(table.c.number >= first, table.c.number < first + count)
    if level:
        query = query.where(node.c.level == level)
    found = [row.hash for row in tx.sql.execute(query.order_by(table.c.number))]
    if len(found) != count:
        raise VaultDamaged(what="the log's tree lacks hashes; `countenance log verify` says more")
    return found


def nodes(tx: Tx) -> dict[tuple[int, int], bytes]:
    """Every stored node by level and number."""
    return {(row.level, row.number): row.hash for row in tx.sql.execute(select(node))}


def details(tx: Tx) -> Iterator[Part]:
    """The details of all lines, in the order of lines."""
    for row in tx.sql.execute(select(part).order_by(part.c.entry, part.c.number)):
        yield Part(entry=row.entry, number=row.number, item=row.item, bound=row.bound, detail=row.detail)


def parts(tx: Tx, number: int) -> list[tuple[int, bytes | None]]:
    """The sealed parts (item, bytes or None once erased) of one line, in order."""
    rows = tx.sql.execute(select(part.c.item, part.c.detail).where(part.c.entry == number).order_by(part.c.number))
    return [(row.item, row.detail) for row in rows]


def about(tx: Tx, items: Iterable[int]) -> list[tuple[int, int]]:
    """(line, part number) of every part sealed under one of these leaves that is still there."""
    query = select(part.c.entry, part.c.number).where(among(part.c.item, items), part.c.detail.is_not(None))
    return [(row.entry, row.number) for row in tx.sql.execute(query.order_by(part.c.entry))]


def erase_parts(tx: Tx, items: Iterable[int]) -> int:
    """Remove the details sealed under these leaves and return how many there were. The lines and their hashes stay."""
    query = update(part).where(among(part.c.item, items), part.c.detail.is_not(None)).values(detail=None)
    return int(tx.sql.execute(query).rowcount)


def move_parts(tx: Tx, resealed: Iterable[Part]) -> None:
    """Store details again, sealed under another item."""
    for moved in resealed:
        place = update(part).where(part.c.entry == moved.entry, part.c.number == moved.number)
        tx.sql.execute(place.values(item=moved.item, bound=moved.bound, detail=moved.detail))
