"""`countenance compare`: are these two the same person."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from countenance.cli import output
from countenance.cli.options import Case, CollectionName, Json, Purpose, VaultPath, opened
from countenance.search.compare import DEFAULT_FMR


def command(  # noqa: PLR0917
    first: Path,
    second: Path,
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
        output.line(f"of pairs of different people, {found.fmr:.2g} score as high (measured on {found.calibration})")

    output.emit(found, as_json=as_json, show=show)
