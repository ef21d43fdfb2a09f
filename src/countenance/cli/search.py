"""`countenance search`: who is this, and where are they."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from countenance import errors
from countenance.cli import output
from countenance.cli.options import Case, CollectionName, Json, Purpose, VaultPath, opened
from countenance.records import Hit, SearchResult
from countenance.search.question import DEFAULT_FPIR
from countenance.search.sheet import in_words


def command(  # noqa: PLR0917
    collection: CollectionName,
    purpose: Purpose,
    case: Case,
    picture: Annotated[Path | None, typer.Argument(help="A picture to search with.", show_default=False)] = None,
    face: Annotated[
        str | None, typer.Option(help="Number of the face in the picture, or id of a stored face.", show_default=False)
    ] = None,
    subject: Annotated[str | None, typer.Option(help="Name or id of an enrolled subject.", show_default=False)] = None,
    fpir: Annotated[
        float, typer.Option(help="In what share of searches for a stranger a hit is tolerable.")
    ] = DEFAULT_FPIR,
    top: Annotated[int | None, typer.Option(help="Show only the best so many.", show_default=False)] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Also write an HTML page with the faces.", show_default=False)
    ] = None,
    vault: VaultPath = None,
    *,
    as_json: Json = False,
) -> None:
    """Search a collection by picture, stored face or subject. "Nobody found" is an answer."""
    chosen = int(face) if face and face.isdecimal() else face
    if sheet and sheet.exists():
        raise errors.UsageError(f"{sheet} is there already. Nothing was searched.")
    with opened(vault) as held:
        result = held.search(
            picture, collection=collection, purpose=purpose, case=case, face=chosen, subject=subject, fpir=fpir, top=top
        )
        if sheet:
            held.exports.write(result, sheet)
    output.emit(output.plain(result) | {"found": result.found}, as_json=as_json, show=lambda: _show(result))
    if sheet:
        output.say(f"Wrote {sheet}. It shows faces: delete it when the case is closed (countenance export list).")


def _show(result: SearchResult) -> None:
    output.say(
        f"{result.gallery:,} faces searched; hits from score {result.threshold:.3f} up, so that a search for a stranger "
        f"gives a hit in {result.fpir:.2%} of cases ({result.calibration})."
    )
    for face in result.faces:
        if face.reasons:
            output.say(f"Face {face.number} of the probe was not searched: {' '.join(face.reasons)}")
        elif not face.hits:
            output.line(f"face {face.number}: nobody found")
        elif sys.stdout.isatty():
            for hit in face.hits:
                _block(face.number, hit)
        else:
            output.table((), [_cells(face.number, hit) for hit in face.hits], empty="")
    output.say(f"Log entry {result.entry}.")
    if result.found:
        output.say(f"To erase what was found: countenance erase --search {result.id} --dry-run")


def _block(number: int, hit: Hit) -> None:
    """One hit on a terminal: lines to read."""
    probe, score, words, photo, box, taken, subject, face, because = _cells(number, hit)
    output.line(f"face {probe}: score {score}; {words}")
    output.line(f"    {photo}, box {box}{f', taken {taken}' if taken else ''}{f', {subject}' if subject else ''}")
    output.line(f"    {face}: {because}")
    output.line("")


def _cells(number: int, hit: Hit) -> tuple[str, ...]:
    """One hit in a pipe: tab-separated cells."""
    return (
        str(number),
        f"{hit.score:.3f}",
        in_words(hit.fpir),
        f"{hit.source}/{hit.address}" if hit.source != "enrolment" else hit.address,
        f"{hit.box[2]}×{hit.box[3]}+{hit.box[0]}+{hit.box[1]}",
        hit.taken_at or "",
        hit.subject or "",
        hit.face_id,
        hit.because,
    )
