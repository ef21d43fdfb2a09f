"""The certificate of an erasure as one HTML page for people. It needs nothing from elsewhere and prints on A4.

The page shows what the verifier found when it was made. It proves nothing: the bundle does, and the page says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any

from countenance.audit import verify

STYLE = """
:root { color-scheme: light dark; font: 18px/1.5 system-ui, sans-serif;
  --text: #1a1a1a; --page: #fff; --soft: #4a4a4a; --line: #767676; --good: #14603a; --bad: #9b1c1c; }
@media (prefers-color-scheme: dark) {
  :root { --text: #ececec; --page: #17191c; --soft: #bfc3c8; --line: #8a8f96; --good: #7fd6a4; --bad: #ff9a94; } }
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: var(--text); background: var(--page); }
h1 { font-size: 1.7rem; line-height: 1.2; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .5rem; }
p, li, td { overflow-wrap: anywhere; } h1, th, caption { overflow-wrap: break-word; }
table { border-collapse: collapse; width: 100%; margin: .6rem 0; }
caption { text-align: left; color: var(--soft); padding-bottom: .2rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line);
  font-variant-numeric: tabular-nums; }
thead th, caption { font-weight: 600; } tbody th { font-weight: 400; } .list td { min-width: 4.5rem; }
.facts tbody th { color: var(--soft); width: 30%; } .numbers td { text-align: right; padding-right: 0; }
code, pre { font: .85em/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
.verdict, .not { border: 2px solid var(--line); border-left-width: 10px; padding: .4rem 1rem; margin: 1rem 0; }
.holds { border-color: var(--good); } .fails, .not { border-color: var(--bad); }
.verdict strong { font-size: 1.15rem; } .holds strong { color: var(--good); } .fails strong { color: var(--bad); }
@page { size: A4; margin: 18mm; }
@media print {
  :root { color-scheme: light; font-size: 10.5pt;
    --text: #000; --page: #fff; --soft: #333; --line: #767676; --good: #14603a; --bad: #9b1c1c; }
  body { max-width: none; margin: 0; padding: 0; }
  h2, caption { break-after: avoid; } tr, .verdict, .not, .how { break-inside: avoid; } }
"""

KINDS = {
    "photos": "photos",
    "faces": "faces, with template and crop",
    "subjects": "enrolled persons",
    "sources": "sources",
    "resealed": "faces beside them that stay, with a new key",
}
STEPS = {
    "planned": "The exact list was fixed.",
    "approved": "Who approved it was recorded.",
    "frozen": "What was listed was frozen.",
    "stopped": "From here on nothing of it was shown or searched.",
    "keys-destroyed": "The keys were destroyed.",
    "purged": "The records were deleted.",
    "verified": "Every place was searched for what had to be gone.",
}
PLACES = {
    "vault": "the vault's folder",
    "temporary": "the temporary folder",
    "exports": "the exports that the vault knows of",
}
SOURCE = {
    "deleted": "files deleted",
    "redacted": "files in which the face was painted over",
    "worklist": "files left to a person, on the worklist",
    "failed": "of these, files that the vault tried to change and could not",
}
TOKENS = {
    "content": "the exact file",
    "address": "the place it came from",
    "picture": "the picture, also when it is encoded or scaled anew",
    "expired": "the exact file, in the collection where its time is over",
}
REASONS = {
    "photo": "a photo and the faces in it",
    "face": "a face",
    "subject": "an enrolled person and the faces matched with them",
    "source": "a source and everything from it",
    "search": "what a search found",
    "order": "what an order reaches",
    "expired": "what is past its time",
    "request": "what a person confirmed at the rights desk that a request reaches",
}
CHECK = """unzip BUNDLE verify.py
python verify.py BUNDLE --key KEY"""


def render(files: Mapping[str, bytes], report: verify.Report, *, given: str | None, at: datetime) -> str:
    """Return the page about a bundle's files and what the verifier found, `given` the key from elsewhere, at that time.

    Where the proof does not hold, the page says why and shows nothing of the statement.
    """
    said = report.statement
    title = f"Certificate of erasure {said['erasure']}" if said else "A proof of erasure that does not hold"
    key = report.key.public.hex() if report.key else ""
    body = [
        f"<h1>{escape(title)}</h1>",
        _verdict(report, given, at),
        *(_told(said) if said else []),
        _section("The proof", _proof(files, said, key)),
        _section("What the verifier checked", _checks(report)),
        f'<div class="how">{_section("How to check it yourself", _how())}</div>',
    ]
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>
{"".join(body)}
</main></body></html>
"""


def _told(said: dict[str, Any]) -> Iterable[str]:
    """The statement, as sections."""
    scope, keys, scan, processes = said["scope"], said["keys"], said["scan"], said["processes"]
    erased = {words: scope[kind] for kind, words in KINDS.items() if scope[kind]}
    yield _section(
        "What was erased",
        _text(
            f"{scope['items']:,} keys were destroyed. Without them nothing opens what they sealed, here or in a backup."
        )
        + _numbers("Items, each with a key of its own", erased)
        + _numbers("Removed from the records, by layer", {_plain(name): n for name, n in said["counts"].items()})
        + _numbers("Files at the sources", {words: said["source"][name] for name, words in SOURCE.items()}),
    )
    kept_out = {TOKENS.get(kind, _plain(kind)): n for kind, n in said["suppressed"].items()}
    yield _section(
        "On what ground",
        _text(f"{said['ground']}. The list: {REASONS.get(said['reason'], _plain(said['reason']))}.")
        + _text(_asked(said))
        + _text(f"Approved by: {', '.join(said['approved_by']) or 'nobody beside the operator was asked'}."),
    )
    steps = [(STEPS[s["state"]], _when(s["at"]), f"{s['entry']:,}") for s in said["states"]]
    yield _section("When", _table(("Step", "Time", "Log entry"), steps) + _text(f"Signed: {_when(said['issued_at'])}."))
    silent = ", ".join(processes["unanswered"])
    yield _section(
        "How the keys were destroyed",
        _table(
            (),
            [
                ("Method", keys["method"]),
                ("Held by", keys["provider"]),
                ("Medium", f"class {keys['medium']}: {verify.MEDIUM[keys['medium']]} ({keys['medium_note']})"),
                ("Key epoch", f"{keys['epoch_before']:,} before, {keys['epoch_after']:,} after"),
                ("Key state before", keys["state_before"]),
                ("Key state after", keys["state_after"]),
                ("Copies of the keys", f"{keys['replicas']:,} beside the vault's own, renewed with it"),
                ("Programs at work", f"{processes['acknowledged']:,} took the new keys"),
                ("Did not answer", silent or "none"),
            ],
        ),
    )
    places = ", ".join(PLACES.get(place, _plain(place)) for place in scan["places"])
    yield _section(
        "What was searched, and found",
        _text(
            f"{scan['files']:,} files of {scan['bytes']:,} bytes ({places}) were searched for {scan['patterns']:,} byte "
            f"patterns of what had to be gone. Found: {scan['hits']}. To show that the search can find, "
            f"random bytes were planted: found {scan['control_hits']:,} times, as they had to be."
        )
        + _text(
            f"A search for persons with {said['search']['probes']:,} of the erased templates found "
            f"{said['search']['hits']} of them."
        ),
    )
    if kept_out:
        yield _section(
            "What is kept out from now on", _numbers("Refused if it comes back, known by keyed codes of", kept_out)
        )
    limits = "".join(f"<li>{escape(text)}</li>" for text in said["not_covered"])
    yield _section("What this does NOT cover", f'<div class="not"><ul>{limits}</ul></div>')


def _asked(said: dict[str, Any]) -> str:
    """What asked for the erasure, as a sentence."""
    if order := said["order"]:
        return f"It carries out order {order['id']}, whose file has the SHA-256 {_grouped(order['file_sha256'])}."
    if request := said["request"]:
        return f"A person's request asked for it; the SHA-256 of the request's id is {_grouped(request['sha256'])}."
    return "Neither an order nor a person's request is named."


def _verdict(report: verify.Report, given: str | None, at: datetime) -> str:
    holds = report.statement is not None
    return (
        f'<div class="verdict {"holds" if holds else "fails"}" role="note">'
        f"<p><strong>{escape(verify.verdict(report, given))}</strong></p>"
        f"<p>That is what the verifier found on {_when(at.astimezone(UTC).isoformat())}. This page itself proves nothing: "
        "anybody can write such a page. The bundle that it was made from does.</p></div>"
    )


def _proof(files: Mapping[str, bytes], said: dict[str, Any] | None, key: str) -> str:
    digest = hashlib.sha256(verify.pack(files)).hexdigest()
    rows = [("Public key", _grouped(key) or "none that can be read"), ("SHA-256 of the bundle", _grouped(digest))]
    if not said:
        return _table((), rows)
    origin, size, root = files["checkpoint.txt"].decode().split("\n")[:3]
    rows += [
        ("Vault, and its log", origin),
        ("Log entries then", f"{int(size):,}"),
        ("Root of the log", root),
        ("Commitment to the list", said["scope"]["commitment"]),
        ("Root of the items", said["scope"]["items_root"]),
        ("Made with", said["software"]),
    ]
    entries = [(f"{state['entry']:,}", state["leaf"]) for state in said["states"]]
    return _table((), rows) + _table(("Log entry", "SHA-256 of the entry in the log's tree"), entries)


def _checks(report: verify.Report) -> str:
    lines = [(name[:1].upper() + name[1:], f"no: {why}" if why else "yes") for name, why in report.checks]
    return _table(("What was checked", "Holds"), lines)


def _how() -> str:
    return (
        _text(
            "You need the bundle, a zip file, and Python 3.11 or newer, and nothing else: no network, no account. BUNDLE is "
            "the zip; KEY is the operator's public key, from somewhere else than the bundle or this page."
        )
        + f"<pre>{escape(CHECK)}</pre>"
        + _text("Compare the key with the one above, group by group. READ-ME.txt in the bundle says more.")
    )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>\n"


def _text(sentence: str) -> str:
    return f"<p>{escape(sentence)}</p>"


def _numbers(caption: str, table: Mapping[str, int]) -> str:
    return _table((), [(words[:1].upper() + words[1:], f"{n:,}") for words, n in table.items()], caption, "numbers")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]], caption: str = "", kind: str = "facts") -> str:
    """A table whose first column names what the others say."""
    columns = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    lines = [
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    ]
    return (
        f'<table class="{kind if not head else "list"}">'
        + (f"<caption>{escape(caption)}</caption>" if caption else "")
        + (f"<thead><tr>{columns}</tr></thead>" if head else "")
        + f"<tbody>{''.join(lines)}</tbody></table>"
    )


def _when(stamp: str) -> str:
    """A time in words, such as 3 March 2026, 14:05:06 UTC; as it stands where no calendar has that day."""
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        return escape(stamp)
    return f"{moment.day} {moment:%B %Y, %H:%M:%S} UTC"


def _plain(slug: str) -> str:
    return slug.replace("-", " ").replace("_", " ")


def _grouped(text: str) -> str:
    """Hexadecimal digits in groups of four, to be compared by eye."""
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))
