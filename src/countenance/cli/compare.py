"""`countenance compare`: are these two the same person."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from countenance.cli import output
from countenance.cli.options import Case, CollectionName, Json, Purpose, VaultPath, opened
from countenance.search.compare import DEFAULT_FMR

MEASURABLE = 1e-6  # rates below it lie beyond what was measured


def command(  # noqa: PLR0917
    first: Annotated[Path, typer.Argument(help="A picture.")],
    second: Annotated[Path, typer.Argument(help="Another picture.")],
    collection: CollectionName,
    purpose: Purpose,
    case: Case,
    fmr: Annotated[
        float, typer.Option(help="In what share of pairs of different people 'same' is tolerable.")
    ] = DEFAULT_FMR,
    vault: VaultPath = None,
    *,
    as_json: Json = False,
) -> None:
    """Compare the largest face of two pictures. Nothing of either is kept."""
    with opened(vault) as held:
        found = held.compare(first, second, collection=collection, purpose=purpose, case=case, fmr=fmr)

    def show() -> None:
        output.line(f"{'same person, probably' if found.same else 'not shown to be the same person'}")
        output.line(f"score {found.score:.3f}; the threshold is {found.threshold:.3f}")
        rate = f"{found.fmr:.2g}" if found.fmr >= MEASURABLE else f"fewer than {MEASURABLE:.0e}"
        output.line(f"of pairs of different people, {rate} score as high ({found.calibration})")

    output.emit(found, as_json=as_json, show=show)
