"""Finds photos by what a person can name, without a face: an address, a file, its hash, its look, an album, a name.

What comes back are candidates for the operator to look at, and nothing more: a stranger's photo, or a guessed file name,
must not become a search engine. Only what was reviewed with yes is told or erased (`confirmed`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import PurePath
from urllib.parse import unquote, urlsplit

from countenance.errors import UsageError
from countenance.orders import scope as scopes
from countenance.orders.survey import subjects_gone
from countenance.records import Box, Photo, Scope, Source
from countenance.store import faces, lookup, photos, requests, sources
from countenance.store.database import Tx
from countenance.store.faces import Stored
from countenance.store.lookup import Seen
from countenance.store.requests import Clue, Request, Review
from countenance.vision import imprint
from countenance.vision.decode import decode
from countenance.vision.detect import FIRST

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

SURE = 0.43
"""The score from which a face of a confirmed photo is taken for the person's: among 100 faces one search in 100 for a
stranger gives one as high. A scan shows far less sure ones."""

MAX_CANDIDATES = 1_000
"""A person's review has an end; more than this says that the clue is too wide."""

VERDICTS = ("yes", "no", "unsure")

_HEX = re.compile(r"[0-9a-fA-F]{64}")
_ALBUM = re.compile(r"(?P<folder>.*?) ?(?P<day>(?<!\S)\d{4}-\d{2}(?:-\d{2})?)?", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """Where in a photo a face looks like an offered one, as a transient scan saw it."""

    box: Box
    score: float  # cosine, -1 to 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One photo that a clue leads to, for the operator's eyes."""

    photo_id: str
    collection_id: str
    face_ids: tuple[str, ...]  # held faces in it; of a subject's name only that subject's
    by: tuple[str, ...]  # the kinds of clue that led to it
    likenesses: tuple[Likeness, ...] = ()  # of a transient scan only, the likest first


def place(one: Candidate) -> Box | None:
    """Where in a photo the person surely is, by a transient scan; None if nowhere or in several places."""
    sure = [like.box for like in one.likenesses if like.score >= SURE]
    return sure[0] if len(sure) == 1 else None


def find(
    tx: Tx,
    clues: Iterable[Clue],
    *,
    files: Iterable[bytes] = (),
    imprints: Sequence[bytes] = (),
    collection_id: str | None = None,
) -> list[Candidate]:
    """What these clues, files and pictures lead to, photo by photo.

    `imprints` are those of offered pictures (`vision.imprint`, 32 bytes each). Raises `UsageError` for a clue that
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


def imprints_of(content: bytes) -> tuple[bytes, ...]:
    """The imprints of an offered picture, in a worker. Raises `BadImage`; nothing of it is kept."""
    return imprint.imprints(decode(content, FIRST).pixels)


def review(request: Request, verdicts: Mapping[str, str], *, on: date) -> tuple[Review, ...]:
    """The request's reviews after what the operator says of candidates, by id of a face or a photo.

    A verdict on a photo is one on every face of it; yes takes the photo as a whole, and its faces that nobody judged
    count as other people's. Raises `UsageError` for what is no candidate, so that no typing error reaches a stranger.
    """
    settled = {(one.photo_id, one.face_id): one for one in request.reviews}
    for name, verdict in verdicts.items():
        if verdict not in VERDICTS:
            raise UsageError(f"{verdict} is no verdict; choose one of {', '.join(VERDICTS)}. Nothing was changed.")
        meant = [key for key in settled if name in key]
        if not meant:
            raise UsageError(f"{name} is no candidate of this request. Nothing was changed; look for it first.")
        said = dict.fromkeys(meant, verdict)
        if verdict == "yes" and meant[0][0] == name:
            said = {key: "no" for key in meant if settled[key].verdict == "unsure"} | {(name, None): "yes"}
        for (photo_id, face_id), one in said.items():
            box = settled[photo_id, face_id].box if (photo_id, face_id) in settled else None
            settled[photo_id, face_id] = Review(photo_id=photo_id, face_id=face_id, verdict=one, on=on, box=box)  # type: ignore[arg-type]
    return tuple(settled.values())


def confirmed(tx: Tx, request: Request) -> list[Scope]:
    """What the request reaches: all that was reviewed with yes and is still there, a scope for each collection.

    A face takes its photo along as every erasure does (`orders.scope`); a photo that was confirmed as a whole goes as a
    whole, and so does an enrolled subject of whom nothing is left. A withdrawal of consent reaches the whole subject,
    as `Vault.withdraw` does. Raises `UsageError` if something is unsure, or if there is nothing to reach.
    """
    if unsure := sum(one.verdict == "unsure" for one in request.reviews):
        raise UsageError(
            f"{unsure} candidates are still unsure. Settle them with yes or no first. Nothing was changed."
        )
    if not any(one.verdict == "yes" for one in request.reviews):
        raise UsageError("No candidate was confirmed, so there is nothing to reach. Nothing was changed.")
    whole, in_part = still_there(tx, request)
    going = faces.stored(tx, photo_id=list(whole)) + faces.stored(tx, id=in_part)
    if request.kind == "withdrawal":
        going += faces.stored(tx, subject_id=[face.subject_id for face in going if face.subject_id])
    found = photos.several(tx, {*whole, *(face.photo_id for face in going)})
    if not found:
        raise UsageError("All that was confirmed is gone already. Nothing was changed.")
    scoped = []
    for collection_id in dict.fromkeys(photo.collection_id for photo in found.values()):
        here = [face for face in going if found[face.photo_id].collection_id == collection_id]
        face_ids = {face.id for face in here}
        theirs = {face.subject_id for face in here if face.subject_id} if request.kind == "withdrawal" else ()
        subject_ids = sorted({*theirs, *subjects_gone(tx, collection_id, face_ids)})
        photo_ids = [photo_id for photo_id in whole if found[photo_id].collection_id == collection_id]
        scoped.append(scopes.of_request(tx, request.id, collection_id, photo_ids, face_ids, subject_ids))
    return scoped


def still_there(tx: Tx, request: Request) -> tuple[list[str], list[str]]:
    """Of what was reviewed with yes, the photos as a whole and the faces that no erasure has reached."""
    yes = [one for one in request.reviews if one.verdict == "yes"]
    whole = lookup.present(tx, [one.photo_id for one in yes if one.face_id is None])
    return whole, sorted(faces.beyond_stop(tx, [one.face_id for one in yes if one.face_id]))


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
        for face in _free(self.tx, photo_id=list(held)):
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
    whole, in_part = still_there(search.tx, requests.find(search.tx, about))
    found: dict[str, set[str]] = {}
    for face in faces.stored(search.tx, id=in_part):
        found.setdefault(face.photo_id, set()).add(face.id)
    return {name: found[name] for name in search.with_faces(found)} | search.with_faces(whole)


def _by_identity(_search: _Search, _value: str) -> dict[str, set[str]]:
    return {}


def _by_imprint(search: _Search, offered: Sequence[bytes]) -> dict[str, set[str]]:
    wanted = [int.from_bytes(one) for each in offered for one in (each, imprint.mirrored(each))]
    return search.with_faces(
        seen.photo_id
        for _, seen in search.seen()
        if seen.imprint and min((int(seen.imprint, 16) ^ one).bit_count() for one in wanted) <= NEAR
    )


def _of_subjects(search: _Search, subject_ids: Iterable[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for face in _free(search.tx, subject_id=list(subject_ids)):
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


def _free(tx: Tx, **where: list[str]) -> list[Stored]:
    """Faces that no erasure has stopped."""
    found = faces.stored(tx, **where)
    free = faces.beyond_stop(tx, [face.id for face in found])
    return [face for face in found if face.id in free]


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
