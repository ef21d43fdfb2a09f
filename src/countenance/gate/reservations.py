"""What the owner of a picture reserves, as the picture's own bytes say: PLUS in XMP, C2PA and CAWG in JUMBF.

::

    found = in_picture(content) + beside.at(path)
    refusal(found)    # Refusal(slug="reserved", …), or None

Runs in worker processes: every byte is taken for hostile, sizes and counts are bounded, and nothing is raised. A broken
signal is no signal, unless what is left of it is plainly a reservation. A signature is not checked: to reserve needs
none. `beside` reads the signals that stand next to a picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from countenance.gate import jumbf
from countenance.records import Refusal, Reservation, Reserves

REFUSING: frozenset[Reserves] = frozenset({"mining", "inference", "search", "ai"})
"""What keeps faces from being looked for: a template is mined from the picture by a trained model, and searched with.
Who reserves training or generation alone has left that free, and nothing here is trained or generated."""


PLUS: dict[str, Reserves | None] = {
    "DMI-UNSPECIFIED": None,
    "DMI-ALLOWED": None,
    "DMI-PROHIBITED": "mining",
    "DMI-PROHIBITED-AIMLTRAINING": "training",
    "DMI-PROHIBITED-GENAIMLTRAINING": "training",
    "DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING": "mining",
    "DMI-PROHIBITED-SEECONSTRAINT": "mining",  # what the constraint allows is for people to read
    "DMI-PROHIBITED-SEEEMBEDDEDRIGHTSEXPR": "mining",
    "DMI-PROHIBITED-SEELINKEDRIGHTSEXPR": "mining",
}
"""The values of plus:DataMining (IPTC Photo Metadata Standard 2023.1), under http://ns.useplus.org/ldf/vocab/."""

C2PA: dict[str, Reserves] = {
    "data_mining": "mining",
    "ai_inference": "inference",
    "ai_training": "training",
    "ai_generative_training": "training",
}
"""The entries of c2pa.training-mining (C2PA 1.x) and cawg.training-mining, without their prefix."""

_PROPERTY = b"DataMining"
_MOST = 1000  # places of the property that are looked at; a packet has one
_VALUE = re.compile(  # an attribute's text, an element's rdf:resource, an element's text
    rb"""DataMining(?:\s{0,40}=\s{0,40}["']|[^<>]{0,300}\bresource\s{0,40}=\s{0,40}["']|[^<>]{0,300}>)\s{0,200}"""
    rb"""(?:<rdf:\w{1,10}[^<>]{0,100}>\s{0,200}){0,2}(?:https?://ns\.useplus\.org/ldf/vocab/)?(DMI-[A-Z-]{1,60})"""
)


def in_picture(content: bytes) -> tuple[Reservation, ...]:
    """Return the reservations in a picture's own bytes, each once; of any format, broken or not."""
    return tuple(dict.fromkeys((*in_xmp(content), *_in_manifest(content))))


def in_xmp(content: bytes, origin: str = "XMP") -> tuple[Reservation, ...]:
    """Return the reservations of an XMP packet, or of a file that holds one, such as a picture or its .xmp sidecar.

    The property is looked for in the bytes and not in parsed XML: so it is found in every container and in a packet that
    is not well-formed, and there is no parser to attack. A packet in UTF-16 or compressed, which no standard allows in a
    picture, is not read.
    """
    return tuple(dict.fromkeys(_plus(content, origin)))


def _plus(content: bytes, origin: str) -> Iterator[Reservation]:
    at = content.find(_PROPERTY)
    for _ in range(_MOST):
        if at < 0:
            return
        if match := _VALUE.match(content, at):
            value = match[1].decode("ascii").rstrip("-")
            unknown = value not in PLUS
            reserves = "mining" if unknown and value.startswith("DMI-PROHIBITED-") else PLUS.get(value)
            if reserves:
                words = "DMI-PROHIBITED with a restriction that is not known here" if unknown else value
                yield Reservation(kind="plus", reserves=reserves, origin=origin, text=f"plus:DataMining {words}")
        at = content.find(_PROPERTY, at + 1)


def _in_manifest(content: bytes) -> Iterator[Reservation]:
    for name, use in jumbf.training_mining(content):
        prefix, _, entry = name.partition(".")
        if prefix in ("c2pa", "cawg") and entry in C2PA and use in ("notAllowed", "constrained"):
            yield Reservation(kind="c2pa", reserves=C2PA[entry], origin="C2PA manifest", text=f"{name} {use}")


def refusal(found: Iterable[Reservation]) -> Refusal | None:
    """Decide whether faces may be looked for in a picture with these reservations. The refusal names each that forbids."""
    forbidding = list(dict.fromkeys(f"{each.text} ({each.origin})" for each in found if each.reserves in REFUSING))
    if not forbidding:
        return None
    return Refusal(
        slug="reserved",
        sentence=f"The owner reserved this picture: {'; '.join(forbidding)}. It was not looked at, and no face was kept.",
    )
