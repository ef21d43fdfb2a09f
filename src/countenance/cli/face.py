"""`countenance face`: correcting matches, and restricting what is held, at a person's request."""

from __future__ import annotations

from typing import Annotated

import typer

from countenance import errors
from countenance.cli import output
from countenance.cli.options import DryRun, Json, VaultPath, opened
from countenance.store.restrictions import GROUNDS

app = typer.Typer(name="face", help="Correct a match, or restrict a photo, face or subject.", no_args_is_help=True)

Reason = Annotated[str, typer.Option(help="Why. Kept sealed.")]
Request = Annotated[str | None, typer.Option(help="Id of the request that this answers.", show_default=False)]


@app.command("not-same")
def not_same(  # noqa: PLR0917
    face: Annotated[str, typer.Argument(help="Id of a face.")],
    reason: Reason,
    subject: Annotated[str | None, typer.Option(help="The subject that it is not.", show_default=False)] = None,
    other: Annotated[
        str | None, typer.Option("--face", help="Id of a face of somebody else.", show_default=False)
    ] = None,
    request: Request = None,
    vault: VaultPath = None,
    *,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Record that a face is not a subject, or not the person of another face: no search and no scan joins them again."""
    if bool(subject) == bool(other) or (other and not other.startswith("fac_")):
        raise errors.UsageError("Say who it is not: --subject NAME or --face ID. Nothing was changed.")
    with opened(vault, dry_run=dry_run) as held:
        done = held.faces.not_same(face, subject or other or "", reason=reason, request=request)

    def show() -> None:
        output.line(f"{'Would record' if dry_run else 'Recorded'}: {face} is not {subject or other}.")
        if done.discarded:
            output.say("It belongs to nobody now, and this collection keeps no such face: its template is discarded.")
        elif done.unlinked:
            output.say("It belonged to the subject, and is unlinked.")
        _say_exports(done.exports)
        _say_dry(dry_run=dry_run)

    output.emit(output.plain(done) | {"changed": not dry_run}, as_json=as_json, show=show)


@app.command()
def restrict(  # noqa: PLR0917
    photo: Annotated[str | None, typer.Option(help="Id of a photo, with every face in it.", show_default=False)] = None,
    face: Annotated[str | None, typer.Option(help="Id of one face.", show_default=False)] = None,
    subject: Annotated[str | None, typer.Option(help="Name or id of a subject: its faces.", show_default=False)] = None,
    request: Annotated[
        str | None,
        typer.Option(help="Id of the request that this answers; alone: all it confirmed.", show_default=False),
    ] = None,
    ground: Annotated[str, typer.Option(help=f"One of {', '.join(GROUNDS)}.")] = "accuracy",
    reason: Reason = "",
    vault: VaultPath = None,
    *,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Keep a record and use it no more: it is not searched, matched, shown or exported until the restriction is lifted."""
    given = [name for name in (photo, face, subject) if name]
    if len(given) > 1 or not (given or request):
        raise errors.UsageError(
            "Restrict by one of: --photo, --face, --subject, or --request alone. Nothing was changed."
        )
    with opened(vault, dry_run=dry_run) as held:
        done = held.faces.restrict(given[0] if given else None, ground=ground, reason=reason, request=request)

    def show() -> None:
        output.facts({"restriction": done.restriction.id, "faces hidden": done.hidden, "ground": GROUNDS[ground]})
        _say_exports(done.exports)
        if not dry_run:
            output.say(f"Before you lift it, tell the person. Then: countenance face unrestrict {done.restriction.id}")
            if request:
                output.say(f"Next: countenance request answer {request} --outcome granted")
        _say_dry(dry_run=dry_run)

    output.emit(output.plain(done) | {"changed": not dry_run}, as_json=as_json, show=show)


@app.command()
def unrestrict(
    restriction: Annotated[str, typer.Argument(help="Id of the restriction.")],
    reason: Reason,
    told: Annotated[str, typer.Option(help="When and how the person was told before, as Art. 18(3) GDPR asks.")],
    vault: VaultPath = None,
    *,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Lift a restriction. What an order in force or another restriction holds stays hidden."""
    with opened(vault, dry_run=dry_run) as held:
        done = held.faces.unrestrict(restriction, reason=reason, told=told)

    def show() -> None:
        output.line(
            f"{'Would lift' if dry_run else 'Lifted'} {restriction}: {output.count(done.shown, 'face')} shown again."
        )
        if done.left:
            output.say(f"{output.count(done.left, 'face')} stay hidden: an order or another restriction holds them.")
        _say_dry(dry_run=dry_run)

    output.emit(output.plain(done) | {"changed": not dry_run}, as_json=as_json, show=show)


@app.command("list")
def list_(
    vault: VaultPath = None,
    *,
    ended: Annotated[bool, typer.Option("--ended", help="Restrictions that ended too.")] = False,
    as_json: Json = False,
) -> None:
    """List the restrictions in force, and what was recorded as not the same."""
    with opened(vault) as held:
        restrictions, links = held.faces.restrictions(ended=ended), held.faces.links()
    rows: list[tuple[object, ...]] = [
        (r.id, f"{r.at:%Y-%m-%d}", r.ground, len(r.photos), len(r.faces), r.request, "ended" if r.ended else "in force")
        for r in restrictions
    ]
    rows += [
        (one.id, f"{one.at:%Y-%m-%d}", "not the same", None, one.face_id, one.request, one.subject_id or one.other_id)
        for one in links
    ]
    output.emit(
        {"restrictions": restrictions, "links": links},
        as_json=as_json,
        show=lambda: output.table(
            ("id", "since", "ground", "photos", "faces", "request", "state, or who it is not"),
            rows,
            empty="Nothing is restricted or corrected.",
        ),
    )


def _say_exports(exports: tuple[str, ...]) -> None:
    for export in exports:
        output.say(
            f"A contact sheet that shows it is a file, and stays. To delete it: countenance export delete {export}"
        )


def _say_dry(*, dry_run: bool) -> None:
    if dry_run:
        output.say("Dry run: nothing was changed.")
