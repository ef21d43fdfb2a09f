"""A document as plain parts, before it is Markdown or HTML.

::

    page = Document(title="Notice", parts=(Heading(2, "Club"), Paragraph(("For: ", Gap("purpose")))))
    gaps(page)    # ("Club: purpose",)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from countenance.requests.receipt import gap


@dataclass(frozen=True, slots=True)
class Gap:
    """What nobody has stated. It stands in the text as "[not stated: …]"."""

    what: str

    def __str__(self) -> str:
        return gap(self.what)


Value = str | Gap


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; the title of the document is level 1."""

    level: int  # 2 to 4
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Values that follow each other without anything between them."""

    said: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of as many cells as the head has."""

    head: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


Part = Heading | Paragraph | Table


@dataclass(frozen=True, slots=True)
class Document:
    """A title and what follows, in order."""

    title: str
    parts: tuple[Part, ...]


def text(*said: Value) -> Paragraph:
    """A paragraph of these values."""
    return Paragraph(said)


def facts(*rows: tuple[str, Value]) -> Table:
    """A table of names and values."""
    return Table(("", ""), rows)


def table(head: tuple[str, ...], rows: Iterable[tuple[Value, ...]], *, empty: str) -> Part:
    """A table, or a sentence where it has no rows."""
    found = tuple(rows)
    return Table(head, found) if found else text(empty)


def gaps(document: Document) -> tuple[str, ...]:
    """Every gap in order, with the heading that it stands under."""
    return tuple(dict.fromkeys(_gaps(document)))


def closed(document: Document) -> Document:
    """The document with the list of its gaps at the end."""
    found = gaps(document)
    end: tuple[Part, ...] = (text("Nothing: every field is stated."),)
    if found:
        end = (
            text(
                f"{len(found)} of what this document needs: the vault does not know it, and nothing was put in its place."
            ),
            Table(("What",), tuple((each,) for each in found)),
        )
    return Document(document.title, (*document.parts, Heading(2, "What is not stated"), *end))


def _gaps(document: Document) -> Iterator[str]:
    under: dict[int, str] = {}
    for part in document.parts:
        if isinstance(part, Heading):
            under = {level: name for level, name in under.items() if level < part.level} | {part.level: part.text}
            continue
        values = part.said if isinstance(part, Paragraph) else [value for row in part.rows for value in row]
        for value in values:
            if isinstance(value, Gap):
                yield ": ".join([*under.values(), value.what])
