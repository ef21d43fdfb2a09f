"""The training-and-data-mining assertions of a C2PA manifest: as little of JUMBF (ISO/IEC 19566-5) and CBOR as it takes.

An assertion is a description box, whose label says what it is, with its content box after it. They are found by their
label in the bytes, whatever holds the manifest: a PNG or WebP chunk, a BMFF box, a TIFF field. In a JPEG and a GIF the
manifest is cut into segments, which are put together first. Signatures and hashes are not looked at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, TypeVar

T = TypeVar("T", str, bytes)

_LABEL = re.compile(rb"(?:c2pa|cawg)\.training-mining[\w.]{0,24}\0")
_MOST = 100  # assertions; a manifest has one, and a store holds those of every ingredient
_HEAD = 25  # bytes of a description box before its label: size, type, UUID, toggles
_LARGEST_HEAD = 1024  # bytes of a description box with its label, salt and hash
_LARGEST = 64 * 1024  # bytes of an assertion; four entries take 200
_PIECES = 100_000  # segments of a JPEG, sub-blocks of a GIF: 25 MB of manifest in the smaller
_DEEPEST = 16  # the specification's own nesting is 3
_BREAK = object()

_GIF = b"\x21\xff\x0bC2PA_GIF"
_STANDALONE = {0x01, *range(0xD0, 0xD8)}  # JPEG markers without a length
_END = {0xD9, 0xDA}  # end of image; start of scan, after which no segment counts
_APP11 = 0xEB


def training_mining(content: bytes) -> tuple[tuple[str, str], ...]:
    """Return (entry, use) of every assertion in a picture's manifests, such as ("cawg.data_mining", "notAllowed").

    Nothing is raised; an assertion that cannot be read has no entries.
    """
    streams = [content]
    with suppress(Exception):
        streams.append(_jpeg(content))
    with suppress(Exception):
        streams.append(_gif(content))
    found: list[tuple[str, str]] = []
    for stream in streams:
        for match in islice(_LABEL.finditer(stream), _MOST):
            with suppress(Exception):  # hostile bytes fail in every way there is: RecursionError, IndexError, TypeError
                found += _entries(_document(stream, match.start()))
    return tuple(dict.fromkeys(found))


def _entries(document: Any) -> list[tuple[str, str]]:
    """Take the entries out; CAWG 1.0 left the map that should hold them out of its schema."""
    entries = document.get("entries", document)
    pairs = [(name, entry.get("use")) for name, entry in entries.items() if isinstance(entry, dict)]
    return [(name, use) for name, use in pairs if isinstance(name, str) and isinstance(use, str)]


def _document(stream: bytes, label: int) -> Any:
    """Return what the content box after the description box with this label says; raises on anything that is not so."""
    start = label - _HEAD
    size = int.from_bytes(stream[start : start + 4])
    if start < 0 or stream[start + 4 : start + 8] != b"jumd" or not _HEAD < size <= _LARGEST_HEAD:
        raise ValueError
    box = start + size
    kind, size = stream[box + 4 : box + 8], int.from_bytes(stream[box : box + 4])
    body = stream[box + 8 : box + size]
    if not 8 < size <= _LARGEST:  # noqa: PLR2004 (8: the box's own head)
        raise ValueError
    if kind == b"json":
        return json.loads(body)
    if kind != b"cbor":
        raise ValueError
    return _Cbor(body).item(0)


class _Cbor:
    """A reader of RFC 8949 as far as an assertion needs it: each item takes at least a byte, so the body bounds it."""

    def __init__(self, body: bytes) -> None:
        self._body, self._at = body, 0

    def item(self, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError
        first = self._take(1)[0]
        major, info = first >> 5, first & 31
        if first == 0xFF:  # noqa: PLR2004 - the end of an item of unknown length
            return _BREAK
        count = self._count(info)
        if major == 6:  # noqa: PLR2004 - a tag says how to read the next, which is not needed
            return self.item(depth + 1)
        readers: dict[int, Callable[[], Any]] = {
            0: lambda: count,
            1: lambda: -1 - (count or 0),
            2: lambda: self._string(count, b"", depth),
            3: lambda: self._string(count, "", depth),
            4: lambda: list(self._items(count, depth)),
            5: lambda: self._map(count, depth),
            7: lambda: {20: False, 21: True}.get(info),
        }
        return readers[major]()

    def _take(self, count: int) -> bytes:
        taken = self._body[self._at : self._at + count]
        if len(taken) < count:
            raise ValueError
        self._at += count
        return taken

    def _count(self, info: int) -> int | None:
        """Return the item's argument: a number, a length; None for a length that is not said."""
        if info < 24:  # noqa: PLR2004 - RFC 8949, section 3
            return info
        if info < 28:  # noqa: PLR2004
            return int.from_bytes(self._take(1 << (info - 24)))
        if info == 31:  # noqa: PLR2004
            return None
        raise ValueError

    def _string(self, count: int | None, empty: T, depth: int) -> T:
        if count is None:
            return empty.join(self._items(None, depth))
        taken = self._take(count)
        return taken.decode() if isinstance(empty, str) else taken

    def _items(self, count: int | None, depth: int) -> Iterator[Any]:
        while count is None or count > 0:
            item = self.item(depth + 1)
            if item is _BREAK:
                return
            yield item
            count = None if count is None else count - 1

    def _map(self, count: int | None, depth: int) -> dict[Any, Any]:
        parts = list(self._items(None if count is None else 2 * count, depth))
        return {key: value for key, value in zip(parts[::2], parts[1::2], strict=True) if isinstance(key, str)}


def _jpeg(content: bytes) -> bytes:
    """Join the APP11 segments of each box: after the first, the head of the box is repeated and left out."""
    if not content.startswith(b"\xff\xd8"):
        return b""
    boxes: dict[bytes, list[bytes]] = {}
    at = 2
    for _ in range(_PIECES):
        marker = content[at + 1] if content[at : at + 1] == b"\xff" and at + 4 <= len(content) else 0xD9
        if marker in _END:
            break
        if marker in _STANDALONE or marker == 0xFF:  # noqa: PLR2004 - a byte that fills
            at += 1 if marker == 0xFF else 2  # noqa: PLR2004
            continue
        size = int.from_bytes(content[at + 2 : at + 4])
        segment = content[at + 4 : at + 2 + size]
        if marker == _APP11 and segment[:2] == b"JP":
            parts = boxes.setdefault(segment[2:4], [])
            head = 24 if segment[8:12] == b"\0\0\0\1" else 16  # with a long size
            parts.append(segment[head if parts else 8 :])
        at += 2 + max(size, 2)
    return b"\0".join(b"".join(parts) for parts in boxes.values())


def _gif(content: bytes) -> bytes:
    """Join the sub-blocks of the application extension."""
    at = content.find(_GIF)
    if not content.startswith(b"GIF8") or at < 0:
        return b""
    at += len(_GIF) + 3  # the authentication code
    blocks: list[bytes] = []
    while at < len(content) and content[at] and len(blocks) < _PIECES:
        blocks.append(content[at + 1 : at + 1 + content[at]])
        at += 1 + content[at]
    return b"".join(blocks)
