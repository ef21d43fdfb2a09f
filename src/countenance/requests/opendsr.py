"""OpenDSR 2.0 (formerly OpenGDPR): a person's request that another controller's software hands on as JSON, and our answers.

https://github.com/opengdpr/OpenDSR, `specification.md`. The person's own time of asking (`submitted_time`) starts the
clock. Callback addresses are read and kept sealed; nothing here calls them (promise P12). The objects below are bodies:
whoever sends one signs its bytes and sets the headers of `HEADERS`.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from countenance.errors import UsageError
from countenance.requests.intake import EARLIEST, Intake
from countenance.requests.mail import line
from countenance.store.requests import Asked, Clue

VERSION = "2.0"
MAX_BODY = 256_000  # bytes
MAX_IDENTITIES = 100
MAX_CALLBACKS = 10
MAX_VALUE = 2_000  # characters

HEADERS = ("X-OpenDSR-Processor-Domain", "X-OpenDSR-Signature")

REGULATIONS = ("gdpr", "ccpa")
TYPES = ("access", "portability", "erasure")
STATUS = {
    "opened": "pending",
    "paused": "in_progress",
    "extended": "in_progress",
    "answered": "completed",
    "closed": "completed",
}
"""OpenDSR's word for each of our states. It also has "cancelled", for a request taken back while it was pending."""

IDENTITIES = frozenset({
    "controller_customer_id",
    "android_advertising_id",
    "android_id",
    "email",
    "fire_advertising_id",
    "ios_advertising_id",
    "ios_vendor_id",
    "microsoft_advertising_id",
    "microsoft_publisher_id",
    "roku_publisher_id",
    "roku_advertising_id",
})  # fmt: skip
FORMATS = ("raw", "sha1", "md5", "sha256")
KNOWN = frozenset({
    "regulation",
    "subject_request_id",
    "subject_request_type",
    "subject_identities",
    "submitted_time",
    "api_version",
    "status_callback_urls",
    "extensions",
})  # fmt: skip

_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dsr:
    """What an OpenDSR request says."""

    request_id: str  # theirs, UUID version 4
    kind: str  # access, portability, erasure
    regulation: str
    submitted: datetime
    identities: tuple[tuple[str, str, str], ...] = field(repr=False)  # type, format, value
    callbacks: tuple[str, ...] = field(repr=False)
    ignored: tuple[str, ...]  # names of fields that the specification does not know


def parse(body: bytes) -> Dsr:
    """Read a request. Raises `UsageError` that names the field and the reason, never a value of it."""
    if len(body) > MAX_BODY:
        raise _refused(f"it has {len(body):,} bytes; the limit is {MAX_BODY:,}")
    try:
        said = json.loads(body.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    except UsageError:
        raise
    except (ValueError, RecursionError):
        raise _refused("it is not JSON in UTF-8") from None
    if not isinstance(said, dict):
        raise _refused("it is not a JSON object")
    version = said.get("api_version", VERSION)
    if not isinstance(version, str) or version.split(".")[0] != VERSION.split(".", maxsplit=1)[0]:
        raise _refused(f"its api_version is not {VERSION}")
    request_id = _text(said, "subject_request_id")
    if not _UUID4.fullmatch(request_id):
        raise _refused("subject_request_id is not a UUID of version 4 in small letters")
    return Dsr(
        request_id=request_id,
        kind=_one_of(said, "subject_request_type", TYPES),
        regulation=_one_of(said, "regulation", REGULATIONS),
        submitted=_submitted(_text(said, "submitted_time")),
        identities=_identities(said),
        callbacks=_callbacks(said),
        ignored=tuple(sorted(set(said) - KNOWN)),
    )


def from_opendsr(body: bytes, *, now: datetime) -> Intake:
    """A request that came as OpenDSR JSON. Raises `UsageError` like `parse`, or if it was submitted in the future."""
    dsr = parse(body)
    if dsr.submitted > now:
        raise _refused("submitted_time is in the future")
    if dsr.submitted < EARLIEST:
        raise _refused(f"submitted_time lies before {EARLIEST.year}")
    emails = [value for kind, form, value in dsr.identities if (kind, form) == ("email", "raw")]
    warnings = ["An identity other than an e-mail address finds nobody in a vault; it is kept."] if not emails else []
    if dsr.ignored:
        warnings.append(f"{len(dsr.ignored)} fields are not known to OpenDSR {VERSION} and were ignored.")
    return Intake(
        channel="opendsr",
        kind=dsr.kind,
        confirmed=True,
        received_at=dsr.submitted,
        law=dsr.regulation,
        asked=Asked(
            contact=line(emails[0]) if emails else "",
            clues=tuple(Clue(kind="identity", value=f"{kind} {form} {value}") for kind, form, value in dsr.identities),
            said=(("subject_request_id", dsr.request_id), *(("status_callback_url", url) for url in dsr.callbacks)),
        ),
        warnings=tuple(warnings),
    )


def created(dsr: Dsr, body: bytes, *, controller_id: str, received: datetime, due: datetime) -> dict[str, str]:
    """The body of the 201 that confirms a request. It carries the request as it came; nobody may log or keep it."""
    return {
        "controller_id": controller_id,
        "expected_completion_time": _stamp(due),
        "received_time": _stamp(received),
        "encoded_request": base64.b64encode(body).decode(),
        "subject_request_id": dsr.request_id,
    }


def status(
    request_id: str, state: str, *, controller_id: str, due: datetime, results_url: str = "", results: int | None = None
) -> dict[str, Any]:
    """The body that says where a request stands. `state` is ours, a key of `STATUS`, or "cancelled"."""
    said: dict[str, Any] = {
        "controller_id": controller_id,
        "expected_completion_time": _stamp(due),
        "subject_request_id": request_id,
        "request_status": "cancelled" if state == "cancelled" else STATUS[state],
        "api_version": VERSION,
    }
    if results_url:
        said["results_url"] = results_url
    if results is not None:
        said["results_count"] = results
    return said


def callback(url: str, said: dict[str, Any]) -> dict[str, Any]:
    """The body to post to a callback address when the status (`status`) changes."""
    return {name: value for name, value in said.items() if name != "api_version"} | {"status_callback_url": url}


def cancelled(request_id: str, *, controller_id: str, received: datetime) -> dict[str, str]:
    """The body of the 202 that confirms that a pending request was taken back."""
    return {
        "controller_id": controller_id,
        "subject_request_id": request_id,
        "received_time": _stamp(received),
        "api_version": VERSION,
    }


def refusal(reason: str) -> dict[str, Any]:
    """The body of the 400 that refuses a malformed request."""
    detail = {"domain": "Validation", "reason": "malformed", "message": reason}
    return {"error": {"code": 400, "message": reason, "errors": [detail]}}


def discovery(certificate_url: str) -> dict[str, Any]:
    """The body that says what of OpenDSR is supported here."""
    return {
        "api_version": VERSION,
        "supported_identities": [{"identity_type": "email", "identity_format": "raw"}],
        "supported_subject_request_types": list(TYPES),
        "processor_certificate": certificate_url,
    }


def _refused(why: str) -> UsageError:
    return UsageError(f"The OpenDSR request is refused: {why}. Nothing was kept of it.")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise _refused("a field stands in it twice")
    return dict(pairs)


def _no_number(_: str) -> None:
    raise _refused("it has a number that JSON does not know")


def _text(said: dict[str, Any], name: str) -> str:
    value = said.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_VALUE:
        raise _refused(f"{name} is missing, or no text of 1 to {MAX_VALUE:,} characters")
    return value


def _one_of(said: dict[str, Any], name: str, choices: tuple[str, ...] | frozenset[str]) -> str:
    value = _text(said, name)
    if value not in choices:
        raise _refused(f"{name} is none of {', '.join(sorted(choices))}")
    return value


def _submitted(value: str) -> datetime:
    if not _MOMENT.fullmatch(value):
        raise _refused("submitted_time is no time of RFC 3339")
    try:
        moment = datetime.fromisoformat(value.upper())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _refused("submitted_time is no time that can be") from None


def _identities(said: dict[str, Any]) -> tuple[tuple[str, str, str], ...]:
    listed = said.get("subject_identities", [])
    if not isinstance(listed, list) or len(listed) > MAX_IDENTITIES or not all(isinstance(one, dict) for one in listed):
        raise _refused(f"subject_identities is no list of at most {MAX_IDENTITIES} objects")
    if not listed and not isinstance(said.get("extensions"), dict):
        raise _refused("subject_identities is missing")
    return tuple(
        (
            _one_of(one, "identity_type", IDENTITIES),
            _one_of(one, "identity_format", FORMATS),
            _text(one, "identity_value"),
        )
        for one in listed
    )


def _callbacks(said: dict[str, Any]) -> tuple[str, ...]:
    listed = said.get("status_callback_urls", [])
    if not isinstance(listed, list) or len(listed) > MAX_CALLBACKS:
        raise _refused(f"status_callback_urls is no list of at most {MAX_CALLBACKS} addresses")
    for url in listed:
        if not isinstance(url, str) or len(url) > MAX_VALUE or not _is_https(url):
            raise _refused("status_callback_urls has something other than an https address")
    return tuple(listed)


def _is_https(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname) and not parts.username


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
