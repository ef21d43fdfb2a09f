"""The index: a cache of the store, in memory only, that answers which faces score at or above a threshold.

::

    index = create(128)
    index.add(rows, templates, expires)
    for rows, scores in index.search(probes, threshold=0.45, now=now): ...

An engine is one file here and one line in `ENGINES`; `tests/conformance/test_index.py` says what it must do.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from countenance.errors import UsageError

if TYPE_CHECKING:
    from countenance.index.exact import Exact

ENGINES = {
    "exact": "countenance.index.exact:Exact",
}
"""Name of the engine, and the class that is it; loaded when first created, so that importing this costs nothing."""


def create(dimension: int, *, engine: str = "exact") -> Exact:
    """Return an empty index for templates of `dimension` numbers.

    Raises `UsageError` for an engine that is not in `ENGINES`.
    """
    if engine not in ENGINES:
        raise UsageError(f"There is no index engine {engine}; there is: {', '.join(ENGINES)}.")
    module, name = ENGINES[engine].split(":")
    made: Exact = getattr(import_module(module), name)(dimension)
    return made
