"""The processes that have the vault open: which generation and key epoch each of them follows."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, select, update

from countenance.store.database import Tx
from countenance.store.tables import process


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process on the vault."""

    id: str
    pid: int
    host: str
    born: str
    epoch: int
    generation: int

    @property
    def alive(self) -> bool:
        """Whether it still runs; one on another host counts as running, for nobody here can tell."""
        return self.host != socket.gethostname() or _born(self.pid) == self.born


def register(tx: Tx, process_id: str, epoch: int, generation: int) -> None:
    """Note that this process has the vault open, and forget those of this host that have ended."""
    for other in every(tx):
        if not other.alive:
            leave(tx, other.id)
    tx.sql.execute(
        process.insert().values(
            id=process_id,
            pid=os.getpid(),
            host=socket.gethostname(),
            born=_born(os.getpid()),
            epoch=epoch,
            generation=generation,
        )
    )


def follow(tx: Tx, process_id: str, epoch: int, generation: int) -> None:
    """Acknowledge: from here on this process holds no older key state, and shows nothing hidden up to `generation`."""
    tx.sql.execute(update(process).where(process.c.id == process_id).values(epoch=epoch, generation=generation))


def leave(tx: Tx, process_id: str) -> None:
    """Note that a process closed the vault."""
    tx.sql.execute(delete(process).where(process.c.id == process_id))


def every(tx: Tx) -> list[Process]:
    """All registered processes."""
    return [
        Process(id=r.id, pid=r.pid, host=r.host, born=r.born, epoch=r.epoch, generation=r.generation)
        for r in tx.sql.execute(select(process).order_by(process.c.row))
    ]


def _born(pid: int) -> str:
    """The kernel's start time of a process, in clock ticks since boot; empty where the kernel does not say or it ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "" if not _runs(pid) else "running"
    return stat.rpartition(")")[2].split()[19]


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
