"""What orders in force keep from being searched: a collection that is stopped as a whole, and whom they refuse to serve."""

from __future__ import annotations

from countenance import errors
from countenance.audit import log
from countenance.gate.reach import binding, facts_of_photo, hides, serves, stopped, stops_whole
from countenance.records import Collection, Entry, Face, InForce, Order, Photo, Refusal
from countenance.search.question import Question
from countenance.store import collections, orders
from countenance.store.database import Database, Tx


def demand(database: Database, question: Question) -> None:
    """Raise `Refused`, and log that, if an order in force refuses the search as a whole."""
    with database.read() as tx:
        found = _against(tx, question)
    if found:
        with database.write() as tx:
            public = {"collection": question.collection_id, "reason": "order", "order": found.id}
            log.append(tx, Entry(kind="act:refused", public=public))
        raise errors.Refused(_refusal(found.order, question).sentence)


def demand_still(tx: Tx, question: Question) -> None:
    """Raise `Refused` if an order that came into force meanwhile refuses the search as a whole."""
    if found := _against(tx, question):
        raise errors.Refused(_refusal(found.order, question).sentence)


def shows(in_force: tuple[InForce, ...], collection: Collection, photo: Photo, face: Face) -> bool:
    """Whether no order in force keeps a face from being shown (promise P4); one about subjects stops their faces only."""
    if not in_force:
        return True
    subjects = (face.subject_id,) if face.subject_id else ()
    return binding(in_force, facts_of_photo(photo, purpose=collection.purpose, subjects=subjects)) is None


def _against(tx: Tx, question: Question) -> InForce | None:
    collection = collections.find(tx, question.collection_id)
    for found in orders.in_force(tx):
        order = found.order
        whole = hides(order) and stops_whole(order.scope, collection.id, collection.purpose)
        if whole or not _served(order, question):
            return found
    return None


def _served(order: Order, question: Question) -> bool:
    return "refuse-service" not in order.measures or serves(order.service, question.origin, question.tenant)


def _refusal(order: Order, question: Question) -> Refusal:
    if _served(order, question):
        return stopped(order)
    sentence = (
        f"An order of {order.authority} ({order.reference}) forbids to serve searches from here. Nothing was searched."
    )
    return Refusal(slug="order", sentence=sentence)
