"""The verbs on erasures that were planned or are done: `vault.erasures`. `vault.erase` makes them."""

from __future__ import annotations

from dataclasses import dataclass

from countenance import errors
from countenance.audit import verify
from countenance.orders import erase, view, worklist
from countenance.records import Erasure
from countenance.store import erasures
from countenance.store.database import Database
from countenance.store.erasures import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasures:
    """What was erased, what shows it, and what is left to do by hand."""

    database: Database

    def list(self) -> list[Erasure]:
        """All erasures, oldest first."""
        with self.database.read() as tx:
            return [erase.summary(stored) for stored in erasures.every(tx)]

    def certificate(self, erasure: str) -> bytes:
        """The proof bundle of an erasure: a zip that `python -m countenance.audit.verify` checks offline."""
        with self.database.read() as tx:
            stored = erasures.find(tx, erasure)
        if stored.bundle is None:
            raise errors.NotFound(noun="certificate yet of erasure", name=f"{erasure} (it is {stored.state})")
        return stored.bundle

    def view(self, erasure: str) -> str:
        """The certificate of an erasure as one HTML page for people. The page proves nothing: the bundle does."""
        bundle = verify.unpack(self.certificate(erasure))
        return view.render(bundle, verify.examine(bundle), given=None, at=self.database.clock())

    def worklist(self) -> tuple[Work, ...]:
        """What is still to be done by hand at sources that Countenance does not write to."""
        with self.database.read() as tx:
            return tuple(erasures.worklist(tx))

    def finish_work(self, work: str) -> None:
        """Take a line off the worklist: somebody did it."""
        worklist.finish(self.database, work)
