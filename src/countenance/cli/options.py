"""Options that many commands share, and opening the vault they name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from getpass import getpass
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

import countenance
from countenance import errors
from countenance.cli import output
from countenance.settings import Settings
from countenance.vault import Vault

VaultPath = Annotated[
    Path | None,
    typer.Option(
        "--vault", help="The vault's folder; else COUNTENANCE_VAULT, else the current folder.", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done; change nothing.")]
CollectionName = Annotated[str, typer.Option("--collection", "-c", help="Name or id of the collection.")]
MaybeCollection = Annotated[
    str | None, typer.Option("--collection", "-c", help="Name or id of the collection.", show_default=False)
]
Purpose = Annotated[str, typer.Option("--purpose", help="What the search is for. Logged.")]
Case = Annotated[str, typer.Option("--case", help="A reference under which the search can be explained. Logged.")]


@contextmanager
def opened(path: Path | None, *, dry_run: bool = False) -> Iterator[Vault]:
    """Open the vault that the user means."""
    settings = Settings()
    folder = path or settings.vault or Path()
    if not path and not settings.vault and not (folder / "vault.toml").is_file():
        raise errors.UsageError("Say which vault: --vault FOLDER, or set COUNTENANCE_VAULT, or go into its folder.")
    try:
        vault = countenance.open(folder, settings=settings, dry_run=dry_run)
    except errors.WrongKey:
        if settings.passphrase or not sys.stdin.isatty():
            raise
        settings = settings.model_copy(update={"passphrase": SecretStr(getpass("Passphrase: "))})
        vault = countenance.open(folder, settings=settings, dry_run=dry_run)
    with vault:
        if vault.warning:
            output.say(vault.warning)
        yield vault
