"""`countenance certificate`: proofs of erasure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from countenance import errors
from countenance.audit import verify as verifier
from countenance.cli import output
from countenance.cli.options import Json, VaultPath, opened

app = typer.Typer(name="certificate", help="Proofs of erasure.", no_args_is_help=True)


@app.command("list")
def list_(vault: VaultPath = None, *, as_json: Json = False) -> None:
    """List the erasures and how far each is."""
    with opened(vault) as held:
        found = held.erasures()
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
        bundle = held.certificate(erasure)
    if file.exists():
        raise errors.UsageError(f"{file} is there already. Nothing was written.")
    file.write_bytes(bundle)

    def show() -> None:
        output.line(str(file))
        output.say(f"Anybody can check it, offline: python -m countenance.audit.verify {file}")

    output.emit({"erasure": erasure, "file": file, "bytes": len(bundle)}, as_json=as_json, show=show)


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="A bundle: zip, or the folder it was unpacked to.")],
    key: Annotated[
        str | None,
        typer.Option(
            help="The operator's public key, from elsewhere: file, vkey text, or 64 hex digits.", show_default=False
        ),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Check a proof bundle, offline. Needs no vault."""
    arguments = [str(file), *(["--key", key] if key else []), *(["--json"] if as_json else [])]
    raise typer.Exit(verifier.main(arguments))
