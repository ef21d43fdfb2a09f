"""What is done about a request, from its arrival to its end: each step with its line in the log, in one transaction.

The log's public part says the kind, the law, dates and counts. Who asks stands only under the request's own key.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from countenance.audit import log
from countenance.errors import UsageError
from countenance.records import Entry, Scope
from countenance.requests import clock, identify, mail
from countenance.requests.clock import Standing
from countenance.requests.identify import Candidate
from countenance.requests.intake import Intake
from countenance.store import requests
from countenance.store.database import Database, Tx
from countenance.store.requests import KINDS, Asked, Clue, Request, Review, Step

OUTCOMES = ("granted", "partly", "refused", "nothing", "passed-on", "taken-back")
"""How a request can be answered."""

GROUNDS = {"erasure": "request", "withdrawal": "consent-withdrawn", "objection": "objection"}
"""Kinds of request that erase, with the ground that stands in the certificate: a key of `orders.erase.GROUNDS`."""

LETTER = {"refused": "refusal", "nothing": "nothing"}
"""The letter that tells an outcome; that of any other is "answer:" and the outcome."""

KEPT_DAYS = 1096
"""How long the record of a request stays after its answer: three years, within which most claims are brought."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where the controller is, and how it works."""

    zone: tzinfo = UTC
    holidays: frozenset[date] = frozenset()
    kept_days: int = KEPT_DAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """A request as callers see it."""

    request: Request
    standing: Standing
    left: int | None  # days until it is due, negative where it is late; None while no clock runs
    warnings: tuple[str, ...] = ()  # of the channel that it came by, sentences
    pictures: tuple[bytes, ...] = field(repr=False, default=())  # that came along; in memory only

    @property
    def id(self) -> str:
        """The request's number."""
        return self.request.id

    @property
    def receipt(self) -> str:
        """The number by which the person is found again without saying who they are."""
        return told(self.request, "receipt")

    def count(self, verdict: str) -> int:
        """How many candidates were reviewed so: yes, no or unsure."""
        return sum(one.verdict == verdict for one in self.request.reviews)


def matter(tx: Tx, request: Request, desk: Desk) -> Matter:
    """A request with where it stands today."""
    now = standing(request, desk)
    runs = now.state in ("opened", "extended")
    return Matter(
        request=request, standing=now, left=(now.due - clock.local_day(tx.now, desk.zone)).days if runs else None
    )


def told(request: Request, what: str) -> str:
    """What was said last of something: `receipt`, `paused` (what is needed), `answered` (the answer)."""
    return next((text for key, text in reversed(request.asked.said) if key == what), "")


def open_request(
    database: Database, intake: Intake, desk: Desk, *, request_id: str, receipt_id: str, law: str, by: str
) -> Request:
    """Store a request as it came in; its clock runs from its receipt. `law` is a key of `clock.LAWS`.

    `receipt_id` is the number that the person gets with the first letter.
    """
    with database.write() as tx:
        received = clock.local_day(intake.received_at, desk.zone)
        due = clock.end_of(clock.stand(law, intake.kind, received, ()).due, desk.zone)
        record = Request(
            id=request_id,
            kind=intake.kind,
            confirmed=intake.confirmed,
            law=law,
            state="opened",
            channel=intake.channel,
            received_at=intake.received_at,
            due_at=due,
            expires_at=due + timedelta(days=desk.kept_days),
            asked=_said(intake.asked, "receipt", receipt_id),
        )
        requests.put(tx, record)
        requests.give_receipt(tx, receipt_id, request_id)
        changed = _settle(tx, record, desk)
        _log(tx, changed, "opened", by, {"channel": intake.channel, "received": received.isoformat()})
    return changed


def standing(request: Request, desk: Desk, *, settled: int | None = None) -> Standing:
    """Where a request stands: its state, its dates and what it waits for. `settled` is that of `clock.stand`; all steps."""
    received = clock.local_day(request.received_at, desk.zone)
    before = len(request.steps) if settled is None else settled
    return clock.stand(request.law, request.kind, received, request.steps, desk.holidays, settled=before)


def settle(database: Database, request_id: str, kind: str, desk: Desk, *, by: str) -> Request:
    """Say what the person wants, or confirm what was guessed. Raises `UsageError` if what was done does not go with it."""
    if kind not in KINDS:
        raise UsageError(f"{kind} is no kind of request; choose one of {', '.join(KINDS)}. Nothing was changed.")
    with database.write() as tx:
        record = requests.find(tx, request_id)
        if record.state in requests.ANSWERED:
            raise UsageError(f"The request is {record.state}. Nothing was changed.")
        changed = _settle(tx, record, desk, kind=kind, confirmed=True)
        _log(tx, changed, "settled", by, {"was": record.kind})
    return changed


def take_step(  # noqa: PLR0917
    database: Database,
    request_id: str,
    what: str,
    desk: Desk,
    reason: str = "",
    said: str = "",
    *,
    by: str,
    bundle: bytes | None = None,
    reviews: Sequence[Review] | None = None,
) -> Request:
    """Take a step today: acknowledged, paused, resumed, extended, answered or closed (`clock.stand` says which can be).

    An answer has an outcome as its reason, one of `OUTCOMES`, and needs a kind that a person confirmed and candidates
    that are all settled; that all was erased is told only once it is. `said` is what the person is told, and is kept;
    of a `bundle` that they are given, the hash is logged, and `reviews` are those that it was made of. With closing, an
    answer that was kept goes. Raises `UsageError` otherwise; nothing is changed then.
    """
    with database.write() as tx:
        record = requests.find(tx, request_id)
        if what == "answered":
            _demand_answerable(tx, record, reason)
            if reviews is not None and list(reviews) != list(record.reviews):
                raise UsageError(
                    "The candidates were reviewed again while the answer was made. Nothing was changed; answer again."
                )
        step = Step(on=clock.local_day(tx.now, desk.zone), what=what, reason=reason)
        until = {"expires_at": tx.now + timedelta(days=desk.kept_days)} if what == "answered" else {}
        asked = _said(record.asked, what, reason if what == "extended" else said)
        changed = _settle(tx, record, desk, steps=(*record.steps, step), asked=asked, **until)
        public = {"outcome": reason} if what == "answered" else {"for": reason} if what == "paused" else {}
        if what == "closed":
            requests.drop_answer(tx, request_id)
        _log(tx, changed, what, by, public, reason=reason, bundle=bundle)
    return changed


def look(
    database: Database,
    request_id: str,
    desk: Desk,
    *,
    by: str,
    clues: Iterable[Clue] = (),
    files: Sequence[bytes] = (),
    imprints: Sequence[bytes] = (),
    collection_id: str | None = None,
    scanned: Sequence[Candidate] = (),
) -> list[Candidate]:
    """Find candidates by what the person gave, and put them up for review. Of files and pictures nothing is kept.

    `scanned` are those that a transient scan found.
    """
    with database.read() as tx:  # an album means opening every photo, 1 s for 100,000: nobody waits for that
        given = tuple(dict.fromkeys((*requests.find(tx, request_id).asked.clues, *clues)))
        found = identify.find(tx, given, files=files, imprints=imprints, collection_id=collection_id)
        found += [one for one in scanned if one.photo_id not in {other.photo_id for other in found}]
    with database.write() as tx:
        record = requests.find(tx, request_id)
        known = {(one.photo_id, one.face_id) for one in record.reviews}
        new = tuple(
            Review(
                photo_id=one.photo_id,
                face_id=face_id,
                verdict="unsure",
                on=clock.local_day(tx.now, desk.zone),
                box=identify.place(one) if face_id is None else None,
            )
            for one in found
            for face_id in (one.face_ids or (None,))
            if (one.photo_id, face_id) not in known
        )
        clued = tuple(dict.fromkeys((*record.asked.clues, *given)))
        changed = requests.advance(tx, record, asked=replace(record.asked, clues=clued), reviews=record.reviews + new)
        counts = {"candidates": len(found), "files": len(files), "offered": bool(imprints), "kept": 0}
        _log(tx, changed, "looked", by, {"clues": dict(Counter(clue.kind for clue in given)), **counts})
    return found


def review(database: Database, request_id: str, verdicts: Mapping[str, str], desk: Desk, *, by: str) -> Request:
    """Record what the operator says of candidates, by id of a face or a photo: yes, no or unsure (`identify.review`)."""
    with database.write() as tx:
        record = requests.find(tx, request_id)
        settled = identify.review(record, verdicts, on=clock.local_day(tx.now, desk.zone))
        changed = requests.advance(tx, record, reviews=settled)
        _log(tx, changed, "reviewed", by, dict(Counter(one.verdict for one in settled)))
    return changed


def reaches(tx: Tx, request_id: str) -> tuple[str, list[Scope]]:
    """The ground and the scopes of the erasure that a request asks for, one for each collection.

    Raises `UsageError` if it asks for none, if its kind was only guessed, or if nothing was confirmed.
    """
    record = requests.find(tx, request_id)
    if record.kind not in GROUNDS:
        raise UsageError(f"This request ({record.kind}) erases nothing; {', '.join(GROUNDS)} do. Nothing was changed.")
    _demand_confirmed(record)
    return GROUNDS[record.kind], identify.confirmed(tx, record)


def sweep(database: Database) -> int:
    """Delete the records of requests that are past their time and return how many; the next erasure destroys their keys."""
    with database.write() as tx:
        gone = requests.expired(tx)
        for request_id in gone:
            requests.remove(tx, request_id)
        if gone:
            log.append(tx, Entry(kind="request:expired", public={"requests": len(gone)}))
    return len(gone)


def note_answer(tx: Tx, request: Request, what: str, by: str, bundle: bytes) -> None:
    """Log that the answer of a request was made, or frozen; its hash stands sealed in the line's detail."""
    _log(tx, request, what, by, {"bytes": len(bundle)}, bundle=bundle)


def _settle(tx: Tx, record: Request, desk: Desk, **changes: Any) -> Request:
    """Store a request with these changes, and with the state and date that follow from them."""
    changed = requests.advance(tx, record, **changes)
    now = standing(changed, desk, settled=len(record.steps))
    return requests.advance(tx, changed, state=now.state, due_at=clock.end_of(now.due, desk.zone))


def _said(asked: Asked, what: str, text: str) -> Asked:
    return replace(asked, said=(*asked.said, (what, mail.paragraph(text)))) if text else asked


def _demand_confirmed(record: Request) -> None:
    if not record.confirmed:
        raise UsageError("What the person wants was only guessed. Confirm the kind first. Nothing was changed.")


def _demand_answerable(tx: Tx, record: Request, outcome: str) -> None:
    if outcome not in OUTCOMES:
        raise UsageError(f"An answer has one of these outcomes: {', '.join(OUTCOMES)}. Nothing was changed.")
    _demand_confirmed(record)
    if unsure := sum(one.verdict == "unsure" for one in record.reviews):
        raise UsageError(f"{unsure} candidates are not settled. Review them with yes or no first. Nothing was changed.")
    if outcome == "nothing" and any(one.verdict == "yes" for one in record.reviews):
        raise UsageError("Candidates were confirmed, so something was found. Nothing was changed.")
    if record.kind in GROUNDS and outcome == "granted" and (left := sum(map(len, identify.still_there(tx, record)))):
        raise UsageError(
            f"{left} of what was confirmed is still there. Erase it first (`countenance erase --request {record.id}`), "
            "or answer partly or refused. Nothing was changed."
        )


def _log(
    tx: Tx,
    request: Request,
    what: str,
    by: str,
    public: Mapping[str, Any],
    *,
    reason: str = "",
    bundle: bytes | None = None,
) -> None:
    due = datetime.fromtimestamp(int(request.due_at.timestamp()), UTC).isoformat()
    said = {"kind": request.kind, "law": request.law, "state": request.state, "due": due, **public}
    detail = {"request": request.id, "by": by} | ({"reason": reason} if reason else {})
    detail |= {"bundle": hashlib.sha256(bundle).hexdigest()} if bundle else {}
    log.append(tx, Entry(kind=f"request:{what}", public=said, parts=((requests.item_of(tx, request.id), detail),)))
