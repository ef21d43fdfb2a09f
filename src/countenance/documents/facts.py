"""What the documents are made from, read in one transaction: configuration, counts, orders, erasures and the log's head."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from countenance.audit import log
from countenance.gate.rule import Rule, binding
from countenance.gate.rulebook import shipped
from countenance.records import Collection, Evidence, Order, Source
from countenance.store import collections, counts, entries, erasures, orders, sources
from countenance.store.counts import Months
from countenance.store.database import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One collection: what it states, where its photos come from, and how much is held of what."""

    collection: Collection
    sources: tuple[Source, ...]
    photos: Mapping[str, Mapping[str, int]]  # by source and state
    territories: Mapping[tuple[str, ...], int]  # photos by what their evidence names; () without evidence
    months: Mapping[str, Months]  # photos, faces and subjects (their consents) by the month of their end
    past_due: int  # faces that have expired and wait for the sweep
    linked: int  # faces that are linked with an enrolled subject
    consenting: int  # subjects whose consent is in force
    searches: int  # whose hits are kept

    def count(self, kind: str) -> int:
        """How many photos, faces or subjects there are."""
        return sum(self.months[kind].values())

    def in_state(self, source_id: str, *states: str) -> int:
        """How many photos of a source are in one of these states."""
        return sum(count for state, count in self.photos.get(source_id, {}).items() if state in states)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """One order as the evidence shows it."""

    id: str
    state: str
    order: Order
    sha256: str  # of its file
    assessment: str | None  # SHA-256 of the impact assessment that it was lifted on


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """One erasure as the evidence shows it."""

    id: str
    collection_id: str
    state: str
    ground: str
    bundle: str | None  # SHA-256 of its certificate's bundle, once it has one


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All of it. `search_days` is the setting of that name."""

    on: date  # UTC
    vault: str  # the log's name
    held: tuple[Held, ...]
    orders: tuple[Ordered, ...]
    erasures: tuple[Erased, ...]
    requests: Mapping[str, Mapping[str, int]]  # people's requests by kind and state
    suppressions: Mapping[str, int]  # codes by which what was erased is kept out, by kind
    restrictions: int  # in force
    wishes: int  # to be kept out, in force
    lines: int  # of the log
    root: str  # of its tree, base64 as on the checkpoint
    cosigned: int  # lines of the last checkpoint that witnesses signed too; 0 if none did
    epoch: int  # of the keys
    provider: str  # of the keys
    search_days: int


def read(tx: Tx, *, search_days: int, collection: str | None = None) -> Facts:
    """Read the facts of all collections, or of one (by name or id)."""
    chosen = [collections.find(tx, collection)] if collection else collections.every(tx)
    ids = {each.id for each in chosen}
    lines, root = _head(entries.head(tx).checkpoint)
    return Facts(
        on=tx.now.date(),
        vault=log.origin(tx),
        held=tuple(_held(tx, each) for each in chosen),
        orders=tuple(_orders(tx)),
        erasures=tuple(each for each in _erasures(tx) if not collection or each.collection_id in ids),
        requests=counts.requests(tx),
        suppressions=counts.suppressions(tx),
        restrictions=counts.restrictions(tx),
        wishes=counts.wishes(tx),
        lines=lines,
        root=root,
        cosigned=_head(entries.cosigned(tx))[0],
        epoch=tx.keys.epoch,
        provider=tx.keys.provider,
        search_days=search_days,
    )


def laws(held: Held, on: date) -> dict[str, tuple[Rule, int]]:
    """The rules in force that reach photos of a collection, by name, and how many photos each reaches.

    Those of the places that the collection takes people in from are there with 0, before the first photo is.
    """
    found: dict[str, tuple[Rule, int]] = {}
    for places, count in {(): 0, **held.territories}.items():
        evidence = [Evidence(kind="operator", territory=place, origin="") for place in places]
        for rule in binding(held.collection, evidence, shipped(), on):
            found[rule.name] = (rule, found.get(rule.name, (rule, 0))[1] + count)
    return dict(sorted(found.items()))


def _held(tx: Tx, found: Collection) -> Held:
    return Held(
        collection=found,
        sources=tuple(sources.every(tx, found.id)),
        photos=counts.photos(tx, found.id),
        territories=counts.territories(tx, found.id),
        months=counts.expiring(tx, found.id),
        past_due=counts.past_due(tx, found.id),
        linked=counts.linked(tx, found.id),
        consenting=counts.consenting(tx, found.id),
        searches=counts.searches(tx, found.id),
    )


def _orders(tx: Tx) -> Iterator[Ordered]:
    for stored in orders.every(tx):
        yield Ordered(
            id=stored.id,
            state=stored.state,
            order=stored.order,
            sha256=hashlib.sha256(stored.text.encode()).hexdigest(),
            assessment=stored.progress.get("lifted", {}).get("assessment"),
        )


def _erasures(tx: Tx) -> Iterator[Erased]:
    for stored in erasures.every(tx):
        yield Erased(
            id=stored.id,
            collection_id=stored.collection_id,
            state=stored.state,
            ground=stored.progress.get("ground", stored.reason),
            bundle=hashlib.sha256(stored.bundle).hexdigest() if stored.bundle else None,
        )


def _head(note: str) -> tuple[int, str]:
    """Lines and root, in base64, of a C2SP checkpoint of this vault's own; (0, "") if there is none."""
    _, size, root = (note.split("\n") if note else ["", "0", ""])[:3]
    return int(size), root
