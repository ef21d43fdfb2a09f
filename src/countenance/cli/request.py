"""`countenance request`: what a person asks, by any channel, from its arrival to its answer."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from countenance import errors
from countenance.cli import output
from countenance.cli.certificate import write_new
from countenance.cli.erase import show_scopes
from countenance.cli.options import DryRun, Json, MaybeCollection, VaultPath, opened
from countenance.requests import desk, mail
from countenance.requests.clock import LAWS, PAUSES, law_of
from countenance.requests.desk import GROUNDS, Matter
from countenance.requests.identify import Candidate
from countenance.requests.letters import LETTERS
from countenance.store.requests import KINDS
from countenance.vault import Vault

app = typer.Typer(name="request", help="What a person may ask, and by when they are answered.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="Id of the request.")]
Sheet = Annotated[Path | None, typer.Option(help="Write the candidates' faces to this HTML page.", show_default=False)]
Said = Annotated[str, typer.Option(help="What the person is told, in your words. Kept sealed.")]

DECIDED = dict.fromkeys(GROUNDS, "request scope {}") | {
    "access": "request answer {} --outcome granted --bundle answer.zip",
    "portability": "request answer {} --outcome granted --bundle answer.zip",
    "rectification": "face not-same --help",
    "restriction": "face restrict --request {}",
}
"""For each kind of request, the command that comes when candidates are confirmed."""

STATE = "To state it: countenance collection set NAME --help."
STATES = {"the supervisory authority": "It is the setting `authority`."} | dict.fromkeys(
    ("what is needed", "the reason for the delay", "the reason for the refusal", "what was looked by", "the answer"),
    "To state it: --said.",
)
"""What states a gap of a letter; else `STATE`."""
REVIEW = "request review {} --yes ID --no ID"
PRIVATE = "{} shows faces: show it to nobody else, and delete it when the request is answered."


@app.command("open")
def open_(  # noqa: PLR0917
    kind: Annotated[str | None, typer.Argument(help=f"One of {', '.join(KINDS)}.")] = None,
    name: Annotated[str, typer.Option(help="Who asks, if they said.")] = "",
    contact: Annotated[str, typer.Option(help="Where the answer goes.")] = "",
    text: Annotated[str, typer.Option(help="What they wrote or said.")] = "",
    received: Annotated[
        datetime | None, typer.Option(help="When it arrived, where the controller is; else now.", show_default=False)
    ] = None,
    law: Annotated[
        str | None, typer.Option(help=f"Whose clock runs: {', '.join(LAWS)}; else the setting.", show_default=False)
    ] = None,
    from_mail: Annotated[Path | None, typer.Option(help="Take in a mail (.eml).", show_default=False)] = None,
    from_opendsr: Annotated[Path | None, typer.Option(help="Take in OpenDSR 2.0 JSON.", show_default=False)] = None,
    vault: VaultPath = None,
    *,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Take in a request by any channel; its clock runs from the day it arrived. Nobody need say who they are."""
    if (kind is not None) + (from_mail is not None) + (from_opendsr is not None) != 1:
        raise errors.UsageError("Give a kind of request, --from-mail or --from-opendsr. Nothing was changed.")
    with opened(vault, dry_run=dry_run) as held:
        here = held.requests
        arrived = received.replace(tzinfo=here.desk.zone) if received else None
        if from_mail:
            made = here.open_mail(from_mail.read_bytes(), received_at=arrived, law=law)
        elif from_opendsr:
            made = here.open_opendsr(from_opendsr.read_bytes())
        else:
            made = here.open(kind or "", name=name, contact=contact, text=text, received_at=arrived, law=law)
    for warning in made.warnings:
        output.say(warning)
    if made.pictures and not dry_run:
        output.say(
            f"{output.count(len(made.pictures), 'picture')} came along; nothing of them was kept. To compare them, once "
            f"the kind is settled: countenance request identify {made.id} --from-mail {from_mail}"
        )
    _emit(made, dry_run=dry_run, as_json=as_json)


@app.command()
def identify(  # noqa: PLR0917
    request: Id,
    address: Annotated[
        list[str] | None, typer.Option(help="Path or web address of a photo, or its end.", show_default=False)
    ] = None,
    file: Annotated[list[Path] | None, typer.Option(help="An exact copy of a photo.", show_default=False)] = None,
    sha256: Annotated[list[str] | None, typer.Option(help="SHA-256 of a photo's file.", show_default=False)] = None,
    album: Annotated[
        list[str] | None, typer.Option(help='A folder, a day, or both: "summer 2026-05-18".', show_default=False)
    ] = None,
    receipt: Annotated[list[str] | None, typer.Option(help="Number of a receipt.", show_default=False)] = None,
    name: Annotated[list[str] | None, typer.Option(help="Name of an enrolled subject.", show_default=False)] = None,
    photo: Annotated[
        list[Path] | None,
        typer.Option(help="An offered picture: matched by its look, in memory. Never needed.", show_default=False),
    ] = None,
    from_mail: Annotated[
        Path | None, typer.Option(help="The pictures in this mail, as offered ones.", show_default=False)
    ] = None,
    collection: MaybeCollection = None,
    sheet: Sheet = None,
    vault: VaultPath = None,
    *,
    scan: Annotated[
        bool,
        typer.Option(
            "--scan", help="With --photo: compare its face with every photo of enrolled collections; kept: none."
        ),
    ] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Find candidates by what the person gave, besides what the request names itself. Only you are shown them."""
    given = {"address": address, "sha256": sha256, "album": album, "receipt": receipt, "name": name}
    sent = mail.read(from_mail.read_bytes()).offers if from_mail else ()
    with opened(vault, dry_run=dry_run) as held, output.progress_of("scanned", "photos") as tell:
        found = held.requests.identify(
            request,
            clues=[(kind, value) for kind, values in given.items() for value in values or ()],
            files=file or (),
            pictures=[*(photo or ()), *(offer.content for offer in sent)],
            collection=collection,
            scan=scan,
            report=lambda now: tell(now.done, now.total),
        )
        if sheet and not dry_run:
            held.requests.sheet(request, sheet)

    def show() -> None:
        _table(found)
        if sheet and not dry_run:
            output.say(PRIVATE.format(sheet))
        review = REVIEW if sheet else "request review {} --sheet sheet.html"
        _end((review if found else "request answer {} --outcome nothing").format(request), dry_run=dry_run)

    output.emit(found, as_json=as_json, show=show)


@app.command()
def review(  # noqa: PLR0917
    request: Id,
    yes: Annotated[list[str] | None, typer.Option(help="Face or photo: it is them.", show_default=False)] = None,
    no: Annotated[list[str] | None, typer.Option(help="Face or photo: it is not.", show_default=False)] = None,
    unsure: Annotated[list[str] | None, typer.Option(help="Face or photo: not settled.", show_default=False)] = None,
    sheet: Sheet = None,
    vault: VaultPath = None,
    *,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Say of candidates whether they are the person; without one, list them. Only what has a yes is told or erased."""
    verdicts = {name: word for word, names in (("yes", yes), ("no", no), ("unsure", unsure)) for name in names or ()}
    if len(verdicts) < sum(map(len, (yes or (), no or (), unsure or ()))):
        raise errors.UsageError("A candidate has two verdicts. Nothing was changed.")
    with opened(vault, dry_run=dry_run) as held:
        found = held.requests.review(request, verdicts) if verdicts else held.requests.show(request)
        if sheet and not dry_run:
            held.requests.sheet(request, sheet)
    listed = [(one.photo_id, one.face_id, one.verdict) for one in found.request.reviews]

    def show() -> None:
        output.table(("photo", "face", "verdict"), listed, empty="There is no candidate yet.")
        if sheet and not dry_run:
            output.say(PRIVATE.format(sheet))
        _end(REVIEW.format(request) if sheet and found.count("unsure") else _next(found), dry_run=dry_run)

    rows = [{"photo": photo, "face": face, "verdict": verdict} for photo, face, verdict in listed]
    output.emit(rows, as_json=as_json, show=show)


@app.command()
def scope(request: Id, vault: VaultPath = None, *, as_json: Json = False) -> None:
    """Show what was confirmed and is still there, photo by photo, and the command that erases it."""
    with opened(vault) as held:
        found = held.requests.show(request)
        scopes = held.requests.scope(request)
        after = f"erase --request {request}" if found.request.kind in GROUNDS else _next(found)
        show_scopes(held, scopes, as_json=as_json, after=f"countenance {after}")


@app.command()
def settle(
    request: Id,
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(KINDS)}.")],
    vault: VaultPath = None,
    *,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Say what the person wants, or confirm what was guessed."""
    with opened(vault, dry_run=dry_run) as held:
        done = held.requests.settle(request, kind)
    _emit(done, dry_run=dry_run, as_json=as_json)


@app.command()
def acknowledge(request: Id, vault: VaultPath = None, *, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Note that you confirmed the arrival to the person. The letter for it: `letter ID acknowledgement`."""
    with opened(vault, dry_run=dry_run) as held:
        done = held.requests.acknowledge(request)
    _emit(done, dry_run=dry_run, as_json=as_json)


@app.command()
def extend(
    request: Id,
    reason: Annotated[str, typer.Option(help="Why it takes longer. The person is told.")],
    vault: VaultPath = None,
    *,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Take the longer time that the law gives, once, within the first."""
    with opened(vault, dry_run=dry_run) as held:
        done = held.requests.extend(request, reason)
    _emit(done, dry_run=dry_run, as_json=as_json, after=f"request letter {request} extension")


@app.command()
def pause(
    request: Id,
    reason: Annotated[str, typer.Argument(help="; ".join(f"{name}: {why}" for name, why in PAUSES.items()))],
    said: Said = "",
    vault: VaultPath = None,
    *,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Stop the clock until the person replies, where the law allows it."""
    with opened(vault, dry_run=dry_run) as held:
        done = held.requests.pause(request, reason, said=said)
    _emit(done, dry_run=dry_run, as_json=as_json, after=f"request letter {request} pause")


@app.command()
def resume(request: Id, vault: VaultPath = None, *, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Let the clock run again: the person replied."""
    with opened(vault, dry_run=dry_run) as held:
        done = held.requests.resume(request)
    _emit(done, dry_run=dry_run, as_json=as_json)


@app.command()
def answer(
    request: Id,
    outcome: Annotated[str, typer.Option(help=f"One of {', '.join(desk.OUTCOMES)}.")],
    said: Said = "",
    bundle: Annotated[
        Path | None, typer.Option(help="Write the answer to an access request to this new file, a zip for the person.")
    ] = None,
    vault: VaultPath = None,
    *,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Note how the request was answered. It needs a settled kind and a verdict on every candidate."""
    with opened(vault, dry_run=dry_run) as held:
        done = held.requests.answer(request, outcome, said=said, bundle=None if dry_run else bundle)
    if bundle and not dry_run:
        output.say(f"{bundle} shows a person and who searched for them. Nothing was sent: send it, then delete it.")
    _emit(done, dry_run=dry_run, as_json=as_json, after=f"request close {request}" if bundle else "")


@app.command()
def letter(
    request: Id,
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(LETTERS)}; an answer as answer:granted.")],
    said: Said = "",
    out: Annotated[
        Path | None, typer.Option(help="Write it to this file, as HTML or, if it ends in .txt, as text.")
    ] = None,
    vault: VaultPath = None,
    *,
    as_json: Json = False,
) -> None:
    """Write a letter to the person, for you to send. What is not known stands in it as a gap."""
    with opened(vault) as held:
        written = held.requests.letter(request, kind, said=said)
        found = held.requests.show(request)
    if out:
        write_new(out, (written.text if out.suffix == ".txt" else written.html).encode())

    def show() -> None:
        output.lines([str(out)] if out else written.text.splitlines())
        for gap in written.gaps:
            output.say(f"Not stated: {gap}. {STATES.get(gap, STATE)}")
        output.say("Nothing was sent: send it yourself.")
        acknowledging = kind == "acknowledgement" and not found.standing.acknowledged
        closing = found.standing.state == "answered" and kind not in {"acknowledgement", "extension", "pause"}
        after = "request acknowledge {}" if acknowledging else "request close {}" if closing else _next(found)
        _end(after.format(request))

    about = {"kind": written.kind, "subject": written.subject, "text": written.text, "gaps": written.gaps, "file": out}
    output.emit(about, as_json=as_json, show=show)


@app.command()
def close(request: Id, vault: VaultPath = None, *, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Close a request that was answered. One that was not cannot be closed."""
    with opened(vault, dry_run=dry_run) as held:
        done = held.requests.close(request)
    _emit(done, dry_run=dry_run, as_json=as_json)


@app.command("list")
def list_(
    vault: VaultPath = None,
    *,
    unanswered: Annotated[bool, typer.Option("--unanswered", help="Only those that wait for an answer.")] = False,
    as_json: Json = False,
) -> None:
    """List the requests, the one due first at the top; what is late is marked."""
    with opened(vault) as held:
        found = held.requests.list(unanswered=unanswered)
    rows = [(one.standing.due, _left(one), one.id, one.request.kind, one.standing.state) for one in found]

    def show() -> None:
        output.table(("due", "left", "request", "kind", "state"), rows, empty="There is no request.")
        waiting = [one for one in found if one.left is not None]
        _end(_next(waiting[0]) if waiting else "request open --help")

    output.emit([_plain(one) for one in found], as_json=as_json, show=show)


@app.command()
def show(request: Id, vault: VaultPath = None, *, as_json: Json = False) -> None:
    """Show a request: what was asked, where it stands, what was done, and what it erased."""
    with opened(vault) as held:
        found = held.requests.show(request)
        erased = _erasures(held, request)

    def shown() -> None:
        _show(found, erased)
        output.lines(f"{step.on}  {step.what} {step.reason}".rstrip() for step in found.request.steps)
        _end(_next(found))

    output.emit(_plain(found) | {"erasures": erased}, as_json=as_json, show=shown)


def _erasures(held: Vault, request: str) -> list[str]:
    return [erasure.id for erasure in held.erasures.list() if erasure.request == request]


def _emit(found: Matter, *, dry_run: bool, as_json: bool, after: str = "") -> None:
    def show() -> None:
        _show(found)
        _end(after or _next(found), dry_run=dry_run)

    output.emit(_plain(found), as_json=as_json, show=show)


def _end(command: str, *, dry_run: bool = False) -> None:
    output.say("Dry run: nothing was changed." if dry_run else f"Next: countenance {command}")


def _next(found: Matter) -> str:
    """The next useful command about a request."""
    request, id_, state = found.request, found.id, found.standing.state
    if state == "answered":
        sent = request.steps[-1].reason
        return f"request letter {id_} {desk.LETTER.get(sent, f'answer:{sent}')} --out letter.html"
    decided = DECIDED.get(request.kind, "request answer {} --outcome granted").format(id_)
    return next(
        command
        for holds, command in (
            (state == "closed", "request list --unanswered"),
            (state == "paused", f"request resume {id_}"),
            (not request.confirmed, f"request settle {id_} {request.kind if request.kind in KINDS else 'KIND'}"),
            (not request.reviews, f"request identify {id_} --help"),
            (found.count("unsure"), f"request review {id_} --sheet sheet.html"),
            (found.count("yes"), decided),
            (True, f"request answer {id_} --outcome nothing"),
        )
        if holds
    )


def _left(found: Matter) -> str:
    if found.left is None:
        return "paused" if found.standing.state == "paused" else ""
    return (
        f"LATE by {output.count(-found.left, 'day')}" if found.left < 0 else f"{output.count(found.left, 'day')} left"
    )


def _plain(found: Matter) -> dict[str, Any]:
    """A request as JSON has it, with what was asked: the operator may see it, a log must not."""
    asked = found.request.asked
    said = {"name": asked.name, "contact": asked.contact, "subject": asked.subject, "text": asked.text}
    clues = [{"kind": clue.kind, "value": clue.value} for clue in asked.clues]
    counted = {verdict: found.count(verdict) for verdict in ("yes", "no", "unsure")}
    more = {"id": found.id, "receipt": found.receipt, "asked": said, "clues": clues, "candidates": counted}
    return {**output.plain(found), **more}


def _show(found: Matter, erased: list[str] | None = None) -> None:
    request, standing, asked = found.request, found.standing, found.request.asked
    counted = [f"{number} {word}" for word in ("yes", "no", "unsure") if (number := found.count(word))]
    output.facts(
        {
            "request": found.id,
            "receipt": found.receipt or None,
            "kind": request.kind if request.confirmed else f"{request.kind} (guessed: settle it)",
            "law": f"{law_of(request.law).title} ({law_of(request.law).article})",
            "state": f"{standing.state} ({PAUSES[standing.paused_for]})" if standing.paused_for else standing.state,
            "received": f"{request.received_at:%Y-%m-%d %H:%M} UTC, by {request.channel}",
            "due": f"{standing.due} {_left(found)}".strip() + ("" if standing.statutory else ", our own aim"),
            "acknowledge by": None if standing.acknowledged else standing.acknowledge_by,
            "from": " ".join(filter(None, (asked.name, f"<{asked.contact}>" if asked.contact else ""))) or None,
            "subject": asked.subject or None,
            "text": asked.text or None,
            "clues": ", ".join(f"{clue.kind} {clue.value}" for clue in asked.clues) or None,
            "candidates": ", ".join(counted) or None,
            "erased by": ", ".join(erased or ()) or None,
        }
    )


def _table(found: tuple[Candidate, ...]) -> None:
    rows = [
        (
            one.photo_id,
            ", ".join(one.face_ids) or "; ".join(f"at {like.box}, score {like.score:.2f}" for like in one.likenesses),
            ", ".join(one.by),
        )
        for one in found
    ]
    empty = "Nothing was found in this way. That does not show that there is nothing; ask for another clue."
    output.table(("photo", "faces", "found by"), rows, empty=empty)
