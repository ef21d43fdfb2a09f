"""What must not come back: HMAC tokens under the suppression key. No template, no hash that could be tried out."""

from __future__ import annotations

import os

from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.sqlite import insert

from countenance.store.database import Tx
from countenance.store.tables import suppression

# Asked twice a photo: building a statement costs five times what running it does, so this one is built once.
_BY = select(suppression.c.erasure_id).where(suppression.c.token == bindparam("token"))


def content(tx: Tx, sha256: bytes) -> bytes:
    """The token of a photo's exact content."""
    return tx.keys.suppression_token("content", sha256)


def address(tx: Tx, location: str, path: str) -> bytes:
    """The token of a photo's address in a source's location."""
    return tx.keys.suppression_token("address", os.fsencode(location) + b"\0" + os.fsencode(path))


def add(tx: Tx, token: bytes, kind: str, erasure_id: str) -> None:
    """Suppress what has this token from now on. Doing it twice is the same as once."""
    tx.sql.execute(insert(suppression).values(token=token, kind=kind, erasure_id=erasure_id).on_conflict_do_nothing())


def by(tx: Tx, *tokens: bytes) -> str | None:
    """The erasure that suppressed one of these tokens, or None."""
    found = (tx.sql.execute(_BY, {"token": token}).scalar() for token in tokens)
    return next((str(erasure_id) for erasure_id in found if erasure_id), None)


def counts(tx: Tx, erasure_id: str) -> dict[str, int]:
    """How many tokens an erasure left, by kind."""
    query = select(suppression.c.kind, func.count().label("n")).where(suppression.c.erasure_id == erasure_id)
    return {row.kind: row.n for row in tx.sql.execute(query.group_by(suppression.c.kind))}
