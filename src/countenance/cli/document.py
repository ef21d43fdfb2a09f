"""`countenance document`: documents that the law asks for, generated from what the vault knows."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from countenance import errors
from countenance.cli import output
from countenance.cli.certificate import write_new
from countenance.cli.options import Json, MaybeCollection, VaultPath, opened
from countenance.verbs.documents import Written

app = typer.Typer(
    name="document",
    help="Documents generated from configuration and counts. What the vault does not know is a visible gap, and then the "
    "exit code is 3.",
    no_args_is_help=True,
)

Form = Annotated[str, typer.Option("--format", help="html or md.")]
Out = Annotated[Path | None, typer.Option(help="A new file to write it to; else it is printed.", show_default=False)]
Stated = Annotated[
    Path | None,
    typer.Option(help="TOML file with what the vault does not know: see docs/documents.md.", show_default=False),
]


@app.command()
def notice(
    collection: MaybeCollection = None,
    form: Form = "html",
    out: Out = None,
    stated: Stated = None,
    vault: VaultPath = None,
    *,
    as_json: Json = False,
) -> None:
    """Write the public notice, Arts. 13 and 14 GDPR: sources, purposes, counts, retention, recipients, rights."""
    _write("notice", collection, form, out, stated, vault, as_json=as_json)


@app.command()
def ropa(
    collection: MaybeCollection = None,
    form: Form = "html",
    out: Out = None,
    stated: Stated = None,
    vault: VaultPath = None,
    *,
    as_json: Json = False,
) -> None:
    """Write the record of processing activities, Art. 30(1) GDPR, by collection."""
    _write("ropa", collection, form, out, stated, vault, as_json=as_json)


@app.command()
def dpia(
    collection: MaybeCollection = None,
    form: Form = "html",
    out: Out = None,
    stated: Stated = None,
    vault: VaultPath = None,
    *,
    as_json: Json = False,
) -> None:
    """Write the skeleton of an impact assessment, Art. 35(7) GDPR. Lifting an order asks for the SHA-256 of a finished one."""
    _write("dpia", collection, form, out, stated, vault, as_json=as_json)


@app.command()
def retention(
    collection: MaybeCollection = None,
    form: Form = "html",
    out: Out = None,
    stated: Stated = None,
    vault: VaultPath = None,
    *,
    as_json: Json = False,
) -> None:
    """Write the retention schedule: the terms that hold, by which law, and how much expires in which month."""
    _write("retention", collection, form, out, stated, vault, as_json=as_json)


@app.command()
def evidence(
    collection: MaybeCollection = None,
    form: Form = "html",
    out: Out = None,
    stated: Stated = None,
    vault: VaultPath = None,
    *,
    as_json: Json = False,
) -> None:
    """Write what supports each collection's and source's right. For an auditor, not for the public."""
    _write("evidence", collection, form, out, stated, vault, as_json=as_json)


def statements(file: Path | None) -> dict[str, Any]:
    """What a file of statements says; an empty one if there is none."""
    try:
        return tomllib.loads(file.read_text("utf-8")) if file else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise errors.UsageError(f"{file} is not TOML. Nothing was written.") from None


def deliver(written: Written, what: str, out: Path | None, *, as_json: bool, private: bool = False) -> None:
    """Write a document to a new file or print it, and say what is left open; then exit with 3."""
    if out:
        write_new(out, written.text.encode(), private=private)
    found: dict[str, Any] = {"document": what, "sha256": written.sha256, "gaps": written.gaps}
    found |= {"file": out} if out else {"text": written.text}

    def show() -> None:
        if out:
            output.line(str(out))
        else:
            print(written.text, end="")  # noqa: T201 - lines of it are its own
        output.say(f"SHA-256 {written.sha256}")

    output.emit(found, as_json=as_json, show=show)
    if written.gaps:
        output.say(
            f"Not stated, and left open: {output.count(len(written.gaps), 'gap')}, marked in it. To fill them in: "
            "countenance collection set for what a collection states, else --stated FILE."
        )
        raise typer.Exit(errors.Partly.exit_code)


def _write(  # noqa: PLR0917
    what: str,
    collection: str | None,
    form: str,
    out: Path | None,
    stated: Path | None,
    vault: Path | None,
    *,
    as_json: bool,
) -> None:
    with opened(vault) as held:
        write = getattr(held.documents, what)
        written = write(collection, form=form, stated=statements(stated))
    deliver(written, what, out, as_json=as_json)
