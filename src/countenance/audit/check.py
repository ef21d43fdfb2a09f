"""Proving that rows, templates, keys, index and log agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from countenance.audit import log
from countenance.errors import CountenanceError
from countenance.index.exact import Exact
from countenance.store import collections, erasures, faces, photos, sources, subjects, tree
from countenance.store.database import Database, Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was looked at and what is wrong, in sentences."""

    photos: int
    faces: int
    entries: int
    erased: int  # leaves whose keys are gone, as they must be
    problems: tuple[str, ...]


def check(database: Database, tx: Tx, index_of: Callable[[Tx, str], Exact]) -> Checked:
    """Look at everything once. Nothing is changed."""
    problems = list(database.integrity())
    log_found = log.verify(tx)
    problems += [f"log: {problem}" for problem in log_found.problems]
    photo_count = face_count = 0
    for collection in collections.every(tx):
        for source in sources.every(tx, collection.id):
            photo_count += _read(problems, f"photos of {source.id}", photos.of_source, tx, source.id)
        _read(problems, "subjects", subjects.every, tx, collection.id)
        held, found = _templates(tx, collection.id, index_of)
        face_count += held
        problems += found
    problems += _ledgers(tx)
    return Checked(
        photos=photo_count,
        faces=face_count,
        entries=log_found.size,
        erased=erasures.erased_items(tx),
        problems=tuple(problems),
    )


def _read(problems: list[str], what: str, read: Callable[[Tx, str], Sequence[object]], tx: Tx, record_id: str) -> int:
    try:
        return len(read(tx, record_id))
    except (CountenanceError, tree.Punctured) as error:
        problems.append(f"{what}: {error}")
        return 0


def _templates(tx: Tx, collection_id: str, index_of: Callable[[Tx, str], Exact]) -> tuple[int, list[str]]:
    """Every held face has a template that opens, is normalised and is in the index, and no other is."""
    engine = index_of(tx, collection_id)
    problems: list[str] = []
    held = 0
    for face in faces.stored(tx, collection_id=collection_id, state="held"):
        held += 1
        try:
            template = faces.template(tx, face.id)
            faces.fields(tx, face.id)
            faces.crop(tx, face.id)
        except (CountenanceError, tree.Punctured) as error:
            problems.append(f"face {face.id}: {error}")
            continue
        if abs(float(np.linalg.norm(template)) - 1) > 1e-3:  # noqa: PLR2004 - float32 rounding is 1e-7
            problems.append(f"face {face.id}: its template is not normalised")
        if not engine.contains(face.row):
            problems.append(f"face {face.id}: it is not in the index")
    if len(engine) != held:
        problems.append(f"the index of {collection_id} holds {len(engine)} faces, the records {held}")
    return held, problems


def _ledgers(tx: Tx) -> Iterator[str]:
    """No leaf that a finished erasure reached can be derived any more, and no erasure was left unfinished."""
    for stored in erasures.every(tx):
        if stored.state not in erasures.FINISHED:
            yield f"erasure {stored.id} is {stored.state}, not certified: run `countenance erase --resume`"
            continue
        for reached in erasures.ledger(tx, stored.id):
            try:
                tx.keys.item_key(reached.item)
            except tree.Punctured:
                continue
            yield f"erasure {stored.id}: the key of item {reached.item} can still be derived"
