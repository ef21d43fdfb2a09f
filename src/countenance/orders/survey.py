"""What an order reaches among what is held, counted and listed; nothing is changed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from countenance.gate.reach import Reach, facts_of, reaches
from countenance.records import Evidence, OrderScope
from countenance.store import collections, erasures, faces, orders, subjects
from countenance.store.database import Tx
from countenance.store.orders import Candidate

SAMPLES = 24  # photos of which a preview shows the faces


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """How many photos of one group an order reaches."""

    inside: int = 0
    undetermined: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What an order reaches, in numbers."""

    held: int  # photos of the vault, whatever the order says
    inside: int
    undetermined: int
    unknown: str  # what the order does with those: include, exclude, review
    stopped: int  # photos that it hides
    erased: int  # photos that it erases; those to review only once somebody has looked at them
    by_collection: dict[str, Counted]  # by id
    by_source: dict[str, Counted]
    by_evidence: dict[str, Counted]  # by kind and territory; "none" where nothing is recorded
    derived: dict[str, int]  # what goes with them, by layer
    samples: tuple[str, ...] = field(repr=False, default=())  # ids of faces, evenly chosen


def survey(tx: Tx, scope: OrderScope, photo_ids: Iterable[str] | None = None) -> Iterator[tuple[Candidate, Reach]]:
    """Each photo that no erasure has stopped, with where it stands to a scope. A photo that is out is left out."""
    purposes = {collection.id: collection.purpose for collection in collections.every(tx)}
    taken = orders.taken(tx) if scope.taken_from or scope.taken_until else {}
    shown = orders.shown_in(tx, scope.subjects) if scope.subjects else {}
    known: dict[tuple[object, ...], Reach] = {}  # photos of one source and day stand alike
    for found in orders.candidates(tx, photo_ids):
        here, when = frozenset(shown.get(found.photo_id, ())), taken.get(found.photo_id)
        alike = (found.collection_id, found.source_id, found.added, found.evidence, here, when)
        if alike not in known:
            facts = facts_of(
                tuple(_evidence(found.evidence)),
                collection=found.collection_id,
                source=found.source_id,
                purpose=purposes[found.collection_id],
                added=found.added,
                taken_at=when,
                subjects=here,
            )
            known[alike] = reaches(scope, facts)
        if known[alike] != "out":
            yield found, known[alike]


def hidden(scope: OrderScope, reach: Reach) -> bool:
    """Whether the order hides a photo that stands so."""
    return reach == "in" or scope.unknown != "exclude"


def erasable(scope: OrderScope, reach: Reach) -> bool:
    """Whether the order erases a photo that stands so: what is to be reviewed stays until somebody has looked."""
    return reach == "in" or scope.unknown == "include"


def preview(tx: Tx, scope: OrderScope) -> Preview:
    """Count what an order reaches, and what is derived from it."""
    going: list[str] = []
    alike: Counter[tuple[str, str, str, Reach]] = Counter()
    for found, reach in survey(tx, scope):
        alike[found.collection_id, found.source_id, found.evidence, reach] += 1
        if erasable(scope, reach):
            going.append(found.photo_id)
    total: Counter[str] = Counter()
    groups: dict[str, defaultdict[str, Counter[str]]] = {
        kind: defaultdict(Counter) for kind in ("collection", "source", "evidence")
    }
    for (collection_id, source_id, evidence, reach), number in alike.items():
        total[reach] += number
        total["stopped"] += number * hidden(scope, reach)
        groups["collection"][collection_id][reach] += number
        groups["source"][source_id][reach] += number
        for name in set(evidence.split()) or {"none"}:
            groups["evidence"][name][reach] += number
    return Preview(
        held=orders.count(tx),
        inside=total["in"],
        undetermined=total["undetermined"],
        unknown=scope.unknown,
        stopped=total["stopped"],
        erased=len(going),
        by_collection=_counted(groups["collection"]),
        by_source=_counted(groups["source"]),
        by_evidence=_counted(groups["evidence"]),
        derived=orders.derived(tx, going, scope.subjects),
        samples=orders.faces_in(tx, going[:: -(-len(going) // SAMPLES) or 1], scope.subjects)[:SAMPLES],
    )


def subjects_gone(tx: Tx, collection_id: str, face_ids: Iterable[str]) -> list[str]:
    """Subjects of whom nothing is left once these faces are gone: their record goes too."""
    going = set(face_ids)
    theirs: dict[str, set[str]] = {}
    for face in faces.stored(tx, collection_id=collection_id, enrolled=True):
        if face.subject_id:
            theirs.setdefault(face.subject_id, set()).add(face.id)
    held = {subject.id for subject in subjects.every(tx, collection_id)}
    return sorted(subject for subject, here in theirs.items() if here <= going and subject in held)


def of_order(tx: Tx, order_id: str) -> list[erasures.Stored]:
    """The erasures that carry out an order, oldest first."""
    return [stored for stored in erasures.every(tx) if stored.progress.get("order") == order_id]


def _evidence(text: str) -> Iterator[Evidence]:
    for each in text.split():
        kind, _, territory = each.partition(":")
        yield Evidence(kind=kind, territory=territory, origin="")  # type: ignore[arg-type]


def _counted(groups: Mapping[str, Counter[str]]) -> dict[str, Counted]:
    return {
        name: Counted(inside=count["in"], undetermined=count["undetermined"]) for name, count in sorted(groups.items())
    }
