"""The verbs on exports, files that show faces outside the vault: `vault.exports`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from countenance.orders import exports as exporting
from countenance.records import SearchResult
from countenance.search.sheet import render
from countenance.store import collections, exports
from countenance.store.database import Database
from countenance.store.exports import Export


@dataclass(frozen=True, slots=True, kw_only=True)
class Exports:
    """What was written to files outside the vault, which remembers them until they are gone."""

    database: Database
    by: str

    def write(self, result: SearchResult, path: str | os.PathLike[str]) -> Export:
        """Write a search's hits as an HTML page that shows the faces. It must not be there yet; only its owner can read it.

        The vault remembers the file until it is deleted, and an erasure of a face on it deletes it.
        """
        self.database.demand_wet()
        with self.database.read() as tx:
            name = collections.find(tx, result.collection_id).name
        return exporting.write(self.database, result, render(result, name).encode(), Path(path), by=self.by)

    def list(self) -> list[Export]:
        """All files that were written and that are not known to be gone, oldest first."""
        with self.database.read() as tx:
            return exports.every(tx)

    def delete(self, export: str) -> None:
        """Delete a file that was written. One that has been changed since is kept, and the error says so."""
        exporting.delete(self.database, export, by=self.by)
