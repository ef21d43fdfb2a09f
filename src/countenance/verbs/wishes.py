"""The verbs on wishes to be kept out: `vault.wishes`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from countenance import custody, wish
from countenance.records import Consent, Wish
from countenance.store import wishes
from countenance.store.database import Database
from countenance.store.lock import held
from countenance.vision.pool import Pool

if TYPE_CHECKING:
    from countenance.vision.picture import Picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """People's own signed wishes to be kept out of every collection."""

    database: Database
    pool: Callable[[], Pool]
    process_id: str
    cache: Path

    def record(self, pictures: Iterable[Picture], *, consent: Consent) -> Wish:
        """Keep a person out from now on, in every collection, at their own signed wish (at most ten years).

        Each picture shows that person alone; of the pictures nothing is kept but one template, which no search uses.
        Faces that are held already stay: search with the picture, then erase by that search.
        """
        wish.check(consent, self.database.clock())
        seen = wish.look(self.database, self.pool(), pictures, consent, cache=self.cache)
        return wish.record(self.database, consent, seen)

    def list(self) -> list[Wish]:
        """All wishes that are held, oldest first."""
        with self.database.read() as tx:
            return wishes.every(tx)

    def withdraw(self, wish_id: str) -> int:
        """Erase a wish with its template at once and destroy its key; return the number of the key epoch that began."""
        self.database.demand_wet()
        with held(self.database.path.parent / "erase.lock"):
            wish.withdraw(self.database, wish_id)
            wish.end(self.database)
            epoch = custody.rotate(self.database, self.process_id)
        self.database.truncate_wal()
        return epoch
