"""Answers made before a stop or an erasure takes away what they tell, and kept sealed with the request until it is closed.

Whoever asked for access gets an answer although the data is gone (law.md, finding 8). Requests know of orders and not the
other way round, so who approves, carries out or erases calls this first.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from countenance.requests import access, desk
from countenance.requests.access import KINDS, Maker
from countenance.store import requests
from countenance.store.database import Tx
from countenance.store.requests import ANSWERED, UNCLEAR, Request


def awaited(tx: Tx) -> set[str]:
    """Ids of the photos that requests for access, or for nobody knows yet what, wait to be told of."""
    return {photo_id for record in _waiting(tx) for photo_id, _ in access.told(tx, record)}


def pending(maker: Maker, ids: Iterable[str], *, by: str) -> list[str]:
    """Make and keep the answers of the requests that wait for one about these photos or faces; return the requests' ids.

    An answer that is kept already and tells all is left as it is; doing this twice is the same as once.
    """
    reached = set(ids)
    done = []
    with maker.database.read() as tx:
        waiting = [(record, requests.kept_answer(tx, record.id), access.told(tx, record)) for record in _waiting(tx)]
    for record, kept, now in waiting:
        if reached.isdisjoint(chain.from_iterable(now)) or (kept and access.holds(kept, record, now)):
            continue
        bundle = access.build(maker, record, kept)
        with maker.database.write() as tx:
            if requests.find(tx, record.id).state in ANSWERED:  # meanwhile
                continue
            requests.keep_answer(tx, record.id, bundle)
            desk.note_answer(tx, record, "frozen", by, bundle)
        done.append(record.id)
    return done


def _waiting(tx: Tx) -> list[Request]:
    return [record for record in requests.every(tx, unanswered=True) if record.kind in {*KINDS, UNCLEAR}]
