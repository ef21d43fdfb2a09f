"""P3: unknown is in scope."""

from __future__ import annotations

import pytest

from countenance.orders import scope


def test_a_photo_without_evidence_is_told_to_count_as_inside_every_order(filled, photos):
    photo = filled.photos(filled.sources("club")[0].id)[0]
    assert photo.evidence == ()
    assert any("counts as inside every order" in sentence for sentence in filled.why(photo.id).sentences)


@pytest.mark.xfail(
    reason="orders with a jurisdiction as scope come with the issue on the regulator's order", strict=True
)
def test_a_photo_without_evidence_is_inside_a_stop_order_for_any_jurisdiction(filled):
    with filled.database.read() as tx:
        reached = scope.of_jurisdiction(tx, "GB")
    assert len(reached.photos) == 4
