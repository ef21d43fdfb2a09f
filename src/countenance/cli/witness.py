"""`countenance witness`: a witness for the logs of vaults elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from countenance import errors
from countenance.audit.verify import parse_key
from countenance.audit.witness import Witness, serve
from countenance.cli import output
from countenance.cli.log import text_of
from countenance.cli.options import Json

PORT = 8414


def command(
    folder: Annotated[Path, typer.Argument(help="Where it keeps its key and what it has seen.")],
    log: Annotated[list[str], typer.Option(help="Key of a log to watch, or a file with it; may be repeated.")],
    name: Annotated[
        str | None, typer.Option(help="What it signs as; only at the first start.", show_default=False)
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = PORT,
    *,
    as_json: Json = False,
) -> None:
    """Watch logs of vaults elsewhere: sign their checkpoints as long as each goes on from the last. Keeps no vault."""
    keys = []
    for text in map(text_of, log):
        try:
            keys.append(parse_key(text))
        except ValueError as error:
            raise errors.UsageError(f"That is not a log's key: {error}. `countenance log key` prints it.") from None
    witness = Witness(folder, keys, name=name)
    with serve(witness, folder, host, port) as server:
        bound = f"http://{host}:{server.server_address[1]}"
        seen = {key.name: witness.size(key.name) for key in keys}
        stated = {"key": str(witness.key), "address": bound, "logs": seen}

        def show() -> None:
            output.line(str(witness.key))
            for origin, size in seen.items():
                output.say(f"{origin}: {output.count(size, 'line')} seen")
            output.say(f"Listening on {bound}; stop with Ctrl-C. Give the key above to whoever runs the vault.")

        output.emit(stated, as_json=as_json, show=show)
        sys.stdout.flush()  # whoever started it in a pipe waits for the key
        server.serve_forever()
