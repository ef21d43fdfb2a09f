"""Consent receipts: what goes out comes back the same, and nothing else is read."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countenance.errors import UsageError
from countenance.records import Collection, Consent, Subject
from countenance.requests import receipt
from countenance.requests.receipt import ConsentRecord, Event, Party, Receipt, dump, load

GIVEN, UNTIL = datetime(2026, 5, 18, 9, tzinfo=UTC), datetime(2029, 5, 18, tzinfo=UTC)
SUBJECT = Subject(
    id="sub_1",
    collection_id="col_1",
    name="A. Person",
    consent=Consent(by="the person", given_at=GIVEN, text="I agree that my face is looked for.", until=UNTIL),
    faces=2,
)
CLUB = Collection(
    id="col_1",
    name="club",
    purpose="finding members in the club's photos",
    controller="The Club",
    contact="photos@club.example",
    art6="consent",
    art9="explicit-consent",
    notice="version 3, handed out with the form",
    retention_days=365,
)
STATED = {
    "address": "Lake Road 1, Dublin",
    "representative": "none is needed",
    "language": "en",
    "jurisdiction": "IE",
    "recipients": "nobody",
    "storage_location": "IE",
    "withdraw_at": "photos@club.example",
    "method": "a signed form",
}
FULL = Receipt(receipt_id="rcp_1", created=GIVEN, record=receipt.of_subject(SUBJECT, CLUB, **STATED))


def test_a_receipt_comes_back_as_it_went_out():
    assert load(dump(FULL)) == FULL
    assert receipt.gaps(FULL.record) == ()


def test_what_the_vault_does_not_know_is_a_gap_that_is_listed_and_comes_back():
    bare = receipt.of_subject(SUBJECT, Collection(id="col_1", name="club"))
    assert set(receipt.gaps(bare)) >= {"language", "jurisdiction", "recipients", "storage_location", "basis", "purpose"}
    assert "controller.name" in receipt.gaps(bare)
    assert "[not stated: storage location]" in dump(replace(FULL, record=bare)).decode()
    assert load(dump(replace(FULL, record=bare))).record == bare


def test_the_basis_is_the_collections_and_not_assumed_to_be_consent():
    other = receipt.of_subject(SUBJECT, replace(CLUB, art6="legitimate-interests", art9="archiving"), **STATED)
    assert (other.basis, other.condition) == ("eu-gdpr:A6-1-f", "eu-gdpr:A9-2-j")
    assert (FULL.record.basis, FULL.record.condition) == ("eu-gdpr:A6-1-a", "eu-gdpr:A9-2-a")


def test_the_fields_that_the_standard_demands_stand_under_the_names_of_the_guide():
    said = receipt.to_json(FULL)
    record = said["dpv:hasRecordOfActivity"]
    assert said["@type"] == "dpv:ConsentReceipt"
    assert said["dct:conformsTo"] == "https://w3id.org/dpv/schema/dpv-27560#receipt"
    assert record["dct:conformsTo"] == "https://w3id.org/dpv/schema/dpv-27560#record"
    process = record["dpv:hasProcess"]
    assert record["dpv:hasDataSubject"]["dct:identifier"] == "sub_1"
    assert process["dpv:hasStorageCondition"][1] == {"@type": "dpv:StorageDuration", "dpv:hasDuration": "P365D"}
    assert "pd:FacialPrint" in process["dpv:hasPersonalData"]
    assert record["dpv:hasConsentControl"]["@type"] == "dpv:WithdrawConsent"
    event = record["dpv:hasConsentStatus"][0]
    assert event["@type"] == ["dpv:ConsentGiven", "dpv:ExplicitlyExpressedConsent"]
    assert event["dpv:isIndicatedAtTime"] == "2026-05-18T09:00:00Z"


def test_the_persons_name_is_not_in_the_receipt():
    assert b"A. Person" not in dump(FULL)


def places(said, path=()):
    """Every place in a JSON value."""
    yield path
    inner = said.items() if isinstance(said, dict) else enumerate(said) if isinstance(said, list) else ()
    for key, value in inner:
        yield from places(value, (*path, key))


PLACES = [path for path in places(receipt.to_json(FULL)) if path]


def changed(path, change):
    said = json.loads(dump(FULL))
    at = said
    for key in path[:-1]:
        at = at[key]
    change(at, path[-1])
    return json.dumps(said).encode()


def test_a_receipt_that_lacks_anything_is_refused():
    for path in PLACES:
        if path[-2:] == ("dpv:hasRecipient", 0):
            continue  # nobody receives: an empty list says so
        with pytest.raises(UsageError, match="Nothing was kept"):
            load(changed(path, lambda at, key: at.__delitem__(key)))


@pytest.mark.parametrize("value", [None, 7, "", [], {}, True, "x" * 30_000], ids=lambda value: str(value)[:9])
def test_a_receipt_with_something_of_another_kind_is_refused(value):
    for path in PLACES:
        if value == [] and path[-1] == "dpv:hasRecipient":
            continue
        with pytest.raises(UsageError, match="Nothing was kept") as refused:
            load(changed(path, lambda at, key: at.__setitem__(key, value)))
        assert "The Club" not in str(refused.value)


def test_a_receipt_with_an_unknown_field_is_refused():
    for path in PLACES:
        if isinstance(path[-1], str):
            with pytest.raises(UsageError):
                load(changed(path, lambda at, _key: at.__setitem__("ex:more", "x")))


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"\xff", b"[" * 100_000, b"{" * 10, b'{"a": 1, "a": 1}', b" " * 300_000]
)
def test_what_is_no_receipt_is_refused(content):
    with pytest.raises(UsageError, match="Nothing was kept"):
        load(content)


@pytest.mark.parametrize(
    "stamp", ["2026-02-30T00:00:00Z", "2026-05-18", "2026-05-18T00:00:00", "2026-05-18T00:00:00+02:00"]
)
def test_a_time_that_is_none_is_refused(stamp):
    with pytest.raises(UsageError, match="no time"):
        load(changed(("dct:created",), lambda at, key: at.__setitem__(key, stamp)))


WORD = st.text(min_size=1, max_size=40).filter(str.strip).filter(lambda text: text.isprintable())
MOMENT = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(lambda at: at.replace(microsecond=0, tzinfo=UTC))  # noqa: DTZ001
RECORDS = st.builds(
    ConsentRecord,
    record_id=WORD,
    subject_id=WORD,
    controller=st.builds(Party, name=WORD, address=WORD, contact=WORD, representative=WORD),
    basis=st.sampled_from(sorted(receipt.BASIS.values())),
    condition=st.sampled_from(sorted(receipt.CONDITION.values())),
    purpose=WORD,
    notice=WORD,
    language=WORD,
    jurisdiction=WORD,
    recipients=st.lists(WORD, max_size=3).map(tuple),
    storage_location=WORD,
    retention=WORD,
    withdraw_at=WORD,
    text=WORD,
    valid_until=MOMENT,
    events=st.lists(
        st.builds(Event, status=st.sampled_from(receipt.STATUS), at=MOMENT, by=WORD, how=WORD), min_size=1, max_size=3
    ).map(tuple),
)


@given(record=RECORDS, created=MOMENT, number=WORD)
def test_any_receipt_comes_back_as_it_went_out(record, created, number):
    one = Receipt(receipt_id=number, created=created, record=record)
    assert load(dump(one)) == one
