"""What must not come back: HMAC tokens under the suppression key. No template, no hash that could be tried out."""

from __future__ import annotations

import os

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert

from countenance.store.database import Tx
from countenance.store.tables import suppression


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
    row = tx.sql.execute(select(suppression.c.erasure_id).where(suppression.c.token.in_(tokens))).first()
    return str(row.erasure_id) if row else None
