"""The retention schedule: which term holds for a collection, by which law, and how much expires in which month."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time

from countenance.documents import collection as of
from countenance.documents.document import Document, Heading, Part, Value, facts, table, text
from countenance.documents.facts import Facts, Held, laws
from countenance.documents.statements import Statements
from countenance.gate.admit import MAX_RETENTION_DAYS
from countenance.gate.rule import Retention, Rule, expires


def retention(facts_: Facts, _stated: Statements) -> Document:
    """The schedule of every collection there is in the facts."""
    parts: list[Part] = [
        text(
            f"State of {facts_.on}. Of all terms that hold for a photo the shortest wins. What has expired is found by no "
            "search from that second on, and is erased by the sweep. Art. 5(1)(e) GDPR.",
        )
    ]
    for held in facts_.held:
        parts += _collection(facts_, held)
    return Document("Retention schedule", tuple(parts))


def _collection(facts_: Facts, held: Held) -> Iterator[Part]:
    found = held.collection
    yield Heading(2, found.name)
    yield facts(
        ("Term of the collection", of.term(held)),
        ("The purpose ends on", found.purpose_ends.isoformat() if found.purpose_ends else "no day is set"),
        ("Written retention policy", found.policy or "none is stated"),
        ("Consent of enrolled people", "until the day that each agreed to"),
        ("Hits of a search", f"{facts_.search_days:,} days"),
        ("Faces past due, waiting for the sweep", of.number(held.past_due)),
    )
    yield Heading(3, "Terms, and until when a face of today may be kept")
    yield table(("By", "Where it stands", "Term", "Photos", "Until"), _terms(held, facts_.on), empty="")
    yield Heading(3, "What expires when")
    months = sorted({month for of_kind in held.months.values() for month in of_kind})
    rows = ((month, *(of.number(held.months[kind].get(month, 0)) for kind in held.months)) for month in months)
    yield table(("Month", *(name.capitalize() for name in held.months)), rows, empty="Nothing is held.")


def _terms(held: Held, on: date) -> Iterator[tuple[Value, ...]]:
    """The collection's own term and each rule's, the shortest marked."""
    days, ends = held.collection.retention_days, held.collection.purpose_ends
    now = datetime.combine(on, time(), UTC)
    never = expires(now, MAX_RETENTION_DAYS, ())
    reached = laws(held, on)
    until = {name: expires(now, MAX_RETENTION_DAYS, (rule,), purpose_ends=ends) for name, (rule, _) in reached.items()}
    own = expires(now, days, ()) if days else None
    shortest = min(until.values(), default=never) if own is None else min([own, *until.values()])

    def day(end: datetime) -> str:
        return "no day" if end == never else f"{end.date()}{', the shortest' if end == shortest else ''}"

    photos = of.number(sum(held.territories.values()))
    yield ("The collection", "its own statement", of.term(held), photos, day(own) if own else "no face is kept")
    for name, (rule, count) in reached.items():
        yield (rule.law, rule.retention.article, _term(rule), of.number(count), day(until[name]))


def _term(rule: Rule) -> str:
    term: Retention = rule.retention
    number = f"{term.months} months" if term.months else f"{term.days} days" if term.days else ""
    starts = {"contact": "from the last contact", "purpose": "from the end of the purpose", None: ""}[term.counted_from]
    ends = "until the purpose ends" if term.ends_with_purpose else ""
    return "; ".join(filter(None, [f"{number} {starts}".strip(), ends])) or "the law has no number"
