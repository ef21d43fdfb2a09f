"""`countenance why`: explain a record."""

from __future__ import annotations

from typing import Annotated

import typer

from countenance.cli import output
from countenance.cli.options import Json, VaultPath, opened


def command(
    record: Annotated[
        str,
        typer.Argument(
            help="Id of a collection, photo, face, subject, request, receipt, restriction, order, erasure and so on."
        ),
    ],
    vault: VaultPath = None,
    *,
    as_json: Json = False,
) -> None:
    """Explain a record: source, basis, notice, evidence, expiry, and what it was used for."""
    with opened(vault) as held:
        found = held.why(record)
    output.emit(found, as_json=as_json, show=lambda: output.lines(found.sentences))
