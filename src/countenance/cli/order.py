"""`countenance order`: what a regulator, a court or the operator orders, from its draft to its proof."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from countenance import errors
from countenance.cli import output
from countenance.cli.certificate import write_new
from countenance.cli.options import DryRun, Json, VaultPath, opened
from countenance.orders import article
from countenance.orders.issue import Standing
from countenance.orders.survey import Counted, Preview
from countenance.vault import Vault

app = typer.Typer(
    name="order", help="Orders of a regulator, a court or the operator: stop, erase, prove.", no_args_is_help=True
)

Id = Annotated[str, typer.Argument(help="Id of the order.")]


@app.command()
def draft(
    file: Annotated[Path | None, typer.Argument(help="The order file, YAML: see docs/orders.md.")] = None,
    from_article: Annotated[
        Path | None,
        typer.Option(help="Draft an order file from a news record (Markdown) instead.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="With --from-article: where to write the file.", show_default=False)
    ] = None,
    vault: VaultPath = None,
    *,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Take in an order file as a draft, which stops nothing; or write one from a news record, for a person to confirm."""
    if (file is None) == (from_article is None) or (out is not None and from_article is None):
        raise errors.UsageError("Give an order file, or --from-article with a news record. Nothing was changed.")
    if from_article:
        _from_article(from_article, out, dry_run=dry_run, as_json=as_json)
        return
    assert file
    with opened(vault, dry_run=dry_run) as held:
        made = held.orders.draft(_text(file))
        found = None if dry_run else held.orders.preview(made.id)

    def show() -> None:
        _show(made)
        if found is None:
            output.say("Dry run: nothing was changed.")
        else:
            output.say(
                f"It would stop {output.count(found.stopped, 'photo')} of {found.held:,}. Nothing is stopped yet."
            )
            output.say(_next(made, preview=True))

    output.emit(made, as_json=as_json, show=show)


@app.command()
def preview(
    order: Id,
    sheet: Annotated[
        Path | None, typer.Option(help="Write samples of the faces to this HTML page.", show_default=False)
    ] = None,
    vault: VaultPath = None,
    *,
    as_json: Json = False,
) -> None:
    """Count what an order reaches: by collection, source and evidence, what is undetermined, and what is derived."""
    with opened(vault) as held:
        found = held.orders.preview(order)
        standing = held.orders.show(order)
        names = _names(held)
        if sheet:
            held.orders.sheet(order, sheet)

    def show() -> None:
        _show_preview(found, names)
        if sheet:
            output.say(f"{sheet} shows faces: delete it when the order is carried out. What it erases deletes it too.")
        output.say(_next(standing))

    output.emit(found, as_json=as_json, show=show)


@app.command()
def approve(
    order: Id,
    by: Annotated[
        str | None, typer.Option(help="Who approves; else the user of this system.", show_default=False)
    ] = None,
    confirm: Annotated[
        int | None,
        typer.Option(help="The number of photos that it stops, where that is all there are.", show_default=False),
    ] = None,
    vault: VaultPath = None,
    *,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Approve an order. In force, it stops what it reaches at once, in every process."""
    with opened(vault, dry_run=dry_run) as held:
        done = held.orders.approve(order, by=by, confirm=confirm)

    def show() -> None:
        _show(done)
        if dry_run:
            output.say("Dry run: nothing was changed.")
        else:
            if done.state == "drafted":
                output.say("Another person must approve it too: a collection in its reach asks for two.")
            output.say(_next(done))

    output.emit(done, as_json=as_json, show=show)


@app.command("carry-out")
def carry_out(
    order: Id,
    signed_by: Annotated[str, typer.Option(help="Who signs the completion. Stands in the proof.")],
    vault: VaultPath = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Erase what an order in force says, verify, and complete it in the name of a person."""
    with opened(vault, dry_run=dry_run) as held:
        found = held.orders.preview(order)
        if dry_run:
            names = _names(held)
            output.emit({"preview": found, "changed": False}, as_json=as_json, show=lambda: _dry(found, names))
            return
        if not yes:
            raise errors.UsageError(
                f"In scope: {output.count(found.erased, 'photo')} to erase. What is erased cannot be brought back, by "
                "anyone. Nothing has been changed. To carry it out, say --yes."
            )
        done = held.orders.carry_out(order, signed_by=signed_by)
        left = [work for work in held.erasures.worklist() if work.source_id]

    def show() -> None:
        _show(done)
        if left:
            output.say("Some files must be dealt with by hand: countenance worklist")
        output.say(f"It stays in force until it is lifted. {_next(done)}")

    output.emit(done, as_json=as_json, show=show)


@app.command()
def lift(
    order: Id,
    reason: Annotated[str, typer.Option(help="Why. Sealed in the log.")],
    assessment: Annotated[
        str, typer.Option(help="SHA-256 of the impact assessment, 64 hex digits. Stands in the log.")
    ],
    vault: VaultPath = None,
    *,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Lift an order: what it hid and nothing has erased is shown again."""
    with opened(vault, dry_run=dry_run) as held:
        done = held.orders.lift(order, reason=reason, assessment=assessment)

    def show() -> None:
        _show(done)
        output.say("Dry run: nothing was changed." if dry_run else _next(done))

    output.emit(done, as_json=as_json, show=show)


@app.command()
def review(
    order: Id,
    confirm: Annotated[
        list[str] | None, typer.Option(help="Ids of photos that the order is meant to reach.", show_default=False)
    ] = None,
    photo: Annotated[str | None, typer.Option(help="With --territory: a photo.", show_default=False)] = None,
    territory: Annotated[
        str | None, typer.Option(help="With --photo: where it is from, such as GB or US-CA.", show_default=False)
    ] = None,
    vault: VaultPath = None,
    *,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """List the photos that wait for somebody to look at them (`unknown: review`), and say what is known of them."""
    if (photo is None) != (territory is None):
        raise errors.UsageError("Give --photo and --territory together. Nothing was changed.")
    with opened(vault, dry_run=dry_run) as held:
        if photo and territory:
            held.correct_evidence(photo, territory)
        if confirm:
            held.orders.confirm(order, confirm)
        waiting = held.orders.to_review(order)
        standing = held.orders.show(order)

    def show() -> None:
        output.table(("photo",), [(name,) for name in waiting], empty="No photo waits for review.")
        if dry_run:
            output.say("Dry run: nothing was changed.")
        elif waiting:
            output.say(f"Next: countenance why {waiting[0]}, then countenance order review {order} --help")
        else:
            output.say(_next(standing))

    output.emit(waiting, as_json=as_json, show=show)


@app.command()
def show(order: Id, vault: VaultPath = None, *, as_json: Json = False) -> None:
    """Show an order, where it stands, and its deadline with what the daily penalty amounts to."""
    with opened(vault) as held:
        found = held.orders.show(order)

    def shown() -> None:
        _show(found)
        output.say(_next(found))

    output.emit(found, as_json=as_json, show=shown)


@app.command("list")
def list_(vault: VaultPath = None, *, as_json: Json = False) -> None:
    """List the orders."""
    with opened(vault) as held:
        found = held.orders.list()
    rows = [(o.id, o.state, o.order.authority, o.order.reference, _deadline(o) or "") for o in found]
    output.emit(
        found,
        as_json=as_json,
        show=lambda: output.table(
            ("order", "state", "authority", "reference", "deadline"), rows, empty="There is no order."
        ),
    )


@app.command()
def proof(
    order: Id,
    file: Annotated[Path, typer.Argument(help="Where to write the bundle, a zip.")],
    vault: VaultPath = None,
    *,
    as_json: Json = False,
) -> None:
    """Write the proof bundle of an order that was carried out. It names who approved and signed, and no person's face."""
    with opened(vault) as held:
        bundle = held.orders.proof(order)
    write_new(file, bundle)

    def show() -> None:
        output.line(str(file))
        output.say("Anybody can check it, offline: unpack it and run python verify_order.py . --key KEY")
        output.say("Give them the KEY in another way than the bundle. To print it: countenance log key")

    output.emit({"order": order, "file": file, "bytes": len(bundle)}, as_json=as_json, show=show)


def _from_article(record: Path, out: Path | None, *, dry_run: bool, as_json: bool) -> None:
    drafted = article.draft_from_article(_text(record))
    if out and not dry_run:
        write_new(out, drafted.text.encode())

    def show() -> None:
        output.lines(drafted.text.splitlines())
        if drafted.ignored:
            output.say(f"Not used: {', '.join(drafted.ignored)}.")
        file = out or "FILE"
        output.say(
            "Check every field against the order itself and take it off `unconfirmed`. "
            f"Next: countenance order draft {file}"
        )

    output.emit(drafted, as_json=as_json, show=show)


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise errors.UsageError(f"{file} is no UTF-8 text. Nothing was changed.") from None


def _deadline(standing: Standing) -> str | None:
    meter = standing.deadline
    if meter is None:
        return None
    if not meter.late:
        return f"{meter.by} ({output.count(meter.left, 'day')} left)"
    owed = f", {meter.owed.currency} {meter.owed.amount:,}" if meter.owed else ""
    return f"{meter.by} ({output.count(meter.late, 'day')} late{owed})"


def _show(standing: Standing) -> None:
    order = standing.order
    fine = f"{order.fine.currency} {order.fine.amount:,}" if order.fine else None
    output.facts(
        {
            "order": standing.id,
            "state": standing.state,
            "authority": f"{order.authority} ({order.country})",
            "reference": order.reference,
            "issued": order.issued,
            "measures": ", ".join(order.measures),
            "territories": ", ".join(order.scope.territories) or None,
            "unknown": order.scope.unknown,
            "cease from": order.cease_from,
            "delete by": _deadline(standing),
            "fine": fine,
            "approved by": ", ".join(standing.approved_by) or None,
            "approvals": f"{len(standing.approved_by)} of {standing.approvals_needed}",
            "signed by": standing.signed_by,
            "to confirm": ", ".join(order.unconfirmed) or None,
            "file": standing.sha256,
        }
    )


def _next(standing: Standing, *, preview: bool = False) -> str:
    """What comes next for an order, with its command."""
    if standing.order.unconfirmed:
        return (
            "It cannot be approved: check each field `to confirm` in the file, take it off `unconfirmed`, and draft the "
            "file anew. This draft stops nothing. Next: countenance order draft FILE"
        )
    after = {
        "drafted": f"order {'preview' if preview else 'approve'} {standing.id}",
        "completed": f"order proof {standing.id} order.zip",
        "lifted": "add SOURCE, to look again at what it kept out",
    }
    return f"Next: countenance {after.get(standing.state, f'order carry-out {standing.id} --signed-by NAME --yes')}"


def _names(held: Vault) -> dict[str, str]:
    """How people call what a preview counts by id: collections by name, sources by location."""
    named = {each.id: each.name for each in held.collections()}
    return named | {each.id: each.location for each in held.sources()}


def _dry(found: Preview, names: dict[str, str]) -> None:
    _show_preview(found, names)
    output.say("Dry run: nothing was changed.")


def _show_preview(found: Preview, names: dict[str, str]) -> None:
    output.facts(
        {
            "held": f"{found.held:,} photos",
            "in scope": f"{found.inside:,}",
            "undetermined": f"{found.undetermined:,} (the order says: {found.unknown})",
            "to stop": f"{found.stopped:,}",
            "to erase": f"{found.erased:,}",
        }
        | {f"goes too: {layer}": f"{number:,}" for layer, number in found.derived.items()}
    )
    groups: tuple[tuple[str, dict[str, Counted]], ...] = (
        *(("collection", found.by_collection), ("source", found.by_source), ("evidence", found.by_evidence)),
    )
    for kind, counts in groups:
        rows = [(names.get(name, name), counted.inside, counted.undetermined) for name, counted in counts.items()]
        output.table((kind, "in scope", "undetermined"), rows, empty=f"No {kind} is reached.")
