"""`countenance collection`: what photos are held for, and by what right."""

from __future__ import annotations

import shlex
from typing import Annotated, Any

import typer

from countenance.cli import output
from countenance.cli.options import DryRun, Json, VaultPath, opened
from countenance.gate.admit import lacks, missing
from countenance.records import ART6, ART9, Collection
from countenance.vault import Vault

app = typer.Typer(name="collection", help="What photos are held for, and by what right.", no_args_is_help=True)

Name = Annotated[str | None, typer.Option(help="Another name.", show_default=False)]
Purpose = Annotated[str | None, typer.Option(help="What the photos are held for.", show_default=False)]
Controller = Annotated[str | None, typer.Option(help="Who decides on them, in law.", show_default=False)]
Contact = Annotated[str | None, typer.Option(help="Where people in the photos can write to.", show_default=False)]
Art6 = Annotated[str | None, typer.Option(help=f"Basis under Art. 6 GDPR: {', '.join(ART6)}.", show_default=False)]
Art9 = Annotated[str | None, typer.Option(help=f"Condition under Art. 9 GDPR: {', '.join(ART9)}.", show_default=False)]
Notice = Annotated[
    str | None, typer.Option(help="How and when people were told, or which exemption holds.", show_default=False)
]
Retention = Annotated[
    int | None, typer.Option("--retention-days", help="Days until a photo expires.", show_default=False)
]
Mode = Annotated[
    str | None,
    typer.Option(
        help="enrolled: keep only faces of consenting subjects (default). all: needs --justification.",
        show_default=False,
    ),
]
Why = Annotated[
    str | None, typer.Option("--justification", help="Why everybody's template is needed.", show_default=False)
]

TwoPeople = Annotated[
    bool | None,
    typer.Option(
        "--two-person/--one-person", help="Whether an order that reaches it needs two people.", show_default=False
    ),
]

TakesIn = Annotated[
    str | None,
    typer.Option(help="Whose people it may take in: places as in ISO 3166, such as GB,IE,US-CA.", show_default=False),
]
Established = Annotated[
    str | None, typer.Option(help="The place where the controller is established, such as GB.", show_default=False)
]
Representative = Annotated[
    str | None,
    typer.Option(help="Who stands in for a controller from elsewhere, and how to reach them.", show_default=False),
]
Policy = Annotated[
    str | None, typer.Option(help="Where the written, public retention policy stands.", show_default=False)
]
Release = Annotated[
    str | None, typer.Option(help="How each person's signed release is obtained and kept.", show_default=False)
]
DeclaredOn = Annotated[
    str | None,
    typer.Option(help="The day it was declared to the authority that asks for it (YYYY-MM-DD).", show_default=False),
]
PurposeEnds = Annotated[
    str | None, typer.Option(help="The day from which on its purpose is over (YYYY-MM-DD).", show_default=False)
]
Youngest = Annotated[
    int | None, typer.Option(help="Age in years of the youngest that it takes in.", show_default=False)
]
Guardians = Annotated[str | None, typer.Option(help="How those who speak for children consent.", show_default=False)]


@app.command()
def create(  # noqa: PLR0917
    name: str,
    purpose: Purpose = None,
    controller: Controller = None,
    contact: Contact = None,
    art6: Art6 = None,
    art9: Art9 = None,
    notice: Notice = None,
    retention_days: Retention = None,
    mode: Mode = None,
    justification: Why = None,
    two_person: TwoPeople = None,
    takes_in: TakesIn = None,
    established: Established = None,
    representative: Representative = None,
    policy: Policy = None,
    release: Release = None,
    declared_on: DeclaredOn = None,
    purpose_ends: PurposeEnds = None,
    youngest: Youngest = None,
    guardians: Guardians = None,
    vault: VaultPath = None,
    *,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Make a collection. What it does not state yet keeps every face out."""
    fields = _fields(locals())
    with opened(vault, dry_run=dry_run) as held:
        _show(held, held.create_collection(name, **fields), as_json=as_json, dry_run=dry_run)


@app.command("set")
def change(  # noqa: PLR0917
    collection: Annotated[str, typer.Argument(help="Name or id.")],
    name: Name = None,
    purpose: Purpose = None,
    controller: Controller = None,
    contact: Contact = None,
    art6: Art6 = None,
    art9: Art9 = None,
    notice: Notice = None,
    retention_days: Retention = None,
    mode: Mode = None,
    justification: Why = None,
    two_person: TwoPeople = None,
    takes_in: TakesIn = None,
    established: Established = None,
    representative: Representative = None,
    policy: Policy = None,
    release: Release = None,
    declared_on: DeclaredOn = None,
    purpose_ends: PurposeEnds = None,
    youngest: Youngest = None,
    guardians: Guardians = None,
    vault: VaultPath = None,
    *,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Change what a collection states."""
    fields = _fields(locals()) | ({"name": name} if name else {})
    with opened(vault, dry_run=dry_run) as held:
        _show(held, held.set_collection(collection, **fields), as_json=as_json, dry_run=dry_run)


@app.command("list")
def list_(vault: VaultPath = None, *, as_json: Json = False) -> None:
    """List the collections."""
    with opened(vault) as held:
        today = held.clock().date()
        found = [(c, held.counts(c.id), missing(c, today)) for c in held.collections()]
    rows = [
        (
            c.id,
            c.name,
            c.mode,
            counts.get("held", 0),
            counts["faces"],
            "no: it needs " + "; ".join(gaps) if gaps else "yes",
        )
        for c, counts, gaps in found
    ]
    output.emit(
        [output.plain(c) | {"counts": counts, "missing": gaps} for c, counts, gaps in found],
        as_json=as_json,
        show=lambda: output.table(
            ("id", "name", "mode", "photos", "faces", "may hold faces"),
            rows,
            empty="There is no collection yet. Make one with `countenance collection create NAME`.",
        ),
    )


@app.command()
def show(
    collection: Annotated[str, typer.Argument(help="Name or id.")], vault: VaultPath = None, *, as_json: Json = False
) -> None:
    """Show what a collection states."""
    with opened(vault) as held:
        _show(held, held.collection(collection), as_json=as_json, dry_run=False)


def _fields(given: dict[str, Any]) -> dict[str, Any]:
    return {name: given[name] for name in Collection.__slots__ if name in given and name not in {"id", "name"}}


def _show(held: Vault, found: Collection, *, as_json: bool, dry_run: bool) -> None:
    lacking = lacks(found, held.clock().date())
    gaps = missing(found, held.clock().date())

    def show() -> None:
        stated = output.plain(found) | {"takes_in": ", ".join(found.takes_in) or None}
        output.facts({name: value for name, value in stated.items() if value is not None})
        if dry_run:
            output.say("Dry run: nothing was changed.")
        elif lacking:
            output.say(str(lacking))
        else:
            output.say(
                f"Next: countenance source add FOLDER --collection {shlex.quote(found.name)} --controller … --evidence …"
            )

    output.emit(output.plain(found) | {"missing": gaps, "dry_run": dry_run}, as_json=as_json, show=show)
