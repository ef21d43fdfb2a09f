"""The program `countenance`."""

from __future__ import annotations

import json
import logging
import sys

import typer
from click.exceptions import Abort, ClickException, Exit
from pydantic import ValidationError

from countenance import errors
from countenance.cli import (
    add,
    certificate,
    check,
    collection,
    compare,
    doctor,
    erase,
    init,
    log,
    models,
    output,
    search,
    serve,
    source,
    subject,
    why,
    worklist,
)

app = typer.Typer(
    name="countenance",
    help="Face search that a regulator would let you run.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for noun in (collection, source, subject, certificate, log):
    app.add_typer(noun.app)
for verb in (init, add, search, compare, erase, worklist, why, check, models, doctor, serve):
    app.command(name=verb.__name__.rpartition(".")[2])(verb.command)


def run(arguments: list[str] | None = None) -> None:
    """Run one command and exit with its code: see `countenance.errors`."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    logging.disable(logging.CRITICAL)  # libraries' logs could carry paths
    try:
        code = app(args=arguments, standalone_mode=False)
    except errors.CountenanceError as error:
        _tell(error.slug, str(error), arguments)
        code = error.exit_code
    except Exit as error:
        code = error.exit_code
    except (KeyboardInterrupt, Abort):
        stopped = errors.Interrupted()
        _tell(stopped.slug, str(stopped), arguments)
        code = stopped.exit_code
    except ValidationError as error:
        wrong = ", ".join(str(part) for problem in error.errors() for part in problem["loc"])
        _tell("usage", f"A setting has a value that it cannot have: {wrong}.", arguments)
        code = errors.UsageError.exit_code
    except ClickException as error:
        _tell("usage", error.format_message(), arguments)
        code = error.exit_code
    except BrokenPipeError:
        sys.stderr.close()  # the reader went away; there is nobody to tell
        code = 1
    sys.exit(code or 0)


def _tell(slug: str, sentence: str, arguments: list[str] | None) -> None:
    output.say(sentence)
    if "--json" in (arguments if arguments is not None else sys.argv):
        print(json.dumps({"error": {"slug": slug, "message": output.printable(sentence)}}))  # noqa: T201


if __name__ == "__main__":
    run()
