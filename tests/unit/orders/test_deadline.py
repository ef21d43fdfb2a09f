from __future__ import annotations

from datetime import date

import pytest

from countenance.orders.deadline import meter
from countenance.orders.order import parse
from countenance.records import Penalty


def order(*lines):
    head = (
        "order: countenance/order/v1\nauthority: X\ncountry: FR\nreference: Y\nissued: 2021-11-26\nmeasures: [erase]\n"
    )
    return parse(head + "scope: {territories: [FR]}\n" + "\n".join(lines))


@pytest.mark.parametrize(
    ("on", "left", "late", "owed"),
    [
        (date(2022, 1, 1), 25, 0, None),
        (date(2022, 1, 26), 0, 0, None),
        (date(2022, 1, 27), 0, 1, 100_000),
        (date(2022, 3, 19), 0, 52, 5_200_000),
    ],
)
def test_the_meter_counts_the_days_that_are_left_and_what_each_day_after_costs(on, left, late, owed):
    found = meter(order("delete_by: 2022-01-26", "daily: EUR 100000"), on)
    assert (found.left, found.late) == (left, late)
    assert found.owed == (Penalty(currency="EUR", amount=owed) if owed else None)


def test_an_order_without_deadline_or_without_penalty_owes_nothing():
    assert meter(order(), date(2030, 1, 1)) is None
    assert meter(order("delete_by: 2022-01-26"), date(2022, 1, 28)).owed is None
