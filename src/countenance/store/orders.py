"""Orders in the store, and what is on record of every photo, as far as an order can ask for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, distinct, func, select, update

from countenance import errors
from countenance.records import InForce, Order, OrderScope, Penalty, Service
from countenance.store.database import Tx, among
from countenance.store.tables import evidence, face, hit, orders, part, photo, shown

STATES = ("drafted", "approved", "stopped", "erased", "completed", "lifted")
IN_FORCE = STATES[1:5]
"""The states in which an order stands: an order that is carried out keeps out what comes later, until it is lifted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One order as the store keeps it."""

    id: str
    state: str  # one of STATES
    order: Order  # with ids where the file may have names
    text: str  # the file, as it was given
    progress: dict[str, Any]  # approvals, signature, lifting, and the numbers of its lines in the log


class Candidate(NamedTuple):  # there are as many as photos: a dataclass takes three times as long
    """What is on record of one photo."""

    photo_id: str
    collection_id: str
    source_id: str
    state: str
    stopped_by: str | None
    added: date
    evidence: str  # kind:territory, separated by spaces; empty if there is none


def put(tx: Tx, record: Stored) -> int:
    """Store a new order and return its item."""
    item = tx.take_items(1)
    said = record.order
    tx.sql.execute(
        orders.insert().values(
            id=record.id,
            item=item,
            state=record.state,
            country=said.country,
            issued=said.issued.isoformat(),
            cease_from=said.cease_from and said.cease_from.isoformat(),
            delete_by=said.delete_by and said.delete_by.isoformat(),
            fields=_sealed(tx, item, record),
        )
    )
    return item


def find(tx: Tx, order_id: str) -> Stored:
    """Return the order with this id; `NotFound` if there is none."""
    row = tx.sql.execute(select(orders).where(orders.c.id == order_id)).first()
    if row is None:
        raise errors.NotFound(noun="order", name=order_id)
    return _record(tx, row)


def every(tx: Tx) -> list[Stored]:
    """All orders, oldest first."""
    return [_record(tx, row) for row in tx.sql.execute(select(orders).order_by(orders.c.row)).all()]


def in_force(tx: Tx, *, but: str = "") -> tuple[InForce, ...]:
    """The orders that stand, oldest first, leaving out `but`."""
    query = select(orders).where(orders.c.state.in_(IN_FORCE), orders.c.id != but).order_by(orders.c.row)
    found = [_record(tx, row) for row in tx.sql.execute(query).all()]
    return tuple(InForce(id=stored.id, order=stored.order) for stored in found)


def advance(tx: Tx, stored: Stored, state: str, **progress: Any) -> Stored:
    """Move an order to a state, note what is known of its steps, and return it."""
    changed = replace(stored, state=state, progress=stored.progress | progress)
    item = item_of(tx, stored.id)
    tx.sql.execute(
        update(orders).where(orders.c.id == stored.id).values(state=state, fields=_sealed(tx, item, changed))
    )
    return changed


def item_of(tx: Tx, order_id: str) -> int:
    """The order's leaf in the key tree."""
    return int(tx.sql.execute(select(orders.c.item).where(orders.c.id == order_id)).scalar_one())


def row_of(tx: Tx, order_id: str) -> dict[str, Any]:
    """The order's row for the erasure ledger: sealed as it is, in hexadecimal."""
    row = tx.sql.execute(select(orders).where(orders.c.id == order_id)).one()._asdict()
    return {name: value for name, value in row.items() if name != "row"} | {"fields": row["fields"].hex()}


def behind(tx: Tx, row: dict[str, Any]) -> bool:
    """Whether a row of the erasure ledger has an order further than the records have it."""
    known = tx.sql.execute(select(orders.c.state).where(orders.c.id == row["id"])).scalar()
    return known is None or STATES.index(known) < STATES.index(row["state"])


def put_back(tx: Tx, row: dict[str, Any]) -> Stored:
    """Bring an order to where a row of the erasure ledger has it.

    One in force is approved again: what it hides, and that it was carried out, is for these records to establish. Its
    lines are those that these records know, and its completion is none: the others are of a log that was lost.
    """
    known = tx.sql.execute(select(orders).where(orders.c.id == row["id"])).first()
    lines = _record(tx, known).progress.get("lines", []) if known else []
    change = update(orders).where(orders.c.id == row["id"]) if known else orders.insert()
    tx.sql.execute(change.values(row | {"fields": bytes.fromhex(row["fields"])}))
    stored = find(tx, row["id"])
    known_here = {name: value for name, value in stored.progress.items() if name != "completion"}
    state = "lifted" if row["state"] == "lifted" else "approved"
    return advance(tx, replace(stored, progress=known_here), state, lines=lines)


def candidates(tx: Tx, photo_ids: Iterable[str] | None = None) -> Iterator[Candidate]:
    """Every photo that no erasure has stopped, or those with these ids, oldest first."""
    said = func.group_concat(evidence.c.kind + ":" + evidence.c.territory, " ")
    known = select(said).where(evidence.c.photo_id == photo.c.id).scalar_subquery()
    free = (photo.c.state != "stopped") | photo.c.stopped_by.is_not(None)
    columns = (photo.c.id, photo.c.collection_id, photo.c.source_id, photo.c.state, photo.c.stopped_by)
    query = select(*columns, photo.c.added_at, known).where(free).order_by(photo.c.row)
    if photo_ids is not None:
        query = query.where(among(photo.c.id, photo_ids))
    days: dict[int, date] = {}
    for photo_id, collection_id, source_id, state, stopped_by, added_at, text in tx.sql.execute(query).all():
        day = added_at // 86_400
        if day not in days:
            days[day] = datetime.fromtimestamp(added_at, UTC).date()
        yield Candidate(photo_id, collection_id, source_id, state, stopped_by, days[day], text or "")


def taken(tx: Tx) -> dict[str, str | None]:
    """When each photo was taken, as its picture says; it is sealed, so this opens every record."""
    rows = tx.sql.execute(select(photo.c.id, photo.c.item, photo.c.fields)).all()
    return {row.id: tx.unseal("photo", row.item, row.fields)["taken_at"] for row in rows}


def shown_in(tx: Tx, subject_ids: Iterable[str]) -> dict[str, set[str]]:
    """The photos that show one of these subjects, and whom of them."""
    found: dict[str, set[str]] = {}
    for row in tx.sql.execute(select(face.c.photo_id, face.c.subject_id).where(among(face.c.subject_id, subject_ids))):
        found.setdefault(row.photo_id, set()).add(row.subject_id)
    return found


def _sealed(tx: Tx, item: int, record: Stored) -> bytes:
    said = _plain(asdict(record.order))
    return tx.seal("order", item, {"text": record.text, "order": said, "progress": record.progress})


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return value.isoformat() if isinstance(value, date) else value


def _record(tx: Tx, row: Row[Any]) -> Stored:
    opened = tx.unseal("order", row.item, row.fields)
    said = opened["order"]
    scope, service = _read(said.pop("scope")), _read(said.pop("service"))
    for name in ("fine", "daily"):
        said[name] = said[name] and Penalty(**said[name])
    order = Order(scope=OrderScope(**scope), service=Service(**service), **_read(said))
    return Stored(id=row.id, state=row.state, order=order, text=opened["text"], progress=opened["progress"])


DAYS = ("issued", "cease_from", "delete_by", "added_from", "added_until", "taken_from", "taken_until")


def _read(said: dict[str, Any]) -> dict[str, Any]:
    days = {name: date.fromisoformat(said[name]) for name in DAYS if said.get(name)}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in said.items()} | days


def count(tx: Tx) -> int:
    """How many photos there are that no erasure has stopped."""
    free = (photo.c.state != "stopped") | photo.c.stopped_by.is_not(None)
    return int(tx.sql.execute(select(func.count()).select_from(photo).where(free)).scalar_one())


def derived(tx: Tx, photo_ids: Iterable[str], subject_ids: tuple[str, ...] = ()) -> dict[str, int]:
    """What hangs on these photos, or on these subjects' faces in them, by layer."""
    of_them = _faces_in(photo_ids, subject_ids)
    face_ids, items = select(face.c.id).where(of_them), select(face.c.item).where(of_them)

    def number(column: Any, *where: Any) -> int:
        return int(tx.sql.execute(select(func.count(distinct(column))).where(*where)).scalar_one())

    return {
        "templates": number(face.c.id, of_them),
        "crops": number(face.c.id, of_them, face.c.crop.is_not(None)),
        "searches": number(hit.c.search_id, hit.c.face_id.in_(face_ids)),
        "exports": number(shown.c.export_id, shown.c.face_id.in_(face_ids)),
        "log-details": number(part.c.row, part.c.item.in_(items), part.c.detail.is_not(None)),
    }


def faces_in(tx: Tx, photo_ids: Iterable[str], subject_ids: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Ids of the faces in these photos, or of these subjects' faces in them."""
    query = select(face.c.id).where(_faces_in(photo_ids, subject_ids)).order_by(face.c.row)
    return tuple(tx.sql.execute(query).scalars())


def _faces_in(photo_ids: Iterable[str], subject_ids: tuple[str, ...]) -> ColumnElement[bool]:
    in_them = among(face.c.photo_id, photo_ids)
    return in_them & face.c.subject_id.in_(subject_ids) if subject_ids else in_them
