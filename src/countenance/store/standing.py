"""What the vault's one row says of keys and restores: which key epoch the records are in step with."""

from __future__ import annotations

from sqlalchemy import select, update

from countenance.store.database import Tx
from countenance.store.tables import vault

_RESTORED = select(vault.c.restored)  # asked with every line of the log: built once


def epoch(tx: Tx) -> int:
    """The key epoch that the records are in step with: everything erased up to it is gone from them."""
    return int(tx.sql.execute(select(vault.c.epoch)).scalar_one())


def follow(tx: Tx, epoch: int) -> None:
    """Note that the records are in step with a key epoch. It never goes back."""
    tx.sql.execute(update(vault).where(vault.c.epoch < epoch).values(epoch=epoch))


def restored(tx: Tx) -> int:
    """How many times these records came back from a backup."""
    return int(tx.sql.execute(_RESTORED).scalar_one())


def next_item(tx: Tx) -> int:
    """The item number that will be given next."""
    return int(tx.sql.execute(select(vault.c.next_item)).scalar_one())
