"""What supports the right of each collection and source: for an auditor, by name and SHA-256, without any person."""

from __future__ import annotations

from collections.abc import Iterator

from countenance.documents import collection as of
from countenance.documents.document import Document, Heading, Part, facts, table, text
from countenance.documents.dpia import lineage
from countenance.documents.facts import Facts, Held, Ordered
from countenance.documents.statements import Statements
from countenance.store.orders import IN_FORCE


def evidence(facts_: Facts, stated: Statements) -> Document:
    """The evidence of every collection there is in the facts."""
    parts: list[Part] = [
        text(
            f"State of {facts_.on}. What is named by a SHA-256 can be compared with the file that the operator keeps."
        ),
    ]
    for held in facts_.held:
        parts += _collection(facts_, held, stated)
    return Document("Evidence", (*parts, *_orders(facts_), *_requests(facts_), *_log(facts_), *lineage()))


def _collection(facts_: Facts, held: Held, stated: Statements) -> Iterator[Part]:
    yield Heading(2, held.collection.name)
    yield facts(
        ("Collection", held.collection.id),
        *of.right(held, stated),
        *of.parties(held, facts_.on, stated),
        *of.people(held),
        *of.amounts(held),
    )
    yield Heading(3, "Sources")
    yield table(
        (
            "Source",
            "Controller",
            "Evidence of control or permission",
            "SHA-256",
            "Country",
            "On erasure",
            "Photos",
            "Refused",
        ),
        (
            (
                *(source.id, source.controller, source.evidence, source.evidence_sha256),
                *(source.country or "not declared", source.on_erase),
                of.number(held.in_state(source.id, *of.KEPT)),
                of.number(held.in_state(source.id, "refused")),
            )
            for source in held.sources
        ),
        empty="No source is registered.",
    )
    yield Heading(3, "Where the photos are from")
    yield of.places(held)
    yield Heading(3, "What a law asks for and the collection does not have")
    asked = ((gap.rule.law, gap.duty.article, gap.needs) for gap in of.unmet(held, facts_.on))
    yield table(
        ("Law", "Where it stands", "What is needed"), asked, empty="Nothing, of the laws that the vault has as rules."
    )
    yield Heading(3, "Consents")
    ends = held.months["subjects"]
    yield facts(
        ("Enrolled people", of.number(held.count("subjects"))),
        ("of these with a consent in force", of.number(held.consenting)),
        ("The first of their consents ends in", min(ends) if ends else "nobody is enrolled"),
    )
    yield Heading(3, "Erasures")
    done = (each for each in facts_.erasures if each.collection_id == held.collection.id)
    yield table(
        ("Erasure", "State", "Ground", "SHA-256 of its certificate"),
        ((each.id, each.state, each.ground, each.bundle or "none yet") for each in done),
        empty="Nothing was erased.",
    )


def _orders(facts_: Facts) -> Iterator[Part]:
    yield Heading(2, "Orders")
    yield table(
        ("Order", "Authority", "Reference", "Issued", "Standing", "SHA-256 of its file"),
        (
            (
                *(each.id, f"{each.order.authority} ({each.order.country})", each.order.reference),
                *(each.order.issued.isoformat(), _standing(each), each.sha256),
            )
            for each in facts_.orders
        ),
        empty="There is no order.",
    )


def _standing(each: Ordered) -> str:
    if each.assessment:
        return f"{each.state}, on the assessment with SHA-256 {each.assessment}"
    return f"{each.state}, in force" if each.state in IN_FORCE else each.state


def _requests(facts_: Facts) -> Iterator[Part]:
    yield Heading(2, "People's requests")
    yield table(
        ("Kind", "State", "Requests"),
        (
            (kind, state, of.number(count))
            for kind, states in sorted(facts_.requests.items())
            for state, count in sorted(states.items())
        ),
        empty="There is no request.",
    )
    yield facts(
        *(
            (f"Codes that keep out what was erased, by {kind}", of.number(n))
            for kind, n in sorted(facts_.suppressions.items())
        ),
        ("Restrictions in force, Art. 18 GDPR", of.number(facts_.restrictions)),
        ("People who are kept out at their own wish", of.number(facts_.wishes)),
    )


def _log(facts_: Facts) -> Iterator[Part]:
    yield Heading(2, "The log")
    witnessed = f"{facts_.cosigned:,} lines" if facts_.cosigned else "none yet"
    yield facts(
        ("Name", facts_.vault),
        ("Lines", of.number(facts_.lines)),
        ("Root of the tree", facts_.root),
        ("Last checkpoint that a witness signed", witnessed),
    )
