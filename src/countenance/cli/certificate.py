"""`countenance certificate`: proofs of erasure."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from countenance import errors
from countenance.audit import verify as verifier
from countenance.cli import output
from countenance.cli.options import Json, VaultPath, opened
from countenance.orders import view as views

Key = Annotated[
    str | None,
    typer.Option(
        help="The operator's public key, from elsewhere: file, vkey text, or 64 hex digits.", show_default=False
    ),
]

app = typer.Typer(name="certificate", help="Proofs of erasure.", no_args_is_help=True)


@app.command("list")
def list_(vault: VaultPath = None, *, as_json: Json = False) -> None:
    """List the erasures and how far each is."""
    with opened(vault) as held:
        found = held.erasures.list()
    rows = [(e.id, e.state, e.reason, e.photos, e.faces) for e in found]
    output.emit(
        found,
        as_json=as_json,
        show=lambda: output.table(("erasure", "state", "by", "photos", "faces"), rows, empty="Nothing was erased yet."),
    )


@app.command()
def save(
    erasure: Annotated[str, typer.Argument(help="Id of the erasure.")],
    file: Annotated[Path, typer.Argument(help="Where to write the bundle, a zip.")],
    vault: VaultPath = None,
    *,
    as_json: Json = False,
) -> None:
    """Write the proof bundle of an erasure. It holds nothing personal and is meant to be given away."""
    with opened(vault) as held:
        bundle = held.erasures.certificate(erasure)
    write_new(file, bundle)

    def show() -> None:
        output.line(str(file))
        output.say(f"Anybody can check it, offline, with the verify.py in it: python verify.py {file}")

    output.emit({"erasure": erasure, "file": file, "bytes": len(bundle)}, as_json=as_json, show=show)


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="A bundle: zip, or the folder it was unpacked to.")],
    key: Key = None,
    *,
    as_json: Json = False,
) -> None:
    """Check a proof bundle, offline. Needs no vault."""
    arguments = [str(file), *(["--key", key] if key else []), *(["--json"] if as_json else [])]
    raise typer.Exit(verifier.main(arguments))


@app.command()
def view(
    what: Annotated[str, typer.Argument(help="Id of the erasure; or a bundle (zip or folder), which needs no vault.")],
    file: Annotated[Path, typer.Argument(help="Where to write the page, HTML.")],
    key: Key = None,
    vault: VaultPath = None,
    *,
    as_json: Json = False,
) -> None:
    """Write a certificate as a page for people. It proves nothing by itself: the bundle does."""
    if Path(what).exists():
        try:
            given = verifier.public_key(key) if key else None
        except ValueError:
            raise errors.UsageError("The key is no file, vkey text or 64 hex digits. Nothing was written.") from None
        try:
            files = verifier.read(Path(what))
        except ValueError as error:
            raise errors.ProofFailed(why=str(error)) from None
        report = verifier.examine(files, given)
        holds, page = report.statement is not None, views.render(files, report, given=given, at=datetime.now(UTC))
    elif key:
        raise errors.UsageError("A key is given with a bundle; for an erasure of the vault, the vault's own is used.")
    else:
        with opened(vault) as held:
            holds, page = True, held.erasures.view(what)
    write_new(file, page.encode())
    output.emit({"file": file, "holds": holds}, as_json=as_json, show=lambda: output.line(str(file)))
    if not holds:
        output.say("The proof does not hold; the page says why.")
        raise typer.Exit(errors.ProofFailed.exit_code)


def write_new(file: Path, data: bytes, *, private: bool = False) -> None:
    """Write a new file that is there whole or not at all; a private one only its owner can read."""
    if os.path.lexists(file):
        raise errors.UsageError(f"{file} is there already. Nothing was written.")
    part = file.with_name(f".{file.name}.part")
    try:
        part.unlink(missing_ok=True)
        part.touch(0o600 if private else 0o666, exist_ok=False)
        part.write_bytes(data)
        part.replace(file)
    except OSError:
        part.unlink(missing_ok=True)
        raise
