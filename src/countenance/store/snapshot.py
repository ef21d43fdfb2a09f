"""One consistent copy of the records as they stand, taken while other processes read and write.

The copy is a private file in the vault's folder that loses its name as soon as it is whole; a crash before that leaves
it until the next open. It holds what records.db holds: sealed bytes, and no key.
"""

from __future__ import annotations

import base64
import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from countenance.errors import DiskFull, VaultDamaged
from countenance.store.lock import held

LOCK = "backup.lock"
COPYING = "snapshot.lock"  # held for as long as the copy has a name: a second a gigabyte
NAME = "snapshot.tmp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A snapshot, and what its vault row says."""

    file: BinaryIO
    size: int  # bytes
    generation: int
    epoch: int
    next_item: int
    log_size: int
    log_root: str  # hex


@contextmanager
def take(records: Path) -> Iterator[Taken]:
    """Copy the records; the caller holds `LOCK`. Pages keep their place, so what did not change reads the same."""
    path = records.parent / NAME
    with ExitStack() as stack:
        with absent(records.parent):
            try:
                copy(records, path)
                facts = said(path)
                file = stack.enter_context(path.open("rb"))
            finally:
                _remove(path)
        yield Taken(file=file, size=os.fstat(file.fileno()).st_size, **facts)


@contextmanager
def absent(folder: Path) -> Iterator[None]:
    """Wait until no copy has a name, and let none begin: while an erasure searches the files for what must be gone."""
    with held(folder / COPYING):
        _remove(folder / NAME)  # what a backup that was killed left
        yield


def copy(records: Path, path: Path) -> None:
    """Copy the records, with what is still in their write-ahead log, into a file of their own."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    try:
        with closing(sqlite3.connect(records)) as source, closing(sqlite3.connect(path)) as target:
            target.execute("PRAGMA journal_mode=OFF")  # a copy that a crash tore is thrown away
            source.backup(target)
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorname", "") == "SQLITE_FULL":
            raise DiskFull from None
        raise VaultDamaged(what="records.db cannot be copied") from None


def tidy(folder: Path) -> None:
    """Remove what a backup that was killed left, unless one is running."""
    if (folder / NAME).exists():
        with held(folder / COPYING, wait=False) as mine:
            if mine:
                _remove(folder / NAME)


def said(path: Path) -> dict[str, Any]:
    """What the vault row of a copy says, by the names in `Taken`."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as sql:
        query = "SELECT generation, epoch, next_item, log_size, checkpoint FROM vault"
        generation, epoch, next_item, log_size, checkpoint = sql.execute(query).fetchone()
    root = base64.b64decode(checkpoint.split("\n")[2]).hex() if log_size else ""
    return {"generation": generation, "epoch": epoch, "next_item": next_item, "log_size": log_size, "log_root": root}


def _remove(path: Path) -> None:
    for name in (path.name, f"{path.name}-journal"):
        with suppress(FileNotFoundError):
            path.with_name(name).unlink()
