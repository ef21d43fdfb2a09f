"""What is done about a request, from its arrival to its end: each step with its line in the log, in one transaction.

The log's public part says the kind, the law, dates and counts. Who asks stands only under the request's own key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from countenance.audit import log
from countenance.errors import UsageError
from countenance.records import Entry
from countenance.requests import clock, identify
from countenance.requests.clock import Standing
from countenance.requests.identify import Candidate
from countenance.requests.intake import Intake
from countenance.store import requests
from countenance.store.database import Database, Tx
from countenance.store.requests import KINDS, Clue, Request, Review, Step

OUTCOMES = ("granted", "partly", "refused", "nothing", "passed-on", "taken-back")
"""How a request can be answered."""

KEPT_DAYS = 1096
"""How long the record of a request stays after its answer: three years, within which most claims are brought."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where the controller is, and how it works."""

    zone: tzinfo = UTC
    holidays: frozenset[date] = frozenset()
    kept_days: int = KEPT_DAYS


def open_request(database: Database, intake: Intake, desk: Desk, *, request_id: str, law: str, by: str) -> Request:
    """Store a request as it came in; its clock runs from its receipt. `law` is a key of `clock.LAWS`."""
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
            asked=intake.asked,
        )
        requests.put(tx, record)
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


def take_step(database: Database, request_id: str, what: str, desk: Desk, *, by: str, reason: str = "") -> Request:
    """Take a step today: acknowledged, paused, resumed, extended, answered or closed (`clock.stand` says which can be).

    An answer has an outcome as its reason, one of `OUTCOMES`, and needs a kind that a person confirmed and candidates
    that are all settled. Raises `UsageError` otherwise; nothing is changed then.
    """
    with database.write() as tx:
        record = requests.find(tx, request_id)
        if what == "answered":
            _demand_answerable(record, reason)
        step = Step(on=clock.local_day(tx.now, desk.zone), what=what, reason=reason)
        until = {"expires_at": tx.now + timedelta(days=desk.kept_days)} if what == "answered" else {}
        changed = _settle(tx, record, desk, steps=(*record.steps, step), **until)
        said = {"outcome": reason} if what == "answered" else {"for": reason} if what == "paused" else {}
        _log(tx, changed, what, by, said, reason=reason)
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
) -> list[Candidate]:
    """Find candidates by what the person gave, and put them up for review. Of files and pictures nothing is kept."""
    with database.read() as tx:  # an album means opening every photo, 1 s for 100,000: nobody waits for that
        given = tuple(dict.fromkeys((*requests.find(tx, request_id).asked.clues, *clues)))
        found = identify.find(tx, given, files=files, imprints=imprints, collection_id=collection_id)
    with database.write() as tx:
        record = requests.find(tx, request_id)
        known = {(one.photo_id, one.face_id) for one in record.reviews}
        new = tuple(
            Review(photo_id=one.photo_id, face_id=face_id, verdict="unsure", on=clock.local_day(tx.now, desk.zone))
            for one in found
            for face_id in (one.face_ids or (None,))
            if (one.photo_id, face_id) not in known
        )
        clued = tuple(dict.fromkeys((*record.asked.clues, *given)))
        changed = requests.advance(tx, record, asked=replace(record.asked, clues=clued), reviews=record.reviews + new)
        counts = {"candidates": len(found), "files": len(files), "offered": bool(imprints), "kept": 0}
        _log(tx, changed, "looked", by, {"clues": dict(Counter(clue.kind for clue in given)), **counts})
    return found


def review(
    database: Database, request_id: str, verdicts: Iterable[tuple[str, str | None, str]], desk: Desk, *, by: str
) -> Request:
    """Record what the operator says of candidates: (photo, face or None, yes, no or unsure)."""
    with database.write() as tx:
        record = requests.find(tx, request_id)
        settled = identify.review(record, verdicts, on=clock.local_day(tx.now, desk.zone))
        changed = requests.advance(tx, record, reviews=settled)
        _log(tx, changed, "reviewed", by, dict(Counter(one.verdict for one in settled)))
    return changed


def sweep(database: Database) -> int:
    """Delete the records of requests that are past their time and return how many; the next erasure destroys their keys."""
    with database.write() as tx:
        gone = requests.expired(tx)
        for request_id in gone:
            requests.remove(tx, request_id)
        if gone:
            log.append(tx, Entry(kind="request:expired", public={"requests": len(gone)}))
    return len(gone)


def _settle(tx: Tx, record: Request, desk: Desk, **changes: Any) -> Request:
    """Store a request with these changes, and with the state and date that follow from them."""
    changed = requests.advance(tx, record, **changes)
    now = standing(changed, desk, settled=len(record.steps))
    return requests.advance(tx, changed, state=now.state, due_at=clock.end_of(now.due, desk.zone))


def _demand_answerable(record: Request, outcome: str) -> None:
    if outcome not in OUTCOMES:
        raise UsageError(f"An answer has one of these outcomes: {', '.join(OUTCOMES)}. Nothing was changed.")
    if not record.confirmed:
        raise UsageError("What the person wants was only guessed. Confirm the kind first. Nothing was changed.")
    if unsure := sum(one.verdict == "unsure" for one in record.reviews):
        raise UsageError(f"{unsure} candidates are not settled. Review them with yes or no first. Nothing was changed.")


def _log(tx: Tx, request: Request, what: str, by: str, public: Mapping[str, Any], *, reason: str = "") -> None:
    due = datetime.fromtimestamp(int(request.due_at.timestamp()), UTC).isoformat()
    said = {"kind": request.kind, "law": request.law, "state": request.state, "due": due, **public}
    detail = {"request": request.id, "by": by} | ({"reason": reason} if reason else {})
    log.append(tx, Entry(kind=f"request:{what}", public=said, parts=((requests.item_of(tx, request.id), detail),)))
