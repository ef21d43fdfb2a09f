"""The verbs on orders: `vault.orders`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from countenance import wish
from countenance.gate.reach import hides
from countenance.orders import carry_out, issue, proof, samples, survey
from countenance.records import Erasure
from countenance.requests import freeze
from countenance.store import orders
from countenance.store.database import Database
from countenance.store.exports import Export
from countenance.store.lock import held


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What a regulator, a court or the operator orders of a vault, from its draft to its proof."""

    database: Database
    by: str
    finish: Callable[[str], Erasure]  # goes on with an erasure to its certificate
    freeze: Callable[[Iterable[str]], object]  # makes the answers that people wait for about these photos

    def draft(self, text: str) -> issue.Standing:
        """Take in an order file (its text: see `orders.order`) as a draft. Nothing is stopped yet."""
        return issue.draft(self.database, text, by=self.by)

    def preview(self, order: str) -> survey.Preview:
        """What an order reaches, in numbers: by collection, source and evidence, and everything derived that goes too."""
        with self.database.read() as tx:
            return survey.preview(tx, orders.find(tx, order).order.scope)

    def sheet(self, order: str, path: str | os.PathLike[str]) -> Export:
        """Write a contact sheet with samples of what an order reaches. It shows faces; an erasure of one deletes it."""
        self.database.demand_wet()
        return samples.write(self.database, order, Path(path), by=self.by)

    def approve(self, order: str, *, by: str | None = None, confirm: int | None = None) -> issue.Standing:
        """Approve a draft; with as many people as it needs it is in force at once, in every process.

        `confirm` is the number of photos that it hides: asked for where that is all there are.
        """
        self._freeze(order)
        return issue.approve(self.database, order, by=self.by if by is None else by, confirm=confirm)

    def carry_out(self, order: str, *, signed_by: str) -> issue.Standing:
        """Erase what an order in force says, and complete it in the name of a person. Can be cut short and called again."""
        self.database.demand_wet()
        with held(self.database.path.parent / "erase.lock"):
            wish.end(self.database)
            self._freeze(order)
            return carry_out.carry_out(self.database, order, signed_by=signed_by, by=self.by, finish=self.finish)

    def lift(self, order: str, *, reason: str, assessment: str) -> issue.Standing:
        """Lift an order: what it hid and nothing erased is shown again. `assessment`: SHA-256 of an impact assessment."""
        return issue.lift(self.database, order, reason=reason, assessment=assessment, by=self.by)

    def list(self) -> list[issue.Standing]:
        """All orders, oldest first."""
        with self.database.read() as tx:
            return [issue.show(tx, stored) for stored in orders.every(tx)]

    def show(self, order: str) -> issue.Standing:
        """One order: what it says, where it stands, and its deadline."""
        with self.database.read() as tx:
            return issue.show(tx, orders.find(tx, order))

    def proof(self, order: str) -> bytes:
        """The proof bundle of an order that was carried out: a zip that its own verify_order.py checks offline."""
        with self.database.read() as tx:
            return proof.build(tx, order)

    def to_review(self, order: str) -> tuple[str, ...]:
        """Photos that an order hides and erases only once somebody has looked at them (`unknown: review`)."""
        with self.database.read() as tx:
            return tuple(issue.to_review(tx, orders.find(tx, order)))

    def confirm(self, order: str, photos: Iterable[str]) -> int:
        """Say of photos to be reviewed that the order is meant to reach them; returns how many still wait."""
        return issue.confirm(self.database, order, photos, by=self.by)

    def _freeze(self, order: str) -> None:
        """Make the answers that people wait for about photos that the order reaches, while they can be made."""
        with self.database.read() as tx:
            stored = orders.find(tx, order)
            able = hides(stored.order) and not stored.order.unconfirmed and stored.state not in {"completed", "lifted"}
            reached = (
                [found.photo_id for found, _ in survey.survey(tx, stored.order.scope, freeze.awaited(tx))]
                if able
                else []
            )
        self.freeze(reached)
