"""Consent receipts out of the vault and in: what an enrolled person is given, and what somebody brings along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from countenance import errors, ids
from countenance.audit import log
from countenance.documents.statements import Statements
from countenance.records import Collection, Consent, Entry
from countenance.requests import receipt
from countenance.requests.receipt import STATUS, Event, Receipt, gap
from countenance.store import collections, requests, subjects
from countenance.store.database import Database

GIVEN, WITHDRAWN, EXPIRED = STATUS
ASKED = ("address", "jurisdiction", "language", "method", "recipients", "storage_location", "withdraw_at")
"""The keys of `statements.KEYS` that a receipt has a field for."""


def give(
    database: Database, subject: str, *, collection: str | None, stated: Mapping[str, Any], by: str
) -> tuple[bytes, tuple[str, ...]]:
    """Make a receipt of a subject's consent (JSON-LD) with a number that leads back to them, and log that it was given.

    Returns it with the fields in which a gap stands.
    """
    with database.write() as tx:
        chosen = collections.find(tx, collection) if collection else None
        found = subjects.find(tx, subject, chosen.id if chosen else None)
        of = chosen or collections.find(tx, found.collection_id)
        known = Statements(stated, [each.name for each in collections.every(tx)]).about(of.name)
        said = {key: known[key] for key in ASKED if key in known} | {"representative": of.representative or ""}
        record = receipt.of_subject(found, of, **said)
        if found.consent.until <= tx.now:
            ended = Event(status=EXPIRED, at=found.consent.until, by=found.consent.by, how="its term is over")
            record = replace(record, events=(*record.events, ended))
        given = Receipt(receipt_id=ids.new("receipt"), created=tx.now, record=record)
        requests.give_receipt(tx, given.receipt_id, found.id)
        part = (subjects.item_of(tx, found.id), {"receipt": given.receipt_id, "by": by})
        log.append(tx, Entry(kind="receipt:given", public={"collection": of.id}, parts=(part,)))
    return receipt.dump(given), receipt.gaps(record)


def take(content: bytes, collection: Collection, now: datetime) -> Consent:
    """The consent that a receipt records, if it is in force and for this collection's purpose and controller.

    Raises `UsageError` for what is no receipt or leaves out what a consent is, and `Refused` with the reason otherwise.
    """
    record = receipt.load(content).record
    last = max(record.events, key=lambda event: event.at)  # of several at one time the first
    for name, value in {"who consented": last.by, "the text": record.text}.items():
        if value.startswith(gap("")[:-1]):
            raise errors.UsageError(f"The consent receipt does not state {name}. Nothing was kept of it.")
    withdrawn = any(event.status == WITHDRAWN and event.at >= last.at for event in record.events)
    refusals = {
        "it was withdrawn": withdrawn or last.status == WITHDRAWN,
        "it has ended": last.status == EXPIRED or record.valid_until <= now,
        "it is given in the future": last.at > now,
        "it is for another purpose than the collection's": record.purpose != collection.purpose,
        "it was given to another controller": record.controller.name != collection.controller,
    }
    for why, is_so in refusals.items():
        if is_so:
            raise errors.Refused(f"The consent of this receipt cannot be used: {why}. Nobody was enrolled.")
    return Consent(by=last.by, given_at=last.at, text=record.text, until=record.valid_until)
