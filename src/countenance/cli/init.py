"""`countenance init`: a new vault."""

from __future__ import annotations

import os
import sys
from getpass import getpass
from pathlib import Path
from typing import Annotated

import typer

import countenance
from countenance import errors
from countenance.cli import output
from countenance.cli.options import DryRun, Json
from countenance.settings import Settings
from countenance.store import medium


def command(
    path: Annotated[Path, typer.Argument(help="Folder of the new vault; it must be new or empty.")],
    *,
    passphrase: Annotated[bool, typer.Option("--passphrase", help="Wrap the keys under a passphrase.")] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Make a new vault."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise errors.VaultExists(path=path)
    if not dry_run:
        countenance.create(path, passphrase=_passphrase() if passphrase else None)
    kept = medium.classify(path if path.exists() else next(p for p in path.absolute().parents if p.exists()))

    def show() -> None:
        output.line(f"{'Would make' if dry_run else 'Made'} a vault in {path}.")
        output.say(
            f"Its keys are in {path / 'keys'}. Whoever loses that folder{' or the passphrase' if passphrase else ''} loses "
            "everything that the vault holds; nobody can get it back. `countenance keys replicate` keeps a live copy "
            "elsewhere. Keep no dated copies: an old copy of the keys would open what was erased since."
        )
        if kept.cls != "B":
            output.say(f"Overwriting may not overwrite here ({kept.note}); certificates will say so.")
        output.say("Next: countenance collection create NAME --help")

    result = {"vault": os.fspath(path), "made": not dry_run, "medium": kept.cls, "passphrase": passphrase}
    output.emit(result, as_json=as_json, show=show)


def _passphrase() -> str:
    given = Settings().passphrase
    if given:
        return given.get_secret_value()
    if not sys.stdin.isatty():
        raise errors.UsageError("Set COUNTENANCE_PASSPHRASE, or run this on a terminal. Nothing was made.")
    first = getpass("Passphrase: ")
    if not first or first != getpass("Again: "):
        raise errors.UsageError("The two passphrases differ, or are empty. Nothing was made.")
    return first
