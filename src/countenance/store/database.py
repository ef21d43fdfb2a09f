"""The records' database: opening it, short transactions, and the generation that other processes follow."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, bindparam, create_engine, event, func, select, update
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import QueuePool

from countenance import errors
from countenance.store import tables, tree
from countenance.store.keys import Keys
from countenance.store.seal import seal, unseal

BUSY_SECONDS = 30

_NEXT = tables.vault.c.next_item  # built once: building this costs five times what running it does
_TAKE = update(tables.vault).values(next_item=_NEXT + bindparam("count")).returning(_NEXT)
CANNOT = (
    "SQLITE_IOERR",
    "SQLITE_READONLY",
    "SQLITE_CANTOPEN",
    "SQLITE_PERM",
    "SQLITE_AUTH",
)  # the system, not the file


@dataclass(frozen=True, slots=True)
class Tx:
    """One transaction: its connection, the keys, and the time that all of it happens at."""

    sql: Connection
    keys: Keys
    now: datetime

    @property
    def second(self) -> int:
        """The time in whole seconds since the epoch."""
        return int(self.now.timestamp())

    def seal(self, kind: str, item: int, value: Any) -> bytes:
        """Seal a JSON value under the item's key. Text that is not UTF-8 (surrogate-escaped) survives."""
        return seal(self.keys.item_key(item), kind, item, json.dumps(value).encode("ascii"))

    def unseal(self, kind: str, item: int, sealed: bytes) -> Any:
        """Open what `seal` made; `NotFound` if an erasure has destroyed its key, `VaultDamaged` if it does not open."""
        try:
            key = self.keys.item_key(item)
        except tree.Punctured:
            raise errors.NotFound(noun=kind, name="with this id any more (an erasure reached it)") from None
        return json.loads(unseal(key, kind, item, sealed))

    def take_items(self, count: int) -> int:
        """Reserve `count` consecutive item numbers and return the first. None is ever given twice."""
        return int(self.sql.execute(_TAKE, {"count": count}).scalar_one()) - count


class Database:
    """An open database. One writer at a time, any number of readers and processes."""

    def __init__(self, path: Path, keys: Keys, clock: Callable[[], datetime], *, dry_run: bool = False) -> None:
        self.path = path
        self.keys = keys
        self.clock = clock
        self.dry_run = dry_run  # every write is taken back at its end
        self.engine = _engine(path)

    def demand_wet(self) -> None:
        """Raise `UsageError` in a dry run: for what cannot be taken back at its end."""
        if self.dry_run:
            raise errors.UsageError("This vault was opened for a dry run. Nothing was changed.")

    def create(self) -> None:
        """Make the tables of an empty vault."""
        with _kind_errors():
            tables.metadata.create_all(self.engine)
            with self.write() as tx:
                tx.sql.execute(
                    tables.vault.insert().values(
                        one=1,
                        format=tables.FORMAT,
                        generation=0,
                        next_item=1,
                        log_size=0,
                        log_frontier=b"",
                        log_at="",
                        checkpoint="",
                        cosigned="",
                        epoch=self.keys.epoch,
                        restored=0,
                    )
                )

    def check_format(self) -> None:
        """Raise `VaultNewer`, `VaultOlder` or `VaultDamaged` unless this version can work with the tables."""
        with self.read() as tx:
            found = tx.sql.execute(select(tables.vault.c.format)).scalar_one_or_none()
        if found is None:
            raise errors.VaultDamaged(what="records.db has no vault row")
        if found > tables.FORMAT:
            raise errors.VaultNewer(found=found, known=tables.FORMAT)
        if found < tables.FORMAT:
            raise errors.VaultOlder(found=found)

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """A consistent view of the records."""
        with _kind_errors(), self.engine.connect() as sql, sql.begin():
            yield Tx(sql, self.keys, self.clock())

    @contextmanager
    def write(self, *, quiet: bool = False) -> Iterator[Tx]:
        """A short transaction that holds the write lock and moves the generation on. All of it happens, or nothing.

        The generation moves at the end, so that nobody takes up one that is taken back. A `quiet` transaction changes
        nothing that other processes must follow (their own acknowledgements).
        """
        with _kind_errors(), self.engine.connect() as connection:
            sql = connection.execution_options(countenance_write=True)
            with sql.begin() as transaction:
                yield Tx(sql, self.keys, self.clock())
                if self.dry_run:
                    transaction.rollback()
                elif not quiet:
                    sql.execute(update(tables.vault).values(generation=tables.vault.c.generation + 1))

    def generation(self) -> int:
        """How many writes there have been, in all processes."""
        with self.read() as tx:
            return self.generation_in(tx)

    def generation_in(self, tx: Tx) -> int:
        """The generation that a transaction sees."""
        return int(tx.sql.execute(select(tables.vault.c.generation)).scalar_one())

    def truncate_wal(self) -> bool:
        """Fold the write-ahead log into the database and cut it to nothing, so that deleted bytes leave it too.

        False if a reader in another process held it back; the next call finishes.
        """
        with _kind_errors(), self.engine.connect() as sql:
            busy, _, _ = sql.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        return not busy

    def integrity(self) -> list[str]:
        """What SQLite itself finds wrong, as its own sentences; empty if nothing."""
        with _kind_errors(), self.engine.connect() as sql:
            found = [str(row[0]) for row in sql.exec_driver_sql("PRAGMA integrity_check")]
            found += [
                f"row {row[1]} of {row[0]} points to nothing" for row in sql.exec_driver_sql("PRAGMA foreign_key_check")
            ]
        return [line for line in found if line != "ok"]

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _engine(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}", poolclass=QueuePool, connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS}
    )

    @event.listens_for(engine, "connect")
    def _(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin below, not where the driver guesses
        for pragma in (
            "journal_mode=WAL",
            "secure_delete=ON",  # deleted content is overwritten with zeros
            "synchronous=FULL",  # a committed transaction survives a power cut
            "foreign_keys=ON",
            "temp_store=MEMORY",  # no clear text in temporary files
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        write = connection.get_execution_options().get("countenance_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def among(column: ColumnElement[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """The condition that a column is one of many values, given as one parameter: SQLite takes 32,766 by default."""
    return column.in_(select(func.json_each(json.dumps(list(values))).table_valued("value").c.value))


@contextmanager
def _kind_errors() -> Iterator[None]:
    """Say what SQLite's errors mean. Its own text is dropped: it can carry values."""
    try:
        yield
    except DatabaseError as error:
        name = getattr(error.orig, "sqlite_errorname", "SQLITE_ERROR")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise errors.VaultBusy(seconds=BUSY_SECONDS) from None
        if name == "SQLITE_FULL":
            raise errors.DiskFull from None
        if name.startswith(CANNOT) and name != "SQLITE_IOERR_SHORT_READ":  # a page beyond the end is damage
            raise errors.VaultError(
                f"The system does not let records.db be used ({error.orig}). What was finished before is kept. "
                "Look at the folder's permissions and its medium."
            ) from None
        raise errors.VaultDamaged(what=f"records.db cannot be used ({error.orig})") from None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise errors.DiskFull from None
        raise
