"""OpenDSR 2.0: what is read, what is refused and why, and the objects that answer."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countenance.errors import UsageError
from countenance.requests import opendsr

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ASKED = {
    "regulation": "gdpr",
    "subject_request_id": "a7551968-d5d6-44b2-9831-815ac9017798",
    "subject_request_type": "erasure",
    "submitted_time": "2026-10-02T15:00:00+02:00",
    "subject_identities": [
        {"identity_type": "email", "identity_value": "person@example.org", "identity_format": "raw"}
    ],
    "api_version": "2.0",
    "status_callback_urls": ["https://controller.example/opendsr/callbacks"],
}


def body(**changes):
    return json.dumps({name: value for name, value in (ASKED | changes).items() if value is not ...}).encode()


@pytest.mark.parametrize("address", ["a\x1b[31m\n\nFrom: b@example.org", "\ud800@example.org", "-x\x00@example.org"])
def test_an_address_that_is_made_to_hurt_becomes_one_plain_line(address):
    said = body(subject_identities=[{"identity_type": "email", "identity_format": "raw", "identity_value": address}])
    contact = opendsr.from_opendsr(said, now=NOW).asked.contact
    assert contact.isprintable()
    assert contact.endswith("@example.org")


@pytest.mark.parametrize("when", ["0001-01-01", "0001-01-01T00:00:00Z", "1899-12-31T23:59:59Z"])
def test_a_time_of_asking_from_before_there_was_such_a_law_is_refused(when):
    with pytest.raises(UsageError, match="submitted_time"):
        opendsr.from_opendsr(body(submitted_time=when), now=NOW)


def test_a_request_is_read_and_its_clock_starts_when_the_person_asked():
    came = opendsr.from_opendsr(body(), now=NOW)
    assert (came.channel, came.kind, came.confirmed, came.law) == ("opendsr", "erasure", True, "gdpr")
    assert came.received_at == datetime(2026, 10, 2, 13, tzinfo=UTC)
    assert came.asked.contact == "person@example.org"
    assert dict(came.asked.said)["subject_request_id"] == ASKED["subject_request_id"]
    assert "person@example.org" not in repr(came)
    assert "controller.example" not in repr(opendsr.parse(body()))


def test_what_the_specification_leaves_open_is_accepted():
    assert opendsr.parse(body(api_version=..., status_callback_urls=...)).callbacks == ()
    assert opendsr.parse(body(submitted_time="2026-01-05")).submitted == datetime(2026, 1, 5, tzinfo=UTC)
    assert opendsr.parse(body(subject_identities=..., extensions={"club.example": {"id": 1}})).identities == ()
    assert opendsr.parse(body(group_id="x", skip_waiting_period=True)).ignored == ("group_id", "skip_waiting_period")
    assert any("ignored" in warning for warning in opendsr.from_opendsr(body(group_id="x"), now=NOW).warnings)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"regulation": ...}, "regulation"),
        ({"regulation": "hipaa"}, "regulation"),
        ({"subject_request_id": ...}, "subject_request_id"),
        ({"subject_request_id": "A7551968-D5D6-44B2-9831-815AC9017798"}, "subject_request_id"),
        ({"subject_request_id": "a7551968-d5d6-14b2-9831-815ac9017798"}, "subject_request_id"),
        ({"subject_request_id": 7}, "subject_request_id"),
        ({"subject_request_type": "rectification"}, "subject_request_type"),
        ({"subject_request_type": ["erasure"]}, "subject_request_type"),
        ({"submitted_time": ...}, "submitted_time"),
        ({"submitted_time": "yesterday"}, "submitted_time"),
        ({"submitted_time": "2026-10-02T15:00:00"}, "submitted_time"),
        ({"submitted_time": "2026-02-30T15:00:00Z"}, "submitted_time"),
        ({"submitted_time": "2026-10-02T25:00:00Z"}, "submitted_time"),
        ({"submitted_time": "0001-01-01T00:00:00+14:00"}, "submitted_time"),
        ({"submitted_time": "2027-01-01T00:00:00Z"}, "future"),
        ({"api_version": "1.0"}, "api_version"),
        ({"api_version": 2.0}, "api_version"),
        ({"subject_identities": ...}, "subject_identities"),
        ({"subject_identities": []}, "subject_identities"),
        ({"subject_identities": {}}, "subject_identities"),
        ({"subject_identities": ["person@example.org"]}, "subject_identities"),
        ({"subject_identities": ASKED["subject_identities"] * 101}, "subject_identities"),
        ({"subject_identities": [{"identity_type": "email", "identity_format": "raw"}]}, "identity_value"),
        ({"subject_identities": [ASKED["subject_identities"][0] | {"identity_type": "passport"}]}, "identity_type"),
        ({"subject_identities": [ASKED["subject_identities"][0] | {"identity_format": "rot13"}]}, "identity_format"),
        ({"subject_identities": [ASKED["subject_identities"][0] | {"identity_value": "x" * 3000}]}, "identity_value"),
        ({"status_callback_urls": "https://a.example"}, "status_callback_urls"),
        ({"status_callback_urls": ["http://a.example"]}, "status_callback_urls"),
        ({"status_callback_urls": ["https://user:pass@a.example"]}, "status_callback_urls"),
        ({"status_callback_urls": ["file:///etc/passwd"]}, "status_callback_urls"),
        ({"status_callback_urls": ["https://[::"]}, "status_callback_urls"),
        ({"status_callback_urls": ["https://a.example"] * 11}, "status_callback_urls"),
    ],
)
def test_a_malformed_request_is_refused_with_the_field_and_never_with_its_value(changes, names):
    with pytest.raises(UsageError, match=names) as refused:
        opendsr.from_opendsr(body(**changes), now=NOW)
    assert "person@example.org" not in str(refused.value)
    assert "Nothing was kept" in str(refused.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"\xff\xfe",
        b'{"a": NaN}',
        b'{"a": 1, "a": 2}',
        b"[" * 100_000,
        b"{}" + b" " * 300_000,
        b'{"a":' * 50_000,
        b"9" * 5_000,
    ],
)
def test_what_is_no_json_object_is_refused(content):
    with pytest.raises(UsageError, match="refused"):
        opendsr.parse(content)


def test_a_request_with_a_field_twice_is_refused():
    twice = body().replace(b'{"regulation": "gdpr"', b'{"regulation": "ccpa", "regulation": "gdpr"', 1)
    with pytest.raises(UsageError, match="twice"):
        opendsr.parse(twice)


def test_the_answers_carry_what_the_specification_asks_for():
    sent = body()
    dsr = opendsr.parse(sent)
    due = NOW + timedelta(days=9)
    made = opendsr.created(dsr, sent, controller_id="club", received=NOW, due=due)
    assert base64.b64decode(made.pop("encoded_request")) == sent
    assert made == {
        "controller_id": "club",
        "expected_completion_time": "2026-12-02T12:00:00Z",
        "received_time": "2026-11-23T12:00:00Z",
        "subject_request_id": ASKED["subject_request_id"],
    }
    said = opendsr.status(
        dsr.request_id, "answered", controller_id="club", due=due, results_url="https://x.example", results=3
    )
    assert (said["request_status"], said["results_count"], said["api_version"]) == ("completed", 3, "2.0")
    told = opendsr.callback(dsr.callbacks[0], said)
    assert told["status_callback_url"] == dsr.callbacks[0]
    assert "api_version" not in told
    taken_back = opendsr.cancelled(dsr.request_id, controller_id="club", received=NOW)
    assert set(taken_back) == {"controller_id", "subject_request_id", "received_time", "api_version"}
    assert opendsr.status(dsr.request_id, "cancelled", controller_id="club", due=due)["request_status"] == "cancelled"
    assert opendsr.refusal("why")["error"]["code"] == 400
    assert opendsr.discovery("https://club.example/cert.pem")["supported_subject_request_types"] == [
        "access",
        "portability",
        "erasure",
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@given(field=st.sampled_from(sorted(ASKED)), value=JSON)
def test_whatever_stands_in_a_field_is_read_or_refused_and_nothing_else(field, value):
    try:
        dsr = opendsr.parse(body(**{field: value}))
    except UsageError:
        return
    assert dsr.kind in opendsr.TYPES
