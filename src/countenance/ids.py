"""Record identities: a three-letter noun and 100 random bits, such as ``pho_7k2m…``."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable

Random = Callable[[int], bytes]

KINDS = {
    "collection": "col",
    "source": "src",
    "photo": "pho",
    "face": "fac",
    "subject": "sub",
    "search": "sea",
    "erasure": "era",
    "order": "ord",
    "request": "req",
    "receipt": "rcp",
    "wish": "wis",
    "work": "wrk",
    "export": "exp",
    "process": "prc",
    "restriction": "rst",
    "link": "lnk",
}


def new(kind: str, random: Random = os.urandom) -> str:
    """Return a new identity for a record of `kind` (a key of `KINDS`); it carries no meaning and is never reused."""
    return KINDS[kind] + "_" + base64.b32encode(random(15)).decode().lower()[:20]
