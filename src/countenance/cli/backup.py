"""`countenance backup`: what is new, to a folder or a bucket."""

from __future__ import annotations

from typing import Annotated

import typer

from countenance.cli import output
from countenance.cli.options import DryRun, Json, VaultPath, opened


def command(
    destination: Annotated[
        str, typer.Argument(metavar="DEST", help="A folder, or a bucket: s3://…, gs://…, az://….", show_default=False)
    ],
    keep: Annotated[
        int | None, typer.Option(help="Keep so many backups there and drop older ones.", show_default=False, min=1)
    ] = None,
    vault: VaultPath = None,
    *,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Back up the vault's sealed records, without any key. Only what is new is written."""
    with opened(vault, dry_run=dry_run) as held, output.progress_of("backing up", "MiB") as report:
        done = held.backup(destination, keep=keep, report=lambda now: report(now.done >> 20, now.total >> 20))

    def show() -> None:
        output.facts(
            {
                "backup": done.name,
                "holds": f"{done.bytes:,} bytes in {output.count(done.pieces, 'piece')}",
                "to write" if dry_run else "written": f"{done.bytes_written:,} bytes",
                "dropped": f"{output.count(done.dropped, 'older backup')}" if done.dropped else None,
            }
        )
        if dry_run:
            output.say("Dry run: nothing was written.")
            return
        output.say("No key is in it: without the folder keys/, or a live replica of it, nobody can restore it.")
        output.say("Next: countenance keys status")

    output.emit(output.plain(done) | {"dry_run": dry_run}, as_json=as_json, show=show)
