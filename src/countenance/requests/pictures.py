"""The pictures of an access answer: each photo, read from its source anew, with everybody but the person hidden.

Where the photo cannot be had, the crop that the vault keeps of the person's face stands in for it, with a sentence that
says why.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from countenance import errors
from countenance import sources as openers
from countenance.records import Address, Box, Collection, Face, Photo, Source
from countenance.sources import Content, Opened

MAX_PHOTOS = 1_000  # pictures in one answer, as many as one look for candidates can lead to
MAX_BYTES = 200 * 2**20  # of all pictures in one answer: about 200 whole photos; then the stored crops are given
AHEAD = 8  # photos that are with the workers while the next is read

CHANGED = "The file at the source is not the one that was looked at, so where its faces are is not known."
ENROLMENT = "It was given to enrol a person; of it the vault keeps the face alone."
VANISHED = "The file is not at its source any more."
UNREACHED = "The source of the photo cannot be reached."
FULL = "The answer would grow too large."
NO_CROP = "No part of it is kept either."

Hide = Callable[..., Future[Any]]
"""`vision.others.hide_others` in a worker, without its last argument."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One photo to be told of."""

    photo: Photo
    source: Source
    collection: Collection
    address: Address
    sha256: str
    position: tuple[float, float] | None
    own: tuple[Face, ...]
    seen: tuple[Box, ...]  # where a transient scan saw the person, of whom no face is held
    others: tuple[Box, ...]  # of faces that are known and not the person's
    crops: Mapping[str, bytes] = field(repr=False)  # by face: its crop

    @property
    def alone(self) -> bool:
        """Whether the one face in the photo must be the person's: it was confirmed as a whole, and no face is known."""
        return not (self.own or self.seen or self.others) and self.photo.faces == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture that is given out."""

    name: str  # in the zip
    content: bytes = field(repr=False)  # JPEG
    hidden: int  # others in it
    scale: float  # pixels of it per pixel of the photo
    of: Face | None = None  # whose crop it is; None: the whole photo


def without_others(hide: Hide, shown: Sequence[Shown]) -> Iterator[tuple[Shown, list[Picture], str]]:
    """Each photo with its picture, or the person's crops and a sentence that says why; in no particular order."""
    room = MAX_BYTES
    for each, given in _sent(hide, shown[:MAX_PHOTOS]):
        pictures, why = _whole(each, given) if room > 0 else ([], FULL)
        pictures = pictures or _crops(hide, each)
        room -= sum(len(picture.content) for picture in pictures)
        yield each, pictures, why if pictures else f"{why} {NO_CROP}"
    yield from ((each, [], FULL) for each in shown[MAX_PHOTOS:])


def _sent(hide: Hide, shown: Sequence[Shown]) -> Iterator[tuple[Shown, Future[Any] | str]]:
    """Each photo with what a worker makes of its file, or why it cannot be had; a few are under way at a time."""
    under_way: deque[tuple[Shown, Future[Any] | str]] = deque()
    for each, content in _contents(shown):
        given: Future[Any] | str = content if isinstance(content, str) else _hidden(hide, each, content)
        under_way.append((each, given))
        if len(under_way) > AHEAD:
            yield under_way.popleft()
    yield from under_way


def _hidden(hide: Hide, each: Shown, content: bytes, of: Face | None = None) -> Future[Any]:
    own = [of.box] if of else [*each.seen, *(face.box for face in each.own)]
    known = [*each.others, *(face.box for face in each.own if of and face is not of)]
    return hide(content, own, known, of.crop_box if of else None, each.alone)


def _whole(each: Shown, given: Future[Any] | str) -> tuple[list[Picture], str]:
    if isinstance(given, str):
        return [], given
    try:
        content, others, scale = given.result()
    except errors.BadImage as error:
        return [], error.facts.get("sentence", str(error))
    return [Picture(name=f"photos/{each.photo.id}.jpg", content=content, hidden=others, scale=scale)], ""


def _crops(hide: Hide, each: Shown) -> list[Picture]:
    """The crops that are kept of the person's faces, without anybody who is on them too."""
    found = []
    for face in each.own:
        with suppress(errors.BadImage):
            content, others, scale = _hidden(hide, each, each.crops[face.id], face).result()
            name = f"photos/{each.photo.id}-{face.id}.jpg"
            found.append(Picture(name=name, content=content, hidden=others, scale=scale, of=face))
    return found


def _contents(shown: Sequence[Shown]) -> Iterator[tuple[Shown, bytes | str]]:
    """Each photo's file as it was looked at, or why it cannot be had, source by source."""
    for source in {each.source.id: each.source for each in shown}.values():
        left = {each.address.path: each for each in shown if each.source.id == source.id}
        why = ENROLMENT if source.kind == "enrolment" else UNREACHED
        if source.kind != "enrolment":
            with suppress(errors.SourceError, errors.UsageError), openers.open(source.kind, source.location) as opened:
                for address, content in _read(opened, source.kind, [each.address for each in left.values()]):
                    each = left.pop(address.path)
                    yield each, _same(each, content)
                why = VANISHED
        yield from ((each, why) for each in left.values())


def _read(opened: Opened, kind: str, wanted: Sequence[Address]) -> Iterator[tuple[Address, Content]]:
    """What is at these addresses: of a folder file by file, of an archive in one pass."""
    if kind != "folder":
        paths = {address.path for address in wanted}
        yield from opened.photos(lambda address: address.path in paths)
        return
    for address in wanted:
        try:
            yield address, opened.read(address)
        except (errors.AddressUnreadable, errors.BadImage) as error:
            yield address, error


def _same(each: Shown, content: Content) -> bytes | str:
    """The file, if it is the one whose boxes are known."""
    if not isinstance(content, bytes):
        return str(content)
    return content if hashlib.sha256(content).hexdigest() == each.sha256 else CHANGED
