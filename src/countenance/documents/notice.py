"""The public notice: what people in the photos are told, Arts. 13 and 14 GDPR. Names no person, no photo and no path."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from countenance.documents import collection as of
from countenance.documents.document import Document, Heading, Part, Value, facts, table, text
from countenance.documents.facts import Facts, Held, laws
from countenance.documents.statements import Statements

KINDS = {
    "folder": "a folder of pictures",
    "archive": "an archive of pictures",
    "enrolment": "photos given at enrolment",
}

RIGHTS = (
    ("Access: whether you are in it, the data, where it came from, who searched for you", "Art. 15 GDPR"),
    ("Rectification, such as of a wrong match", "Art. 16 GDPR"),
    ("Erasure", "Art. 17 GDPR"),
    ("Restriction", "Art. 18 GDPR"),
)
CONSENT = ("Withdrawing your consent, at any time; what was done before stays lawful", "Art. 7(3) GDPR")
PORTABLE = ("Receiving your data in a form that machines read", "Art. 20 GDPR")
COMPLAINT = ("Complaint to the controller itself, acknowledged within 30 days", "Data (Use and Access) Act 2025 (UK)")
OBJECT = ("Objection, on grounds relating to your particular situation", "Art. 21(1) GDPR")


def notice(facts_: Facts, stated: Statements) -> Document:
    """The notice of every collection there is in the facts."""
    parts: list[Part] = [
        text(f"State of {facts_.on}. What the controller says under Arts. 13 and 14 GDPR. {of.SAME} {of.TEMPLATE}"),
    ]
    for held in facts_.held:
        parts += _collection(facts_, held, stated)
    return Document("Notice: photos that are searched by face", tuple(parts))


def _collection(facts_: Facts, held: Held, stated: Statements) -> Iterator[Part]:
    name = held.collection.name
    yield Heading(2, name)
    yield Heading(3, "Who is responsible")
    yield facts(*of.parties(held, facts_.on, stated))
    yield Heading(3, "What for, and by what right")
    yield facts(
        *of.right(held, stated),
        ("Whether you must provide photos", stated.say(name, "must_provide")),
        ("Automated decisions", stated.say(name, "automated_decisions")),
    )
    yield Heading(3, "Where the photos come from")
    yield table(("Controller of the source", "What it is", "Country", "Photos"), _sources(held), empty="No source yet.")
    yield facts(("Whether these sources are public", stated.say(name, "public_source")))
    yield Heading(3, "What is held, and of whom")
    yield facts(*(row for row in of.people(held) if isinstance(row[1], str)), *of.amounts(held))
    yield text(of.DATA)
    yield Heading(3, "Who receives it")
    yield facts(
        ("Recipients", stated.say(name, "recipients")),
        ("Transfers to third countries", stated.say(name, "transfers")),
    )
    yield Heading(3, "How long")
    yield facts(*of.terms(held, facts_.on, facts_.search_days))
    yield Heading(3, "Your rights")
    yield table(("You may ask for", "Where it stands"), _rights(held, facts_.on), empty="")
    yield text(
        "Write to: ", of.said(held.collection.contact, "contact"),
        ". No photo of you and no identity document is needed: an address of a photo, a file, an album and a date, or the "
        "number of a receipt is enough. You are answered within one month, Art. 12(3) GDPR.",
    )  # fmt: skip
    yield text("You may complain to: ", stated.say(name, "authority"), ". Art. 77 GDPR.")


def _sources(held: Held) -> Iterator[tuple[Value, ...]]:
    for source in held.sources:
        count = held.in_state(source.id, *of.KEPT)
        yield (
            source.controller,
            KINDS.get(source.kind, source.kind),
            source.country or "not declared",
            of.number(count),
        )


def _rights(held: Held, on: date) -> Iterator[tuple[Value, ...]]:
    found = held.collection
    yield from RIGHTS
    if found.art6 in {"consent", "contract"}:
        yield PORTABLE
    if found.art6 in {"public-task", "legitimate-interests"}:
        yield OBJECT
    if found.art6 == "consent" or found.art9 == "explicit-consent":
        yield CONSENT
    if "uk" in laws(held, on):
        yield COMPLAINT
