"""Orders from their draft to their lifting: drafted, approved (in force from then on), stopped, and lifted in the end.

An order in force is asked in every transaction that acts, in every process. That it also hides what is held, in batches,
lets the indexes drop it; until that is done nothing of it is shown either.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from countenance import errors, ids
from countenance.audit import log
from countenance.audit.recall import recall
from countenance.gate.place import canonical
from countenance.gate.reach import hides
from countenance.gate.rule import REFUSALS
from countenance.orders.deadline import Deadline, meter
from countenance.orders.order import contradiction, parse
from countenance.orders.survey import hidden, preview, survey
from countenance.records import Entry, Evidence, Order, OrderScope
from countenance.store import collections, faces, orders, photos, replay, restrictions, sources, subjects
from countenance.store.database import Database, Tx
from countenance.store.orders import Stored
from countenance.terms import shorten

BATCH = 2_000  # photos hidden in a transaction: the write lock is held for less than a tenth of a second
NEEDED = 2  # approvals, where a collection in reach asks for two people


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An order as callers see it."""

    id: str
    state: str  # drafted, approved, stopped, erased, completed, lifted
    order: Order
    sha256: str  # of its file
    approved_by: tuple[str, ...]
    approvals_needed: int
    signed_by: str | None  # who signed its completion
    deadline: Deadline | None


def draft(database: Database, text: str, *, by: str) -> Standing:
    """Store an order file as a draft; nothing is stopped yet. Names of collections and subjects become ids.

    Raises `UsageError` if the file is not right, `NotFound` if it names what is not there.
    """
    order = parse(text)
    with database.write() as tx:
        if order.issued > tx.now.date() + timedelta(days=1):  # it may be tomorrow already where the authority is
            raise errors.UsageError(
                f"The order was issued on {order.issued}, which is yet to come. Nothing was changed."
            )
        record = Stored(id=ids.new("order"), state="drafted", order=_resolved(tx, order), text=text, progress={})
        orders.put(tx, record)
        public = {"country": order.country, "issued": order.issued.isoformat(), "file": digest(text)}
        record = _enter(tx, record, "drafted", public | {"measures": list(order.measures)}, {"by": by})
        return show(tx, record)


def approve(database: Database, order_id: str, *, by: str, confirm: int | None = None) -> Standing:
    """Approve a draft. With as many approvals as it needs it is in force at once, and what it reaches is hidden.

    `confirm` is the number of photos that it hides, asked for where that is all there are. Raises `UsageError` if it
    is wrong or missing, if the draft has unconfirmed fields, or if the same person approves twice.
    """
    if not by.strip():
        raise errors.UsageError("An approval needs the name of who approves. Nothing was changed.")
    with database.read() as tx:
        _demand_confirmed(tx, orders.find(tx, order_id).order, confirm)
    with database.write() as tx:
        stored = orders.find(tx, order_id)
        so_far = stored.progress.get("approved_by", [])
        _demand_approvable(stored, so_far, by)
        now, needed = [*so_far, by.strip()], _needed(tx, stored.order)
        state = "approved" if len(now) >= needed else "drafted"
        stored = orders.advance(tx, stored, state, approved_by=now, confirmed=confirm)
        said = {"approvals": len(now), "needed": needed}
        stored = _enter(tx, stored, "approved", said, {"by": by}, state=state)
        if state == "approved":  # noted before it is committed: a crash between the two leaves it in force, not lost
            _note(database, tx, stored)
    if state == "approved":
        hide(database, order_id)
        _spread(database)
    with database.read() as tx:
        return show(tx, orders.find(tx, order_id))


def hide(database: Database, order_id: str) -> int:
    """Hide what an order in force reaches, and return how many photos it hides. Can be cut short and called again."""
    with database.read() as tx:
        stored = orders.find(tx, order_id)
        if stored.state not in orders.IN_FORCE:
            return 0
        scope = stored.order.scope
        there = survey(tx, scope) if hides(stored.order) else ()
        todo = [c.photo_id for c, reach in there if hidden(scope, reach) and (scope.subjects or c.state != "stopped")]
    if not database.dry_run:
        for first in range(0, len(todo), BATCH):
            with database.write() as tx:
                if orders.find(tx, order_id).state not in orders.IN_FORCE:  # lifted meanwhile
                    return 0
                batch = todo[first : first + BATCH]
                theirs = {"subject_id": scope.subjects} if scope.subjects else {}  # the others stay to be found
                stopped = faces.stored(tx, photo_id=batch, state="held", **theirs)
                faces.stop(tx, [face.id for face in stopped], order=order_id)
                photos.stop(tx, _whole(tx, scope, batch), order_id)
    with database.write() as tx:
        stored = orders.find(tx, order_id)
        count = len(faces.hidden_by(tx, order_id))
        if stored.state == "approved":
            _enter(tx, stored, "stopped", {"photos": count})
    return count


def lift(database: Database, order_id: str, *, reason: str, assessment: str, by: str) -> Standing:
    """Lift an order: what it hid and nothing has erased is shown again, unless another one or a restriction holds it.

    `assessment` is the SHA-256, in hexadecimal, of the impact assessment that says why this may be. Raises `UsageError`
    if that or the reason is missing, or if the order is not in force.
    """
    if not reason.strip() or not re.fullmatch(r"[0-9a-f]{64}", assessment):
        raise errors.UsageError(
            "Lifting an order needs a reason and the SHA-256 of an impact assessment, 64 hex digits. Nothing was changed."
        )
    with database.write() as tx:
        stored = orders.find(tx, order_id)
        if stored.state not in orders.IN_FORCE:
            raise errors.UsageError(f"The order is {stored.state}, not in force. Nothing was changed.")
        hid = faces.hidden_by(tx, order_id)
        shown = release(tx, order_id, hid)
        lifted = {"reason": reason.strip(), "assessment": assessment, "by": by}
        stored = orders.advance(tx, stored, "lifted", lifted=lifted)
        public = {"assessment": assessment, "photos": shown, "left": len(hid) - shown}
        stored = _enter(tx, stored, "lifted", public, {"reason": reason.strip(), "by": by})
    note(database, order_id)
    with database.read() as tx:
        return show(tx, stored)


def note(database: Database, order_id: str) -> None:
    """Put an order that ended, completed or lifted, into the erasure ledger: after its commit, lest a crash lift it."""
    with database.write() as tx:
        stored = orders.find(tx, order_id)
        if stored.progress.get("noted") != stored.state:
            _note(database, tx, stored)
    _spread(database)


def catch_up(database: Database) -> None:
    """Finish what a crash left of orders, and bring in those that the records, put back from an old copy, do not know."""
    noted = database.keys.noted()
    with database.read() as tx:
        lost = any(orders.behind(tx, each.order) for each in noted if each.order)
        ended = [each for each in orders.every(tx) if each.state in {"completed", "lifted"}]
    if lost:
        with database.write() as tx:
            recall(tx, noted)
    for each in ended:
        if each.progress.get("noted") != each.state:
            note(database, each.id)
    with database.read() as tx:
        approved = [each.id for each in orders.every(tx) if each.state == "approved"]
    for order_id in approved:
        hide(database, order_id)


def release(tx: Tx, order_id: str, photo_ids: Iterable[str]) -> int:
    """Show photos again that an order or a restriction hid, and return how many.

    What another order in force reaches, or a restriction names, stays hidden and passes on to that one.
    """
    left = set(photo_ids)
    for other in orders.in_force(tx, but=order_id):
        if hides(other.order):
            scope = other.order.scope
            theirs = [c.photo_id for c, reach in survey(tx, scope, left) if hidden(scope, reach)]
            faces.give_back(tx, theirs, order_id, other.id, scope.subjects)
            whole = _whole(tx, scope, theirs)
            photos.give_back(tx, whole, order_id, other.id)
            left -= set(whole)
    left -= restrictions.inherit(tx, order_id, left)
    faces.give_back(tx, left, order_id)
    photos.give_back(tx, left, order_id)
    return len(left)


def correct(database: Database, photo_id: str, territory: str, *, by: str) -> Evidence:
    """Record where a photo is from, as the operator knows it: one more piece of evidence, which refines coarser ones.

    A photo that an order hides and that it no longer reaches is shown again.
    """
    code = canonical(territory)
    if code is None:
        raise errors.UsageError(f"{territory} is no country such as GB, nor a part of one. Nothing was changed.")
    found = Evidence(kind="operator", territory=code, origin="the operator's correction")
    with database.write() as tx:
        photo = photos.find(tx, photo_id)
        photos.add_evidence(tx, photo_id, found)
        photos.reconsider(tx, REFUSALS, id=photo_id)
        shorten(tx, collections.find(tx, photo.collection_id), [photo_id])
        for stored in orders.every(tx):
            scope = stored.order.scope
            reached = [c for c, reach in survey(tx, scope, [photo_id]) if hidden(scope, reach)]
            if not reached and photo_id in faces.hidden_by(tx, stored.id):
                release(tx, stored.id, [photo_id])
        part = (photos.items(tx, [photo_id])[photo_id], {"photo": photo_id, "by": by})
        public = {"collection": photo.collection_id, "country": code}
        log.append(tx, Entry(kind="photo:corrected", public=public, parts=(part,)))
    for order_id in _in_force(database):
        hide(database, order_id)
    return found


def to_review(tx: Tx, stored: Stored) -> list[str]:
    """Photos that an order hides and does not erase before somebody has looked at them."""
    if stored.order.scope.unknown != "review" or stored.state not in orders.IN_FORCE:
        return []
    confirmed = set(stored.progress.get("reviewed", ()))
    return [
        c.photo_id
        for c, reach in survey(tx, stored.order.scope)
        if reach == "undetermined" and c.photo_id not in confirmed
    ]


def confirm(database: Database, order_id: str, photo_ids: Iterable[str], *, by: str) -> int:
    """Say of photos to be reviewed that the order is meant to reach them; return how many are still to be reviewed."""
    chosen = list(dict.fromkeys(photo_ids))
    with database.write() as tx:
        stored = orders.find(tx, order_id)
        waiting = to_review(tx, stored)
        if strange := [photo_id for photo_id in chosen if photo_id not in waiting]:
            raise errors.UsageError(f"{strange[0]} does not wait for review under this order. Nothing was changed.")
        reviewed = [*stored.progress.get("reviewed", []), *chosen]
        stored = orders.advance(tx, stored, stored.state, reviewed=reviewed)
        parts = tuple((item, {"photo": name, "by": by}) for name, item in photos.items(tx, chosen).items())
        public = {"order": order_id, "photos": len(chosen)}
        log.append(tx, Entry(kind="order:reviewed", public=public, parts=parts))
        return len(waiting) - len(chosen)


def show(tx: Tx, stored: Stored) -> Standing:
    """An order as callers see it."""
    completed = stored.progress.get("completion", {})
    first = stored.progress.get("first_completed")  # carried out again after a restore, it was in time all the same
    on = date.fromisoformat(first[:10]) if first else tx.now.date()
    return Standing(
        id=stored.id,
        state=stored.state,
        order=stored.order,
        sha256=digest(stored.text),
        approved_by=tuple(stored.progress.get("approved_by", ())),
        approvals_needed=_needed(tx, stored.order),
        signed_by=completed.get("signed_by"),
        deadline=meter(stored.order, on),
    )


def digest(text: str) -> str:
    """The SHA-256 of an order file, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def enter(tx: Tx, stored: Stored, what: str, public: dict[str, Any], detail: dict[str, Any] | None = None) -> Stored:
    """Append the line of a step to the log, remember its number, and return the order in the state of that name."""
    return _enter(tx, stored, what, public, detail)


def _enter(
    tx: Tx,
    stored: Stored,
    what: str,
    public: dict[str, Any],
    detail: dict[str, Any] | None = None,
    *,
    state: str | None = None,
) -> Stored:
    part = ((orders.item_of(tx, stored.id), detail),) if detail else ()
    number = log.append(tx, Entry(kind=f"order:{what}", public={"order": stored.id, **public}, parts=part))
    lines = [*stored.progress.get("lines", []), number]
    return orders.advance(tx, stored, state or what, lines=lines)


def _whole(tx: Tx, scope: OrderScope, photo_ids: list[str]) -> list[str]:
    """The photos that the order hides as a whole; of the others only the faces of its subjects."""
    return photos.showing_only(tx, photo_ids, scope.subjects) if scope.subjects else photo_ids


def _note(database: Database, tx: Tx, stored: Stored) -> None:
    stored = orders.advance(tx, stored, stored.state, noted=stored.state)
    if not database.dry_run:
        database.keys.note(replay.order(tx, stored.id))


def _spread(database: Database) -> None:
    """Bring the ledger to the replicas, after the order is in force: one that hangs keeps no order waiting."""
    if not database.dry_run:
        with suppress(errors.KeysOld, errors.ReplicaUnreachable):  # the next open says so
            database.keys.align()


def _in_force(database: Database) -> Iterator[str]:
    with database.read() as tx:
        found = [each.id for each in orders.in_force(tx) if hides(each.order)]
    yield from found


def _resolved(tx: Tx, order: Order) -> Order:
    """The order with ids of collections, sources and subjects. Raises `NotFound` for one that is not there."""
    scope = order.scope
    return replace(
        order,
        scope=replace(
            scope,
            collections=tuple(collections.find(tx, name).id for name in scope.collections),
            sources=tuple(sources.find(tx, name).id for name in scope.sources),
            subjects=tuple(subjects.find(tx, name).id for name in scope.subjects),
        ),
    )


def _demand_approvable(stored: Stored, so_far: list[str], by: str) -> None:
    order = stored.order
    if stored.state != "drafted":
        raise errors.UsageError(f"The order is {stored.state} already. Nothing was changed.")
    if order.unconfirmed:
        raise errors.UsageError(
            f"Nobody has confirmed these fields of the draft: {', '.join(order.unconfirmed)}. Check them in the file, take "
            "them off its list `unconfirmed`, and draft it anew. Nothing was changed."
        )
    if why := contradiction(order):
        raise errors.UsageError(f"{why} Nothing was changed.")
    if by.strip().casefold() in {name.casefold() for name in so_far}:
        raise errors.UsageError(f"{by.strip()} has approved it already; it needs another person. Nothing was changed.")


def _demand_confirmed(tx: Tx, order: Order, confirm: int | None) -> None:
    """An order that hides all there is needs the number said."""
    if not hides(order):
        return
    found = preview(tx, order.scope)
    if (order.scope.everything or found.stopped == found.held > 0) and confirm != found.stopped:
        raise errors.UsageError(
            f"The order reaches everything: all {found.stopped} photos. If that is meant, confirm the number: "
            f"--confirm {found.stopped}. Nothing was changed."
        )


def _needed(tx: Tx, order: Order) -> int:
    """How many people must approve: two if a collection that the order can reach asks for two."""
    scope = order.scope
    of = {sources.find(tx, name).collection_id for name in scope.sources if sources.standing(tx, name)}
    for found in collections.every(tx):
        named = not scope.collections or found.id in scope.collections
        meant = not scope.purposes or found.purpose in scope.purposes
        if found.two_person and named and meant and (not scope.sources or found.id in of):
            return NEEDED
    return 1
