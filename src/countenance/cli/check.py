"""`countenance check`: do rows, templates, keys, index and log agree."""

from __future__ import annotations

import typer

from countenance import errors
from countenance.cli import output
from countenance.cli.options import Json, VaultPath, opened


def command(vault: VaultPath = None, *, as_json: Json = False) -> None:
    """Prove that rows, templates, keys, index and log agree. Changes nothing."""
    with opened(vault) as held:
        found = held.check()

    def show() -> None:
        output.facts(
            {"photos": found.photos, "faces": found.faces, "log lines": found.entries, "erased items": found.erased}
        )
        for problem in found.problems:
            output.line(f"WRONG: {problem}")
        output.say("Something does not agree." if found.problems else "Everything agrees.")

    output.emit(found, as_json=as_json, show=show)
    if found.problems:
        raise typer.Exit(errors.ProofFailed.exit_code)
