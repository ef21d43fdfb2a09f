"""`countenance export`: files outside the vault that it wrote, and that show faces."""

from __future__ import annotations

from typing import Annotated

import typer

from countenance.cli import output
from countenance.cli.options import DryRun, Json, VaultPath, opened

app = typer.Typer(name="export", help="Contact sheets that were written, until they are deleted.", no_args_is_help=True)


@app.command("list")
def list_(vault: VaultPath = None, *, as_json: Json = False) -> None:
    """List contact sheets that are not known to be gone."""
    with opened(vault) as held:
        found = held.exports.list()
    rows = [(e.id, e.path, e.faces, e.at.isoformat(), e.search_id) for e in found]
    output.emit(
        found,
        as_json=as_json,
        show=lambda: output.table(
            ("id", "file", "faces", "written", "search"), rows, empty="No contact sheet is left outside the vault."
        ),
    )


@app.command()
def delete(
    export: Annotated[str, typer.Argument(help="Id of the contact sheet.")],
    vault: VaultPath = None,
    *,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Delete a contact sheet, unless it was changed since it was written."""
    with opened(vault, dry_run=dry_run) as held:
        path = next((found.path for found in held.exports.list() if found.id == export), None)
        held.exports.delete(export)

    def show() -> None:
        output.line(f"{'would delete' if dry_run else 'deleted'} {path}")
        if dry_run:
            output.say("Dry run: nothing was changed.")

    output.emit({"id": export, "path": path, "dry_run": dry_run}, as_json=as_json, show=show)
