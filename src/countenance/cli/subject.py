"""`countenance subject`: enrolled people and their consent."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from countenance import errors
from countenance.cli import output
from countenance.cli.document import Out, Stated, deliver, statements
from countenance.cli.erase import Yes, confirm, show_erasure, show_preview
from countenance.cli.options import CollectionName, DryRun, Json, MaybeCollection, VaultPath, opened
from countenance.records import Consent

app = typer.Typer(name="subject", help="Enrolled people and their consent.", no_args_is_help=True)


@app.command()
def enrol(  # noqa: PLR0917
    name: str,
    photos: Annotated[list[Path], typer.Argument(help="Two or three photos, each showing that person alone.")],
    collection: CollectionName,
    consent_by: Annotated[
        str | None, typer.Option(help="Who consented: the person, or who may speak for them.", show_default=False)
    ] = None,
    consent_text: Annotated[str | None, typer.Option(help="The text they agreed to.", show_default=False)] = None,
    consent_until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day the consent ends.", show_default=False)
    ] = None,
    consent_given: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The day it was given; now if left out.", show_default=False),
    ] = None,
    consent_receipt: Annotated[
        Path | None,
        typer.Option(help="Instead of all that: a consent receipt (ISO/IEC TS 27560, JSON-LD).", show_default=False),
    ] = None,
    vault: VaultPath = None,
    *,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Enrol a person from photos, under their recorded consent."""
    with opened(vault, dry_run=dry_run) as held:
        if consent_receipt and not (consent_by or consent_text or consent_until or consent_given):
            consent = held.documents.consent(consent_receipt.read_bytes(), collection=collection)
        elif consent_by and consent_text and consent_until and not consent_receipt:
            given = consent_given.replace(tzinfo=UTC) if consent_given else held.clock()
            consent = Consent(by=consent_by, given_at=given, text=consent_text, until=consent_until.replace(tzinfo=UTC))
        else:
            raise errors.UsageError(
                "Give the consent by --consent-by, --consent-text and --consent-until, or by --consent-receipt alone. "
                "Nobody was enrolled."
            )
        subject = held.enrol(name, photos, collection=collection, consent=consent)

    def show() -> None:
        output.facts(
            {
                "subject": subject.id,
                "name": subject.name,
                "photos": subject.faces,
                "until": subject.consent.until.date(),
            }
        )
        for warning in subject.warnings:
            output.say(warning)
        output.say(
            "Dry run: nobody was enrolled."
            if dry_run
            else "Next: countenance add SOURCE, to look at the photos again for them"
        )

    output.emit(output.plain(subject) | {"dry_run": dry_run}, as_json=as_json, show=show)


@app.command("list")
def list_(collection: MaybeCollection = None, vault: VaultPath = None, *, as_json: Json = False) -> None:
    """List the enrolled subjects."""
    with opened(vault) as held:
        found = held.subjects(collection)
    rows = [(s.id, s.name, s.faces, s.consent.by, s.consent.until.date()) for s in found]
    output.emit(
        found,
        as_json=as_json,
        show=lambda: output.table(
            ("id", "name", "photos", "consent by", "until"),
            rows,
            empty="Nobody is enrolled. See `countenance subject enrol --help`.",
        ),
    )


@app.command()
def receipt(
    subject: Annotated[str, typer.Argument(help="Name or id.")],
    collection: MaybeCollection = None,
    out: Out = None,
    stated: Stated = None,
    vault: VaultPath = None,
    *,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Give a receipt of a subject's consent, for that person. Its number leads a later request to them."""
    with opened(vault, dry_run=dry_run) as held:
        given = held.documents.receipt(subject, collection=collection, stated=statements(stated))
    if dry_run:
        output.say("Dry run: nothing was changed, and this number leads to nobody.")
    deliver(given, "receipt", None if dry_run else out, as_json=as_json, private=True)


@app.command()
def withdraw(
    subject: Annotated[str, typer.Argument(help="Name or id.")],
    collection: MaybeCollection = None,
    vault: VaultPath = None,
    *,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Withdraw a subject's consent: everything held of them in the collection is erased."""
    with opened(vault, dry_run=dry_run) as held:
        scope = held.scope(subject=subject, collection=collection)
        if dry_run:
            show_preview(held, scope, as_json=as_json)
            return
        confirm(held, scope, yes=yes, as_json=as_json)
        erasure = held.withdraw(subject, collection=collection)
    output.emit(erasure, as_json=as_json, show=lambda: show_erasure(erasure))
