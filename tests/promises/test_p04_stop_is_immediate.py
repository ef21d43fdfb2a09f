"""P4: stop is immediate."""

from __future__ import annotations

import pytest
from tests.conftest import WHY
from tests.orders import ASSESSMENT, order_text

from countenance import errors
from countenance.orders import erase


def stopped(vault):
    """Take an erasure of all that a search finds to the state stopped, and no further."""
    found = vault.search(face=first_face(vault), **WHY)
    plan = erase.plan(vault.database, vault.scope(search=found.id), ground="request", by="a test")
    run = vault._run(plan)
    with vault.database.read() as tx:
        progress = erase.erasures.find(tx, plan).progress
    erase.STEPS["planned"](run, progress)
    return plan


def first_face(vault):
    with vault.database.read() as tx:
        return erase.faces.stored(tx, state="held")[0].id


def test_from_stopped_on_no_search_shows_what_is_in_scope(filled, photos):
    stopped(filled)
    assert len([hit for face in filled.search(photos / "portrait.png", **WHY).faces for hit in face.hits]) == 1


def test_another_open_vault_follows_at_its_next_search(filled, reopen, photos):
    other = reopen()
    assert len(other.search(photos / "portrait.png", **WHY).faces[0].hits) == 3
    stopped(filled)
    assert len(other.search(photos / "portrait.png", **WHY).faces[0].hits) == 1


def test_from_stopped_on_what_is_in_scope_is_not_added_again(filled, photos, clock):
    stopped(filled)
    for file in photos.iterdir():
        file.touch()
    assert filled.add(photos).faces == 0
    assert filled.counts("club") == {"held": 2, "stopped": 2, "faces": 1}


def test_from_a_stop_orders_approval_on_no_open_vault_shows_or_takes_in_what_is_in_scope(filled, reopen, photos):
    other = reopen()
    assert len(other.search(photos / "portrait.png", **WHY).faces[0].hits) == 3
    order = filled.orders.draft(order_text(measures="[stop]"))
    filled.orders.approve(order.id, confirm=4)
    for vault in (filled, other):
        assert not vault.search(photos / "portrait.png", **WHY).found
        for file in photos.iterdir():
            file.touch()
        assert vault.add(photos).faces == 0
    assert filled.counts("club") == {"stopped": 4, "faces": 0}


def test_a_collection_that_an_order_stops_as_a_whole_refuses_search_and_comparison_in_every_open_vault(
    filled, reopen, photos
):
    other = reopen()
    order = filled.orders.draft(order_text(measures="[stop]", scope="{collections: [club]}"))
    filled.orders.approve(order.id, confirm=4)
    for vault in (filled, other):
        with pytest.raises(errors.Refused, match="case A 1"):
            vault.search(photos / "portrait.png", **WHY)
        with pytest.raises(errors.Refused, match="case A 1"):
            vault.compare(photos / "portrait.png", photos / "smaller.jpg", **WHY)


def test_a_lifted_order_gives_back_what_it_hid_in_every_open_vault(filled, reopen, photos):
    other = reopen()
    assert len(other.search(photos / "portrait.png", **WHY).faces[0].hits) == 3
    order = filled.orders.draft(order_text(measures="[stop]"))
    filled.orders.approve(order.id, confirm=4)
    assert not other.search(photos / "portrait.png", **WHY).found
    filled.orders.lift(order.id, reason="won on appeal", assessment=ASSESSMENT)
    for vault in (filled, other):
        assert len(vault.search(photos / "portrait.png", **WHY).faces[0].hits) == 3
        assert vault.check().problems == ()
