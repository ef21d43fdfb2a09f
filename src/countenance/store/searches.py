"""What searches found, by id only, so that a search's hits can be erased; gone when it expires or a face goes."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, func, select

from countenance import errors
from countenance.store.database import Tx
from countenance.store.tables import hit, search


def put(tx: Tx, search_id: str, collection_id: str, *, hits: Iterable[tuple[int, str]], seconds: int) -> None:
    """Keep a search's hits, as (number of the probe's face, face id), for `seconds`."""
    expire(tx)
    tx.sql.execute(
        search.insert().values(id=search_id, collection_id=collection_id, at=tx.second, expires_at=tx.second + seconds)
    )
    rows = [{"search_id": search_id, "probe": number, "face_id": face_id} for number, face_id in hits]
    if rows:
        tx.sql.execute(hit.insert(), rows)


def past(tx: Tx) -> int:
    """How many searches are past their time and still there."""
    return int(tx.sql.execute(select(func.count()).where(search.c.expires_at <= tx.second)).scalar_one())


def expire(tx: Tx) -> None:
    """Forget the hits of searches that are past their time."""
    tx.sql.execute(delete(search).where(search.c.expires_at <= tx.second))


def hits(tx: Tx, search_id: str) -> tuple[str, list[tuple[int, str]]]:
    """The search's collection and its hits that are still held; `NotFound` if it is unknown or expired."""
    found = tx.sql.execute(
        select(search.c.collection_id).where(search.c.id == search_id, search.c.expires_at > tx.second)
    ).first()
    if found is None:
        raise errors.NotFound(noun="search", name=search_id)
    rows = tx.sql.execute(select(hit.c.probe, hit.c.face_id).where(hit.c.search_id == search_id).order_by(hit.c.row))
    return found.collection_id, [(row.probe, row.face_id) for row in rows]
