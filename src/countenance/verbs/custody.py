"""The verbs on the keys: `vault.custody`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from countenance import custody, wish
from countenance.store.database import Database
from countenance.store.lock import held


@dataclass(frozen=True, slots=True, kw_only=True)
class Custody:
    """The keys of a vault, with their replicas and the erasure ledger."""

    database: Database
    process_id: str

    def status(self) -> custody.Status:
        """How the keys, their replicas and the erasure ledger stand."""
        return custody.status(self.database)

    def rotate(self) -> int:
        """Begin a new key epoch without the leaves of records that were replaced since; return its number."""
        self.database.demand_wet()
        with held(self.database.path.parent / "erase.lock"):
            wish.end(self.database)
            return custody.rotate(self.database, self.process_id)

    def replicate(self, folder: str | os.PathLike[str]) -> custody.Status:
        """Keep a live replica of the keys in a folder that is new or empty. Every erasure from now on needs it there."""
        self.database.demand_wet()
        custody.replicate(self.database, Path(folder).expanduser().resolve())
        return self.status()

    def remove_replica(self, folder: str | os.PathLike[str]) -> bool:
        """Keep no replica in a folder any more; False if the one there could not be reached and must be destroyed by hand."""
        self.database.demand_wet()
        return custody.remove_replica(self.database, Path(folder).expanduser().resolve())
