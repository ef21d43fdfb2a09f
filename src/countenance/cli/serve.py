"""`countenance serve`: the service, which comes later."""

from __future__ import annotations

from countenance import errors


def command() -> None:
    """Serve a vault over HTTP. Not built yet."""
    raise errors.UsageError("The service is not built yet. Use the command line or `import countenance`.")
