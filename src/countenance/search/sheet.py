"""A search's answer as one HTML page: people look rather than read. It needs nothing from elsewhere."""

from __future__ import annotations

import base64
from html import escape

from countenance.records import Hit, ProbeFace, SearchResult

STYLE = """
:root { color-scheme: light dark; font: 16px/1.45 system-ui, sans-serif; }
body { max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.05rem; margin-top: 2rem; }
ul { list-style: none; padding: 0; display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); }
li { border: 1px solid #8886; border-radius: 6px; padding: .8rem; overflow-wrap: anywhere; }
svg { width: 9rem; height: 9rem; background: #8882; border-radius: 4px; }
rect { fill: none; stroke: #e6b800; }
dl { margin: .5rem 0 0; font-size: .85rem; } dt { opacity: .75; } dd { margin: 0 0 .35rem; }
.score { font-weight: 600; font-variant-numeric: tabular-nums; }
.note { border-left: 4px solid #b58900; padding: .2rem .8rem; }
"""


def render(result: SearchResult, collection_name: str) -> str:
    """Return the page. It shows faces: whoever writes it somewhere must keep it as carefully as the vault."""
    faces = "".join(_face(face) for face in result.faces)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>Search {_text(result.id)}</title><style>{STYLE}</style></head><body>
<h1>Search in {_text(collection_name)}</h1>
<p>Purpose: {_text(result.purpose)}. Case: {_text(result.case)}. {result.gallery:,} faces searched; a score of
{result.threshold:.3f} or more is a hit, so that {in_words(result.fpir)}. Log entry {result.entry}.</p>
<p class="note">A hit is a candidate for a person to judge, not an identity. Relatives score high. Error rates:
{_text(result.calibration)}. On other photos they can be up to twice off. This page shows faces: delete it
when the case is closed.</p>
{faces}</body></html>
"""


def in_words(rate: float) -> str:
    """An error rate as a sentence's end: how many searches for a stranger give a hit like this."""
    if rate >= 0.5:  # noqa: PLR2004 - one in one
        return "most searches for a stranger score as high"
    if rate < 1e-6:  # noqa: PLR2004 - the tail is not measured so far
        return "fewer than one in 1,000,000 searches for a stranger score as high"
    many = 1 / rate
    digits = 10 ** max(0, len(str(int(many))) - 2)
    return f"about one in {round(many / digits) * digits:,} searches for a stranger scores as high"


def _face(face: ProbeFace) -> str:
    title = f"<h2>Face {face.number} of the probe</h2>"
    if face.reasons:
        return f"{title}<p>Not searched: {_text(' '.join(face.reasons))}</p>"
    if not face.hits:
        return f"{title}<p>Nobody found.</p>"
    return f"{title}<ul>{''.join(_hit(hit) for hit in face.hits)}</ul>"


def _hit(hit: Hit) -> str:
    facts = {
        "Photo": hit.address,
        "Box": f"{hit.box[2]} × {hit.box[3]} pixels at {hit.box[0]}, {hit.box[1]}",
        "Source": hit.source,
        "Date": hit.taken_at or "not known",
        "Country": ", ".join(hit.country) or "no evidence",
        "Subject": hit.subject or "not enrolled",
        "Why it may be shown": hit.because,
        "Face": hit.face_id,
    }
    lines = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in facts.items())
    score = f'<p class="score">score {hit.score:.3f}</p><p>{_text(in_words(hit.fpir).capitalize())}.</p>'
    return f"<li>{_picture(hit) if hit.crop else ''}{score}<dl>{lines}</dl></li>"


def _picture(hit: Hit) -> str:
    """The crop with the face's box drawn on it."""
    left, top, width, height = hit.crop_box
    x, y = hit.box[0] - left, hit.box[1] - top
    data = base64.b64encode(hit.crop).decode()
    return (
        f'<svg role="img" aria-label="the face that was found" viewBox="0 0 {width} {height}">'
        f'<image width="{width}" height="{height}" href="data:image/jpeg;base64,{data}"/>'
        f'<rect x="{x}" y="{y}" width="{hit.box[2]}" height="{hit.box[3]}" stroke-width="{max(1, width // 60)}"/></svg>'
    )


def _text(value: str) -> str:
    """A value as text of the page: no markup, and a mark where bytes are not UTF-8."""
    return escape(value.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
