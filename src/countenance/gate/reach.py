"""Whether an order's scope reaches a record: a pure predicate over recorded facts, never over a face.

::

    >>> reaches(OrderScope(territories=("GB",)), Facts(territories=frozenset({"GB-SCT"}), …))
    'in'

Criteria of different kinds must all hold; of the values of one kind, any. Evidence that contradicts itself counts for
each territory it names. What is not known is undetermined, and undetermined is inside unless the order says otherwise
(promise P3).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache
from typing import Literal

from countenance.gate.place import contains
from countenance.records import Collection, Evidence, InForce, Order, OrderScope, Photo, Refusal, Service, Source

Reach = Literal["in", "undetermined", "out"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is on record of one photo, as far as an order can ask for it."""

    territories: frozenset[str]  # of all its evidence
    collection: str
    source: str
    subjects: frozenset[str]  # whose faces it shows, by id
    purpose: str | None
    added: date
    taken: date | None  # None if the picture does not say


def facts_of(
    evidence: tuple[Evidence, ...],
    *,
    collection: str,
    source: str,
    purpose: str | None,
    added: date,
    taken_at: str | None,
    subjects: Iterable[str] = (),
) -> Facts:
    """The facts of one photo; `taken_at` as ISO 8601, or whatever the picture says.

    An operator's correction makes coarser evidence exact ("US" becomes US-CA), and never overrules what contradicts it.
    """
    known = {each.territory for each in evidence}
    for each in evidence:
        if each.kind == "operator":
            known -= {code for code in known if code != each.territory and contains(code, each.territory)}
    try:
        taken = date.fromisoformat((taken_at or "")[:10])
    except ValueError:
        taken = None
    return Facts(
        territories=frozenset(known),
        collection=collection,
        source=source,
        subjects=frozenset(subjects),
        purpose=purpose,
        added=added,
        taken=taken,
    )


def facts_of_photo(photo: Photo, *, purpose: str | None, subjects: Iterable[str] = ()) -> Facts:
    """The facts of a photo that is held."""
    return facts_of(
        photo.evidence,
        collection=photo.collection_id,
        source=photo.source_id,
        purpose=purpose,
        added=photo.added_at.date(),
        taken_at=photo.taken_at,
        subjects=subjects,
    )


def reaches(scope: OrderScope, facts: Facts) -> Reach:
    """Whether the record is in the scope, out of it, or undetermined because a fact is missing or too coarse."""
    found = {
        _one_of(scope.collections, {facts.collection}),
        _one_of(scope.sources, {facts.source}),
        _one_of(scope.subjects, facts.subjects),
        _one_of(scope.purposes, {facts.purpose}),
        _within(scope.added_from, scope.added_until, facts.added),
        _within(scope.taken_from, scope.taken_until, facts.taken),
        in_territory(scope.territories, facts.territories),
    }
    return "out" if "out" in found else "undetermined" if "undetermined" in found else "in"


def stops(scope: OrderScope, facts: Facts) -> bool:
    """Whether the order stops the record: what it leaves to review is stopped too, until somebody has looked."""
    found = reaches(scope, facts)
    return found == "in" or (found == "undetermined" and scope.unknown != "exclude")


def ordered(  # noqa: PLR0917
    orders: Iterable[InForce],
    collection: Collection,
    source: Source,
    evidence: tuple[Evidence, ...],
    taken_at: str | None,
    now: datetime,
    subjects: Iterable[str] = (),
) -> InForce | None:
    """The order in force that keeps a photo out that is about to be added; None if none does."""
    facts = facts_of(
        evidence,
        collection=collection.id,
        source=source.id,
        purpose=collection.purpose,
        added=now.date(),
        taken_at=taken_at,
        subjects=subjects,
    )
    return binding(orders, facts)


def binding(orders: Iterable[InForce], facts: Facts) -> InForce | None:
    """The first of the orders in force that stops the record; None if none does."""
    return next((each for each in orders if hides(each.order) and stops(each.order.scope, facts)), None)


def hides(order: Order) -> bool:
    """Whether the order stops anything: what is to be erased is stopped first, and its like stays out."""
    return not {"stop", "erase"}.isdisjoint(order.measures)


def stopped(order: Order) -> Refusal:
    """The gate's no in the name of an order."""
    sentence = f"It is in the scope of an order of {order.authority} ({order.reference}), which is in force."
    return Refusal(slug="order", sentence=sentence)


def stops_whole(scope: OrderScope, collection: str, purpose: str | None) -> bool:
    """Whether the order stops all of a collection, whatever is in it."""
    named = scope.everything or scope.collections or scope.purposes
    rest = replace(scope, everything=False, collections=(), purposes=(), unknown="include")
    if not named or rest != OrderScope():
        return False
    return "in" == _one_of(scope.collections, {collection}) == _one_of(scope.purposes, {purpose})


def serves(service: Service, origin: str | None, tenant: str | None) -> bool:
    """Whether a search may be answered: not if its origin or tenant is one that is refused, or is not known."""
    if service.territories and in_territory(service.territories, {origin} if origin else ()) != "out":
        return False
    return not service.tenants or (tenant is not None and tenant not in service.tenants)


def in_territory(ordered: Iterable[str], evidence: Iterable[str]) -> Reach:
    """Whether evidence lies in an ordered territory. None, or coarser than what was ordered ("US" for Illinois), may."""
    return _in_territory(tuple(ordered), frozenset(evidence))


@cache  # a vault names few territories, and asks for every photo
def _in_territory(ordered: tuple[str, ...], known: frozenset[str]) -> Reach:
    if not ordered or any(contains(scope, territory) for scope in ordered for territory in known):
        return "in"
    coarse = any(contains(territory, scope) for scope in ordered for territory in known)
    return "undetermined" if coarse or not known else "out"


def _one_of(wanted: tuple[str, ...], there: Iterable[str | None]) -> Reach:
    return "in" if not wanted or not set(wanted).isdisjoint(there) else "out"


def _within(first: date | None, last: date | None, day: date | None) -> Reach:
    if first is None and last is None:
        return "in"
    if day is None:
        return "undetermined"
    return "in" if (first or day) <= day <= (last or day) else "out"
