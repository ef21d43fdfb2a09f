"""What the benchmarks share: a folder with a `manifest.csv`, looked at by the project's own vision under a stated basis."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterable
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from countenance.errors import BadImage
from countenance.gate.admit import admit
from countenance.records import Admitted, Collection, Seen
from countenance.settings import Settings
from countenance.vision import examine
from countenance.vision.pool import Pool

BASIS = Collection(
    id="bench",
    name="benchmark",
    purpose="measuring accuracy; nothing is kept",
    controller="whoever runs the benchmark",
    contact="whoever runs the benchmark",
    art6="legitimate-interests",
    art9="archiving",
    notice="the licences of the photos say what they may be used for",
    retention_days=1,
    mode="all",
    justification="measuring",
    takes_in=("GB",),
    established="GB",
)


class Portrait(NamedTuple):
    """One line of a manifest."""

    path: Path
    role: str
    person: str
    set: str


def without_blas_settings() -> None:
    """Start again without settings that slow numpy on some machines, before numpy is used in earnest."""
    slow = {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"} & set(os.environ)
    if slow:
        kept = {name: value for name, value in os.environ.items() if name not in slow}
        os.execve(sys.executable, [sys.executable, *sys.argv], kept)  # noqa: S606


def manifest(folder: Path) -> list[Portrait]:
    """The portraits of a folder's manifest.csv (columns path, role, person, perhaps set), with the roles of a search."""
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        lines = [
            Portrait(folder / row["path"], row["role"], row["person"], row.get("set") or "all")
            for row in csv.DictReader(file)
        ]
    return [line for line in lines if line.role in {"gallery", "probe_mated", "probe_nonmated"}]


def look(paths: Iterable[Path]) -> list[Seen | None]:
    """Look at each picture in worker processes; None for one that cannot be decoded."""
    settings = Settings()
    examine.prepare(settings.cache)
    now = datetime.now(UTC)
    waiting: list[Future[Seen]] = []
    with Pool(workers=settings.workers, setup=(examine.ready, settings.cache)) as pool:
        for path in paths:
            admitted = admit(BASIS, path.read_bytes(), evidence=(), suppressed_by=None, now=now)
            assert isinstance(admitted, Admitted)
            waiting.append(pool.submit(one, admitted, settings.cache))
        return [_result(future) for future in waiting]


def one(admitted: Admitted, cache: Path) -> Seen:
    """Look at one picture, in a worker."""
    return examine.examine(admitted, cache=cache)


def templates(seen: Iterable[Seen | None]) -> NDArray[np.float32]:
    """The template of each picture's largest face, shape (n, d); a row of NaN where there is none."""
    found = [None if s is None or not s.faces else s.faces[0].template for s in seen]
    dimension = next(len(t) for t in found if t is not None)
    return np.array([np.full(dimension, np.nan) if t is None else t for t in found], np.float32)


def _result(future: Future[Seen]) -> Seen | None:
    try:
        return future.result()
    except BadImage:
        return None
