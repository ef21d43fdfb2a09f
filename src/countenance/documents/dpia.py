"""The skeleton of a data protection impact assessment, Art. 35(7)(a) to (d) GDPR.

What the vault knows is filled in. What is a judgement is a gap until a person states it: the vault judges nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib import resources

from countenance.documents import collection as of
from countenance.documents.document import Document, Heading, Part, Value, facts, table, text
from countenance.documents.facts import Facts, Held
from countenance.documents.ropa import measures
from countenance.documents.statements import Statements
from countenance.search import calibration
from countenance.search.question import DEFAULT_FPIR
from countenance.vision import models
from countenance.vision.examine import MODEL

RISKS = (
    (
        "A stranger is taken for somebody",
        "the error rates below; relatives score high; rates differ between groups of people",
    ),
    (
        "Somebody is not found who is there, and is told so",
        "blur, dark glasses, caps, age; one enrolment photo instead of two",
    ),
    ("People are watched or looked up without knowing", "searches without a case; sources whose people were not told"),
    ("Photos of a place are kept against its law", "photos without evidence of their place, counted above"),
    ("What is held gets out", "copies outside the vault: exports, downloads, prints; loss of the keys"),
    ("What was erased comes back", "other people's copies, and old backups of the keys"),
)
"""What can go wrong in a system of this kind, and what it comes from. How likely and how severe a person must say."""


def dpia(facts_: Facts, stated: Statements) -> Document:
    """The assessment of every collection there is in the facts."""
    parts: list[Part] = [
        text(
            f"State of {facts_.on}. A skeleton under Art. 35(7) GDPR: facts are filled in by the system, judgements are left "
            "to a person. As long as one of them is open, this is no assessment. "
            f"{of.SAME}"
        )
    ]
    for held in facts_.held:
        parts += _collection(facts_, held, stated)
    return Document("Data protection impact assessment", (*parts, *lineage()))


def _collection(facts_: Facts, held: Held, stated: Statements) -> Iterator[Part]:
    name = held.collection.name
    yield Heading(2, name)
    yield Heading(3, "(a) What is done, and for what purposes")
    yield facts(*of.right(held, stated), *of.parties(held, facts_.on, stated), *of.amounts(held))
    yield of.places(held)
    yield text(f"{of.DATA} {of.TEMPLATE}")
    yield Heading(3, "(b) Necessity and proportionality")
    yield facts(
        *of.terms(held, facts_.on, facts_.search_days),
        *of.people(held),
        ("Necessity", stated.say(name, "necessity")),
        *([("Balance", stated.say(name, "balance"))] if held.collection.art6 == "legitimate-interests" else []),
        ("Views of the people", stated.say(name, "consultation")),
    )
    yield Heading(3, "(c) Risks to the people in the photos")
    yield table(("Risk", "What it comes from"), RISKS, empty="")
    yield facts(("Severity and likelihood", stated.say(name, "impact")))
    yield Heading(4, "Error rates")
    misses = stated.say(name, "misses")
    yield facts(
        *_rates(held), ("How often somebody is missed", misses), ("Who judges a hit", stated.say(name, "adjudication"))
    )
    yield Heading(3, "(d) Measures in force")
    yield facts(*of.MEASURES.items(), *measures(facts_, held), ("Organisation", stated.say(name, "organisation")))
    yield Heading(4, "What a law asks for and the collection does not have")
    asked = ((gap.rule.law, gap.duty.article, gap.needs) for gap in of.unmet(held, facts_.on))
    yield table(
        ("Law", "Where it stands", "What is needed"), asked, empty="Nothing, of the laws that the vault has as rules."
    )
    yield Heading(3, "Result")
    yield facts(
        ("Advice of the data protection officer", stated.say(name, "advice")),
        ("Risk that is left", stated.say(name, "residual")),
        ("Decision", stated.say(name, "decision")),
    )


def _rates(held: Held) -> Iterator[tuple[str, Value]]:
    """What a search among the faces held now means."""
    rates, faces = calibration.load(MODEL), held.count("faces")
    yield ("Share of searches for a stranger that give a hit, unless asked otherwise", f"{DEFAULT_FPIR:g}")
    if not faces:
        yield ("Score needed for that", "no face is held")
        return
    score = rates.threshold(DEFAULT_FPIR, faces)
    yield (f"Score needed for that among {faces:,} faces", f"{score:.3f}")
    yield ("False match rate at that score", f"{rates.fmr(score):.2g}")
    yield ("Whether that score was measured", "yes" if score <= rates.measured_to else "no, it is beyond: a guess")


def lineage() -> Iterator[Part]:
    """From what models, calibration and thresholds were made, and what an order or an erasure reaches of them."""
    rates = calibration.load(MODEL)
    yield Heading(2, "Where models, calibration and thresholds come from")
    yield table(
        ("Model", "For", "Trained on", "Licence", "SHA-256"),
        ((each.name, each.role, each.training, each.licence, each.sha256) for each in models.table().values()),
        empty="",
    )
    yield facts(
        (
            "Calibration",
            f"{rates.pairs:,} pairs of different people, {rates.data}; measured up to {rates.measured_to:.2f}",
        ),
        ("SHA-256 of the calibration", _digest()),
    )
    yield text(
        "Models and calibration come with the software. No photo, face or template of a vault is used to train or to "
        "calibrate, so nothing of them has to go when something is erased."
    )
    yield table(
        ("Made from what is held", "What an order or an erasure does to it"),
        (
            ("Thresholds", "kept nowhere: computed for each search from the calibration and the number of faces held"),
            ("Groups: faces linked with an enrolled person", "the link goes with the face, or with the person"),
            ("The mean template of an enrolled person", "kept nowhere: computed from the faces of the enrolment"),
            ("Quantisers", "there are none: templates are kept in full"),
            ("The index", "kept in memory only: rows of what is erased are overwritten"),
            ("The secret matrix of a collection", "made of random numbers, not of faces"),
        ),
        empty="",
    )


def _digest() -> str:
    return hashlib.sha256(resources.files("countenance.search").joinpath("calibration.toml").read_bytes()).hexdigest()
