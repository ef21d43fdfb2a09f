"""What is asked of a collection, and why."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_FPIR = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One search or comparison."""

    collection_id: str
    purpose: str
    case: str
    by: str  # who asks, as the operating system or the key says
    fpir: float = DEFAULT_FPIR
    top: int | None = None  # the best so many of all that are above the threshold; None for all
    origin: str | None = None  # territory that the search comes from; None if it is not known
    tenant: str | None = None
