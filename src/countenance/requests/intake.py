"""Any channel starts the clock: a request as it comes in by mail or as plain fields.

Nothing of an attachment is kept but the SHA-256 of a picture: the pictures themselves are offers, for as long as the
process needs them. What looks like an identity document is not even offered; there is no field for one. What the person
wants is guessed from plain words only, and a person confirms it. OpenDSR has its own file (`opendsr`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime

from countenance.errors import UsageError
from countenance.requests import mail
from countenance.requests.mail import Offer
from countenance.requests.words import guess
from countenance.store.requests import KINDS, UNCLEAR, Asked, Clue

MAX_CLUES = 100
EARLIEST = datetime(1995, 1, 1, tzinfo=UTC)
"""No request came before: the EU's first law on data protection is of that year."""

_URL = re.compile(r"https?://[^\s<>\"'\])]{1,2000}")
_SHA256 = re.compile(r"(?<![0-9a-fA-F])[0-9a-fA-F]{64}(?![0-9a-fA-F])")
_RECEIPT = re.compile(r"\brcp_[a-z2-7]{20}\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """A request as it came in, before it is stored."""

    channel: str  # mail, opendsr, form
    kind: str  # one of KINDS, or UNCLEAR
    confirmed: bool  # False: guessed, a person must confirm it
    received_at: datetime
    asked: Asked = field(repr=False)
    law: str | None = None  # a key of clock.LAWS, where the channel says so
    offers: tuple[Offer, ...] = field(repr=False, default=())
    warnings: tuple[str, ...] = ()  # sentences, nothing personal


def from_fields(
    *, kind: str, received_at: datetime, now: datetime, name: str = "", contact: str = "", text: str = ""
) -> Intake:
    """A request that somebody typed in. Raises `UsageError` if the kind or the time cannot be."""
    if kind not in KINDS:
        raise UsageError(f"{kind} is no kind of request; choose one of {', '.join(KINDS)}. Nothing was changed.")
    said = mail.paragraph(text)
    return Intake(
        channel="form",
        kind=kind,
        confirmed=True,
        received_at=_past(received_at, now),
        asked=Asked(name=mail.line(name), contact=mail.line(contact), text=said, clues=clues_in(said)),
    )


def from_mail(content: bytes, *, now: datetime, received_at: datetime | None = None) -> Intake:
    """A request that came by mail, from the bytes of its .eml.

    The time of receipt is the one given, else that of the topmost Received header, else `now`. Raises `UsageError` for
    what is no mail or is beyond the bounds of `mail`; anything else starts the clock.
    """
    came = mail.read(content)
    warnings = list(came.warnings)
    if received_at is not None:
        when = _past(received_at, now)
    elif came.arrived is not None and EARLIEST <= came.arrived <= now:
        when = came.arrived.astimezone(UTC)
    else:
        when = now
        warnings.append(
            "The mail does not say when it arrived; the time of reading it counts. If it came earlier, answer by the "
            "earlier date: --received states it when a mail is taken in."
        )
    said = f"{came.subject}\n{came.text}"
    kinds = guess(said)
    if len(kinds) > 1:
        warnings.append(f"The mail may ask for more than one thing ({', '.join(kinds)}). Open a request for each.")
    clues = (*clues_in(said), *(Clue(kind="sha256", value=offer.sha256) for offer in came.offers))
    return Intake(
        channel="mail",
        kind=kinds[0] if kinds else UNCLEAR,
        confirmed=False,
        received_at=when,
        asked=Asked(
            name=came.name,
            contact=came.contact,
            subject=came.subject,
            text=came.text,
            clues=tuple(dict.fromkeys(clues)),
        ),
        offers=came.offers,
        warnings=tuple(warnings),
    )


def clues_in(text: str) -> tuple[Clue, ...]:
    """What a text names that a photo can be found by: web addresses, SHA-256 in hexadecimal, receipts."""
    found = [Clue(kind="address", value=url.rstrip(".,;:!?")) for url in _URL.findall(text)]
    found += [Clue(kind="sha256", value=value.lower()) for value in _SHA256.findall(text)]
    found += [Clue(kind="receipt", value=value) for value in _RECEIPT.findall(text)]
    return tuple(dict.fromkeys(found))[:MAX_CLUES]


def _past(moment: datetime, now: datetime) -> datetime:
    if moment.tzinfo is None:
        raise UsageError("The time of receipt needs its time zone. Nothing was changed.")
    if moment > now:
        raise UsageError("The time of receipt is in the future. Nothing was changed.")
    if moment < EARLIEST:
        raise UsageError(f"The time of receipt lies before {EARLIEST.year}. Nothing was changed.")
    return moment.astimezone(UTC)
