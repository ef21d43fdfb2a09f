"""`countenance log`: what was done, and proof that nothing of that was changed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from countenance import errors
from countenance.audit import proof
from countenance.audit.checkpoint import cosigned_at, parse_cosigner
from countenance.audit.verify import parse_key
from countenance.cli import output
from countenance.cli.options import DryRun, Json, VaultPath, opened

app = typer.Typer(name="log", help="What was done, and proof that nothing of that was changed.", no_args_is_help=True)


@app.command()
def show(
    kind: Annotated[str | None, typer.Option(help="Only this kind, such as search:done.", show_default=False)] = None,
    newest: Annotated[int, typer.Option(help="How many lines, counted from the end.")] = 50,
    vault: VaultPath = None,
    *,
    as_json: Json = False,
) -> None:
    """Show the newest lines. Details of what was erased are gone; the lines stay."""
    with opened(vault) as held:
        found = held.log.lines(kind=kind, newest=newest)
    rows = [
        (
            line.number,
            line.at,
            line.kind,
            ", ".join(f"{name} {value}" for name, value in line.public.items()),
            "; ".join(
                ", ".join(f"{n} {v}" for n, v in part.items() if n != "salt") if part else "erased"
                for part in line.parts
            ),
        )
        for line in found
    ]
    output.emit(
        found,
        as_json=as_json,
        show=lambda: output.table(("line", "at", "kind", "said", "about"), rows, empty="There is no such line."),
    )


@app.command()
def verify(
    since: Annotated[
        Path | None,
        typer.Option(help="A checkpoint kept from earlier: does the log still begin so?", show_default=False),
    ] = None,
    vault: VaultPath = None,
    *,
    as_json: Json = False,
) -> None:
    """Check every line against the signed checkpoint, and against one that was kept."""
    kept = since.read_bytes().decode(errors="replace") if since else ""
    with opened(vault) as held:
        found = held.log.verify(kept)

    def show() -> None:
        output.facts(
            {"lines": found.size, "root": found.root, "details": found.details, "details erased": found.erased}
        )
        for problem in found.problems:
            output.line(f"WRONG: {problem}")
        if not found.problems:
            output.say("Every line is there, unchanged and in its place.")
            if since:
                output.say("The log still begins with what the kept checkpoint signed.")

    output.emit(found, as_json=as_json, show=show)
    if found.problems:
        raise typer.Exit(errors.ProofFailed.exit_code)


@app.command()
def checkpoint(
    vault: VaultPath = None,
    *,
    cosigned: Annotated[bool, typer.Option("--cosigned", help="The last one that a witness signed too.")] = False,
    as_json: Json = False,
) -> None:
    """Print the signed checkpoint. Whoever keeps one can show later that the log was rolled back."""
    with opened(vault) as held:
        text = held.log.checkpoint(cosigned=cosigned)
    output.emit({"checkpoint": text}, as_json=as_json, show=lambda: output.lines(text.splitlines()))


@app.command()
def key(vault: VaultPath = None, *, as_json: Json = False) -> None:
    """Print the log's public key. A witness and whoever checks proofs need it."""
    with opened(vault) as held:
        text = held.log.key()
    output.emit({"key": text}, as_json=as_json, show=lambda: output.line(text))


@app.command()
def prove(
    line: Annotated[int, typer.Argument(help="Number of the line.")],
    file: Annotated[Path | None, typer.Argument(help="Where to write it; else it is printed.")] = None,
    vault: VaultPath = None,
    *,
    as_json: Json = False,
) -> None:
    """Write a proof for outsiders that a line is in the log, with the checkpoint it leads to."""
    with opened(vault) as held:
        text = held.log.prove(line)
    if file is None:
        output.emit({"line": line, "proof": text}, as_json=as_json, show=lambda: output.lines(text.splitlines()))
        return
    try:
        with file.open("x", encoding="utf-8") as written:
            written.write(text)
    except FileExistsError:
        raise errors.UsageError(f"{file} is there already. Nothing was written.") from None
    output.emit({"line": line, "file": file}, as_json=as_json, show=lambda: output.line(str(file)))


@app.command()
def publish(
    folder: Annotated[Path | None, typer.Argument(help="Where to; else log/ in the vault.", show_default=False)] = None,
    vault: VaultPath = None,
    *,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Write the log as static files (C2SP tlog-tiles) that any web server can serve. Nothing personal is in them."""
    with opened(vault, dry_run=dry_run) as held:
        done = held.log.publish(folder)

    def show() -> None:
        output.facts({"folder": done.folder, "lines": done.size, "files written": len(done.written)})
        if dry_run:
            output.lines(done.written)
            output.say("Dry run: nothing has been written.")

    output.emit(done, as_json=as_json, show=show)


@app.command()
def cosign(
    url: Annotated[str, typer.Argument(help="Address of the witness, such as https://witness.example.")],
    witness: Annotated[str, typer.Option(help="The witness's key: its text or a file with it.")],
    vault: VaultPath = None,
    *,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Have a witness elsewhere sign today's checkpoint. Connects to the address that you name, and to no other."""
    with opened(vault, dry_run=dry_run) as held:
        done = held.log.cosign(url, witness=text_of(witness))

    def show() -> None:
        output.facts({"witness": done.witness, "lines": done.size, "at": done.at or None, "log entry": done.entry})
        if dry_run:
            output.say("Dry run: nothing has been sent.")
        else:
            output.say("Next: countenance log checkpoint --cosigned, and keep it outside.")

    output.emit(done, as_json=as_json, show=show)


def text_of(key: str) -> str:
    """The text of a key that is given as such or as a file."""
    try:
        return Path(key).read_text("utf-8").strip()
    except (OSError, ValueError):
        return key.strip()


@app.command("check")
def check_proof(
    file: Annotated[Path, typer.Argument(help="A proof that `log prove` wrote.")],
    key: Annotated[str, typer.Option(help="The log's key, from elsewhere: its text or a file with it.")],
    witness: Annotated[
        str | None, typer.Option(help="Demand this witness's signature too: its key.", show_default=False)
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Check a proof that a line is in a log. Needs no vault."""
    try:
        log_key, cosigner = parse_key(text_of(key)), parse_cosigner(text_of(witness)) if witness else None
    except ValueError as error:
        raise errors.UsageError(f"That is not a public key: {error}.") from None
    text = file.read_bytes().decode(errors="replace")
    try:
        shown = proof.read(text, log_key)
        at = cosigned_at(text.partition("\n\n")[2], log_key, cosigner) if cosigner else None
    except ValueError as error:
        raise errors.ProofFailed(why=str(error)) from None
    said = {"line": shown.number, "says": shown.leaf.decode(), "lines": shown.checkpoint.size}
    said |= {"witnessed": datetime.fromtimestamp(at, UTC).isoformat()} if at else {}
    output.emit(said, as_json=as_json, show=lambda: output.facts(said))
