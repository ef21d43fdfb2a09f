"""Subjects in the store."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row, delete, func, or_, select, update

from countenance import errors
from countenance.records import Consent, Subject, Template
from countenance.store import faces, links, requests
from countenance.store.database import Tx
from countenance.store.tables import face, subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """The enrolled, consenting subjects of a collection, as a matrix to match faces with."""

    ids: tuple[str, ...]
    consents: tuple[Consent, ...]
    templates: NDArray[np.float32]  # shape (n, d), transformed
    threshold: float
    transform: NDArray[np.float32] = field(repr=False)  # shape (d, d)

    def match(self, template: NDArray[np.float32], barred: Collection[str] = ()) -> int | None:
        """The number of the subject that a transformed template matches best, if any is above the threshold.

        `barred` are ids of subjects whom it is not, as somebody has said.
        """
        if not self.ids:
            return None
        scores = self.templates @ template
        if barred:
            scores[[subject in barred for subject in self.ids]] = -1
        best = int(scores.argmax())
        return best if scores[best] >= self.threshold else None

    def matched(self, templates: Iterable[NDArray[np.float32] | None]) -> set[str]:
        """Ids of the subjects that templates, untransformed, match."""
        found = (self.match(each @ self.transform) for each in templates if each is not None)
        return {self.ids[number] for number in found if number is not None}


def insert(tx: Tx, record: Subject) -> int:
    """Store a new subject and return its item; `UsageError` if the name is taken in the collection."""
    token = name_token(tx, record.collection_id, record.name)
    if tx.sql.execute(select(subject.c.id).where(subject.c.name_token == token)).first():
        raise errors.UsageError(
            f"{record.name} is enrolled in this collection already. Nothing was changed; add photos to the subject, "
            "or choose another name."
        )
    item = tx.take_items(1)
    fields = {"name": record.name, "by": record.consent.by, "text": record.consent.text}
    tx.sql.execute(
        subject.insert().values(
            id=record.id,
            item=item,
            collection_id=record.collection_id,
            state="held",
            name_token=token,
            consent_from=int(record.consent.given_at.timestamp()),
            consent_until=int(record.consent.until.timestamp()),
            fields=tx.seal("subject", item, fields),
        )
    )
    return item


def find(tx: Tx, name_or_id: str, collection_id: str | None = None) -> Subject:
    """Return the held subject with this id or name; without a collection the name must be in one only."""
    in_these = (
        [collection_id] if collection_id else tx.sql.execute(select(subject.c.collection_id).distinct()).scalars()
    )
    tokens = [name_token(tx, one, name_or_id) for one in in_these]
    match = or_(subject.c.id == name_or_id, subject.c.name_token.in_(tokens))
    rows = tx.sql.execute(select(subject).where(match, subject.c.state == "held")).all()
    if not rows:
        raise errors.NotFound(noun="subject", name=name_or_id)
    if len(rows) > 1:
        raise errors.UsageError(f"{name_or_id} is enrolled in several collections; say which. Nothing was changed.")
    return _record(tx, rows[0])


def every(tx: Tx, collection_id: str | None = None) -> list[Subject]:
    """All held subjects, or those of one collection, oldest first."""
    query = select(subject).where(subject.c.state == "held").order_by(subject.c.row)
    if collection_id:
        query = query.where(subject.c.collection_id == collection_id)
    return [_record(tx, row) for row in tx.sql.execute(query).all()]


def consenting(tx: Tx, collection_id: str) -> list[Subject]:
    """Held subjects of the collection whose consent is in force now."""
    second = tx.now
    return [s for s in every(tx, collection_id) if s.consent.given_at <= second < s.consent.until]


def mean_template(tx: Tx, subject_id: str) -> Template | None:
    """The mean of the subject's enrolment templates, L2 norm 1, shape (d,), transformed; None without any."""
    query = select(face.c.id).where(face.c.subject_id == subject_id, face.c.enrolled, face.c.state == "held")
    held = [faces.template(tx, row.id) for row in tx.sql.execute(query.order_by(face.c.row)).all()]
    if not held:
        return None
    mean = np.mean(held, axis=0)
    return np.asarray(mean / np.linalg.norm(mean), np.float32)


def enrolled(
    tx: Tx, collection_id: str, *, transform: NDArray[np.float32], threshold: Callable[[int], float]
) -> Enrolled:
    """The subjects whose consent is in force: each one's template is the mean of its enrolment photos.

    `threshold` gives the score to reach for a number of subjects. Several photos of a subject are the largest single
    gain in accuracy: the mean of 2 or 3 misses a fifth of what one misses.
    """
    held = consenting(tx, collection_id)
    means = [mean_template(tx, subject.id) for subject in held]
    chosen = [(subject, mean) for subject, mean in zip(held, means, strict=True) if mean is not None]
    return Enrolled(
        ids=tuple(subject.id for subject, _ in chosen),
        consents=tuple(subject.consent for subject, _ in chosen),
        templates=np.array([mean for _, mean in chosen], np.float32).reshape(len(chosen), len(transform)),
        threshold=threshold(len(chosen)),
        transform=transform,
    )


def item_of(tx: Tx, subject_id: str) -> int:
    """The subject's leaf in the key tree."""
    return int(tx.sql.execute(select(subject.c.item).where(subject.c.id == subject_id)).scalar_one())


def stop(tx: Tx, subject_id: str) -> None:
    """Hide a subject at once."""
    tx.sql.execute(update(subject).where(subject.c.id == subject_id).values(state="stopped"))


def name_of(tx: Tx, subject_id: str) -> str:
    """The subject's name, in any state."""
    row = tx.sql.execute(select(subject.c.item, subject.c.fields).where(subject.c.id == subject_id)).one()
    return str(tx.unseal("subject", row.item, row.fields)["name"])


def remove(tx: Tx, subject_id: str) -> None:
    """Delete a subject's row and forget the receipts about it; faces that stay lose the link."""
    requests.forget_receipts(tx, [subject_id])
    links.forget(tx, subject_ids=[subject_id])
    tx.sql.execute(update(face).where(face.c.subject_id == subject_id).values(subject_id=None))
    tx.sql.execute(delete(subject).where(subject.c.id == subject_id))


def name_token(tx: Tx, collection_id: str, name: str) -> bytes:
    """The look-up token of a subject's name in a collection."""
    return tx.keys.lookup_token("subject-name", collection_id.encode() + b"\0" + name.casefold().encode())


def _record(tx: Tx, row: Row[Any]) -> Subject:
    opened = tx.unseal("subject", row.item, row.fields)
    held = select(func.count()).where(face.c.subject_id == row.id, face.c.enrolled, face.c.state == "held")
    return Subject(
        id=row.id,
        collection_id=row.collection_id,
        name=opened["name"],
        consent=Consent(
            by=opened["by"],
            given_at=datetime.fromtimestamp(row.consent_from, UTC),
            text=opened["text"],
            until=datetime.fromtimestamp(row.consent_until, UTC),
        ),
        faces=int(tx.sql.execute(held).scalar_one()),
    )
