"""Looking for what stands in the clear in any file: of what is held, of unfinished erasures, and of files offered.

What an earlier erasure destroyed cannot be searched for any more, for nothing of it is kept. Two things can: whether a
file is, as a whole, one that an erasure reached (its token is kept), and whether a file that somebody offers, such as
the photo they asked to have erased, is still there in part.
"""

from __future__ import annotations

import os
import random as chance
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from countenance import errors
from countenance.orders import residue
from countenance.orders.residue import Scan
from countenance.store import collections, faces, photos, sources, subjects, suppressions
from countenance.store.database import Tx

SAMPLE = 1_000  # faces, chosen at random each time: with about 25 patterns each they are one pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposed:
    """What was searched for, and what was found."""

    inside: Scan  # the vault, for what is held
    everywhere: Scan  # vault, temporary folder and exports, for what is offered and what unfinished erasures search for
    faces: int  # held faces whose templates, crops and addresses were searched for
    offered: int  # files whose bytes were searched for
    erased: tuple[tuple[str, str], ...]  # (file outside the vault, the erasure that reached its very content)

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not (self.inside.where or self.everywhere.where or self.erased)


def look(
    tx: Tx,
    vault: Path,
    transform_of: Callable[[Tx, str], np.ndarray[Any, Any]],
    unfinished: Iterable[bytes],
    offered: Sequence[Path],
    *,
    temporary: Path,
    exports: Sequence[Path],
) -> Exposed:
    """Search the vault, the temporary folder and these exports. `unfinished`: what erasures under way search for.

    Exports and the temporary folder may show what is held: there only the offered files and unfinished erasures count.
    """
    held, values = _held(tx, transform_of)
    wanted = [*unfinished, *(part for path in offered for part in _of_file(path))]
    return Exposed(
        inside=residue.scan(vault, values),
        everywhere=residue.scan(vault, wanted, temporary=temporary, exports=exports),
        faces=held,
        offered=len(offered),
        erased=tuple(_erased(tx, [*exports, *residue.written(vault, temporary)])),
    )


def _held(tx: Tx, transform_of: Callable[[Tx, str], np.ndarray[Any, Any]]) -> tuple[int, list[bytes]]:
    """Clear values of what is held: names, locations, and templates, crops and addresses of a sample of the faces."""
    values: list[bytes] = []
    count = 0
    for collection in collections.every(tx):
        values += [subject.name.encode() for subject in subjects.every(tx, collection.id)]
        values += [os.fsencode(source.location) for source in sources.every(tx, collection.id)]
        transform = transform_of(tx, collection.id)
        held = faces.stored(tx, collection_id=collection.id, state="held")
        for face in chance.SystemRandom().sample(held, min(SAMPLE, len(held))):
            count += 1
            template = faces.template(tx, face.id)
            for form in (template, template @ transform.T):
                values += residue.forms_of_template(form)
            values += residue.pixels_of(faces.crop(tx, face.id))
            values += [os.fsencode(photos.find(tx, face.photo_id).address), tx.keys.item_key(face.item)]
    return count, values


def _of_file(path: Path) -> list[bytes]:
    try:
        return residue.pixels_of(path.read_bytes())
    except OSError as error:
        raise errors.UsageError(f"{path} cannot be read ({error.strerror}). Nothing was searched.") from None


def _erased(tx: Tx, files: Iterable[Path]) -> Iterable[tuple[str, str]]:
    """Files whose whole content an erasure reached."""
    for path in files:
        found = residue.digest(path)
        erasure = found and suppressions.by(tx, suppressions.content(tx, bytes.fromhex(found)))
        if erasure:
            yield str(path), erasure
