"""How an order's deadline stands: days left, or days late and what that costs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from countenance.records import Order, Penalty


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """Where a deadline stands on a day."""

    by: date
    left: int  # days; 0 on the last one
    late: int  # days after it
    owed: Penalty | None  # what the daily penalty amounts to by then


def meter(order: Order, on: date) -> Deadline | None:
    """The deadline for deletion as it stands on a day, or stood on the day of completion; None if the order has none."""
    if order.delete_by is None:
        return None
    late = max(0, (on - order.delete_by).days)
    owed = Penalty(currency=order.daily.currency, amount=order.daily.amount * late) if order.daily and late else None
    return Deadline(by=order.delete_by, left=max(0, (order.delete_by - on).days), late=late, owed=owed)
