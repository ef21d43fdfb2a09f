"""`countenance erase`: erase, verify, certify."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Annotated

import typer

from countenance import errors
from countenance.cli import output
from countenance.cli.options import DryRun, Json, MaybeCollection, VaultPath, opened
from countenance.orders.erase import GROUNDS
from countenance.records import Erasure, Reach, Scope
from countenance.store.erasures import FINISHED
from countenance.vault import Vault

Photo = Annotated[str | None, typer.Option(help="Id of a photo: it goes with every face in it.", show_default=False)]
Face = Annotated[str | None, typer.Option(help="Id of one face; others in its photo stay.", show_default=False)]
Subject = Annotated[
    str | None, typer.Option(help="Name or id of a subject: all that is linked to it.", show_default=False)
]
Source = Annotated[
    str | None, typer.Option(help="Id of a source: the source and every photo of it.", show_default=False)
]
Search = Annotated[str | None, typer.Option(help="Id of a search: every face that it found.", show_default=False)]
Request = Annotated[
    str | None, typer.Option(help="Id of a person's request: what was confirmed, by its kind.", show_default=False)
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def command(  # noqa: PLR0917
    photo: Photo = None,
    face: Face = None,
    subject: Subject = None,
    source: Source = None,
    search: Search = None,
    request: Request = None,
    only: Annotated[
        list[str] | None, typer.Option(help="With --search: only these faces of it.", show_default=False)
    ] = None,
    collection: MaybeCollection = None,
    ground: Annotated[
        str | None,
        typer.Option(
            help=f"Why: {', '.join(GROUNDS)}; else operator, or what the request is. Stands in the certificate.",
            show_default=False,
        ),
    ] = None,
    approved_by: Annotated[
        list[str] | None, typer.Option(help="Who approved it; stands in the certificate.", show_default=False)
    ] = None,
    vault: VaultPath = None,
    *,
    resume: Annotated[bool, typer.Option("--resume", help="Finish erasures that were cut short.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Erase by photo, face, subject, source, search result or a person's request. Shows the full list first."""
    with opened(vault, dry_run=dry_run) as held:
        if resume:
            done = [e for e in held.erasures.list() if e.state not in FINISHED] if dry_run else held.resume()
            rows = [(erasure.id, erasure.state) for erasure in done]
            empty = "No erasure is left unfinished."
            output.emit(done, as_json=as_json, show=lambda: output.table(("erasure", "state"), rows, empty=empty))
            return
        if request:
            if any((photo, face, subject, source, search, only, collection, ground)):
                raise errors.UsageError("A request says itself what is erased, and why. Nothing was changed.")
            _of_request(held, request, approved_by or (), yes=yes, dry_run=dry_run, as_json=as_json)
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
        confirm(held, scope, yes=yes, as_json=as_json)
        erasure = held.erase(scope, ground=ground or "operator", approved_by=approved_by or ())
    output.emit(erasure, as_json=as_json, show=lambda: show_erasure(erasure))


def _of_request(
    vault: Vault, request: str, approved_by: Iterable[str], *, yes: bool, dry_run: bool, as_json: bool
) -> None:
    scopes = vault.requests.scope(request)
    if dry_run:
        show_scopes(vault, scopes, as_json=as_json)
        return
    for scope in scopes:
        confirm(vault, scope, yes=yes, as_json=as_json)
    done = vault.requests.erase(request, approved_by=approved_by)

    def show() -> None:
        for erasure in done:
            show_erasure(erasure)
        output.say(f"Next: countenance request answer {request} --outcome granted")

    output.emit(done, as_json=as_json, show=show)


def show_scopes(vault: Vault, scopes: Iterable[Scope], *, as_json: bool, after: str = "") -> None:
    """Show everything that scopes reach, a scope for each collection; `after` is the next useful command."""
    reached = [(scope, vault.preview(scope)) for scope in scopes]

    def show() -> None:
        for scope, reach in reached:
            _list(reach)
            output.say(_count(scope))
        output.say(f"Nothing was changed. Next: {after}" if after else "Dry run: nothing was changed.")

    listed = [{"scope": scope, "reach": reach} for scope, reach in reached]
    output.emit({"scopes": listed, "changed": False}, as_json=as_json, show=show)


def show_preview(vault: Vault, scope: Scope, *, as_json: bool) -> None:
    """Show everything that a scope reaches."""
    reached = vault.preview(scope)

    def show() -> None:
        _list(reached)
        output.say(f"{_count(scope)} Dry run: nothing has been changed.")

    output.emit({"scope": scope, "reach": reached, "changed": False}, as_json=as_json, show=show)


def show_erasure(erasure: Erasure) -> None:
    """Show what an erasure did."""
    output.facts(
        {
            "erasure": erasure.id,
            "state": erasure.state,
            "erased": ", ".join(
                output.count(number, noun)
                for number, noun in ((erasure.photos, "photo"), (erasure.faces, "face"), (erasure.subjects, "subject"))
            ),
            "files": ", ".join(f"{count} {name}" for name, count in erasure.files.items() if count) or "none touched",
            "searched": f"{erasure.scan.get('files', 0)} files of {erasure.scan.get('bytes', 0):,} bytes: nothing left",
        }
    )
    for name in erasure.unanswered:
        output.say(f"Did not answer in time: {name}. It may still hold what was erased in its memory; end it.")
    if erasure.files.get("worklist"):
        output.say("Some files must be dealt with by hand: countenance worklist")
    output.say(f"Next: countenance certificate save {erasure.id} erasure.zip")


def confirm(vault: Vault, scope: Scope, *, yes: bool, as_json: bool) -> None:
    """Show the full list and ask; raise `UsageError` unless the answer is yes."""
    if not as_json:
        _list(vault.preview(scope))
        output.say(_count(scope))
    if yes:
        return
    if not sys.stdin.isatty():
        raise errors.UsageError(f"{_count(scope)} Nothing has been changed. To erase it, say --yes.")
    output.say("What is erased cannot be brought back, by anyone. Type yes to erase it:")
    if sys.stdin.readline().strip() != "yes":
        raise errors.UsageError("Nothing was changed.")


def _count(scope: Scope) -> str:
    return (
        f"In scope: {output.count(len(scope.photos), 'whole photo')}, {output.count(len(scope.faces), 'face')}, "
        f"{output.count(len(scope.subjects), 'subject')}, {output.count(len(scope.sources), 'source')}."
    )


def _list(reached: list[Reach]) -> None:
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
            for r in sorted(reached, key=lambda r: (r.source, r.address))
        ],
        empty="No photo is reached.",
    )
