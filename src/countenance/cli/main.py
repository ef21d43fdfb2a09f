"""The program `countenance`."""

from __future__ import annotations

import errno
import json
import logging
import sys
import tomllib
import traceback
from pathlib import Path

import typer
from pydantic import ValidationError

from countenance import errors
from countenance.cli import (
    add,
    backup,
    certificate,
    check,
    collection,
    compare,
    doctor,
    document,
    erase,
    export,
    face,
    init,
    keys,
    log,
    models,
    order,
    output,
    request,
    restore,
    search,
    serve,
    source,
    subject,
    sweep,
    why,
    wish,
    witness,
    worklist,
)
from countenance.settings import FILE

app = typer.Typer(
    name="countenance",
    help="Face search that a regulator would let you run.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for noun in (collection, source, subject, face, wish, order, request, document, certificate, export, log, keys):
    app.add_typer(noun.app)
for verb in (
    init,
    add,
    search,
    compare,
    erase,
    sweep,
    worklist,
    backup,
    restore,
    why,
    check,
    models,
    doctor,
    serve,
    witness,
):
    app.command(name=verb.__name__.rpartition(".")[2])(verb.command)


def run(arguments: list[str] | None = None) -> None:
    """Run one command and exit with its code: see `countenance.errors`."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    logging.disable(logging.CRITICAL)  # libraries' logs could carry paths
    try:
        code = app(args=arguments, standalone_mode=False)
        if code == errors.Interrupted.exit_code:  # Typer keeps the interrupt itself back
            raise KeyboardInterrupt  # noqa: TRY301
    except typer.Exit as error:
        code = error.exit_code
    except BrokenPipeError:
        sys.stderr.close()  # the reader went away; there is nobody to tell
        code = 1
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - a traceback would print names and paths
        code, slug, sentence = _told(error, arguments if arguments is not None else sys.argv)
        for part in sentence.splitlines() if isinstance(error, typer.TyperException) else [sentence]:  # a help text
            output.say(part)
        if "--json" in (arguments if arguments is not None else sys.argv):
            print(json.dumps({"error": {"slug": slug, "message": output.printable(sentence)}}))  # noqa: T201
    sys.exit(code or 0)


def _told(error: BaseException, arguments: list[str]) -> tuple[int, str, str]:
    """Exit code, slug and sentence of whatever ended a command."""
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        error = errors.Interrupted()
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        error = errors.DiskFull()
    if isinstance(error, errors.CountenanceError):
        return error.exit_code, error.slug, str(error)
    if isinstance(error, typer.TyperException):
        text = error.format_message()
        return 2, "usage", text if text.endswith(".") or "\n" in text else f"{text}."
    if isinstance(error, ValidationError):
        wrong = ", ".join(str(part) for problem in error.errors() for part in problem["loc"])
        return 2, "usage", f"A setting has a value that it cannot have: {wrong}."
    if isinstance(error, tomllib.TOMLDecodeError):
        return 2, "usage", f"The settings file {FILE} is not TOML."
    if isinstance(error, OSError):
        name = f" ({error.filename})" if str(error.filename) in arguments else ""
        return 1, "system", f"The system refused: {(error.strerror or 'no reason given').lower()}{name}."
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    where = ", ".join(f"{Path(frame.filename).name} line {frame.lineno}" for frame in frames)
    sentence = (
        f"This is a fault in Countenance: {type(error).__name__} at {where}. What was finished before is kept. "
        "Please report this line; nothing personal is in it."
    )
    return 1, "fault", sentence


if __name__ == "__main__":
    run()
