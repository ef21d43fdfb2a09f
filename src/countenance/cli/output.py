"""How results are shown: a table on a terminal, plain lines in a pipe, one JSON object with `--json`.

Results go to stdout; messages and progress to stderr.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from countenance import scan

_ID = re.compile(r"[a-z]{3}_[a-z2-7]{20}|")
EVERY_SECONDS = 5.0  # between progress lines where there is no terminal


def plain(value: Any) -> Any:
    """A result as JSON has it: records as objects, times as ISO 8601, bytes and arrays left out."""
    if is_dataclass(value) and not isinstance(value, type):
        shown = {f.name: plain(getattr(value, f.name)) for f in fields(value) if f.repr}
        return {name: inner for name, inner in shown.items() if not isinstance(inner, _Left)}
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
    if isinstance(value, date):  # a datetime is one
        return value.isoformat()
    if isinstance(value, bytes | np.ndarray):
        return _Left()
    return str(value) if isinstance(value, Path) else value


class _Left:
    """Marks what is left out."""


def emit(value: Any, *, as_json: bool, show: Callable[[], None]) -> None:
    """Print a result: as one JSON object on one line, or by `show`."""
    if as_json:
        print(json.dumps(plain(value)))  # noqa: T201 - this is the result
    else:
        show()


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, empty: str) -> None:
    """Print rows; `empty` says on stderr what to do if there are none."""
    if not rows:
        say(empty)
        return
    cells = [["" if cell is None else printable(str(cell)) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in cells:
            print("\t".join(row))  # noqa: T201
        return
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for at, column in enumerate(columns):  # an id stays on one line, so that it can be copied
        drawn.add_column(column, overflow="fold", no_wrap=all(_ID.fullmatch(row[at]) for row in cells))
    for row in cells:
        drawn.add_row(*(Text(cell) for cell in row))
    Console().print(drawn)


def facts(pairs: Mapping[str, Any]) -> None:
    """Print names and values, one a line."""
    stated = {name: value for name, value in pairs.items() if value is not None}
    width = max(map(len, stated), default=0)
    for name, value in stated.items():
        print(f"{name:{width}}  {printable(str(value))}")  # noqa: T201


def line(text: str) -> None:
    """Print one line of the result."""
    print(printable(text))  # noqa: T201


def lines(texts: Iterable[str]) -> None:
    """Print lines of the result."""
    for text in texts:
        line(text)


def count(number: int, noun: str) -> str:
    """A number with its noun: 1 photo, 2 photos."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def say(text: str) -> None:
    """Say something to the person; it is no part of the result."""
    print(printable(text), file=sys.stderr)  # noqa: T201


def printable(text: str) -> str:
    """A text as one line, without characters that a terminal would act on; bytes that are not UTF-8 become visible."""
    shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in shown)


@contextmanager
def progress() -> Iterator[Callable[[scan.Progress], None]]:
    """Show the progress of a scan on stderr: a bar on a terminal, a line every few seconds elsewhere."""
    if sys.stderr.isatty():
        columns = (
            TextColumn("adding"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]} photos/s"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("adding", total=None, rate="…")
            yield lambda now: bar.update(task, completed=now.done, total=now.total, rate=f"{now.rate:.1f}")
        return
    last = time.monotonic()

    def report(now: scan.Progress) -> None:
        nonlocal last
        if time.monotonic() - last < EVERY_SECONDS:
            return
        last = time.monotonic()
        left = f", {now.seconds_left:.0f} s left" if now.seconds_left is not None else ""
        say(
            f"{now.done} of {now.total} photos, {now.rate:.1f} a second{left}, {now.faces} faces, {now.refused} refused"
        )

    yield report


@contextmanager
def progress_of(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Show how much of something is done on stderr: a bar on a terminal, a line every few seconds elsewhere."""
    if sys.stderr.isatty():
        with Progress(
            TextColumn(what),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        ) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return
    last = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= EVERY_SECONDS:
            last = time.monotonic()
            say(f"{what}: {done:,} of {total:,} {unit}")

    yield report
