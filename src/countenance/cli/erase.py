"""`countenance erase`: erase, verify, certify."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from countenance import errors
from countenance.cli import output
from countenance.cli.options import DryRun, Json, MaybeCollection, VaultPath, opened
from countenance.orders.erase import GROUNDS
from countenance.records import Erasure, Scope
from countenance.vault import Vault

Id = Annotated[str | None, typer.Option(show_default=False)]


def command(  # noqa: PLR0917
    photo: Id = None,
    face: Id = None,
    subject: Id = None,
    source: Id = None,
    search: Id = None,
    only: Annotated[
        list[str] | None, typer.Option(help="With --search: only these faces of it.", show_default=False)
    ] = None,
    collection: MaybeCollection = None,
    ground: Annotated[str, typer.Option(help=f"Why: {', '.join(GROUNDS)}. It stands in the certificate.")] = "operator",
    approved_by: Annotated[
        list[str] | None, typer.Option(help="Who approved it; stands in the certificate.", show_default=False)
    ] = None,
    vault: VaultPath = None,
    *,
    resume: Annotated[bool, typer.Option("--resume", help="Finish erasures that were cut short.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Erase by photo, face, subject, source or search result. Shows the full list first."""
    with opened(vault, dry_run=dry_run) as held:
        if resume:
            done = [e for e in held.erasures() if e.state != "certified"] if dry_run else held.resume()
            rows = [(erasure.id, erasure.state) for erasure in done]
            empty = "No erasure was left unfinished."
            output.emit(done, as_json=as_json, show=lambda: output.table(("erasure", "state"), rows, empty=empty))
            return
        scope = held.scope(
            photo=photo,
            face=face,
            subject=subject,
            source=source,
            search=search,
            only=only or (),
            collection=collection,
        )
        if dry_run:
            show_preview(held, scope, as_json=as_json)
            return
        if not as_json:
            show_preview(held, scope, as_json=False)
        if not yes:
            _ask(scope)
        erasure = held.erase(scope, ground=ground, approved_by=approved_by or ())
    output.emit(erasure, as_json=as_json, show=lambda: show_erasure(erasure))


def show_preview(vault: Vault, scope: Scope, *, as_json: bool) -> None:
    """Show everything that a scope reaches."""
    reached = vault.preview(scope)

    def show() -> None:
        output.table(
            ("photo", "address", "goes", "faces", "file at the source"),
            [
                (
                    r.photo_id,
                    f"{r.source}/{r.address}" if r.source != "enrolment" else r.address,
                    "whole" if r.whole else "face only",
                    ", ".join(r.faces),
                    r.action,
                )
                for r in reached
            ],
            empty="No photo is reached.",
        )
        output.say(_count(scope))

    output.emit({"scope": scope, "reach": reached, "changed": False}, as_json=as_json, show=show)


def show_erasure(erasure: Erasure) -> None:
    """Show what an erasure did."""
    output.facts(
        {
            "erasure": erasure.id,
            "state": erasure.state,
            "erased": f"{erasure.photos} photos, {erasure.faces} faces, {erasure.subjects} subjects",
            "files": ", ".join(f"{count} {name}" for name, count in erasure.files.items() if count) or "none touched",
            "searched": f"{erasure.scan.get('files', 0)} files of {erasure.scan.get('bytes', 0):,} bytes: nothing left",
        }
    )
    for name in erasure.unanswered:
        output.say(f"Did not answer in time: {name}. It may still hold what was erased in its memory; end it.")
    if erasure.files.get("worklist"):
        output.say("Some files must be dealt with by hand: countenance worklist")
    output.say(f"Next: countenance certificate save {erasure.id} erasure.zip")


def _count(scope: Scope) -> str:
    return (
        f"In scope: {len(scope.photos)} whole photos, {len(scope.faces)} faces, {len(scope.subjects)} subjects, "
        f"{len(scope.sources)} sources. Nothing has been changed."
    )


def _ask(scope: Scope) -> None:
    if not sys.stdin.isatty():
        raise errors.UsageError(f"{_count(scope)} To erase it, say --yes.")
    output.say("What is erased cannot be brought back, by anyone.")
    output.say(f"Erase {len(scope.faces)} faces? Type yes:")
    if sys.stdin.readline().strip() != "yes":
        raise errors.UsageError("Nothing was changed.")
