"""Wishes to be kept out: each one's template, sealed under its own key and used for nothing else.

A wish is in no index and no search reads it. Whoever asks gets one bit: whether a face matches a wish in force.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row, delete, select

from countenance import errors
from countenance.records import Consent, Template, Wish
from countenance.store import erasures
from countenance.store.database import Tx
from countenance.store.seal import OVERHEAD, seal, unseal_into
from countenance.store.tables import wish

_KIND = "wish-template"
_ITEMSIZE = 4  # float32


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptOut:
    """The wishes in force, to ask of a face whether it matches one."""

    templates: NDArray[np.float32] = field(repr=False)  # shape (n, d), untransformed; n may be 0
    threshold: float

    def matches(self, template: Template | None) -> bool:
        """Whether a template, untransformed, matches one of them."""
        if template is None or not len(self.templates):
            return False
        return bool((self.templates @ template).max() >= self.threshold)

    def clear(self) -> None:
        """Overwrite the templates."""
        self.templates[:] = 0


def put(tx: Tx, record: Wish, template: Template) -> int:
    """Store a wish with its template (d,), untransformed, and return its item."""
    item = tx.take_items(1)
    terms = record.consent
    tx.sql.execute(
        wish.insert().values(
            id=record.id,
            item=item,
            model=record.model,
            begins_at=int(terms.given_at.timestamp()),
            ends_at=int(terms.until.timestamp()),
            template=seal(tx.keys.item_key(item), _KIND, item, template.astype("<f4").tobytes()),
            fields=tx.seal("wish", item, {"by": terms.by, "text": terms.text, "photos": record.photos}),
        )
    )
    return item


def find(tx: Tx, wish_id: str) -> Wish:
    """Return the wish with this id; `NotFound` if there is none."""
    row = tx.sql.execute(select(wish).where(wish.c.id == wish_id)).first()
    if row is None:
        raise errors.NotFound(noun="wish", name=wish_id)
    return _record(tx, row)


def every(tx: Tx) -> list[Wish]:
    """All wishes that are held, oldest first; one that has ended is held until the next rotation of the keys."""
    return [_record(tx, row) for row in tx.sql.execute(select(wish).order_by(wish.c.row))]


def live(tx: Tx, *, model: str, threshold: Callable[[int], float]) -> KeptOut:
    """The wishes in force now, of one model; `threshold` gives the score to reach for a number of them.

    Whoever asked overwrites the templates with `clear` when done.
    """
    second = tx.second
    in_force = (wish.c.model == model) & (wish.c.begins_at <= second) & (wish.c.ends_at > second)
    rows = tx.sql.execute(select(wish.c.item, wish.c.template).where(in_force).order_by(wish.c.row)).all()
    size = (len(rows[0].template) - OVERHEAD) // _ITEMSIZE if rows else 0
    templates = np.zeros((len(rows), size), "<f4")
    for row, key, into in zip(rows, tx.keys.item_keys(row.item for row in rows), templates, strict=True):
        unseal_into(key, _KIND, row.item, row.template, into)
    return KeptOut(templates=templates, threshold=threshold(len(rows)))


def remove(tx: Tx, wish_id: str) -> None:
    """Delete a wish and leave its key to the next rotation. `NotFound` if there is none."""
    item = item_of(tx, wish_id)
    tx.sql.execute(delete(wish).where(wish.c.id == wish_id))
    erasures.discard(tx, item)


def ended(tx: Tx) -> list[str]:
    """Ids of the wishes that have ended and are still held."""
    return list(tx.sql.execute(select(wish.c.id).where(wish.c.ends_at <= tx.second)).scalars())


def item_of(tx: Tx, wish_id: str) -> int:
    """The wish's leaf in the key tree; `NotFound` if there is none."""
    item: int | None = tx.sql.execute(select(wish.c.item).where(wish.c.id == wish_id)).scalar_one_or_none()
    if item is None:
        raise errors.NotFound(noun="wish", name=wish_id)
    return item


def _record(tx: Tx, row: Row[Any]) -> Wish:
    opened = tx.unseal("wish", row.item, row.fields)
    return Wish(
        id=row.id,
        consent=Consent(
            by=opened["by"],
            given_at=datetime.fromtimestamp(row.begins_at, UTC),
            text=opened["text"],
            until=datetime.fromtimestamp(row.ends_at, UTC),
        ),
        photos=opened["photos"],
        model=row.model,
    )
