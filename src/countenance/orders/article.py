"""Drafting an order from a news record: Markdown with YAML front matter. A draft never acts; a person confirms each field.

What the text does not say is left out, or stands as a placeholder that `unconfirmed` lists: no draft is approved before
that list is empty.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any

import yaml

from countenance.errors import UsageError
from countenance.orders import order

KNOWN = ("title", "excerpt", "publishedDateTime", "date", "originalUrl", "webUrl", "provider", "topics")
LIMIT = 1_000_000  # characters of a record; articles have about ten thousand
AUTHORITIES = {  # pattern -> authority, its country, where it reaches
    r"\bICO\b|Information Commissioner": ("Information Commissioner's Office", "GB"),
    r"\bCNIL\b": ("Commission nationale de l'informatique et des libertés", "FR"),
    r"\bGarante\b": ("Garante per la protezione dei dati personali", "IT"),
    r"\bHellenic (Data Protection Authority|DPA)\b": ("Hellenic Data Protection Authority", "GR"),
    r"\bAutoriteit Persoonsgegevens\b|\bDutch (DPA|data protection authority)\b": ("Autoriteit Persoonsgegevens", "NL"),
    r"\bAEPD\b": ("Agencia Española de Protección de Datos", "ES"),
    r"\bOAIC\b|Australian Information Commissioner": ("Office of the Australian Information Commissioner", "AU"),
    r"\bFTC\b|Federal Trade Commission": ("Federal Trade Commission", "US"),
}
CURRENCIES = {"£": "GBP", "€": "EUR", "$": "USD"}
MEASURES = {
    "stop": r"\b(stop|cease)\w*\b",
    "erase": r"\b(delet|eras|destroy)\w*\b",
}
SCALES = {None: 1, "million": 1_000_000, "m": 1_000_000, "billion": 1_000_000_000}
_AMOUNT = re.compile(r"([£€$])\s?(\d[\d,]*(?:\.\d+)?)(?:\s?(million|billion|m)\b)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafted:
    """What was made of a record."""

    text: str  # an order file that names every field still to be confirmed
    ignored: tuple[str, ...]  # fields of the record that mean nothing here, such as an encrypted body


def draft_from_article(text: str) -> Drafted:
    """Draft an order file from a news record. Raises `UsageError` if it has no front matter that can be read."""
    fields = _front_matter(text)
    said = " ".join(_words(fields.get(name)) for name in ("title", "excerpt"))
    if not said.strip():
        raise UsageError("The record has neither title nor excerpt, so nothing can be drafted. Nothing was changed.")
    found: dict[str, Any] = {"order": order.VERSION}
    found |= _authority(said) or {"authority": "not found in the record", "country": "EU"}
    found["reference"] = _line(_words(fields.get("title")) or said)
    found["issued"] = _day(fields) or "1970-01-01"
    found["measures"] = [name for name, words in MEASURES.items() if re.search(words, said, re.IGNORECASE)] or ["stop"]
    if fine := _fine(said):
        found["fine"] = fine
    found["scope"] = {"territories": [found["country"]], "unknown": "include"}
    if url := _words(fields.get("originalUrl") or fields.get("webUrl")):
        found["note"] = _line(f"Drafted from {url}. It is a news record: the order's own text decides.")
    found["unconfirmed"] = [name for name in found if name not in {"order", "note"}]
    drafted = yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=100)
    order.parse(drafted)
    return Drafted(text=drafted, ignored=tuple(name for name in fields if name not in KNOWN))


def _front_matter(text: str) -> dict[str, Any]:
    match = re.match(r"\ufeff?---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(\r?\n|$)", text[:LIMIT], re.DOTALL)
    try:
        if match:
            events = yaml.parse(match[1], Loader=yaml.BaseLoader)
            plain = not any(isinstance(each, yaml.AliasEvent) or getattr(each, "anchor", None) for each in events)
            fields = yaml.load(match[1], Loader=yaml.BaseLoader) if plain else None  # noqa: S506 - scalars stay text
            if isinstance(fields, dict):
                return {str(name): value for name, value in fields.items()}
    except (yaml.YAMLError, RecursionError):
        pass
    raise UsageError(
        "The record does not begin with YAML front matter between two lines of ---, as a news record in Markdown does. "
        "Nothing was changed."
    )


def _words(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _line(text: str) -> str:
    """A text as one printable line of a bearable length."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:300]


def _authority(said: str) -> dict[str, str] | None:
    places = ((re.search(pattern, said), found) for pattern, found in AUTHORITIES.items())
    named = min(((match.start(), found) for match, found in places if match), default=None)
    return {"authority": named[1][0], "country": named[1][1]} if named else None


def _day(fields: dict[str, Any]) -> str | None:
    match = re.match(r"\d{4}-\d{2}-\d{2}", _words(fields.get("publishedDateTime") or fields.get("date")))
    try:
        return date.fromisoformat(match[0]).isoformat() if match else None
    except ValueError:
        return None


def _fine(said: str) -> str | None:
    """The most exact amount: the one with the most digits, since "£7.5 million" is what a headline makes of it."""
    found = []
    for sign, digits, scale in _AMOUNT.findall(said):
        amount = round(float(digits.replace(",", "")) * SCALES[scale.lower() or None])
        if 0 < amount < 10**13:
            found.append((len(digits.replace(",", "")), f"{CURRENCIES[sign]} {amount}"))
    return max(found)[1] if found else None
