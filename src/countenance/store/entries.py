"""The log's lines as rows, and the details that die with the records they are about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import func, insert, select, update

from countenance.store.database import Tx, among
from countenance.store.tables import entry, part, vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where the log stands."""

    size: int
    frontier: bytes
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
    detail: bytes


def head(tx: Tx) -> Head:
    """The log's size, frontier and signed checkpoint."""
    row = tx.sql.execute(select(vault.c.log_size, vault.c.log_frontier, vault.c.checkpoint)).one()
    return Head(size=row.log_size, frontier=row.log_frontier, checkpoint=row.checkpoint)


def put(tx: Tx, new: Sequence[Line], details: Sequence[Part], after: Head) -> None:
    """Append lines with their sealed details and move the head on."""
    if new:
        rows = [{"number": line.number, "kind": line.kind, "leaf": line.leaf, "hash": line.hash} for line in new]
        tx.sql.execute(insert(entry), rows)
    if details:
        rows = [{"entry": d.entry, "number": d.number, "item": d.item, "detail": d.detail} for d in details]
        tx.sql.execute(insert(part), rows)
    tx.sql.execute(update(vault).values(log_size=after.size, log_frontier=after.frontier, checkpoint=after.checkpoint))


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


def hashes(tx: Tx) -> list[bytes]:
    """Every leaf hash, in order."""
    return [row.hash for row in tx.sql.execute(select(entry.c.hash).order_by(entry.c.number))]


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


def move_parts(tx: Tx, resealed: Iterable[tuple[int, int, bytes]], new_item: int) -> None:
    """Store parts (line, part number, bytes) again, sealed under `new_item`."""
    for number, n, detail in resealed:
        tx.sql.execute(
            update(part).where(part.c.entry == number, part.c.number == n).values(item=new_item, detail=detail)
        )


def count(tx: Tx) -> int:
    """How many lines there are as rows (the head says how many there should be)."""
    return int(tx.sql.execute(select(func.count()).select_from(entry)).scalar_one())
