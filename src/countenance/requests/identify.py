"""Finds photos by what a person can name, without a face: an address, a file, its hash, its look, an album, a name.

What comes back are candidates for the operator to look at, and nothing more: a stranger's photo, or a guessed file name,
must not become a search engine. Only what was reviewed with yes is told or erased (`confirmed`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import PurePath
from urllib.parse import unquote, urlsplit

from countenance.errors import UsageError
from countenance.orders import scope as scopes
from countenance.records import Photo, Scope, Source
from countenance.store import faces, lookup, photos, requests, sources
from countenance.store.database import Tx
from countenance.store.lookup import Seen
from countenance.store.requests import Clue, Request, Review
from countenance.vision.imprint import mirrored

CLUES = {
    "address": "where a photo is: its path or web address, or the end of it",
    "sha256": "the SHA-256 of a photo's file, in hexadecimal",
    "album": "a folder of a source; with a date after a space, the photos taken on that day",
    "receipt": "the number of a receipt that was given out",
    "name": "the name of an enrolled subject",
    "identity": "who asks, as another controller's software names them; it finds no photo",
}
"""Kinds of clue that are kept with a request. A file and a picture are given by themselves, and nothing of them is kept."""

NEAR = 40
"""Bits of 256 in which the imprints of two pictures may differ at most for one to be a candidate of the other.

Of 386 photographs every copy at half the size and JPEG quality 60 differs in at most 13, every one trimmed by 2 % at each
side in at most 27; of 77,000 pairs of different ones, one in 77,000 differs in fewer than 40. A candidate is only looked at."""

MAX_CANDIDATES = 1_000
"""A person's review has an end; more than this says that the clue is too wide."""

VERDICTS = ("yes", "no", "unsure")

_HEX = re.compile(r"[0-9a-fA-F]{64}")
_ALBUM = re.compile(r"(?P<folder>.*?) ?(?P<day>(?<!\S)\d{4}-\d{2}(?:-\d{2})?)?", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One photo that a clue leads to, for the operator's eyes."""

    photo_id: str
    collection_id: str
    face_ids: tuple[str, ...]  # held faces in it; of a subject's name only that subject's
    by: tuple[str, ...]  # the kinds of clue that led to it


def find(
    tx: Tx,
    clues: Iterable[Clue],
    *,
    files: Iterable[bytes] = (),
    imprints: Sequence[bytes] = (),
    collection_id: str | None = None,
) -> list[Candidate]:
    """What these clues, files and pictures lead to, photo by photo.

    `imprints` are those of one offered picture (`vision.imprint`, 32 bytes each). Raises `UsageError` for a clue that
    cannot be, or one that leads to more than `MAX_CANDIDATES` photos.
    """
    given = [*clues, *(Clue(kind="sha256", value=hashlib.sha256(file).hexdigest()) for file in files)]
    search = _Search(tx=tx, collection_id=collection_id)
    found: dict[str, dict[str, set[str]]] = {}  # photo, kind of clue, its faces
    for clue in dict.fromkeys(given):
        if clue.kind not in CLUES:
            raise UsageError(f"{clue.kind} is no kind of clue; choose one of {', '.join(CLUES)}.")
        _take(found, clue.kind, _FINDERS[clue.kind](search, clue.value))
    if imprints:
        _take(found, "picture", _by_imprint(search, imprints))
    known = photos.several(tx, found)
    return [
        Candidate(
            photo_id=photo_id,
            collection_id=known[photo_id].collection_id,
            face_ids=tuple(sorted(set().union(*kinds.values()))),
            by=tuple(kinds),
        )
        for photo_id, kinds in found.items()
    ]


def review(request: Request, verdicts: Iterable[tuple[str, str | None, str]], *, on: date) -> tuple[Review, ...]:
    """The request's reviews with these (photo, face or None, verdict) added; a later verdict replaces an earlier one."""
    settled = {(one.photo_id, one.face_id): one for one in request.reviews}
    for photo_id, face_id, verdict in verdicts:
        if verdict not in VERDICTS:
            raise UsageError(f"{verdict} is no verdict; choose one of {', '.join(VERDICTS)}. Nothing was changed.")
        settled[photo_id, face_id] = Review(photo_id=photo_id, face_id=face_id, verdict=verdict, on=on)  # type: ignore[arg-type]
    return tuple(settled.values())


def confirmed(tx: Tx, request: Request) -> list[Scope]:
    """What the request reaches: all that was reviewed with yes and is still held, a scope for each collection.

    A face takes its photo along as every erasure does (`orders.scope`); a photo that was confirmed as a whole goes as a
    whole. Raises `UsageError` if something is still unsure, or if nothing was confirmed.
    """
    if unsure := sum(one.verdict == "unsure" for one in request.reviews):
        raise UsageError(
            f"{unsure} candidates are still unsure. Settle them with yes or no first. Nothing was changed."
        )
    yes = [one for one in request.reviews if one.verdict == "yes"]
    if not yes:
        raise UsageError("No candidate was confirmed, so there is nothing to reach. Nothing was changed.")
    scoped: list[Scope] = []
    held = {face.id for face in faces.stored(tx, id=[one.face_id for one in yes if one.face_id], state="held")}
    for_faces: dict[str, list[str]] = {}
    for face_id in sorted(held):
        for_faces.setdefault(faces.find(tx, face_id).collection_id, []).append(face_id)
    scoped += [scopes.of_faces(tx, of_one, reason="request") for of_one in for_faces.values()]
    whole: dict[str, list[str]] = {}
    for photo in _present(tx, (one.photo_id for one in yes if one.face_id is None)):
        whole.setdefault(photo.collection_id, []).append(photo.id)
    scoped += [scopes.of_photos(tx, of_one) for of_one in whole.values()]
    if not scoped:
        raise UsageError("All that was confirmed is gone already. Nothing was changed.")
    return scoped


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """Where to look."""

    tx: Tx
    collection_id: str | None

    def sources(self) -> list[Source]:
        return sources.every(self.tx, self.collection_id)

    def seen(self) -> Iterator[tuple[str, Seen]]:
        """Each photo with its source's location, opened: what a person names is sealed, so the only way is to look."""
        for source in self.sources():
            for seen in lookup.every(self.tx, source.id):
                yield source.location, seen

    def with_faces(self, photo_ids: Iterable[str]) -> dict[str, set[str]]:
        """Photos of the collection that no erasure has stopped, with the faces held in them."""
        held: dict[str, set[str]] = {photo.id: set() for photo in _present(self.tx, photo_ids) if self.covers(photo)}
        for face in faces.stored(self.tx, photo_id=list(held), state="held"):
            held[face.photo_id].add(face.id)
        return held

    def covers(self, photo: Photo) -> bool:
        return self.collection_id in (None, photo.collection_id)


def _take(found: dict[str, dict[str, set[str]]], kind: str, more: dict[str, set[str]]) -> None:
    for photo_id, face_ids in more.items():
        found.setdefault(photo_id, {}).setdefault(kind, set()).update(face_ids)
    if len(found) > MAX_CANDIDATES:
        raise UsageError(
            f"That leads to more than {MAX_CANDIDATES:,} photos. Ask for something narrower, such as an album with a date."
        )


def _by_address(search: _Search, value: str) -> dict[str, set[str]]:
    """An exact path first; then the end of a path, at least the whole name of the file."""
    wanted = _segments(value)
    if not wanted:
        raise UsageError("An address needs at least the name of a file.")
    exact = [
        known
        for source in search.sources()
        for path in _inside(source.location, value)
        if (known := lookup.at_address(search.tx, source.id, path))
    ]
    if exact:
        return search.with_faces(exact)
    return search.with_faces(seen.photo_id for _, seen in search.seen() if _same_end(_segments(seen.address), wanted))


def _by_sha256(search: _Search, value: str) -> dict[str, set[str]]:
    if not _HEX.fullmatch(value.strip()):
        raise UsageError("A SHA-256 has 64 hexadecimal digits.")
    return search.with_faces(lookup.with_content(search.tx, bytes.fromhex(value.strip())))


def _by_album(search: _Search, value: str) -> dict[str, set[str]]:
    parts = _ALBUM.fullmatch(value.strip())
    assert parts
    folder, day = _segments(parts["folder"]), parts["day"] or ""
    if not folder and not day:
        raise UsageError("An album is a folder, a date such as 2026-05-18, or both with a space between.")
    return search.with_faces(
        seen.photo_id
        for location, seen in search.seen()
        if (_within(location, seen.address, folder) and seen.taken_at.startswith(day))
        or (not folder and _within(location, seen.address, (day,)))  # a folder may be called by its day
    )


def _by_name(search: _Search, value: str) -> dict[str, set[str]]:
    return _of_subjects(search, lookup.subjects_named(search.tx, value, search.collection_id))


def _by_receipt(search: _Search, value: str) -> dict[str, set[str]]:
    about = requests.about(search.tx, value)
    if about is None:
        return {}
    if about.startswith("sub_"):
        return _of_subjects(search, [about])
    if about.startswith("pho_"):
        return search.with_faces([about])
    yes = [one for one in requests.find(search.tx, about).reviews if one.verdict == "yes"]
    chosen = {one.face_id for one in yes if one.face_id}
    whole = search.with_faces(one.photo_id for one in yes)
    return {photo_id: held & chosen or held for photo_id, held in whole.items()}


def _by_identity(_search: _Search, _value: str) -> dict[str, set[str]]:
    return {}


def _by_imprint(search: _Search, offered: Sequence[bytes]) -> dict[str, set[str]]:
    wanted = [int.from_bytes(one) for each in offered for one in (each, mirrored(each))]
    return search.with_faces(
        seen.photo_id
        for _, seen in search.seen()
        if seen.imprint and min((int(seen.imprint, 16) ^ one).bit_count() for one in wanted) <= NEAR
    )


def _of_subjects(search: _Search, subject_ids: Iterable[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for face in faces.stored(search.tx, subject_id=list(subject_ids), state="held"):
        found.setdefault(face.photo_id, set()).add(face.id)
    return {photo_id: found[photo_id] for photo_id in search.with_faces(found)}


def _segments(value: str) -> tuple[str, ...]:
    """The parts of a path or web address, without host, query and case."""
    path = value.strip()
    if "://" in path:
        with suppress(ValueError):
            path = unquote(urlsplit(path).path)
    return tuple(part for part in path.replace("\\", "/").casefold().split("/") if part not in ("", "."))


def _inside(location: str, value: str) -> Iterator[str]:
    """What an address may be called inside a source."""
    yield value
    if value.startswith("/"):
        with suppress(ValueError):
            yield str(PurePath(value).relative_to(location))


def _same_end(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether the shorter path is the end of the longer, at least by the name of the file."""
    least = min(len(one), len(other))
    return least > 0 and one[-least:] == other[-least:]


def _within(location: str, address: str, folder: tuple[str, ...]) -> bool:
    """Whether a photo lies in a folder, given inside its source or in full."""
    inside = _segments(address)[:-1]
    full = _segments(location) + inside
    return folder in (inside[: len(folder)], full[: len(folder)])


def _present(tx: Tx, photo_ids: Iterable[str]) -> list[Photo]:
    """Those of the photos that are still there and that no erasure has stopped."""
    there = lookup.present(tx, photo_ids)
    return list(photos.several(tx, there).values())


_FINDERS: dict[str, Callable[[_Search, str], dict[str, set[str]]]] = {
    "address": _by_address,
    "sha256": _by_sha256,
    "album": _by_album,
    "receipt": _by_receipt,
    "name": _by_name,
    "identity": _by_identity,
}
