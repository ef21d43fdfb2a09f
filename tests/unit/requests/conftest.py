"""What the tests of the rights desk share."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from countenance.requests import desk
from countenance.requests.desk import Desk
from countenance.requests.intake import from_fields

DUBLIN = Desk(zone=ZoneInfo("Europe/Dublin"))


@pytest.fixture
def opened(filled, clock):
    """A vault with three faces in which a person asked for erasure two days ago, as request "req_1"."""
    came = from_fields(
        kind="erasure",
        received_at=clock.now - timedelta(days=2),
        now=clock.now,
        name="A. Person",
        contact="person@club.example",
        text="It is in portrait.png, I think",
    )
    desk.open_request(
        filled.database, came, DUBLIN, request_id="req_1", receipt_id="rcp_1", law="gdpr", by="the tester"
    )
    return filled
