"""The page of an access answer, to read and to print: made from its data alone, with no script and nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

STYLE = """
:root { font: 16px/1.45 system-ui, sans-serif; }
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.15rem; margin-top: 2rem; } h3 { font-size: 1rem; margin-top: 1.5rem; }
img { max-width: 100%; max-height: 30rem; }
section.photo { border-top: 1px solid #999; break-inside: avoid; overflow-wrap: anywhere; }
dl { margin: .5rem 0; } dt { opacity: .75; font-size: .85rem; } dd { margin: 0 0 .4rem; }
table { border-collapse: collapse; width: 100%; } th, td { border: 1px solid #999; padding: .3rem; text-align: left;
vertical-align: top; overflow-wrap: anywhere; }
.gap { font-weight: 600; }
"""

RIGHTS = (
    "Have what is wrong corrected, such as a photo in which you were taken for somebody else (Art. 16).",
    "Have all of it erased (Art. 17).",
    "Have it kept and not used while something is disputed (Art. 18).",
    "Object to its use (Art. 21), and withdraw a consent that you gave (Art. 7(3)), at any time.",
    "Get it in a form that other systems read (Art. 20): the file data.json beside this page, with the folder photos.",
)

AUTOMATED = (
    "The software makes no decision about you. A search proposes faces that look alike, with how often a stranger looks as "
    "much alike, and a person judges them."
)

NOT_IN_IT = (
    "Of each of your faces that is listed with a model, the vault also holds a template: 128 numbers that this model made of "
    "the face, by which it is found. It is not in this answer, since whoever has it could look for you with it."
)

NO_SEARCH = "No search that is in the log found a face of yours."


def render(data: Mapping[str, Any]) -> str:
    """Return the page for `data`, as `access.build` makes it."""
    title = f"What we hold of you ({data['request']['id']})"
    sections = (
        ("Photos", _photos(data)),
        ("Who searched for you", _searches(data)),
        ("Why, and by what right", _collections(data)),
        ("Who else got it", _recipients(data)),
        ("What you can do", _rights(data)),
    )
    body = "\n".join(f"<h2>{escape(heading)}</h2>\n{''.join(parts)}" for heading, parts in sections)
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'">
<title>{_text(title)}</title><style>{STYLE}</style></head><body>
<h1>{_text(title)}</h1>
<p>Your request of {_text(data["request"]["received"])}, answered under {_text(data["request"]["law"])}. Made on
{_text(data["made_at"][:10])}. Photos: {len(data["photos"])}. Searches that found you: {len(data["searches"])}.
The faces of other people are covered.</p>
{body}
</body></html>
"""


def _photos(data: Mapping[str, Any]) -> Iterator[str]:
    yield f"<p>{_text(NOT_IN_IT)}</p>" if any(photo["faces"] for photo in data["photos"]) else ""
    for photo in data["photos"]:
        images = "".join(f'<p><img alt="a photo of you" src="{_text(file["name"])}"></p>' for file in photo["files"])
        source = photo["source"]
        facts = {
            "Held as": data["collections"][photo["collection"]]["name"],
            "Where we have it from": f"{_stated(source['controller'], 'whose source it is')} ({source['kind']})",
            "Taken": (photo["taken_at"] or "the file does not say").replace("T", " "),
            "Place in the file": ", ".join(map(str, photo["position"])) if photo["position"] else "none",
            "Added": photo["added_at"][:10],
            "Held at the latest until": photo["expires_at"][:10],
            "Evidence of a country": "; ".join(f"{e['territory']} ({e['origin']})" for e in photo["evidence"])
            or "none",
            "Other people covered": ", ".join(str(file["others_hidden"]) for file in photo["files"]) or "no picture",
            "Why not the whole photo": photo["why_not_whole"],
            "Refused": photo["refused"] or "",
        }
        yield f'<section class="photo"><h3>{_text(photo["name"])}</h3>{images}{_facts(facts)}'
        for face in photo["faces"]:
            left, top, width, height = face["box"]
            quality = ", ".join(f"{name} {value}" for name, value in face["quality"].items())
            yield _facts(
                {
                    "Your face": f"{width} × {height} pixels at {left}, {top} of the photo",
                    "Model": face["model"],
                    "Quality, 0 to 100": quality,
                    "Found by searches at the latest until": face["expires_at"][:10],
                }
            )
        yield "</section>\n"
    for subject in data["subjects"]:
        consent = subject["consent"]
        term = f"{consent['given_at'][:10]} to {consent['until'][:10]}"
        yield f"<h3>You are enrolled as {_text(subject['name'])}</h3>"
        yield _facts({"Consent by": consent["by"], "From and to": term, "Its words": consent["text"]})


def _searches(data: Mapping[str, Any]) -> Iterator[str]:
    if not data["searches"]:
        yield f"<p>{_text(NO_SEARCH)}</p>"
        return
    yield "<table><tr><th>Date</th><th>Searched by</th><th>Purpose</th><th>Case</th><th>What came of it</th></tr>"
    for search in data["searches"]:
        of = data["collections"].get(search["collection"], {})
        cells = (
            search["at"][:10],
            _stated(of.get("controller"), "the controller"),
            _stated(search["purpose"], "the purpose"),
            _stated(search["case"], "the case"),
            " ".join(search["outcome"]),
        )
        yield "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in cells) + "</tr>\n"
    yield "</table>"


def _collections(data: Mapping[str, Any]) -> Iterator[str]:
    for of in data["collections"].values():
        days = f"{of['retention_days']} days" if of["retention_days"] else None
        yield f"<h3>{_text(of['name'])}</h3>"
        yield _facts(
            {
                "Purpose": _stated(of["purpose"], "the purpose"),
                "Legal basis": _stated(of["basis"], "the legal basis"),
                "Condition for biometric data": _stated(of["condition"], "the condition of Art. 9"),
                "How people were told": _stated(of["notice"], "the notice"),
                "Kept for": _stated(days, "how long it is kept"),
                "Why everybody's template is kept": of["justification"] or "",
                "Controller": _stated(of["controller"], "the controller"),
                "Contact": _stated(of["contact"], "a contact"),
                "Representative": _stated(of["representative"], "a representative, or that none is needed"),
            }
        )


def _recipients(data: Mapping[str, Any]) -> Iterator[str]:
    yield "<p>The vault itself sends nothing to anybody. It knows of these files with your face that were written from it:</p>"
    written = [f"{sheet['at'][:10]}: {sheet['what']}" for sheet in data["sheets"]] + [
        outcome for search in data["searches"] for outcome in search["outcome"][1:]
    ]
    yield _list(written or ["none"])
    yield f"<p>{_stated('', 'who else was given your data, Art. 15(1)(c)', marked=True)}</p>"
    yield f"<p>{_stated('', 'whether your data go to a third country, Art. 15(2)', marked=True)}</p>"


def _rights(data: Mapping[str, Any]) -> Iterator[str]:
    yield _list(RIGHTS)
    authority = _stated(data["controller"]["authority"], "the supervisory authority")
    yield f"<p>You can complain to {_text(authority)}, and go to a court (Art. 77 and 79).</p>"
    yield f"<p>{_text(AUTOMATED)}</p>"
    yield f"<p>{_stated('', 'whether a decision is made by automated means elsewhere, Art. 22', marked=True)}</p>"


def _stated(value: str | None, what: str, *, marked: bool = False) -> str:
    """A value, or a visible gap."""
    if value and value.strip():
        return value
    gap = f"[not stated: {what}]"
    return f'<span class="gap">{_text(gap)}</span>' if marked else gap


def _facts(facts: Mapping[str, str]) -> str:
    lines = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in facts.items() if value)
    return f"<dl>{lines}</dl>"


def _list(items: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{_text(item)}</li>" for item in items) + "</ul>"


def _text(value: str) -> str:
    """A value as text of the page: no markup, and a mark where bytes are not UTF-8."""
    return escape(value.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
