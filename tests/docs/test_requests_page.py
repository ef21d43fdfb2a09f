"""The page on requests says of the clocks what the clocks do, and names every kind, clue and outcome."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from countenance.requests.clock import LAWS
from countenance.requests.desk import GROUNDS, OUTCOMES
from countenance.requests.identify import CLUES
from countenance.requests.opendsr import TYPES
from countenance.store.requests import KINDS, UNCLEAR

PAGE = (Path(__file__).parents[2] / "docs" / "requests.md").read_text("utf-8")


def period(months, days):
    return next((f"{n} {unit}{'s' * (n > 1)}" for n, unit in ((months, "month"), (days, "day")) if n), "")


def since(day):
    return f"; since {day}" if day > date.min else ""


def pauses(law):
    """What pauses a clock; kinds are named where not all that the law knows can be paused for it."""
    named = [
        reason + (f" ({', '.join(sorted(kinds))})" if kinds < law.kinds else "") for reason, kinds in law.pauses.items()
    ]
    return ", ".join(named) + since(law.pause_since) * bool(named)


def acknowledged(law):
    if not (confirm := law.acknowledge):
        return ""
    kinds = ", ".join(sorted(confirm.kinds - {UNCLEAR}))
    return f"{confirm.days} {'working ' * confirm.working}days ({kinds}){since(confirm.since)}"


@pytest.mark.parametrize("name", LAWS)
def test_the_table_of_clocks_says_what_each_clock_does(name):
    law = LAWS[name]
    more = period(law.more_months, law.more_days)
    cells = [
        f"`{name}`: {law.article}",
        period(law.months, law.days),
        f"{more} more" if more else "",
        "to the next working day" if law.rolls else "stays",
        pauses(law),
        acknowledged(law),
    ]
    rows = [
        [cell.strip() for cell in line.strip("| ").split("|")] for line in PAGE.splitlines() if line.startswith("| `")
    ]
    (row,) = [row for row in rows if row[0].startswith(f"`{name}`")]
    assert row == cells[: len(row)]
    assert not any(cells[len(row) :])


def test_every_kind_ground_clue_and_outcome_stands_on_the_page():
    for word in (*KINDS, *GROUNDS, *OUTCOMES, *(f"--{clue}" for clue in CLUES if clue != "identity")):
        assert f"`{word}`" in PAGE, word
    assert set(TYPES) <= set(KINDS)
