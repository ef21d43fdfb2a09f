"""`countenance check`: do rows, templates, keys, index and log agree, and does anything stand in the clear."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from countenance import errors
from countenance.cli import output
from countenance.cli.options import Json, VaultPath, opened
from countenance.orders.exposed import Exposed


def command(
    *,
    residue: Annotated[
        bool,
        typer.Option(
            "--residue",
            help="Instead, search every file of the vault, the temporary folder and known exports for what must stand in "
            "none of them in the clear.",
        ),
    ] = False,
    of: Annotated[
        list[Path] | None,
        typer.Option(
            help="With --residue: a file, such as a photo that was erased, to search for.", show_default=False
        ),
    ] = None,
    vault: VaultPath = None,
    as_json: Json = False,
) -> None:
    """Prove that rows, templates, keys, index and log agree. Changes nothing."""
    if of and not residue:
        raise errors.UsageError("--of needs --residue.")
    if residue:
        _residue(of or [], vault, as_json=as_json)
        return
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


def _residue(of: list[Path], vault: Path | None, *, as_json: bool) -> None:
    with opened(vault) as held:
        found = held.check_residue(of)
    output.emit(output.plain(found) | {"clean": found.clean}, as_json=as_json, show=lambda: _show(found))
    if not found.clean:
        raise typer.Exit(errors.ProofFailed.exit_code)


def _show(found: Exposed) -> None:
    output.facts(
        {
            "places": ", ".join(found.everywhere.places),
            "files": found.everywhere.files,
            "bytes": found.everywhere.bytes,
            "held faces searched for": found.faces,
            "files searched for": found.offered,
            "patterns": found.inside.patterns + found.everywhere.patterns,
            "planted patterns found": found.inside.control_hits + found.everywhere.control_hits,
        }
    )
    for name in sorted({*found.inside.where, *found.everywhere.where}):
        output.line(f"FOUND: bytes that must not be there, in {name}")
    for name, erasure in found.erased:
        output.line(f"FOUND: {name} is a file that {erasure} erased")
    output.say("Nothing was found." if found.clean else "Remove these files, or what is in them, and look again.")
