"""`countenance wish`: people who signed that they want to be kept out."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from countenance import errors
from countenance.cli import output
from countenance.cli.options import DryRun, Json, VaultPath, opened
from countenance.records import Consent

app = typer.Typer(name="wish", help="People who signed that they want to be kept out.", no_args_is_help=True)

HELD = (
    "Faces of this person that are held already stay. To erase them: countenance search {} --collection … --purpose … "
    "--case …, then countenance erase --search ID --only FACE"
)


@app.command()
def record(  # noqa: PLR0917
    photos: Annotated[list[Path], typer.Argument(help="One to three photos, each showing that person alone.")],
    signed_by: Annotated[str, typer.Option(help="Who signed: the person, or who may speak for them.")],
    text: Annotated[str, typer.Option(help="The text they signed.")],
    until: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The day it ends, ten years on at most.")],
    signed: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The day it was signed; now if left out.", show_default=False),
    ] = None,
    vault: VaultPath = None,
    *,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Record a person's own wish: from now on no face that matches theirs is kept, in any collection."""
    with opened(vault, dry_run=dry_run) as held:
        given = signed.replace(tzinfo=UTC) if signed else held.clock()
        terms = Consent(by=signed_by, given_at=given, text=text, until=until.replace(tzinfo=UTC))
        wish = held.wishes.record(photos, consent=terms)

    def show() -> None:
        output.facts({"wish": wish.id, "photos": wish.photos, "until": wish.consent.until.date()})
        if dry_run:
            output.say("Dry run: nothing was kept.")
            return
        output.say(HELD.format(shlex.quote(str(photos[0]))))

    output.emit(output.plain(wish) | {"dry_run": dry_run}, as_json=as_json, show=show)


@app.command("list")
def list_(vault: VaultPath = None, *, as_json: Json = False) -> None:
    """List the wishes that are held. One that has ended keeps nobody out, and goes when the keys rotate next."""
    with opened(vault) as held:
        found, now = held.wishes.list(), held.clock()
    rows = [
        (w.id, w.consent.by, w.photos, w.consent.until.date(), "in force" if now < w.consent.until else "ended")
        for w in found
    ]
    output.emit(
        found,
        as_json=as_json,
        show=lambda: output.table(
            ("id", "signed by", "photos", "until", "state"),
            rows,
            empty="Nobody has asked to be kept out. See `countenance wish record --help`.",
        ),
    )


@app.command()
def withdraw(wish: str, vault: VaultPath = None, *, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Erase a wish with its template at once, and destroy its key."""
    with opened(vault, dry_run=dry_run) as held:
        if wish not in {found.id for found in held.wishes.list()}:
            raise errors.NotFound(noun="wish", name=wish)
        epoch = None if dry_run else held.wishes.withdraw(wish)

    def show() -> None:
        output.line(f"{'Would erase' if dry_run else 'Erased'} the wish {wish} and its template.")
        output.say("Dry run: nothing was changed." if dry_run else f"Its key went with key epoch {epoch}.")

    output.emit({"wish": wish, "epoch": epoch, "changed": not dry_run}, as_json=as_json, show=show)
