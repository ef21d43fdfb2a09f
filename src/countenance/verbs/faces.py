"""The verbs on faces that a person corrects or has restricted: `vault.faces`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from countenance import custody
from countenance.requests import correct
from countenance.store import links, restrictions
from countenance.store.database import Database
from countenance.store.links import Link
from countenance.store.lock import held
from countenance.store.restrictions import Restriction


@dataclass(frozen=True, slots=True, kw_only=True)
class Faces:
    """What is known to be wrong of the faces that are held, and what of them is not used at a person's request."""

    database: Database
    by: str
    process_id: str

    def not_same(self, face: str, other: str, *, reason: str, request: str | None = None) -> correct.NotSame:
        """Record that a face is not a subject (name or id), or not the person of another face (id). No search joins them.

        A face that was the subject's is unlinked. In mode `enrolled` it is then discarded and its key destroyed at once:
        a template of somebody who is not enrolled may not be kept.
        """
        done = correct.not_same(self.database, face, other, reason=reason, request=request, by=self.by)
        if done.discarded and not self.database.dry_run:
            with held(self.database.path.parent / "erase.lock"):
                custody.rotate(self.database, self.process_id)
            self.database.truncate_wal()
        return done

    def links(self) -> list[Link]:
        """All that is recorded as not the same, oldest first."""
        with self.database.read() as tx:
            return links.every(tx)

    def restrict(
        self, record: str | None = None, *, ground: str, reason: str = "", request: str | None = None
    ) -> correct.Restricted:
        """Keep a record and use it no more: a photo or face by id, a subject by name or id, or all that a request confirmed.

        `ground` is a key of `store.restrictions.GROUNDS`; `objection` while an objection is examined. It holds at once,
        in every process, until `unrestrict`.
        """
        return correct.restrict(self.database, record, ground=ground, reason=reason, request=request, by=self.by)

    def unrestrict(self, restriction: str, *, reason: str, told: str) -> correct.Lifted:
        """Lift a restriction. `told` says when and how the person was told before (Art. 18(3) GDPR)."""
        return correct.unrestrict(self.database, restriction, reason=reason, told=told, by=self.by)

    def restrictions(self, *, ended: bool = False) -> list[Restriction]:
        """The restrictions in force, oldest first; with `ended`, those that ended too."""
        with self.database.read() as tx:
            found: Iterable[Restriction] = restrictions.every(tx)
        return [one for one in found if ended or not one.ended]
