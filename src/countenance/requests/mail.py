"""Reads a mail (.eml) that nobody vouches for, within bounds: who wrote, when it arrived, the text, and pictures.

The standard library's strict header parser takes 6 s for one header of 70 kB that is made to hurt, so the structure is
read with the older one, which is linear, and only short headers are given to the strict one.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes, policy
from email.errors import HeaderParseError, MessageError
from email.message import Message
from email.utils import parseaddr, parsedate_to_datetime
from html import unescape
from typing import Final

from countenance.errors import UsageError
from countenance.requests.words import shows_identity_document

MAX_MAIL = 50_000_000  # bytes: twice what mail servers commonly let through
MAX_HEADER = 200_000  # bytes of one line, or of one header over several lines
MAX_CONTENT = (8_000, 200)  # bytes and semicolons of a Content- header: one of 190 kB took 50 s
MAX_BOUNDARIES = 10_000  # lines that begin with two dashes
MAX_WORK = 8_000_000  # lines, times the levels of parts that each may be compared with: 2 s, 400 MB
MAX_PARTS = 100
MAX_OFFERS = 20
MAX_TEXT = 100_000  # characters that are kept of what the person wrote
MAX_LINE = 500  # characters of a name, an address or a subject line

_PICTURES: Final = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"II*\x00", b"MM\x00*")
_BOXES: Final = (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypavif")  # at byte 4 of HEIF and AVIF
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_HIDDEN = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style)\b.*?(?:</\1[^<>]*>?|\Z)", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"</?([a-z!?][a-z0-9]{0,20})?[^<>]*>", re.IGNORECASE)
_LINK = re.compile(r"<a\b[^<>]*?\bhref\s*=\s*(\"[^\"<>]*\"|'[^'<>]*'|[^\s<>]+)", re.IGNORECASE)
_QUOTES = "\"'"
_BLOCKS = ("br", "p", "div", "tr", "li")
_BROKEN = (LookupError, ValueError, TypeError, AttributeError, HeaderParseError, MessageError, RecursionError)
"""What the standard library's mail parser raises on mail that was not meant well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A picture that came along. It is in memory only; `sha256` may be kept."""

    sha256: str  # hex
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """What a mail says."""

    name: str = field(repr=False)
    contact: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    arrived: datetime | None  # as the topmost Received header says, which the receiving server wrote
    offers: tuple[Offer, ...] = field(repr=False)
    warnings: tuple[str, ...]  # sentences, nothing personal


def read(content: bytes) -> Mail:
    """Read a mail. Raises `UsageError` for what is no mail, or is beyond the bounds; all else has some reading."""
    _demand_bounds(content)
    try:
        mail: Message = message_from_bytes(content, policy=policy.compat32)
        headers = {name: _header(mail, name) for name in ("From", "Reply-To", "Received", "Date", "Subject")}
        if not (headers["From"] or headers["Received"] or headers["Date"]):
            raise UsageError("This is not a mail: it has no sender and no date. Nothing was kept of it.")
        text, offers, warnings = _parts(mail)
    except _BROKEN:
        raise UsageError("This is not a mail that can be read. Nothing was kept of it.") from None
    name, contact = _sender(headers["Reply-To"] or headers["From"])
    if not contact:
        warnings.append("The mail does not say in a readable way who wrote it.")
    return Mail(
        name=line(name),
        contact=line(contact),
        subject=line(headers["Subject"]),
        text=text,
        arrived=_moment(headers["Received"].rpartition(";")[2]),
        offers=tuple(offers),
        warnings=tuple(dict.fromkeys(warnings)),
    )


def line(text: str) -> str:
    """Text as one line of at most `MAX_LINE` characters, without control characters."""
    return _CONTROL.sub("", " ".join(text.split()))[:MAX_LINE]


def paragraph(text: str) -> str:
    """Text of at most `MAX_TEXT` characters, without control characters but line ends."""
    return _CONTROL.sub("", text.replace("\r\n", "\n").strip())[:MAX_TEXT]


def is_picture(content: bytes) -> bool:
    """Whether bytes begin as a picture does. They are not decoded."""
    webp = content[:4] == b"RIFF" and content[8:12] == b"WEBP"
    return content.startswith(_PICTURES) or content[4:12] in _BOXES or webp


def _demand_bounds(content: bytes) -> None:
    if len(content) > MAX_MAIL:
        raise UsageError(f"The mail has {len(content):,} bytes; the limit is {MAX_MAIL:,}. Nothing was kept of it.")
    lowered = content.lower()
    levels = 1 + lowered.count(b"multipart") + 100 * (b"delivery-status" in lowered)  # where each empty line is a part
    hard = (content.count(b"\n") + content.count(b"\r")) * levels > MAX_WORK
    hard |= content.count(b"\n--") + content.count(b"\r--") > MAX_BOUNDARIES
    size = marks = 0
    most = (MAX_HEADER, MAX_HEADER)
    for one in () if hard else content.splitlines():
        if one[:1] not in (b" ", b"\t"):
            size = marks = 0
            most = MAX_CONTENT if one[:8].lower() == b"content-" else (MAX_HEADER, MAX_HEADER)
        size, marks = size + len(one), marks + one.count(b";")
        hard = hard or size > most[0] or marks > most[1]
    if hard:
        raise UsageError(
            "The mail is built to be hard to read (endless lines or parts). Nothing was kept of it; type the request in."
        )


def _parts(mail: Message) -> tuple[str, list[Offer], list[str]]:
    """The text that the person wrote, the pictures that they sent along, and warnings."""
    plain: list[str] = []
    marked_up: list[str] = []
    offers: dict[str, Offer] = {}
    warnings: list[str] = []
    for number, part in enumerate(mail.walk()):
        if number >= MAX_PARTS:
            warnings.append(f"The mail has more than {MAX_PARTS} parts; the rest was not read.")
            break
        if part.is_multipart():
            continue
        kind, name, content = part.get_content_type(), _filename(part), _content(part)
        attached = part.get_content_disposition() == "attachment" or name != ""
        if kind in ("text/plain", "text/html") and not attached:
            (plain if kind == "text/plain" else marked_up).append(_decoded(part, content))
        elif shows_identity_document(name):
            warnings.append("An attachment that looks like an identity document was not kept. None is needed; say so.")
        elif not is_picture(content):
            warnings.append("An attachment that is not a picture was not kept.")
        elif len(offers) >= MAX_OFFERS:
            warnings.append(f"More than {MAX_OFFERS} pictures came along; the rest was not kept.")
        else:
            sha256 = hashlib.sha256(content).hexdigest()
            offers[sha256] = Offer(sha256=sha256, content=content)
    text = "\n".join(plain).strip() or _said("\n".join(marked_up)).strip()
    if len(text) > MAX_TEXT:
        warnings.append(f"The text is longer than {MAX_TEXT:,} characters; the rest was not kept.")
    return paragraph(text), list(offers.values()), warnings


def _header(mail: Message, name: str) -> str:
    raw = next((value for key, value in mail.raw_items() if key.casefold() == name.casefold()), "")
    short = str(raw).encode("utf-8", "surrogateescape").decode("utf-8", "replace")[: 4 * MAX_LINE]
    try:
        return str(policy.default.header_fetch_parse(name, " ".join(short.splitlines())))
    except _BROKEN:
        return short


def _sender(header: str) -> tuple[str, str]:
    try:
        return parseaddr(header)
    except _BROKEN:
        return "", ""


def _moment(stamp: str) -> datetime | None:
    try:
        when = parsedate_to_datetime(stamp)
        return when if when.tzinfo and when.timestamp() else None
    except (*_BROKEN, OverflowError):
        return None


def _filename(part: Message) -> str:
    try:
        return part.get_filename() or ""
    except _BROKEN:
        return "?"


def _content(part: Message) -> bytes:
    try:
        content = part.get_payload(decode=True)
    except _BROKEN:
        return b""
    return content if isinstance(content, bytes) else b""


def _decoded(part: Message, content: bytes) -> str:
    try:
        charset = part.get_content_charset("utf-8")
        slow = codecs.lookup(charset).name in {"punycode", "idna"}  # half a minute for 800 kB; no mail is in them
        return content[: 8 * MAX_TEXT].decode("utf-8" if slow else charset, errors="replace")
    except _BROKEN:
        return content[: 8 * MAX_TEXT].decode("utf-8", errors="replace")


def _said(markup: str) -> str:
    """What an HTML mail says, and where its links go. `html.parser` takes an hour for markup that is made to hurt."""
    try:
        text = unescape(_TAG.sub(_shown, _HIDDEN.sub("", markup[: 8 * MAX_TEXT])))
    except ValueError:  # a character reference of 5,000 digits
        return ""
    return "\n".join(line(one) for one in text.splitlines() if one.strip())


def _shown(tag: re.Match[str]) -> str:
    """What stands for a tag: a line end, the address of a link, or nothing."""
    link = _LINK.match(tag[0])
    return f" {link[1].strip(_QUOTES)} " if link else "\n" if tag[1].lower() in _BLOCKS else ""
