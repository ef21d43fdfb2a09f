"""An erasure and what lies beside a photo's file: sidecars, thumbnails, films. `sources.companion` says what those are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from countenance import errors
from countenance.orders.worklist import Todo
from countenance.records import Address
from countenance.sources import Companion, Opened
from countenance.store import photos
from countenance.store.database import Database
from countenance.vision.pool import Pool
from countenance.vision.sidecar import scrub

Do = Literal["delete", "rewrite", "judge", "leave"]

DO: dict[str, dict[str, Do]] = {  # kind -> what the erasure does to the photo's file -> what is done to the companion
    "xmp": {"delete": "delete", "redact": "rewrite"},
    "takeout": {"delete": "delete", "redact": "rewrite"},
    "json": {"delete": "judge", "redact": "rewrite"},
    "thumbnail": {"delete": "delete", "redact": "delete"},  # its tool makes it again, from the redacted picture
    "film": {"delete": "judge", "redact": "leave"},
    "settings": {"delete": "delete", "redact": "leave"},
    "original": {"delete": "delete", "redact": "leave"},
    "raw": {"delete": "leave", "redact": "leave"},  # a photo of its own, of which the other may be a copy
    "list": {"delete": "leave", "redact": "leave"},
    "link": {"delete": "leave", "redact": "leave"},
    "unlisted": {"delete": "leave", "redact": "leave"},
}
"""To judge is to look at the content before it is deleted: a file of the same name can be anything."""

LIVE = b"com.apple.quicktime.content.identifier"
"""What joins the film of a Live Photo to its picture (Apple, PHLivePhoto); 1 to 6 MB of film have it at the end."""

WHY = {
    "xmp": "It lies beside the photo and is not an XMP file that can be rewritten.",
    "takeout": "It lies beside the photo and is not a Google Takeout file that can be rewritten.",
    "json": "It has the photo's name and is no Google Takeout file.",
    "thumbnail": "It shows the photo in small.",
    "film": "It has the photo's name and can show the same person.",
    "settings": "It says how the photo was edited, and can name or point at the face.",
    "original": "It is the photo as it was before it was edited.",
    "raw": "It has the photo's name and can be the same picture.",
    "list": "One file for the whole folder can hold a thumbnail, a face or a name of each photo in it.",
    "link": "It lies beside the photo and leads elsewhere; links are not followed.",
    "unlisted": "What lies beside it could not be listed, and can show or name the face.",
}
SHARED = "It lies beside more than one photo and can belong to each."
LINKED = "Its content has other names (hard links)."


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One photo whose file has been dealt with."""

    photo_id: str
    path: str
    action: str  # delete, redact


def clear(
    database: Database,
    pool: Callable[[], Pool],
    opened: Opened,
    erasure_id: str,
    done: Iterable[Done],
    *,
    writable: bool,
) -> tuple[int, list[Todo]]:
    """Deal with the companions of these photos: how many were deleted or rewritten, and what is left to do by hand.

    What was found is noted with the photo before anything is touched, so that it is counted the same after a crash.
    """
    done = list(done)
    touched: set[str] = set()
    left: list[Todo] = []
    try:
        found = opened.companions([one.path for one in done])
    except errors.SourceError as error:
        return 0, [Todo(path=one.path, action=one.action, why=str(error)) for one in done]
    if writable:
        found = _noted(database, erasure_id, done, found)
    for one in done:
        for companion in found.get(one.path, ()):
            if companion.path in touched:
                continue
            todo = _todo(companion, one.action) if not writable else _act(pool, opened, companion, one.action)
            if todo:
                left.append(todo)
            else:
                touched.add(companion.path)
    return len(touched), [todo for todo in left if todo.path not in touched]


def _noted(
    database: Database, erasure_id: str, done: list[Done], found: Mapping[str, Sequence[Companion]]
) -> dict[str, Sequence[Companion]]:
    """For each path the companions that were there when this erasure first looked."""
    beside = dict(found)
    new = []
    with database.read() as tx:
        fields = photos.fields_of(tx, [one.photo_id for one in done])
        for one in done:
            noted = fields[one.photo_id].get("companions", {})
            if noted.get("erasure") == erasure_id:
                beside[one.path] = [Companion(path=p, kind=kind, shared=shared) for p, kind, shared in noted["found"]]
            elif one.path in found:
                new.append(one)
    if new:
        with database.write() as tx:
            for one in new:
                listed = [(companion.path, companion.kind, companion.shared) for companion in found[one.path]]
                photos.note(tx, one.photo_id, companions={"erasure": erasure_id, "found": listed})
    return beside


def _act(pool: Callable[[], Pool], opened: Opened, companion: Companion, action: str) -> Todo | None:
    """Do to one companion what `DO` says. None when it is done, or the file has gone already."""
    do = DO[companion.kind][action]
    if companion.shared or do == "leave":
        return _todo(companion, action)
    try:
        address = opened.find(companion.path)
        if address is None:
            return None
        if do == "rewrite":
            done = _rewritten(pool, opened, companion.kind, address)
        elif do == "judge" and not _its_own(pool, companion.kind, opened.read(address)):
            done = False
        elif opened.erase_file(address):
            return Todo(path=companion.path, action="delete", why=LINKED)
        else:
            done = True
    except (errors.BadImage, errors.SourceError, errors.UsageError, errors.DiskFull) as error:
        return Todo(path=companion.path, action=action, why=str(error))
    return None if done else _todo(companion, action)


def _rewritten(pool: Callable[[], Pool], opened: Opened, kind: str, address: Address) -> bool:
    """Rewrite a sidecar; False where it is not of the kind that its name says."""
    content = opened.read(address)
    scrubbed = pool().submit(scrub, kind, content).result()
    if scrubbed not in {None, content}:
        opened.replace(address, scrubbed)
    return scrubbed is not None


def _its_own(pool: Callable[[], Pool], kind: str, content: bytes) -> bool:
    """Tell whether a file of the photo's name is about the photo."""
    return LIVE in content if kind == "film" else pool().submit(scrub, kind, content).result() is not None


def _todo(companion: Companion, action: str) -> Todo:
    shared = companion.shared and companion.kind != "list"
    if companion.kind == "thumbnail":
        action = "delete"
    return Todo(path=companion.path, action=action, why=SHARED if shared else WHY[companion.kind])
