"""`countenance keys`: how the keys stand, a new epoch, and live replicas."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from countenance import errors
from countenance.cli import output
from countenance.cli.options import DryRun, Json, VaultPath, opened
from countenance.custody import Status

app = typer.Typer(name="keys", help="The keys: how they stand, a new epoch, live replicas.", no_args_is_help=True)


@app.command()
def status(vault: VaultPath = None, *, as_json: Json = False) -> None:
    """Show the key epoch, where the keys are, and whether replicas and ledger are in step."""
    with opened(vault) as held:
        found = held.custody.status()
    output.emit(found, as_json=as_json, show=lambda: _show(found))


@app.command()
def rotate(vault: VaultPath = None, *, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Begin a new key epoch, and destroy the old key and those of records that were replaced since."""
    with opened(vault, dry_run=dry_run) as held:
        epoch = held.keys.epoch + 1 if dry_run else held.custody.rotate()

    def show() -> None:
        output.line(f"{'Would begin' if dry_run else 'Began'} key epoch {epoch}.")
        output.say("Dry run: nothing was changed." if dry_run else "Next: countenance keys status")

    output.emit({"epoch": epoch, "changed": not dry_run}, as_json=as_json, show=show)


@app.command()
def replicate(
    folder: Annotated[Path, typer.Argument(help="Folder on another disk, or on another machine's mount.")],
    vault: VaultPath = None,
    *,
    remove: Annotated[bool, typer.Option("--remove", help="Destroy the replica and take it off the list.")] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Keep a live replica of the keys in a folder: every erasure from now on destroys the old key there too."""
    with opened(vault, dry_run=dry_run) as held:
        if remove:
            _remove(folder, dry_run or held.custody.remove_replica(folder), dry_run=dry_run, as_json=as_json)
            return
        if dry_run and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise errors.VaultExists(path=folder)
        found = held.custody.status() if dry_run else held.custody.replicate(folder)

    def show() -> None:
        if dry_run:
            output.line(f"Would keep a replica of the keys in {folder}.")
            output.say("Dry run: nothing was changed.")
            return
        _show(found)
        output.say(
            f"Whoever can read {folder} can open the vault, unless a passphrase is set. It must be reachable whenever "
            "something is erased. Never copy it: an old copy opens what was erased since."
        )
        output.say(f"To end it: countenance keys replicate --remove {shlex.quote(str(folder))}")

    output.emit(output.plain(found) | {"changed": not dry_run}, as_json=as_json, show=show)


def _remove(folder: Path, destroyed: bool, *, dry_run: bool, as_json: bool) -> None:
    def show() -> None:
        output.line(f"{'Would take' if dry_run else 'Took'} {folder} off the list of replicas.")
        if dry_run:
            output.say("Dry run: nothing was changed.")
        elif not destroyed:
            output.say(
                f"It could not be reached, so its keys are still in it. Destroy that copy by hand: it opens what the vault "
                f"holds now, and what is erased from now on. Overwrite {folder / 'epoch.slots'}, or destroy the medium."
            )

    result = {"folder": folder, "destroyed": destroyed and not dry_run, "changed": not dry_run}
    output.emit(result, as_json=as_json, show=show)


def _show(found: Status) -> None:
    output.facts(
        {
            "key epoch": found.epoch,
            "kept by": found.provider,
            "erasure ledger": f"{output.count(found.ledger, 'record')}, {'whole' if found.ledger_whole else 'NOT WHOLE'}",
        }
    )
    rows = [
        (
            place.role,
            place.path,
            "reachable" if place.reachable else "OUT OF REACH",
            "in step" if place.in_step else "not in step",
            "one epoch" if place.clean else "MORE THAN ONE EPOCH",
            place.medium,
            place.note,
        )
        for place in found.places
    ]
    output.table(("role", "folder", "reach", "epoch", "slots", "medium", "why"), rows, empty="")
    for warning in found.warnings:
        output.say(warning)
