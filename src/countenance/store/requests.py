"""Requests in the store: kind, law, state and dates in the clear; who asks, what for, and every step of it sealed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any, Literal

from sqlalchemy import Row, delete, select, update

from countenance import errors
from countenance.records import Box
from countenance.store import erasures
from countenance.store.database import Tx, among
from countenance.store.seal import seal, unseal
from countenance.store.tables import answer, receipt, request

KINDS = ("access", "erasure", "objection", "rectification", "restriction", "portability", "withdrawal", "complaint")
UNCLEAR = "unclear"
"""The kind of a request as long as nobody has said what the person wants."""

ANSWERED = ("answered", "closed")

Verdict = Literal["yes", "no", "unsure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that was done about a request. `requests.clock.stand` says where it stands after them."""

    on: date  # where the controller is
    what: str  # acknowledged, paused, resumed, extended, answered, closed
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clue:
    """One thing that the person gave to be found by. Never a face, never an identity document."""

    kind: str  # a key of requests.identify.CLUES
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What the operator says of one candidate, before anything is told to the person."""

    photo_id: str
    face_id: str | None  # None: the photo as a whole
    verdict: Verdict
    on: date
    box: Box | None = None  # of a photo as a whole: the one place where a transient scan saw the person


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the person said. Sealed; it may be empty, and the clock runs all the same."""

    name: str = ""
    contact: str = ""  # where the answer goes
    subject: str = ""
    text: str = ""
    clues: tuple[Clue, ...] = ()
    said: tuple[tuple[str, str], ...] = ()  # what came with it and matters later, such as an OpenDSR id


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One person's request."""

    id: str
    kind: str  # one of KINDS, or UNCLEAR
    confirmed: bool  # a person has read it and says that this is its kind
    law: str  # a key of requests.clock.LAWS
    state: str  # opened, paused, extended, answered, closed
    channel: str  # mail, opendsr, form
    received_at: datetime
    due_at: datetime  # the last second to answer in
    expires_at: datetime  # when the record of it goes
    asked: Asked = field(repr=False)
    steps: tuple[Step, ...] = ()
    reviews: tuple[Review, ...] = field(repr=False, default=())


def put(tx: Tx, record: Request) -> int:
    """Store a new request and return its item."""
    item = tx.take_items(1)
    tx.sql.execute(request.insert().values(id=record.id, item=item, **_columns(tx, item, record)))
    return item


def find(tx: Tx, request_id: str) -> Request:
    """Return the request with this id; `NotFound` if there is none."""
    row = tx.sql.execute(select(request).where(request.c.id == request_id)).first()
    if row is None:
        raise errors.NotFound(noun="request", name=request_id)
    return _record(tx, row)


def every(tx: Tx, *, unanswered: bool = False) -> list[Request]:
    """All requests, or those that still wait for an answer; the one due first comes first."""
    query = select(request).order_by(request.c.due_at, request.c.row)
    if unanswered:
        query = query.where(request.c.state.not_in(ANSWERED))
    return [_record(tx, row) for row in tx.sql.execute(query).all()]


def advance(tx: Tx, record: Request, **changes: Any) -> Request:
    """Store a request with these fields changed, such as `state`, `due_at` and `steps`, and return it."""
    changed = replace(record, **changes)
    tx.sql.execute(
        update(request).where(request.c.id == record.id).values(**_columns(tx, item_of(tx, record.id), changed))
    )
    return changed


def item_of(tx: Tx, request_id: str) -> int:
    """The request's leaf in the key tree; `NotFound` if there is none."""
    item = tx.sql.execute(select(request.c.item).where(request.c.id == request_id)).scalar()
    if item is None:
        raise errors.NotFound(noun="request", name=request_id)
    return int(item)


def expired(tx: Tx) -> list[str]:
    """Ids of answered requests whose record is past its time. One that was never answered stays until it is."""
    past = (request.c.expires_at <= tx.second) & request.c.state.in_(ANSWERED)
    query = select(request.c.id).where(past).order_by(request.c.row)
    return [row.id for row in tx.sql.execute(query)]


def remove(tx: Tx, request_id: str) -> int:
    """Delete a request with its receipts and return its leaf, which goes with the next rotation."""
    item = item_of(tx, request_id)
    drop_answer(tx, request_id)
    forget_receipts(tx, [request_id])
    tx.sql.execute(delete(request).where(request.c.id == request_id))
    erasures.discard(tx, item)
    return item


def keep_answer(tx: Tx, request_id: str, bundle: bytes) -> None:
    """Keep the answer to a request, sealed under a leaf of its own, in place of one that is kept already."""
    drop_answer(tx, request_id)
    item = tx.take_items(1)
    sealed = seal(tx.keys.item_key(item), "answer", item, bundle)
    tx.sql.execute(answer.insert().values(item=item, request_id=request_id, bundle=sealed))


def kept_answer(tx: Tx, request_id: str) -> bytes | None:
    """The answer that is kept with a request, if there is one."""
    row = tx.sql.execute(select(answer.c.item, answer.c.bundle).where(answer.c.request_id == request_id)).first()
    return unseal(tx.keys.item_key(row.item), "answer", row.item, row.bundle) if row else None


def drop_answer(tx: Tx, request_id: str) -> None:
    """Delete the answer that is kept with a request, if there is one; its leaf goes with the next rotation."""
    item = tx.sql.execute(select(answer.c.item).where(answer.c.request_id == request_id)).scalar()
    if item is not None:
        tx.sql.execute(delete(answer).where(answer.c.request_id == request_id))
        erasures.discard(tx, item)


def with_answer(tx: Tx) -> set[str]:
    """Ids of the requests with which an answer is kept."""
    return set(tx.sql.execute(select(answer.c.request_id)).scalars())


def give_receipt(tx: Tx, receipt_id: str, about: str) -> None:
    """Remember that somebody was given this receipt about a record (a request, a subject or a photo). Only a token stays."""
    tx.sql.execute(receipt.insert().values(token=_receipt_token(tx, receipt_id), about=about))


def about(tx: Tx, receipt_id: str) -> str | None:
    """The id of the record that a receipt is about; None if no such receipt was given, or the record is gone."""
    query = select(receipt.c.about).where(receipt.c.token == _receipt_token(tx, receipt_id))
    return tx.sql.execute(query).scalar()


def forget_receipts(tx: Tx, ids: Iterable[str]) -> None:
    """Forget every receipt about these records."""
    tx.sql.execute(delete(receipt).where(among(receipt.c.about, ids)))


def _receipt_token(tx: Tx, receipt_id: str) -> bytes:
    return tx.keys.lookup_token("receipt", receipt_id.strip().encode(errors="surrogatepass"))


def _columns(tx: Tx, item: int, record: Request) -> dict[str, Any]:
    asked = record.asked
    fields = {
        "confirmed": record.confirmed,
        "channel": record.channel,
        "name": asked.name,
        "contact": asked.contact,
        "subject": asked.subject,
        "text": asked.text,
        "clues": [(clue.kind, clue.value) for clue in asked.clues],
        "said": asked.said,
        "steps": [(step.on.isoformat(), step.what, step.reason) for step in record.steps],
        "reviews": [(r.photo_id, r.face_id, r.verdict, r.on.isoformat(), r.box) for r in record.reviews],
    }
    return {
        "kind": record.kind,
        "law": record.law,
        "state": record.state,
        "received_at": int(record.received_at.timestamp()),
        "due_at": int(record.due_at.timestamp()),
        "expires_at": int(record.expires_at.timestamp()),
        "fields": tx.seal("request", item, fields),
    }


def _record(tx: Tx, row: Row[Any]) -> Request:
    opened = tx.unseal("request", row.item, row.fields)
    return Request(
        id=row.id,
        kind=row.kind,
        confirmed=opened["confirmed"],
        law=row.law,
        state=row.state,
        channel=opened["channel"],
        received_at=datetime.fromtimestamp(row.received_at, UTC),
        due_at=datetime.fromtimestamp(row.due_at, UTC),
        expires_at=datetime.fromtimestamp(row.expires_at, UTC),
        asked=Asked(
            name=opened["name"],
            contact=opened["contact"],
            subject=opened["subject"],
            text=opened["text"],
            clues=tuple(Clue(kind=kind, value=value) for kind, value in opened["clues"]),
            said=tuple((key, value) for key, value in opened["said"]),
        ),
        steps=tuple(Step(on=date.fromisoformat(on), what=what, reason=reason) for on, what, reason in opened["steps"]),
        reviews=tuple(
            Review(
                photo_id=photo,
                face_id=face,
                verdict=verdict,
                on=date.fromisoformat(on),
                box=(box[0], box[1], box[2], box[3]) if box else None,
            )
            for photo, face, verdict, on, box in opened["reviews"]
        ),
    )
