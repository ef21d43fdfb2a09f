"""Documents as Markdown and as HTML: the same parts, nothing that runs, nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from itertools import chain

from countenance.documents.document import Document, Gap, Heading, Paragraph, Part, Value

STYLE = """
:root { color-scheme: light dark; font: 17px/1.5 system-ui, sans-serif; }
body { max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; line-height: 1.2; } h2 { font-size: 1.3rem; margin-top: 2.2rem; } h3 { font-size: 1.05rem; }
p, td, tbody th { overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; margin: .6rem 0; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #767676; }
td { font-variant-numeric: tabular-nums; } tbody th { font-weight: 400; width: 35%; }
mark { font-weight: 600; border: 1px solid; padding: 0 .2rem; }
@page { size: A4; margin: 18mm; }
@media print { :root { color-scheme: light; font-size: 10.5pt; } body { max-width: none; margin: 0; padding: 0; }
  h2, h3 { break-after: avoid; } tr { break-inside: avoid; } }
"""

_SIGNS = re.compile(r"([\\`*_\[\]|~#$])")


def markdown(document: Document) -> str:
    """The document as Markdown (CommonMark with tables)."""
    parts = [f"# {_md(document.title)}", *(_md_part(part) for part in document.parts)]
    return "\n\n".join(parts) + "\n"


def html(document: Document) -> str:
    """The document as one HTML page that prints on A4."""
    title = _html(document.title)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title><style>{STYLE}</style></head><body><main>
<h1>{title}</h1>
{chr(10).join(map(_html_part, document.parts))}
</main></body></html>
"""


FORMATS: dict[str, Callable[[Document], str]] = {"html": html, "md": markdown}


def visible(value: str) -> str:
    """A text as one line, without characters that hide or reorder others; bytes that are not UTF-8 become visible."""
    shown = " ".join(value.split()).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in shown)


def _md_part(part: Part) -> str:
    if isinstance(part, Heading):
        return f"{'#' * part.level} {_md(part.text)}"
    if isinstance(part, Paragraph):
        return "".join(map(_md, part.said))
    rule = ("---",) * len(part.head)
    return "\n".join(
        f"| {' | '.join(row)} |" for row in chain([tuple(map(_md, part.head)), rule], map(_md_row, part.rows))
    )


def _md_row(row: tuple[Value, ...]) -> tuple[str, ...]:
    return tuple(map(_md, row))


def _md(value: Value) -> str:
    if isinstance(value, Gap):
        return f"**{_md(str(value))}**"
    signs = _SIGNS.sub(r"\\\1", _edged(value))
    return signs.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _html_part(part: Part) -> str:
    if isinstance(part, Heading):
        return f"<h{part.level}>{_html(part.text)}</h{part.level}>"
    if isinstance(part, Paragraph):
        return f"<p>{''.join(map(_html, part.said))}</p>"
    if any(part.head):
        head = "".join(f'<th scope="col">{_html(name)}</th>' for name in part.head)
        return f"<table><thead><tr>{head}</tr></thead><tbody>\n{_rows(part.rows)}\n</tbody></table>"
    named = (f'<tr><th scope="row">{_html(row[0])}</th>{_cells(row[1:])}</tr>' for row in part.rows)
    return "<table><tbody>\n" + "\n".join(named) + "\n</tbody></table>"


def _rows(rows: tuple[tuple[Value, ...], ...]) -> str:
    return "\n".join(f"<tr>{_cells(row)}</tr>" for row in rows)


def _cells(row: tuple[Value, ...]) -> str:
    return "".join(f"<td>{_html(value)}</td>" for value in row)


def _html(value: Value) -> str:
    return f"<mark>{escape(visible(str(value)))}</mark>" if isinstance(value, Gap) else escape(_edged(value))


def _edged(value: str) -> str:
    """The text made visible, with the blanks by which it is set off from what stands beside it."""
    shown = visible(value)
    return f"{' ' * value[:1].isspace()}{shown}{' ' * (shown != '' and value[-1:].isspace())}"
