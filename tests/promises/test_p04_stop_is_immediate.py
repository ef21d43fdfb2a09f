"""P4: stop is immediate."""

from __future__ import annotations

import pytest
from tests.conftest import WHY

from countenance.orders import erase


def stopped(vault):
    """Take an erasure of all that a search finds to the state stopped, and no further."""
    found = vault.search(face=first_face(vault), **WHY)
    plan = erase.plan(vault.database, vault.scope(search=found.id), ground="request", by="a test")
    run = erase.Run(vault.database, vault.galleries.of, lambda: vault.pool, vault.process_id, plan)
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


@pytest.mark.xfail(reason="stop orders come with the issue on the regulator's order", strict=True)
def test_a_stop_order_refuses_search_in_every_process(filled):
    filled.order("stop")
