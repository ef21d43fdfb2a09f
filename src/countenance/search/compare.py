"""1:1 comparison of two pictures. Nothing of either is kept."""

from __future__ import annotations

from countenance import errors
from countenance.audit import log
from countenance.records import Comparison, Entry, Seen, SeenFace
from countenance.search import calibration
from countenance.search.ordered import demand_still
from countenance.search.question import Question
from countenance.store import collections
from countenance.store.database import Database

DEFAULT_FMR = 0.0001


def compare(database: Database, question: Question, first: Seen, second: Seen, *, fmr: float) -> Comparison:
    """Compare the largest face of each picture and log that it was done.

    `fmr` is the false match rate wanted: one in how many pairs of different people may be called the same.
    """
    a, b = _largest(first, "first"), _largest(second, "second")
    assert a.template is not None
    assert b.template is not None
    table = calibration.load(first.model)
    score = float(a.template @ b.template)
    threshold = table.threshold(fmr, 1)
    why = {"purpose": question.purpose, "case": question.case, "by": question.by}
    with database.write() as tx:
        demand_still(tx, question)
        item = collections.item_of(tx, question.collection_id)
        public = {"collection": question.collection_id, "same": score >= threshold, "fmr": str(fmr)}
        entry = log.append(tx, Entry(kind="compare:done", public=public, parts=((item, why),)))
    return Comparison(
        score=score,
        fmr=table.fmr(score),
        threshold=threshold,
        same=score >= threshold,
        calibration=table.described,
        boxes=(a.box, b.box),
        entry=entry,
    )


def _largest(seen: Seen, which: str) -> SeenFace:
    if not seen.faces:
        raise errors.NoFace(f"No face was found in the {which} picture, so nothing was compared.")
    face = seen.faces[0]
    if face.template is None:
        raise errors.NoFace(f"The largest face of the {which} picture cannot be compared. {' '.join(face.reasons)}")
    return face
