"""Carrying an order out: hidden, open requests answered, erased collection by collection, checked, and signed by a person.

Each erasure names its order, so that whatever a crash leaves is found again: the next open of the vault finishes the
erasure under way, and carrying the order out once more goes on with what is left.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import Any

import rfc8785

from countenance import errors
from countenance.audit import log
from countenance.orders import erase, issue, scope
from countenance.orders.issue import Standing
from countenance.orders.survey import erasable, hidden, of_order, subjects_gone, survey
from countenance.records import Erasure, Scope
from countenance.store import erasures, faces, orders, requests
from countenance.store.database import Database, Tx
from countenance.store.orders import Stored


def carry_out(
    database: Database, order_id: str, *, signed_by: str, by: str, finish: Callable[[str], Erasure]
) -> Standing:
    """Do what is left of an order in force, and complete it in the name of a person; an order completed stays in force.

    `finish` takes a planned erasure through every step. Raises `UsageError` if the order is not in force or nobody
    signs, and `Refused`, with everything hidden, if it says to answer requests first and some are open.
    """
    if not signed_by.strip():
        raise errors.UsageError("Somebody must sign the completion of an order: say who. Nothing was changed.")
    with database.read() as tx:
        _demand_in_force(orders.find(tx, order_id))
    issue.hide(database, order_id)
    with database.read() as tx:
        stored = orders.find(tx, order_id)
        if stored.state == "completed":
            return issue.show(tx, stored)
        if "answer-first" in stored.order.measures and (waiting := open_requests(tx, stored)):
            raise errors.Refused(
                f"The order says to answer first, and {len(waiting)} requests are open: {', '.join(waiting)}. Everything in "
                "scope is hidden and nothing is erased. Answer them, then carry the order out again."
            )
    if "erase" in stored.order.measures:
        _erase(database, order_id, by=by, finish=finish)
    with database.write() as tx:
        stored = orders.find(tx, order_id)
        if stored.state == "stopped":
            stored = issue.enter(tx, stored, "erased", {"erasures": len(of_order(tx, order_id))})
    return _complete(database, order_id, signed_by=signed_by.strip(), by=by)


def open_requests(tx: Tx, stored: Stored) -> list[str]:
    """Open requests that the order may reach: about a photo in its scope, or about nobody knows yet which.

    One whose answer is kept does not wait, unless a candidate in scope is not settled.
    """
    kept = requests.with_answer(tx)
    waiting = requests.every(tx, unanswered=True)
    meant = {one.photo_id for request in waiting for one in request.reviews if one.verdict != "no"}
    reached = {found.photo_id for found, _ in survey(tx, stored.order.scope, meant)}
    return [
        request.id
        for request in waiting
        if not request.reviews
        or any(
            one.photo_id in reached and (one.verdict == "unsure" or (one.verdict == "yes" and request.id not in kept))
            for one in request.reviews
        )
    ]


def _demand_in_force(stored: Stored) -> None:
    if stored.state not in orders.IN_FORCE:
        raise errors.UsageError(f"The order is {stored.state}, not in force. Nothing was changed.")


def _erase(database: Database, order_id: str, *, by: str, finish: Callable[[str], Erasure]) -> None:
    """One erasure for each collection that the order reaches, until it reaches nothing any more."""
    while True:
        with database.read() as tx:
            stored = orders.find(tx, order_id)
            _demand_in_force(stored)
            unfinished = [each.id for each in of_order(tx, order_id) if each.state not in erasures.FINISHED]
            found = None if unfinished else _next_scope(tx, stored)
        if found:
            approved = tuple(stored.progress["approved_by"])
            under = (order_id, issue.digest(stored.text))
            planned = erase.plan(database, found, ground="order", by=by, approved_by=approved, order=under)
            unfinished = [planned]
        if not unfinished:
            return
        for erasure_id in unfinished:
            finish(erasure_id)


def _next_scope(tx: Tx, stored: Stored) -> Scope | None:
    """What the order erases in the first collection in which it still reaches something."""
    wanted = stored.order.scope
    reviewed = set(stored.progress.get("reviewed", ()))
    there = [c for c, reach in survey(tx, wanted) if erasable(wanted, reach) or c.photo_id in reviewed]
    for collection_id in dict.fromkeys(c.collection_id for c in there):
        photo_ids = [c.photo_id for c in there if c.collection_id == collection_id]
        chosen = {"subject_id": list(wanted.subjects)} if wanted.subjects else {}
        face_ids = [face.id for face in faces.stored(tx, photo_id=photo_ids, **chosen)]
        gone = subjects_gone(tx, collection_id, face_ids)
        whole = [] if wanted.subjects else photo_ids
        return scope.of_order(tx, collection_id, whole=whole, face_ids=face_ids, subject_ids=gone)
    return None


def _complete(database: Database, order_id: str, *, signed_by: str, by: str) -> Standing:
    """Sign the completion. What is hidden and no longer reached, such as the others of a group photo, is shown again."""
    with database.write() as tx:
        stored = orders.find(tx, order_id)
        reached = {c.photo_id for c, reach in survey(tx, stored.order.scope) if hidden(stored.order.scope, reach)}
        issue.release(tx, order_id, faces.hidden_by(tx, order_id) - reached)
        statement: dict[str, Any] = {
            "order": order_id,
            "file": issue.digest(stored.text),
            "completed_at": log.moment(tx),
            "signed_by": signed_by,
            "approved_by": stored.progress["approved_by"],
            "measures": list(stored.order.measures),
            "hidden": len(faces.hidden_by(tx, order_id)),
            "to_review": len(issue.to_review(tx, stored)),
            "worklist": sum(len(erasures.worklist(tx, each.id)) for each in of_order(tx, order_id)),
            "certificates": {
                each.id: hashlib.sha256(each.bundle).hexdigest()
                for each in of_order(tx, order_id)
                if each.bundle is not None
            },
            "salt": os.urandom(16).hex(),  # else the log's hash of this statement would give away who signed
        }
        said = {"statement": hashlib.sha256(rfc8785.dumps(statement)).hexdigest(), "file": statement["file"]}
        first = stored.progress.get("first_completed", statement["completed_at"])
        stored = orders.advance(tx, stored, stored.state, completion=statement, first_completed=first)
        stored = issue.enter(tx, stored, "completed", said, {"signed_by": signed_by, "by": by})
    issue.note(database, order_id)
    with database.read() as tx:
        return issue.show(tx, stored)
