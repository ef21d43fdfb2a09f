"""`countenance serve`: the service, which comes later."""

from __future__ import annotations

from countenance import errors
from countenance.cli.options import Json


def command(*, as_json: Json = False) -> None:
    """Serve a vault over HTTP. Not built yet."""
    del as_json  # the refusal is told in the form that was asked for, as every error
    raise errors.UsageError("The service is not built yet. Use the command line or `import countenance`.")
