"""A person's own wish to be kept out: signed, with an end date, and with photos to recognise them by.

Their template is kept for this one purpose, under the wish's own key. Whoever asks for it gives it willingly, to be kept
out; nobody else's face is ever put here, and none is taken from what the vault holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from countenance import errors, ids
from countenance.audit import log
from countenance.gate.admit import admit_wish
from countenance.gate.same import odd_one
from countenance.records import Admitted, Consent, Entry, Refusal, Seen, Template, Wish
from countenance.store import wishes
from countenance.store.database import Database
from countenance.vision.examine import examine
from countenance.vision.picture import content_of
from countenance.vision.pool import Pool

if TYPE_CHECKING:
    from countenance.vision.picture import Picture

LONGEST = timedelta(days=3653)  # ten years


def check(consent: Consent, now: datetime) -> None:
    """Refuse a wish whose words do not add up."""
    if not (consent.by.strip() and consent.text.strip()):
        raise errors.UsageError("A wish says who signed it and what it says. Nothing was kept.")
    if consent.given_at.tzinfo is None or consent.until.tzinfo is None:
        raise errors.UsageError("The dates of a wish need a time zone. Nothing was kept.")
    if not consent.given_at <= now < consent.until:
        raise errors.UsageError("The wish is not in force now: it was given later, or has ended. Nothing was kept.")
    if consent.until - consent.given_at > LONGEST:
        raise errors.UsageError("A wish ends after ten years at most; it can be given again. Nothing was kept.")


def look(database: Database, pool: Pool, pictures: Iterable[Picture], consent: Consent, *, cache: Path) -> list[Seen]:
    """Look at the photos in worker processes; raise at the first that cannot be used, before anything is kept."""
    found: list[Seen] = []
    for number, picture in enumerate(pictures, 1):
        seen = pool.submit(look_at_one, content_of(picture), consent, database.clock(), cache).result()
        if isinstance(seen, Refusal):
            raise errors.Refused(seen.sentence)
        if len(seen.faces) != 1:
            raise errors.NoFace(
                f"Photo {number} shows {len(seen.faces) or 'no'} faces; a wish needs photos of its person alone. "
                "Nothing was kept."
            )
        if seen.faces[0].template is None:
            raise errors.NoFace(f"Photo {number} cannot be used. {' '.join(seen.faces[0].reasons)} Nothing was kept.")
        found.append(seen)
    if not found:
        raise errors.UsageError("A wish needs at least one photo of its person, better two or three. Nothing was kept.")
    if (odd := odd_one(_templates(found))) is not None:
        raise errors.UsageError(f"Photo {odd + 1} seems to show somebody else than another. Nothing was kept.")
    return found


def look_at_one(content: bytes, consent: Consent, now: datetime, cache: Path) -> Seen | Refusal:
    """Look at one photo, in a worker."""
    admitted = admit_wish(content, consent, now=now)
    return examine(admitted, cache=cache) if isinstance(admitted, Admitted) else admitted


def record(database: Database, consent: Consent, seen: list[Seen]) -> Wish:
    """Store the wish and the mean of the photos' templates, in one transaction. Of the photos nothing is kept."""
    mean = _templates(seen).mean(axis=0)
    found = Wish(id=ids.new("wish"), consent=consent, photos=len(seen), model=seen[0].model)
    with database.write() as tx:
        item = wishes.put(tx, found, np.asarray(mean / np.linalg.norm(mean), np.float32))
        public = {"photos": found.photos, "until": log.stamp(consent.until)}
        log.append(tx, Entry(kind="wish:recorded", public=public, parts=((item, {"wish": found.id}),)))
    return found


def withdraw(database: Database, wish_id: str) -> None:
    """Delete a wish and its template; its key is destroyed by the rotation that the caller begins."""
    with database.write() as tx:
        part = (wishes.item_of(tx, wish_id), {"wish": wish_id})
        wishes.remove(tx, wish_id)
        log.append(tx, Entry(kind="wish:withdrawn", public={}, parts=(part,)))


def end(database: Database) -> None:
    """Delete the wishes that have ended; their keys are destroyed by the next rotation."""
    with database.read() as tx:
        if not wishes.ended(tx):
            return
    with database.write() as tx:
        ended = wishes.ended(tx)
        for wish_id in ended:
            wishes.remove(tx, wish_id)
        log.append(tx, Entry(kind="wish:ended", public={"wishes": len(ended)}))


def _templates(seen: list[Seen]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    found: list[Template] = [one.faces[0].template for one in seen if one.faces[0].template is not None]
    return np.stack(found)
