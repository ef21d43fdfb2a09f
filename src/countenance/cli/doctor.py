"""`countenance doctor`: what runs where, and what is missing."""

from __future__ import annotations

from pathlib import Path

import typer

from countenance.cli import output
from countenance.cli.options import Json, VaultPath
from countenance.doctor import doctor
from countenance.settings import Settings


def command(vault: VaultPath = None, *, as_json: Json = False) -> None:
    """Say what runs where on this machine, and what is missing."""
    settings = Settings()
    folder = vault or settings.vault or (Path() if Path("vault.toml").is_file() else None)
    found = doctor(settings, folder)
    rows = [("ok" if f.ok else "MISSING", f.what, f.found, "" if f.ok else f.advice) for f in found]
    output.emit(
        found,
        as_json=as_json,
        show=lambda: output.table(("", "what", "found", "what to do"), rows, empty="Nothing to see."),
    )
    if not all(f.ok for f in found):
        raise typer.Exit(1)
