"""P3: unknown is in scope."""

from __future__ import annotations

import pytest
from tests.conftest import WHY
from tests.orders import order_text


def test_a_photo_without_evidence_is_told_to_count_as_inside_every_order(filled, photos):
    photo = filled.photos(filled.sources("club")[0].id)[0]
    assert photo.evidence == ()
    assert any("counts as inside every order" in sentence for sentence in filled.why(photo.id).sentences)


@pytest.mark.parametrize("territory", ["GB", "US-IL", "EU", "NO"])
def test_a_photo_without_evidence_is_inside_a_stop_order_for_any_jurisdiction(filled, photos, territory):
    order = filled.orders.draft(order_text(territory))
    reached = filled.orders.preview(order.id)
    assert (reached.inside, reached.undetermined, reached.stopped, reached.erased) == (0, 4, 4, 4)
    filled.orders.approve(order.id, confirm=4)
    assert filled.counts("club") == {"stopped": 4, "faces": 0}
    assert not filled.search(photos / "portrait.png", **WHY).found


def test_only_an_order_that_says_so_leaves_out_what_has_no_evidence(filled, photos):
    order = filled.orders.draft(order_text(scope="{territories: [GB], unknown: exclude}"))
    assert filled.orders.preview(order.id).stopped == 0
    filled.orders.approve(order.id)
    assert len(filled.search(photos / "portrait.png", **WHY).faces[0].hits) == 3


def test_a_new_photo_without_evidence_is_refused_by_name_of_the_order(vault, photos):
    order = vault.orders.draft(order_text("NO"))
    vault.orders.approve(order.id)
    added = vault.add(photos)
    assert (added.added, added.refused) == (0, {"order": 4})
    assert "case A 1" in added.sentences["order"]
    assert vault.photos(vault.sources()[0].id) == []
