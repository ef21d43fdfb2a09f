"""What several documents say of a collection, in the same words."""

from __future__ import annotations

from datetime import date

from countenance.documents.document import Gap, Part, Value, table
from countenance.documents.facts import Held, laws
from countenance.documents.statements import Statements
from countenance.gate import rule
from countenance.records import ART6, ART9

Rows = tuple[tuple[str, Value], ...]
"""Names and values: the rows of `document.facts`."""

KEPT = ("held", "vanished", "stopped")
"""The states of a photo of which something is held."""

MODES = {
    "enrolled": "Only faces of enrolled people are kept. Every other face is discarded in memory.",
    "all": "Faces of everybody in the photos are kept, also of people who are not enrolled.",
}
SAME = "The UK GDPR has the same articles."
DATA = (
    "Of a photo: its address at the source, its size, when and where it was taken as far as the file says so, and codes by "
    "which it is recognised. Of a face: its place in the photo, a small picture of it, measures of quality, and the "
    "template. Of an enrolled person: name, and the consent. Of a search: which faces it found."
)
"""What the vault keeps, see store.tables."""

TEMPLATE = (
    "A template is a row of numbers made of a face, by which the face is compared with others. It is biometric data, "
    "Art. 4(14) GDPR. Age, gender, emotion and origin are not guessed."
)
MEASURES = {
    "Sealing": "Photos' addresses, templates, pictures of faces, names and texts are sealed with AES-256-GCM, each record "
    "under a key of its own. Templates are in the clear only in memory. Art. 32(1)(a) GDPR.",
    "Separation": "The templates of each collection are turned by a secret matrix of its own: they cannot be compared with "
    "those of another collection, or of another vault.",
    "The gate": "No template is made of a photo unless the collection states its purpose, basis, condition, notice and "
    "retention, and the law of the photo's place lets it.",
    "Searches": "A search needs its purpose and a case, and each is a line in the log. A hit comes with its error rate.",
    "Expiry": "What has expired is not found by any search, from that second on.",
    "Erasure": "An erasure destroys the keys, deletes the records, searches the files for what must be gone, and is "
    "certified. What was erased is refused when it comes back.",
    "Orders": "An order in force stops what it reaches in every process within a second.",
    "The log": "Each act that changes or shows something is a line of a Merkle tree with signed checkpoints.",
}
"""What the software does in every vault, whatever is configured."""


def said(value: str | None, field: str) -> Value:
    """What a collection states in a field, or the gap: it is filled with `countenance collection set`."""
    return value or Gap(field)


def parties(held: Held, on: date, stated: Statements) -> Rows:
    """Who is responsible."""
    found = held.collection
    return (
        ("Controller", said(found.controller, "controller")),
        ("Contact for the people in the photos", said(found.contact, "contact")),
        ("Established in", said(found.established, "established: where the controller is established")),
        ("Representative", representative(held, on)),
        ("Joint controllers", stated.say(found.name, "joint_controllers")),
        ("Data protection officer", stated.say(found.name, "data_protection_officer")),
    )


def representative(held: Held, on: date) -> Value:
    """Who stands in for the controller, or what the laws that reach the collection ask for."""
    asked = [gap for gap in unmet(held, on) if gap.slug == "needs-representative"]
    if not held.collection.representative and asked:
        return Gap(f"representative: {'; '.join(f'{gap.rule.law}, {gap.duty.article}' for gap in asked)}")
    return held.collection.representative or "no law that reaches the collection asks for one"


def unmet(held: Held, on: date) -> tuple[rule.Gap, ...]:
    """What the laws that reach the collection ask for and it does not have."""
    return tuple(rule.gaps(held.collection, [each for each, _ in laws(held, on).values()], on))


def right(held: Held, stated: Statements) -> Rows:
    """What for, and by what right."""
    found = held.collection
    own = found.art6 == "legitimate-interests"
    rows: dict[str, Value | None] = {
        "Purpose": said(found.purpose, "purpose"),
        "Basis": said(ART6.get(found.art6 or ""), "art6: the basis under Art. 6 GDPR"),
        "Legitimate interests": stated.say(found.name, "interests") if own else None,
        "Condition for biometric data": said(ART9.get(found.art9 or ""), "art9: the condition under Art. 9 GDPR"),
        "How and when people were told": said(found.notice, "notice: how and when people were told, or the exemption"),
        "Whose faces": MODES[found.mode],
        "Why everybody's": said(found.justification, "justification") if found.mode == "all" else None,
        "Signed releases": found.release,
        "The purpose ends on": _day(found.purpose_ends),
        "Declared to the authority on": _day(found.declared_on),
    }
    return tuple((name, value) for name, value in rows.items() if value is not None)


def people(held: Held) -> Rows:
    """Whose data it is."""
    found = held.collection
    youngest = "" if found.youngest is None else f"{found.youngest} years"
    rows: Rows = (
        ("People from", said(", ".join(found.takes_in), "takes_in: from which territories it takes people in")),
        ("The youngest", said(youngest, "youngest: the age of the youngest")),
    )
    return (*rows, ("Who consents for children", found.guardians)) if found.guardians else rows


def amounts(held: Held) -> Rows:
    """How much is held."""
    kept = [held.in_state(source.id, *KEPT) for source in held.sources]
    hidden = [held.in_state(source.id, "stopped") for source in held.sources]
    refused = [held.in_state(source.id, "refused") for source in held.sources]
    return (
        ("Photos", number(sum(kept))),
        ("of these hidden by an order or a restriction", number(sum(hidden))),
        ("Photos refused, of which no face is kept", number(sum(refused))),
        ("Faces with a template", number(held.count("faces"))),
        ("of these linked with an enrolled person", number(held.linked)),
        ("of these expired, found by nothing, waiting for the sweep", number(held.past_due)),
        ("Enrolled people", number(held.count("subjects"))),
        ("Searches whose hits are kept", number(held.searches)),
    )


def terms(held: Held, on: date, search_days: int) -> Rows:
    """How long it is kept."""
    found = held.collection
    rows: Rows = (
        ("Photos and faces", term(held)),
        ("or shorter, where a law says so", "; ".join(each.law for each, _ in laws(held, on).values()) or "none does"),
        ("The hits of a search", f"{search_days:,} days"),
    )
    return (*rows, ("Written retention policy", found.policy)) if found.policy else rows


def places(held: Held) -> Part:
    """From where the photos are, as far as anything but a face says so."""
    rows = sorted(held.territories.items())
    return table(
        ("From", "Photos"),
        ((", ".join(named) or "no evidence: counts as every place", number(count)) for named, count in rows),
        empty="No photo is held.",
    )


def term(held: Held) -> Value:
    """The collection's own retention."""
    days = held.collection.retention_days
    return (
        f"{days:,} days from the day a photo is taken in" if days else Gap("retention_days: how long photos are kept")
    )


def number(count: int) -> str:
    """A count as people read it."""
    return f"{count:,}"


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None
