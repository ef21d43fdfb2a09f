"""The record of processing activities, Art. 30(1) GDPR: one activity a collection, points (a) to (g)."""

from __future__ import annotations

from collections.abc import Iterator

from countenance.documents import collection as of
from countenance.documents.document import Document, Heading, Part, facts, text
from countenance.documents.facts import Facts, Held
from countenance.documents.statements import Statements


def ropa(facts_: Facts, stated: Statements) -> Document:
    """The record of every collection there is in the facts."""
    parts: list[Part] = [
        text(f"State of {facts_.on}. Kept under Art. 30(1) GDPR, by the points of that article. {of.SAME}")
    ]
    for held in facts_.held:
        parts += _collection(facts_, held, stated)
    return Document("Record of processing activities", tuple(parts))


def _collection(facts_: Facts, held: Held, stated: Statements) -> Iterator[Part]:
    name = held.collection.name
    yield Heading(2, name)
    yield Heading(3, "(a) Controller, joint controllers, representative, data protection officer")
    yield facts(*of.parties(held, facts_.on, stated))
    yield Heading(3, "(b) Purposes")
    yield facts(*of.right(held, stated))
    yield Heading(3, "(c) Categories of people and of data")
    yield facts(
        ("People", "people in the photos, and enrolled people"), *of.people(held), ("Data", of.DATA), *of.amounts(held)
    )
    yield Heading(3, "(d) Recipients")
    yield facts(("Recipients", stated.say(name, "recipients")))
    yield Heading(3, "(e) Transfers to third countries")
    yield facts(("Transfers", stated.say(name, "transfers")))
    yield Heading(3, "(f) Time limits for erasure")
    yield facts(*of.terms(held, facts_.on, facts_.search_days))
    yield Heading(3, "(g) Technical and organisational measures")
    yield facts(*of.MEASURES.items(), *measures(facts_, held), ("Organisation", stated.say(name, "organisation")))


def measures(facts_: Facts, held: Held) -> tuple[tuple[str, str], ...]:
    """What is configured, besides what the software always does."""
    people = "two people" if held.collection.two_person else "one person"
    witnessed = f"of {facts_.cosigned:,} lines" if facts_.cosigned else "none yet"
    return (
        ("Where the key is kept", f"{facts_.provider}, in epoch {facts_.epoch:,}"),
        ("Orders that reach this collection are approved by", people),
        ("The log", f"{facts_.lines:,} lines; last checkpoint that a witness signed: {witnessed}"),
        ("Codes by which what was erased is kept out", of.number(sum(facts_.suppressions.values()))),
        ("People who are kept out at their own wish", of.number(facts_.wishes)),
    )
