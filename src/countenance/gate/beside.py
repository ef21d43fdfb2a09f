"""What stands beside a picture and reserves it: tdmrep.json and robots.txt at a source's root, XMP sidecars, HTTP headers.

::

    signs = gather(notes)            # once a source: (path, content) of each file that `speaks`
    signs.at("2014/rally.jpg")       # the reservations of one photo

Nothing is fetched: the files are those that lie in the source. Every byte is taken for hostile and nothing is raised.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from typing import Any
from urllib.parse import unquote

from countenance.gate.reservations import in_xmp
from countenance.records import Reservation, Reserves

TDMREP, ROBOTS = ".well-known/tdmrep.json", "robots.txt"
"""Where the files lie under a source's root."""

SIDECAR = ".xmp"
"""What the name of a file ends in that holds a picture's XMP: rally.jpg.xmp or rally.xmp."""

LARGEST = 500 * 1024
"""Bytes of a file that are read: what RFC 9309 asks for at least of robots.txt."""

USAGE: dict[str, Reserves] = {"train-ai": "ai", "ai-use": "generation", "search": "search"}
"""The categories of draft-ietf-aipref-vocab, as of 2026. It has no word for a model that generates nothing, so who says no
to AI training is taken to say no to AI; to search, by this or otherwise, is what templates are for."""

_MOST = 1000  # rules of a file, and headers of a response
_LONGEST = 8192  # characters of a header's value
_LONGEST_MEMBER = 200  # characters of one preference
_MEMBER = re.compile(r"\s*([a-z*][a-z0-9_.*-]*)\s*(?:=\s*([^;\s]*))?\s*(?:;.*)?", re.DOTALL)
_NOAI = ("noai", "noimageai")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """The rules of a source's two files, in their order, and what sidecars say."""

    tdmrep: tuple[tuple[str, bool], ...] = ()  # pattern, whether it is reserved
    robots: tuple[tuple[str, frozenset[str]], ...] = ()  # pattern, categories that are disallowed
    sidecars: Mapping[str, tuple[Reservation, ...]] = field(default_factory=dict)  # by path, in lower case

    def at(self, path: str) -> tuple[Reservation, ...]:
        """Return the reservations of the photo at a path inside the source (as in `records.Address`)."""
        if not (self.tdmrep or self.robots or self.sidecars):
            return ()
        path = path.removeprefix("./")  # as some tars have it
        full = "/" + path
        reserved = next((reserved for pattern, reserved in self.tdmrep if matches(pattern, full)), False)
        found = [_tdm(f"{TDMREP} of the source")] if reserved else []
        usage = [
            (len(pattern.encode("utf-8", "surrogateescape")), no)
            for pattern, no in self.robots
            if matches(pattern, full)
        ]
        longest = max((length for length, _ in usage), default=0)
        disallowed = frozenset[str]().union(*(no for length, no in usage if length == longest))
        names = dict.fromkeys(f"{name}{SIDECAR}".casefold() for name in (path, path.rpartition(".")[0]))
        beside = [each for name in names for each in self.sidecars.get(name, ())]
        return (*found, *_aipref(disallowed, f"{ROBOTS} of the source"), *dict.fromkeys(beside))


def speaks(path: str) -> bool:
    """Whether the file at a path inside a source can reserve a photo beside it."""
    return path in {TDMREP, ROBOTS} or path.casefold().endswith(SIDECAR)


def gather(notes: Iterable[tuple[str, bytes]]) -> Signs:
    """Read all that stands beside a source's photos: paths that `speaks` names, and their contents."""
    root: dict[str, bytes] = {}
    sidecars = {}
    for path, content in notes:
        if path in {TDMREP, ROBOTS}:
            root[path] = content
        elif found := in_xmp(content, "XMP sidecar"):
            sidecars[path.casefold()] = found
    return replace(read(tdmrep=root.get(TDMREP), robots=root.get(ROBOTS)), sidecars=sidecars)


def read(*, tdmrep: bytes | None = None, robots: bytes | None = None) -> Signs:
    """Read the two files of a source's root, None where there is none. A file that cannot be read has no rules."""
    locations: tuple[tuple[str, bool], ...] = ()
    rules: tuple[tuple[str, frozenset[str]], ...] = ()
    with suppress(Exception):  # RecursionError of nested JSON, ValueError of a number with 5,000 digits
        locations = tuple(islice(_locations(json.loads((tdmrep or b"[]")[:LARGEST])), _MOST))
    with suppress(Exception):
        rules = tuple(islice(_rules((robots or b"")[:LARGEST].decode("utf-8", "surrogateescape")), _MOST))
    return Signs(tdmrep=locations, robots=rules)


def in_headers(headers: Iterable[tuple[str, str]]) -> tuple[Reservation, ...]:
    """Return the reservations in the headers of the response that brought a picture, as (name, value).

    A directive that X-Robots-Tag addresses to one crawler counts as well: it says what the owner wants.
    """
    found: list[Reservation] = []
    for name, text in islice(headers, _MOST):
        value = text[:_LONGEST]
        match name.strip().lower():
            case "x-robots-tag":
                said = set(re.split(r"[\s,:;]+", value.lower()))
                origin = "HTTP header X-Robots-Tag"
                found += [
                    Reservation(kind="noai", reserves="ai", origin=origin, text=each) for each in _NOAI if each in said
                ]
            case "tdm-reservation" if value.strip() == "1":
                found.append(_tdm("HTTP header tdm-reservation"))
            case "content-usage":
                found += _aipref(disallowed_in(value), "HTTP header Content-Usage")
    return tuple(dict.fromkeys(found))


def disallowed_in(usage: str) -> frozenset[str]:
    """Return the categories that a usage preference such as ``train-ai=n, search=y`` disallows; the last of a key counts.

    Capitals, against which the draft decides, are read as small letters: what they say is plain.
    """
    last: dict[str, str | None] = {}
    for member in usage.lower().split(","):
        if len(member) <= _LONGEST_MEMBER and (match := _MEMBER.fullmatch(member)):
            last[match[1]] = match[2]
    return frozenset(key for key in USAGE if last.get(key) == "n")


def matches(pattern: str, path: str) -> bool:
    """Whether a pattern matches the start of a path, as in RFC 9309: ``*`` is anything, ``$`` at the end is the end.

    The path is as the source lists it; the pattern may have percent-encoding, of ``*`` and ``$`` too. Case counts.
    """
    first, *rest = _parts(pattern)
    whole = pattern.endswith("$")
    if not rest:
        return path == first if whole else path.startswith(first)
    if not path.startswith(first):
        return False
    at = len(first)
    *middle, last = rest
    for part in middle:
        at = path.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return path.endswith(last) and len(path) - len(last) >= at if whole else path.find(last, at) >= 0


@lru_cache(
    2 * _MOST
)  # one of 500 kB takes 0.2 s, and is matched with every photo; the files of one source have at most 2,000
def _parts(pattern: str) -> tuple[str, ...]:
    return tuple(unquote(part, errors="surrogateescape") for part in pattern.removesuffix("$").split("*"))


def _tdm(origin: str) -> Reservation:
    return Reservation(kind="tdmrep", reserves="mining", origin=origin, text="tdm-reservation 1")


def _aipref(disallowed: frozenset[str], origin: str) -> Iterator[Reservation]:
    for category, reserves in USAGE.items():
        if category in disallowed:
            yield Reservation(kind="aipref", reserves=reserves, origin=origin, text=f"Content-Usage {category}=n")


def _locations(document: Any) -> Iterator[tuple[str, bool]]:
    """Yield the rules of tdmrep.json; one rule without its list, or without a location, is plain enough to count."""
    for rule in document if isinstance(document, list) else [document]:
        if not isinstance(rule, dict):
            continue
        location, reserved = rule.get("location", "/"), rule.get("tdm-reservation")
        if isinstance(location, str) and reserved in (0, 1, "0", "1"):
            yield location if location.startswith(("/", "*")) else "/" + location, reserved in (1, "1")


def _rules(text: str) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the Content-Usage rules for every crawler; those before any group are for every crawler too."""
    agents, grouped = {"*"}, True
    for line in re.split("[\r\n]+", text.removeprefix("\ufeff")):
        key, _, rest = line.partition("#")[0].partition(":")
        key, rest = key.strip().lower(), rest.strip()
        if key == "user-agent":
            agents, grouped = ({rest} if grouped else agents | {rest}), False
        elif key in {"allow", "disallow", "content-usage"}:
            grouped = True
            if key == "content-usage" and "*" in agents:
                pattern, _, usage = rest.replace("\t", " ").partition(" ") if rest.startswith("/") else ("/", "", rest)
                yield pattern, disallowed_in(usage)
