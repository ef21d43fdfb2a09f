"""Consent records and receipts per ISO/IEC TS 27560:2023, as JSON-LD in the W3C community group's vocabulary (DPV).

Names of properties are those of https://w3id.org/dpv/guides/consent-27560 (final report of 1 August 2024). A receipt is a
copy of the record for the person, with a number of its own. What the vault does not know stands as "[not stated: …]".
Read back strictly: what this file does not write, it does not read.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from countenance.errors import UsageError
from countenance.records import ART6, ART9, Collection, Subject

CONTEXT = {
    "dct": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "loc": "https://w3id.org/dpv/loc#",
    "pd": "https://w3id.org/dpv/pd#",
}
RECORD = "https://w3id.org/dpv/schema/dpv-27560#record"
RECEIPT = "https://w3id.org/dpv/schema/dpv-27560#receipt"
STATUS = ("dpv:ConsentGiven", "dpv:ConsentWithdrawn", "dpv:ConsentExpired")
EXPLICIT = "dpv:ExplicitlyExpressedConsent"
DATA = ("pd:Picture", "pd:FacialPrint", "pd:Name")  # photos, templates, and the subject's name
PROCESSING = ("dpv:Store", "dpv:Use", "dpv:Match", "dpv:Erase")
BASIS = {key: f"eu-gdpr:A6-1-{letter}" for key, letter in zip(ART6, "abcdef", strict=True)}
CONDITION = {key: f"eu-gdpr:A9-2-{letter}" for key, letter in zip(ART9, "abcdefghij", strict=True)}
MAX_BODY = 256_000  # bytes
MAX_TEXT = 20_000  # characters
MAX_EVENTS = 100

_GAP = re.compile(r"\[not stated: [^\]]+\]")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that was done about a consent."""

    status: str  # one of STATUS
    at: datetime
    by: str  # who did it: the person, or who may speak for them
    how: str  # such as "the text that was signed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """The controller, as the collection states it."""

    name: str
    address: str
    contact: str
    representative: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRecord:
    """What a person agreed to. The fields are those that ISO/IEC TS 27560 demands; a gap stands in its field."""

    record_id: str
    subject_id: str
    controller: Party = field(repr=False)
    basis: str  # a value of BASIS
    condition: str  # a value of CONDITION
    purpose: str
    notice: str = field(repr=False)
    language: str  # BCP 47 of the notice
    jurisdiction: str  # ISO 3166-1 or 3166-2
    recipients: tuple[str, ...]
    storage_location: str
    retention: str  # ISO 8601 duration, such as P30D
    withdraw_at: str  # how consent is withdrawn
    text: str = field(repr=False)  # what was agreed to
    valid_until: datetime
    events: tuple[Event, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A copy of a consent record for the person."""

    receipt_id: str
    created: datetime
    record: ConsentRecord = field(repr=False)


def of_subject(subject: Subject, collection: Collection, **stated: str) -> ConsentRecord:
    """The record of an enrolled subject's consent.

    `stated` is what the vault does not know: `address`, `representative`, `language`, `jurisdiction`, `recipients`,
    `storage_location`, `withdraw_at`, `method` (how consent was given). What is left out stands as a gap.
    """

    def said(name: str) -> str:
        return stated.get(name, "").strip() or gap(name.replace("_", " "))

    consent = subject.consent
    return ConsentRecord(
        record_id=f"{subject.id}-consent",
        subject_id=subject.id,
        controller=Party(
            name=collection.controller or gap("controller"),
            address=said("address"),
            contact=collection.contact or gap("contact"),
            representative=said("representative"),
        ),
        basis=BASIS.get(collection.art6 or "", gap("basis")),
        condition=CONDITION.get(collection.art9 or "", gap("condition")),
        purpose=collection.purpose or gap("purpose"),
        notice=collection.notice or gap("notice"),
        language=said("language"),
        jurisdiction=said("jurisdiction"),
        recipients=(said("recipients"),),
        storage_location=said("storage_location"),
        retention=f"P{collection.retention_days}D" if collection.retention_days else gap("retention"),
        withdraw_at=said("withdraw_at"),
        text=consent.text,
        valid_until=consent.until,
        events=(Event(status=STATUS[0], at=consent.given_at, by=consent.by, how=said("method")),),
    )


def gap(what: str) -> str:
    """What stands for something that is not known."""
    return f"[not stated: {what}]"


def gaps(record: ConsentRecord) -> tuple[str, ...]:
    """The fields of a record in which a gap stands, by name."""
    said = {one.name: getattr(record, one.name) for one in fields(record)}
    said |= {f"controller.{one.name}": getattr(record.controller, one.name) for one in fields(record.controller)}
    return tuple(
        name
        for name, value in said.items()
        if any(
            isinstance(one, str) and _GAP.fullmatch(one) for one in (value if isinstance(value, tuple) else (value,))
        )
    )


def dump(receipt: Receipt) -> bytes:
    """The receipt as JSON-LD, UTF-8."""
    return json.dumps(to_json(receipt), ensure_ascii=False, indent=2).encode()


def to_json(receipt: Receipt) -> dict[str, Any]:
    """The receipt as a JSON-LD object with its context."""
    return {
        "@context": CONTEXT,
        "@id": f"urn:countenance:{receipt.receipt_id}",
        "@type": "dpv:ConsentReceipt",
        "dct:identifier": receipt.receipt_id,
        "dct:conformsTo": RECEIPT,
        "dct:created": _stamp(receipt.created),
        "dpv:hasRecordOfActivity": _record(receipt.record),
    }


def _record(record: ConsentRecord) -> dict[str, Any]:
    party = record.controller
    return {
        "@id": f"urn:countenance:{record.record_id}",
        "@type": "dpv:ConsentRecord",
        "dct:identifier": record.record_id,
        "dct:conformsTo": RECORD,
        "dct:description": record.text,
        "dct:valid": _stamp(record.valid_until),
        "dpv:hasDataSubject": {"@type": "dpv:DataSubject", "dct:identifier": record.subject_id},
        "dpv:hasDataController": {
            "@type": "dpv:DataController",
            "dpv:hasName": party.name,
            "dpv:hasAddress": party.address,
            "dpv:hasContact": party.contact,
            "dpv:hasRepresentative": {"@type": "dpv:Representative", "dpv:hasName": party.representative},
        },
        "dpv:hasJurisdiction": record.jurisdiction,
        "dpv:hasLegalBasis": [record.basis, record.condition],
        "dpv:hasProcess": {
            "@type": "dpv:Process",
            "dpv:hasPurpose": {"@type": "dpv:Purpose", "dct:description": record.purpose},
            "dpv:hasPersonalData": list(DATA),
            "dpv:hasProcessing": list(PROCESSING),
            "dpv:hasRecipient": list(record.recipients),
            "dpv:hasStorageCondition": [
                {"@type": "dpv:StorageLocation", "dpv:hasLocation": record.storage_location},
                {"@type": "dpv:StorageDuration", "dpv:hasDuration": record.retention},
            ],
        },
        "dpv:hasNotice": {
            "@type": "dpv:ConsentNotice",
            "dct:description": record.notice,
            "dct:language": record.language,
        },
        "dpv:hasConsentControl": {"@type": "dpv:WithdrawConsent", "dpv:isExercisedAt": record.withdraw_at},
        "dpv:hasConsentStatus": [
            {
                "@type": [event.status, EXPLICIT],
                "dpv:isIndicatedBy": event.by,
                "dpv:isIndicatedAtTime": _stamp(event.at),
                "dpv:hasIndicationMethod": event.how,
            }
            for event in record.events
        ],
    }


def load(content: bytes) -> Receipt:
    """Read a receipt. Raises `UsageError` with the place and the reason, never with a value."""
    if len(content) > MAX_BODY:
        raise _refused("the file", f"it has {len(content):,} bytes; the limit is {MAX_BODY:,}")
    try:
        said = json.loads(content.decode(), object_pairs_hook=_once)
    except UsageError:
        raise
    except (ValueError, RecursionError):
        raise _refused("the file", "it is not JSON in UTF-8") from None
    read = _Reader(said)
    read.exactly("@context", CONTEXT)
    read.exactly("@type", "dpv:ConsentReceipt")
    read.exactly("dct:conformsTo", RECEIPT)
    receipt_id = read.text("dct:identifier")
    read.exactly("@id", f"urn:countenance:{receipt_id}")
    created = read.moment("dct:created")
    record = _read_record(read.inner("dpv:hasRecordOfActivity", "dpv:ConsentRecord"))
    read.done()
    return Receipt(receipt_id=receipt_id, created=created, record=record)


def _read_record(read: _Reader) -> ConsentRecord:
    record_id = read.text("dct:identifier")
    read.exactly("@id", f"urn:countenance:{record_id}")
    read.exactly("dct:conformsTo", RECORD)
    basis, condition = read.pair("dpv:hasLegalBasis")
    if not (_known(basis, BASIS) and _known(condition, CONDITION)):
        raise _refused("dpv:hasLegalBasis", "it is not a basis under Art. 6 and a condition under Art. 9 GDPR")
    subject = read.inner("dpv:hasDataSubject", "dpv:DataSubject")
    controller = read.inner("dpv:hasDataController", "dpv:DataController")
    representative = controller.inner("dpv:hasRepresentative", "dpv:Representative")
    process = read.inner("dpv:hasProcess", "dpv:Process")
    process.exactly("dpv:hasPersonalData", list(DATA))
    process.exactly("dpv:hasProcessing", list(PROCESSING))
    purpose = process.inner("dpv:hasPurpose", "dpv:Purpose")
    place, duration = process.several("dpv:hasStorageCondition", ["dpv:StorageLocation", "dpv:StorageDuration"])
    notice = read.inner("dpv:hasNotice", "dpv:ConsentNotice")
    control = read.inner("dpv:hasConsentControl", "dpv:WithdrawConsent")
    record = ConsentRecord(
        record_id=record_id,
        subject_id=subject.text("dct:identifier"),
        controller=Party(
            name=controller.text("dpv:hasName"),
            address=controller.text("dpv:hasAddress"),
            contact=controller.text("dpv:hasContact"),
            representative=representative.text("dpv:hasName"),
        ),
        basis=basis,
        condition=condition,
        purpose=purpose.text("dct:description"),
        notice=notice.text("dct:description"),
        language=notice.text("dct:language"),
        jurisdiction=read.text("dpv:hasJurisdiction"),
        recipients=process.texts("dpv:hasRecipient"),
        storage_location=place.text("dpv:hasLocation"),
        retention=duration.text("dpv:hasDuration"),
        withdraw_at=control.text("dpv:isExercisedAt"),
        text=read.text("dct:description"),
        valid_until=read.moment("dct:valid"),
        events=_read_events(read.take("dpv:hasConsentStatus", list)),
    )
    for one in (read, subject, controller, representative, process, purpose, place, duration, notice, control):
        one.done()
    return record


def _read_events(listed: list[Any]) -> tuple[Event, ...]:
    if not 1 <= len(listed) <= MAX_EVENTS:
        raise _refused("dpv:hasConsentStatus", f"it has none, or more than {MAX_EVENTS}")
    events = []
    for one in map(_Reader, listed):
        status, kind = one.pair("@type")
        if status not in STATUS or kind != EXPLICIT:
            raise _refused("dpv:hasConsentStatus", f"its @type is not one of {', '.join(STATUS)} with explicit consent")
        events.append(
            Event(
                status=status,
                by=one.text("dpv:isIndicatedBy"),
                at=one.moment("dpv:isIndicatedAtTime"),
                how=one.text("dpv:hasIndicationMethod"),
            )
        )
        one.done()
    return tuple(events)


def _known(value: str, table: dict[str, str]) -> bool:
    return value in table.values() or _GAP.fullmatch(value) is not None


class _Reader:
    """One JSON object, taken apart field by field; `done` finds what was not taken."""

    def __init__(self, said: Any) -> None:
        if not isinstance(said, dict):
            raise _refused("the receipt", "something in it is not a JSON object")
        self._left = dict(said)

    def take(self, name: str, kind: type) -> Any:
        value = self._left.pop(name, None)
        if type(value) is not kind:
            raise _refused(name, "it is missing or of another type")
        return value

    def text(self, name: str) -> str:
        value: str = self.take(name, str)
        if not value.strip() or len(value) > MAX_TEXT:
            raise _refused(name, f"it is empty or longer than {MAX_TEXT:,} characters")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        listed = {str(number): one for number, one in enumerate(self.take(name, list))}
        return tuple(_Reader(listed).text(number) for number in listed)

    def pair(self, name: str) -> tuple[str, str]:
        try:
            first, second = self.texts(name)
        except ValueError:
            raise _refused(name, "it has not two entries") from None
        return first, second

    def moment(self, name: str) -> datetime:
        value = self.text(name)
        try:
            if _MOMENT.fullmatch(value):
                return datetime.fromisoformat(value)
        except ValueError:
            pass
        raise _refused(name, "it is no time such as 2026-05-18T00:00:00Z")

    def exactly(self, name: str, value: Any) -> None:
        if self._left.pop(name, None) != value:
            raise _refused(name, "it is not what this profile writes")

    def inner(self, name: str, kind: str) -> _Reader:
        found = _Reader(self.take(name, dict))
        found.exactly("@type", kind)
        return found

    def several(self, name: str, kinds: list[str]) -> list[_Reader]:
        listed = self.take(name, list)
        if len(listed) != len(kinds):
            raise _refused(name, f"it has not {len(kinds)} entries")
        found = [_Reader(one) for one in listed]
        for one, kind in zip(found, kinds, strict=True):
            one.exactly("@type", kind)
        return found

    def done(self) -> None:
        if self._left:
            raise _refused("the receipt", f"{len(self._left)} of its fields are not known here")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise _refused("the file", "a field stands in it twice")
    return dict(pairs)


def _refused(place: str, why: str) -> UsageError:
    return UsageError(f"The consent receipt is refused at {place}: {why}. Nothing was kept of it.")


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
