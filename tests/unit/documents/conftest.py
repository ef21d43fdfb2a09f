"""Facts of one collection in which no two values are the same, and all that can be stated of it."""

from __future__ import annotations

from datetime import date

import pytest

from countenance.documents.dpia import dpia
from countenance.documents.evidence import evidence
from countenance.documents.facts import Erased, Facts, Held, Ordered
from countenance.documents.notice import notice
from countenance.documents.retention import retention
from countenance.documents.ropa import ropa
from countenance.documents.statements import KEYS
from countenance.records import Collection, Order, OrderScope, Source

DOCUMENTS = {"notice": notice, "ropa": ropa, "dpia": dpia, "retention": retention, "evidence": evidence}

CLUB = Collection(
    id="col_club",
    name="Club of 1907",
    purpose="finding members",
    controller="The Club",
    contact="privacy@club.example",
    art6="legitimate-interests",
    art9="archiving",
    notice="a letter in May",
    retention_days=4001,
    mode="all",
    justification="strangers are in every photo",
    two_person=True,
    takes_in=("FR", "US-IL"),
    established="CH",
    representative="An Office, Paris",
    policy="club.example/retention",
    release="signed at the door",
    declared_on=date(2025, 3, 5),
    purpose_ends=date(2031, 4, 7),
    youngest=11,
    guardians="both parents sign",
)
SOURCE = Source(
    id="src_one",
    collection_id="col_club",
    kind="folder",
    location="/secret/path",
    controller="The Archive",
    evidence="contract.pdf",
    evidence_sha256="5c" * 32,
    country="LI",
    on_erase="redact",
)
ORDER = Order(
    authority="An Authority",
    country="NO",
    reference="case 77",
    issued=date(2026, 2, 3),
    measures=("stop",),
    scope=OrderScope(territories=("NO",)),
)
FACTS = Facts(
    on=date(2026, 11, 23),
    vault="countenance/abc",
    held=(
        Held(
            collection=CLUB,
            sources=(SOURCE,),
            photos={"src_one": {"held": 1009, "refused": 2003, "stopped": 3001, "vanished": 4003}},
            territories={("FR",): 5003, ("GB", "IE"): 6007, (): 7001},
            months={"photos": {"2027-01": 8009}, "faces": {"2027-02": 9001}, "subjects": {"2027-03": 1013}},
            past_due=2011,
            linked=3011,
            consenting=4013,
            searches=5009,
        ),
    ),
    orders=(Ordered(id="ord_one", state="stopped", order=ORDER, sha256="0d" * 32, assessment=None),),
    erasures=(Erased(id="era_one", collection_id="col_club", state="certified", ground="asked for", bundle="be" * 32),),
    requests={"access": {"answered": 6011}},
    suppressions={"content": 7013},
    restrictions=8011,
    wishes=9007,
    lines=1019,
    root="cm9vdA==",
    cosigned=2017,
    epoch=3019,
    provider="passphrase",
    search_days=4019,
)
STATED = {key: f"what is said of {key.replace('_', ' ')}" for key in KEYS}


@pytest.fixture(params=DOCUMENTS)
def kind(request) -> str:
    """The name of each document in turn."""
    return request.param
