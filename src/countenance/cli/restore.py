"""`countenance restore`: a backup, today's keys and the erasure ledger make a vault again."""

from __future__ import annotations

import shlex
import sys
from getpass import getpass
from pathlib import Path
from typing import Annotated

import typer

from countenance import errors, restore
from countenance.cli import output
from countenance.cli.options import DryRun, Json
from countenance.settings import Settings


def command(
    source: Annotated[
        str,
        typer.Argument(
            help="Where the backup lies: a folder, or a bucket (s3://…, gs://…, az://…). Or the vault itself, if its "
            "records.db is an old copy.",
            show_default=False,
        ),
    ],
    path: Annotated[
        Path, typer.Argument(help="The vault's folder: new, or with nothing in it but keys/.", show_default=False)
    ],
    keys: Annotated[
        Path | None, typer.Option(help="A live replica of the keys; it is copied in.", show_default=False)
    ] = None,
    at: Annotated[str | None, typer.Option(help="Name of the backup; else the newest.", show_default=False)] = None,
    *,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Restore a backup with today's keys, and erase in it again what was erased since."""
    secret = Settings().passphrase
    passphrase = secret.get_secret_value() if secret else None
    try:
        done = restore.restore(source, path, keys=keys, at=at, passphrase=passphrase, dry_run=dry_run)
    except errors.WrongKey:
        if secret or not sys.stdin.isatty():
            raise
        passphrase = getpass("Passphrase: ")
        done = restore.restore(source, path, keys=keys, at=at, passphrase=passphrase, dry_run=dry_run)
    again = done.replayed

    def show() -> None:
        output.facts(
            {
                "vault": path,
                "backup": f"{done.backup} of key epoch {done.epoch_before}" if done.backup else "the records in place",
                "key epoch": done.epoch,
                "erased again": f"{output.count(again.erasures, 'erasure')}: {output.count(again.photos, 'photo')}, "
                f"{output.count(again.faces, 'face')}; {output.count(again.tokens, 'token')} keep them out",
                "orders": f"{output.count(done.orders, 'order')} back where they stood",
                "log": f"{done.lines} lines, at least {done.lines_missing} written later are lost",
            }
        )
        if dry_run:
            output.say("Dry run: nothing was restored.")
            return
        output.say("What was added since the backup is not in it: scan the sources again.")
        output.say(f"Next: countenance check --vault {shlex.quote(str(path))}")

    output.emit(output.plain(done) | {"dry_run": dry_run}, as_json=as_json, show=show)
