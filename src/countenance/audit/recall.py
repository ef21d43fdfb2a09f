"""Orders that the erasure ledger knows and the records do not: back in force before anything is shown, and in the log."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from countenance.audit import log
from countenance.records import Entry
from countenance.store import ledger, orders, replay
from countenance.store.database import Tx


def recall(tx: Tx, records: Iterable[ledger.Record]) -> int:
    """Bring orders to where the ledger has them and log each; return how many there were."""
    found = replay.recall(tx, records)
    for stored in found:
        file = hashlib.sha256(stored.text.encode()).hexdigest()
        public = {"order": stored.id, "file": file, "state": stored.state, "country": stored.order.country}
        number = log.append(tx, Entry(kind="order:restored", public=public))
        orders.advance(tx, stored, stored.state, lines=[*stored.progress["lines"], number])
    return len(found)
