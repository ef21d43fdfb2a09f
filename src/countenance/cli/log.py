"""`countenance log`: what was done, and proof that nothing of that was changed."""

from __future__ import annotations

from typing import Annotated

import typer

from countenance import errors
from countenance.cli import output
from countenance.cli.options import Json, VaultPath, opened

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
        found = held.log(kind=kind, newest=newest)
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
def verify(vault: VaultPath = None, *, as_json: Json = False) -> None:
    """Check every line against the signed checkpoint."""
    with opened(vault) as held:
        found = held.verify_log()

    def show() -> None:
        output.facts(
            {"lines": found.size, "root": found.root, "details": found.details, "details erased": found.erased}
        )
        for problem in found.problems:
            output.line(f"WRONG: {problem}")
        if not found.problems:
            output.say("Every line is there, unchanged and in its place.")

    output.emit(found, as_json=as_json, show=show)
    if found.problems:
        raise typer.Exit(errors.ProofFailed.exit_code)


@app.command()
def checkpoint(vault: VaultPath = None, *, as_json: Json = False) -> None:
    """Print the signed checkpoint. Whoever keeps one can show later that the log was rolled back."""
    with opened(vault) as held:
        text = held.checkpoint()
    output.emit({"checkpoint": text}, as_json=as_json, show=lambda: output.lines(text.splitlines()))
