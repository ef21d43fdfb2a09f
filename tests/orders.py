"""Orders for tests: their text, and photos that are words such as `ann+bob @GB` (who is on it, and its evidence)."""

from __future__ import annotations

import pytest
from tests.property import test_vault

from countenance import ingest
from countenance.gate.admit import admit
from countenance.gate.evidence import collect
from countenance.gate.reach import ordered
from countenance.records import Admitted, Evidence, Looked
from countenance.search import find

ASSESSMENT = "ab" * 32


def order_text(territory: str = "GB", *, measures: str = "[stop, erase]", scope: str = "", more: str = "") -> str:
    """An order file."""
    return f"""order: countenance/order/v1
authority: An Authority
country: GB
reference: case A 1
issued: 2022-05-18
measures: {measures}
scope: {scope or "{territories: [" + territory + "]}"}
{more}
"""


def look(content, collection, source, address, now, _cache, in_force, _beside, corrected):
    """Look at a photo of words: `names @evidence`."""
    names, _, places = content.decode().partition(" @")
    named = [Evidence(kind="gps", territory=code, origin="EXIF GPS position") for code in places.split(",") if code]
    evidence = (*named, *collect(None, source.country, address), *corrected)
    binding = ordered(in_force, collection, source, evidence, None, now)
    admitted = admit(collection, content, evidence=evidence, suppressed_by=None, now=now, ordered=binding)
    outcome = test_vault.seen(names.encode()) if isinstance(admitted, Admitted) else admitted
    return Looked(facts=test_vault.FACTS, evidence=evidence, outcome=outcome)


def replace_vision(patch: pytest.MonkeyPatch) -> None:
    """Let words stand for photos."""
    patch.setattr(ingest, "look", look)
    patch.setattr(find, "look", test_vault.look_at_probe)
    patch.setattr("countenance.vault.examine.prepare", lambda _: None)
    patch.setattr("countenance.vault.examine.ready", lambda _: None)
