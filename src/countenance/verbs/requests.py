"""The verbs on people's requests: `vault.requests`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from countenance import ids
from countenance.errors import UsageError
from countenance.gate.rule import binding, gaps
from countenance.gate.rulebook import shipped
from countenance.records import Collection, Erasure, Scope
from countenance.requests import access, clock, desk, freeze, identify, intake, letters, mail, opendsr, sheet, transient
from countenance.requests.access import Maker
from countenance.requests.desk import Desk, Matter
from countenance.requests.identify import Candidate
from countenance.requests.intake import Intake
from countenance.requests.letters import Case, Letter, Sender
from countenance.requests.words import shows_identity_document
from countenance.scan import Progress
from countenance.settings import Settings
from countenance.store import collections, erasures, lookup, photos, requests
from countenance.store.database import Database, Tx
from countenance.store.exports import Export
from countenance.store.requests import Clue, Request
from countenance.vision.picture import content_of
from countenance.vision.pool import Pool

if TYPE_CHECKING:
    from countenance.vision.picture import Picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """What a person may ask of a vault, from its arrival by any channel to its answer."""

    database: Database
    by: str
    settings: Settings
    pool: Callable[[], Pool]
    carry_out: Callable[..., Erasure]  # erases a scope on a ground, as `Vault.erase`

    @property
    def desk(self) -> Desk:
        """Where the controller is: its time zone and public holidays."""
        zone = UTC if self.settings.zone == "UTC" else ZoneInfo(self.settings.zone)
        return Desk(zone=zone, holidays=frozenset(self.settings.holidays))

    def open(
        self,
        kind: str,
        *,
        name: str = "",
        contact: str = "",
        text: str = "",
        received_at: datetime | None = None,
        law: str | None = None,
    ) -> Matter:
        """Take in a request that somebody typed in; its clock runs from its receipt. Nobody need say who they are.

        `kind` is one of access, erasure, objection, rectification, restriction, portability, withdrawal, complaint.
        """
        now = self._now()
        came = intake.from_fields(
            kind=kind, received_at=received_at or now, now=now, name=name, contact=contact, text=text
        )
        return self._open(came, law)

    def open_mail(self, content: bytes, *, received_at: datetime | None = None, law: str | None = None) -> Matter:
        """Take in a request that came by mail, from the bytes of its .eml. What it asks for is guessed: `settle` it.

        Pictures that came along are in `Matter.pictures`, in memory only; `identify` can compare them.
        """
        return self._open(intake.from_mail(content, now=self._now(), received_at=received_at), law)

    def open_opendsr(self, body: bytes) -> Matter:
        """Take in a request that another controller's software hands on, from the bytes of its OpenDSR 2.0 JSON.

        One that is sent again, as its number says, is the one that is there.
        """
        came = opendsr.from_opendsr(body, now=self._now())
        number = dict(came.asked.said)["subject_request_id"]
        with self.database.read() as tx:
            known = [one for one in requests.every(tx) if desk.told(one, "subject_request_id") == number]
        if known:
            return replace(self._shown(known[0]), warnings=("This request came before, and was not opened again.",))
        return self._open(came, None)

    def list(self, *, unanswered: bool = False) -> list[Matter]:
        """All requests, or those that wait for an answer; the one due first comes first."""
        with self.database.read() as tx:
            return [desk.matter(tx, one, self.desk) for one in requests.every(tx, unanswered=unanswered)]

    def show(self, request: str) -> Matter:
        """One request: what was asked, where it stands, and what was done about it."""
        with self.database.read() as tx:
            return desk.matter(tx, requests.find(tx, request), self.desk)

    def settle(self, request: str, kind: str) -> Matter:
        """Say what the person wants, or confirm what was guessed."""
        return self._shown(desk.settle(self.database, request, kind, self.desk, by=self.by))

    def identify(
        self,
        request: str,
        *,
        clues: Iterable[tuple[str, str]] = (),
        files: Iterable[Picture] = (),
        pictures: Iterable[Picture] = (),
        collection: str | None = None,
        scan: bool = False,
        report: Callable[[Progress], None] = lambda _: None,
    ) -> tuple[Candidate, ...]:
        """Find candidates by what the person gave, for the operator to review. Nobody else is shown them.

        `clues` are pairs of a kind (`requests.identify.CLUES`) and a value; those that the request names are used too.
        `files` are exact copies of a photo. `pictures` are offered pictures, matched by their look in a worker's memory.
        Of files and pictures nothing is kept.

        `scan` also compares the face on the pictures with every photo of the collections in mode `enrolled`, or of the
        one that is named: a transient scan (`requests.transient`), which keeps no template and can be interrupted.
        """
        offered = [_offered(picture) for picture in pictures]
        pool = self.pool() if offered else None
        looks = [look for one in offered if pool for look in pool.submit(identify.imprints_of, one).result()]
        with self.database.read() as tx:
            chosen = collections.find(tx, collection).id if collection else None
            enrolled = [one for one in collections.every(tx) if one.mode == "enrolled" and chosen in {None, one.id}]
        if scan and not enrolled:
            raise UsageError(
                "A scan is for collections in mode enrolled. In others the offered picture alone (--photo) finds the file, and "
                "`countenance search` the face. Nothing was looked at."
            )
        scanned = [
            transient.scan(
                self.database, self.pool(), one, request, offered, cache=self.settings.cache, report=report, by=self.by
            )
            for one in (enrolled if scan else ())
        ]
        found = desk.look(
            self.database,
            request,
            self.desk,
            by=self.by,
            clues=[Clue(kind=kind, value=value) for kind, value in clues],
            files=[*(content_of(file) for file in files), *offered],
            imprints=looks,
            collection_id=chosen,
            scanned=[candidate for one in scanned for candidate in one.candidates],
        )
        return tuple(found)

    def sheet(self, request: str, path: str | os.PathLike[str]) -> Export:
        """Write a contact sheet of the candidates, for the operator's eyes. An erasure of one of them deletes it."""
        self.database.demand_wet()
        return sheet.write(self.database, request, Path(path), by=self.by)

    def review(self, request: str, verdicts: Mapping[str, str]) -> Matter:
        """Say of candidates, by id of a face or a photo, whether they are the person: yes, no or unsure.

        Only what has a yes is told or erased. Yes to a photo takes all of it; no, each face of it.
        """
        return self._shown(desk.review(self.database, request, verdicts, self.desk, by=self.by))

    def scope(self, request: str) -> tuple[Scope, ...]:
        """What was confirmed and is still there, a scope for each collection; nothing is changed."""
        with self.database.read() as tx:
            return tuple(identify.confirmed(tx, requests.find(tx, request)))

    def erase(self, request: str, *, approved_by: Iterable[str] = ()) -> tuple[Erasure, ...]:
        """Erase what was confirmed, on the ground that the kind of request is: a certificate for each collection.

        Raises `UsageError` if the kind erases nothing or was only guessed. Can be cut short and called again.
        """
        with self.database.read() as tx:
            ground, scopes = desk.reaches(tx, request)
        approved = tuple(approved_by)
        return tuple(self.carry_out(scope, ground=ground, approved_by=approved) for scope in scopes)

    def acknowledge(self, request: str) -> Matter:
        """Note that the arrival was confirmed to the person."""
        return self._step(request, "acknowledged")

    def pause(self, request: str, reason: str, *, said: str = "") -> Matter:
        """Stop the clock where the law allows it, for a key of `requests.clock.PAUSES`. `said`: what is needed."""
        return self._step(request, "paused", reason, said)

    def resume(self, request: str) -> Matter:
        """Let the clock run again: the person replied."""
        return self._step(request, "resumed")

    def extend(self, request: str, reason: str) -> Matter:
        """Take the longer time that the law gives, for a reason that the person is told."""
        return self._step(request, "extended", reason)

    def access(self, request: str) -> bytes:
        """The answer to a request for access or portability: a zip (`requests.access`) made of what was reviewed with yes.

        One that was kept before an order or an erasure reached the data is returned as it was made. Give it out with
        `answer` only.
        """
        return access.give(self._maker, request, by=self.by)

    def answer(
        self, request: str, outcome: str, *, said: str = "", bundle: str | os.PathLike[str] | None = None
    ) -> Matter:
        """Note how the request was answered: one of `requests.desk.OUTCOMES`. `said` is the answer's text, and is kept.

        `bundle` is a new file for the zip of `access`, that only its owner can read; delete it when it is sent.
        """
        if bundle is None:
            return self._step(request, "answered", outcome, said)
        self.database.demand_wet()
        return self._shown(access.hand_over(self._maker, request, outcome, said, Path(bundle), by=self.by))

    def freeze(self, ids: Iterable[str]) -> tuple[str, ...]:
        """Make and keep the answers that people wait for about these photos or faces, by id, and return the requests' ids.

        Approving or carrying out an order and erasing do this by themselves, before they reach anything.
        """
        return () if self.database.dry_run else tuple(freeze.pending(self._maker, ids, by=self.by))

    def close(self, request: str) -> Matter:
        """Close a request that was answered. One that was not cannot be closed."""
        return self._step(request, "closed")

    def letter(self, request: str, kind: str, *, said: str = "") -> Letter:
        """Write a letter, a key of `requests.letters.LETTERS`, for a person to send. What is not known is a visible gap.

        `said` is what only a person can say; what `pause`, `extend` and `answer` were told is taken if it is left out.
        """
        with self.database.read() as tx:
            found = desk.matter(tx, requests.find(tx, request), self.desk)
            today = clock.local_day(tx.now, self.desk.zone)
            sender = self._sender(tx, found.request)
        case = Case(
            reference=request,
            kind=found.request.kind,
            law=found.request.law,
            received=clock.local_day(found.request.received_at, self.desk.zone),
            today=today,
            standing=found.standing,
            name=found.request.asked.name,
            receipt=found.receipt,
        )
        before = desk.told(found.request, letters.SAYS.get(kind.partition(":")[0], ""))
        return letters.write(kind, case, sender, mail.paragraph(said) or before)

    def _open(self, came: Intake, law: str | None) -> Matter:
        made = desk.open_request(
            self.database,
            came,
            self.desk,
            request_id=ids.new("request"),
            receipt_id=ids.new("receipt"),
            law=law or came.law or self.settings.law,
            by=self.by,
        )
        pictures = tuple(offer.content for offer in came.offers)
        return replace(self._shown(made), warnings=came.warnings, pictures=pictures)

    @property
    def _maker(self) -> Maker:
        return Maker(
            database=self.database, pool=self.pool, cache=self.settings.cache, desk=self.desk, sender=self._sender
        )

    def _step(self, request: str, what: str, reason: str = "", said: str = "") -> Matter:
        return self._shown(desk.take_step(self.database, request, what, self.desk, reason, said, by=self.by))

    def _shown(self, request: Request) -> Matter:
        with self.database.read() as tx:
            return desk.matter(tx, request, self.desk)

    def _now(self) -> datetime:
        with self.database.read() as tx:
            return tx.now

    def _sender(self, tx: Tx, request: Request) -> Sender:
        """Who answers: what all collections say alike that the request is about, or all there are if it is about none."""
        yes = [one.photo_id for one in request.reviews if one.verdict == "yes"]
        about = {photo.collection_id for photo in photos.several(tx, lookup.present(tx, yes)).values()}
        about |= {one.collection_id for one in erasures.every(tx) if one.progress.get("request") == request.id}
        meant = [found for found in collections.every(tx) if not about or found.id in about]
        return Sender(
            controller=_alike(found.controller for found in meant),
            contact=_alike(found.contact for found in meant),
            representative=_alike(_representative(found, tx.now.date()) for found in meant),
            authority=self.settings.authority,
        )


def _alike(said: Iterable[str | None]) -> str:
    """What all of the collections say; empty if they differ, so that nothing wrong is stated."""
    different = set(said)
    return (different.pop() or "") if len(different) == 1 else ""


def _representative(collection: Collection, on: date) -> str:
    asked = gaps(collection, binding(collection, (), shipped(), on), on)
    none = "" if any(gap.slug == "needs-representative" for gap in asked) else "none is needed"
    return collection.representative or none


def _offered(picture: Picture) -> bytes:
    if isinstance(picture, str | os.PathLike) and shows_identity_document(Path(picture).stem):
        raise UsageError(
            "By its name that picture shows an identity document. None is needed, and none is looked at: tell the person so."
        )
    return content_of(picture)
