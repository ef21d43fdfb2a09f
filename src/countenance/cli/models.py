"""`countenance models`: the face models, their licences and what they were trained on."""

from __future__ import annotations

from typing import Annotated

import typer

from countenance.cli import output
from countenance.cli.options import Json
from countenance.settings import Settings
from countenance.vision import examine, models


def command(
    *,
    prepare: Annotated[bool, typer.Option("--prepare", help="Make the prepared files now.")] = False,
    as_json: Json = False,
) -> None:
    """List the face models: licence, training data, hash, dimension, where found."""
    settings = Settings()
    if prepare:
        examine.prepare(settings.cache)
    found = models.status(settings.cache)

    def show() -> None:
        for status in found:
            output.facts({name: value for name, value in output.plain(status.model).items() if value})
            output.facts({"found": status.found or "no", "prepared": status.prepared or "no"})
            output.line("")

    output.emit(found, as_json=as_json, show=show)
