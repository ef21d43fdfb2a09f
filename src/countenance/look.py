"""Looking at one photo, in a worker: its metadata, the gate's decision, and only then its faces."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from countenance.gate.admit import admit
from countenance.gate.evidence import collect
from countenance.gate.metadata import read
from countenance.gate.reach import ordered
from countenance.gate.reservations import in_picture
from countenance.records import Admitted, Collection, Evidence, InForce, Looked, Reservation, Source
from countenance.vision.examine import examine


def look(  # noqa: PLR0917 - a worker is called by position
    content: bytes,
    collection: Collection,
    source: Source,
    address: str,
    now: datetime,
    cache: Path,
    in_force: tuple[InForce, ...],
    beside: tuple[Reservation, ...],
    corrected: tuple[Evidence, ...],
) -> Looked:
    """Look at a photo of a source. `beside` is what is reserved at its address, `corrected` what the operator said of it."""
    facts = read(content)
    evidence = (*collect(facts, source.country, address), *corrected)
    reserved = (*in_picture(content), *beside)
    binding = ordered(in_force, collection, source, evidence, facts.taken_at, now)
    admitted = admit(
        collection, content, evidence=evidence, reserved=reserved, suppressed_by=None, now=now, ordered=binding
    )
    outcome = examine(admitted, cache=cache) if isinstance(admitted, Admitted) else admitted
    return Looked(facts=facts, evidence=evidence, outcome=outcome, reserved=reserved)


def look_at_portrait(content: bytes, collection: Collection, now: datetime, cache: Path) -> Looked:
    """Look at an enrolment photo, which comes from no source."""
    facts, reserved = read(content), in_picture(content)
    evidence = collect(facts, None, "")
    admitted = admit(collection, content, evidence=evidence, reserved=reserved, suppressed_by=None, now=now)
    outcome = examine(admitted, cache=cache) if isinstance(admitted, Admitted) else admitted
    return Looked(facts=facts, evidence=evidence, outcome=outcome, reserved=reserved)
