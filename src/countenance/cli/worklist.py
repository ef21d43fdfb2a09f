"""`countenance worklist`: files that an erasure left to people."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from countenance.cli import output
from countenance.cli.options import DryRun, Json, VaultPath, opened


def command(
    done: Annotated[
        str | None, typer.Option(help="Id of a line that somebody has dealt with.", show_default=False)
    ] = None,
    vault: VaultPath = None,
    *,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """List files to delete or redact by hand at sources that are not written to, or mark one as done."""
    with opened(vault, dry_run=dry_run) as held:
        if done:
            held.erasures.finish_work(done)
        left = [line for line in held.erasures.worklist() if line.id != done]  # in a dry run it is still there
    rows = [
        (w.id, w.action, os.path.join(w.location, w.address), w.why, w.erasure_id)  # noqa: PTH118 - may be absolute
        for w in left
    ]
    output.emit(
        left,
        as_json=as_json,
        show=lambda: output.table(
            ("id", "do", "file", "why", "erasure"), rows, empty="Nothing is left to be done by hand."
        ),
    )
