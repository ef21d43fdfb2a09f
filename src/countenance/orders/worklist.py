"""What an erasure leaves to people, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from countenance import ids
from countenance.audit import log
from countenance.records import Entry
from countenance.store import erasures
from countenance.store.database import Database, Tx
from countenance.store.erasures import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Todo:
    """One file that a person must look at."""

    path: str  # inside the source; of an export absolute
    action: str  # delete, redact
    why: str  # a sentence


def put(tx: Tx, erasure_id: str, source_id: str, location: str, left: Iterable[Todo]) -> None:
    """Add what is left to do at a source, each path and action once."""
    known = {(w.address, w.action) for w in erasures.worklist(tx, erasure_id) if w.source_id == source_id}
    for todo in left:
        if (todo.path, todo.action) not in known:
            known.add((todo.path, todo.action))
            work = Work(
                id=ids.new("work"),
                erasure_id=erasure_id,
                source_id=source_id,
                action=todo.action,
                address=todo.path,
                location=location,
                why=todo.why,
            )
            erasures.add_work(tx, work)


def finish(database: Database, work_id: str) -> None:
    """Take a line off the worklist, and log that somebody did it."""
    with database.write() as tx:
        line = next((line for line in erasures.worklist(tx) if line.id == work_id), None)
        erasures.finish_work(tx, work_id)
        assert line
        public = {"erasure": line.erasure_id, "action": line.action}
        log.append(tx, Entry(kind="work:finished", public=public))
