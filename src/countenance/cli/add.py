"""`countenance add`: scan a source."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from countenance import errors
from countenance.cli import output
from countenance.cli.options import DryRun, Json, MaybeCollection, VaultPath, opened
from countenance.scan import Added
from countenance.sources import SKIPPED


def command(
    source: Annotated[str, typer.Argument(help="Id of a registered source, or its location.")],
    collection: MaybeCollection = None,
    vault: VaultPath = None,
    *,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Add what is new at a source. Can be stopped at any point and run again."""
    if dry_run:
        with opened(vault, dry_run=True) as held:
            would = held.would_add(source, collection=collection)
        rows = [(kind, path) for kind, paths in would.items() if kind != "unchanged" for path in paths]
        output.emit(
            {**would, "dry_run": True},
            as_json=as_json,
            show=lambda: output.table(
                ("would look at", "photo"), rows, empty="There is nothing new. Nothing was changed."
            ),
        )
        return
    with opened(vault) as held, output.progress() as report:
        added = held.add(source, collection=collection, report=report)
        name = held.collection(held.source(added.source_id).collection_id).name
    output.emit(added, as_json=as_json, show=lambda: _show(added, name))
    unusable = sum(count for slug, count in added.refused.items() if slug not in {"erased-before", "expired-before"})
    if unusable and not as_json:
        output.say(f"See each with: countenance source refused {added.source_id}")
    if unusable:
        raise typer.Exit(errors.Partly.exit_code)


def _show(added: Added, collection: str) -> None:
    output.facts(
        {
            "added": output.count(added.added, "photo"),
            "unchanged": output.count(added.unchanged, "photo"),
            "vanished": output.count(added.vanished, "photo"),
            "faces kept": added.faces,
            "faces discarded": f"{added.discarded} (matched no enrolled subject)" if added.discarded else 0,
        }
    )
    if added.kept_out:
        output.line(f"kept out        {output.count(added.kept_out, 'face')}, at the person's own wish")
    for slug, count in added.refused.items():
        output.line(f"refused         {count}: {added.sentences[slug]}")
    for sentence, count in added.not_embedded.items():
        output.line(f"not searchable  {output.count(count, 'face')}: {sentence}")
    for kind, count in added.skipped.items():
        output.line(f"left out        {count}: {SKIPPED[kind]}")
    output.say(f"Next: countenance search PICTURE --collection {shlex.quote(collection)} --purpose … --case …")
