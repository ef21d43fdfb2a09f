"""`countenance source`: where photos come from."""

from __future__ import annotations

from typing import Annotated

import typer

from countenance.cli import output
from countenance.cli.options import CollectionName, DryRun, Json, MaybeCollection, VaultPath, opened

app = typer.Typer(name="source", help="Where photos come from, and by what right.", no_args_is_help=True)


@app.command()
def add(  # noqa: PLR0917
    location: Annotated[str, typer.Argument(help="A folder, or an archive (zip, tar).")],
    collection: CollectionName,
    controller: Annotated[str, typer.Option(help="Who controls the source.")],
    evidence: Annotated[str, typer.Option(help="What shows that: a text, or a file (kept by name and SHA-256).")],
    country: Annotated[str | None, typer.Option(help="ISO 3166 code, if known: GB, US-IL.", show_default=False)] = None,
    on_erase: Annotated[
        str, typer.Option(help="What an erasure does to the file: delete, redact (that face only), worklist.")
    ] = "worklist",
    vault: VaultPath = None,
    *,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Register a source. Nothing is read yet."""
    with opened(vault, dry_run=dry_run) as held:
        source = held.create_source(
            location,
            collection=collection,
            controller=controller,
            evidence=evidence,
            country=country,
            on_erase=on_erase,
        )

    def show() -> None:
        output.facts(output.plain(source))
        output.say("Dry run: nothing was changed." if dry_run else f"Next: countenance add {source.id}")

    output.emit(output.plain(source) | {"dry_run": dry_run}, as_json=as_json, show=show)


@app.command("list")
def list_(collection: MaybeCollection = None, vault: VaultPath = None, *, as_json: Json = False) -> None:
    """List the sources."""
    with opened(vault) as held:
        found = held.sources(collection)
    rows = [(s.id, s.kind, s.location, s.controller, s.country, s.on_erase) for s in found]
    output.emit(
        found,
        as_json=as_json,
        show=lambda: output.table(
            ("id", "kind", "location", "controller", "country", "on erase"),
            rows,
            empty="There is no source yet. Register one with `countenance source add FOLDER`.",
        ),
    )


@app.command()
def refused(
    source: Annotated[str, typer.Argument(help="Id of the source.")], vault: VaultPath = None, *, as_json: Json = False
) -> None:
    """List the photos of a source that were refused, with the reason."""
    with opened(vault) as held:
        found = held.refused(source)
    rows = [(photo.id, photo.reason, photo.address) for photo in found]
    output.emit(
        found,
        as_json=as_json,
        show=lambda: output.table(("photo", "reason", "address"), rows, empty="No photo of this source was refused."),
    )
