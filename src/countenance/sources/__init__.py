"""Where photos come from: a table of openers. There is no crawler and no network; a source is what the operator names.

::

    with sources.open(sources.kind_of(location), location) as source:
        for address, content in source.photos(lambda address: True):
            ...
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

from countenance.errors import SourceGone, UsageError
from countenance.sources.archive import Archive, form_of
from countenance.sources.companion import Companion
from countenance.sources.folder import Folder
from countenance.sources.opened import LIMIT, SKIPPED, Content, Opened

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LIMIT", "OPENERS", "SKIPPED", "Companion", "Content", "Opened", "kind_of", "open"]

OPENERS: dict[str, Callable[[str], Opened]] = {"folder": Folder, "archive": Archive}


def open(kind: str, location: str) -> Opened:  # noqa: A001 (read as sources.open)
    """Open the source of this kind (a key of `OPENERS`) at `location`, a path.

    Raises:
        UsageError: there is no such kind, or something else is at `location`.
        SourceGone: nothing is there, or it may not be read.
    """
    if kind not in OPENERS:
        raise UsageError(f"There is no source of the kind {kind}. The kinds are: {', '.join(OPENERS)}.")
    return OPENERS[kind](location)


def kind_of(location: str) -> str:
    """Return the kind of source that is at `location`, judged by what is there and not by its name.

    Raises:
        UsageError: it is neither a folder nor an archive.
        SourceGone: nothing is there, or it may not be read.
    """
    if "://" in location:
        raise UsageError("A source is a folder or an archive on this machine. Nothing is fetched from a network.")
    try:
        mode = Path(location).stat().st_mode
    except ValueError:
        raise UsageError("A location cannot have a zero byte in it.") from None
    except OSError as error:
        raise SourceGone(why=(error.strerror or "it cannot be opened").lower()) from None
    if stat.S_ISDIR(mode):
        return "folder"
    form_of(location)
    return "archive"
