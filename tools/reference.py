"""Make the reference pages of the documentation from the code, so that they cannot say anything else.

::

    python tools/reference.py    # writes docs/commands.md, errors.md, python.md and settings.md

`tests/docs/test_reference.py` fails where a committed page differs.
"""  # noqa: INP001 - a script, not a package

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

import countenance
from countenance import errors, records, restore, vault
from countenance.cli.main import app
from countenance.settings import FILE, Settings

DOCS = Path(__file__).parents[1] / "docs"
NOTE = "<!-- Made by tools/reference.py; do not edit. -->"
FIELD = re.compile(r"    (\w+): ([^=#\n]+?)(?: = [^#\n]+?)?(?:\s+# (?!noqa)(.*))?\n")
EXIT_CODES = {
    0: "done; for a search also: nobody found",
    1: "failed",
    2: "the command was wrong",
    3: "done, but not for everything",
    4: "refused by a rule, an order or a missing basis",
    5: "not authorised: wrong or missing key",
    6: "a proof does not hold",
    130: "interrupted; run the same command again to go on",
}


def pages() -> dict[str, str]:
    """Return the text of each generated page by its name."""
    made = {"commands": commands(), "errors": error_pages(), "python": python(), "settings": settings()}
    return {f"{name}.md": "\n".join([NOTE, *lines]).rstrip() + "\n" for name, lines in made.items()}


def commands() -> Iterator[str]:
    """One heading a command, as `--help` describes it."""
    yield "# Commands\n"
    yield (
        "Results go to stdout, progress and messages to stderr: a table on a terminal, tab-separated lines in a pipe, one "
        "object with `--json`. Commands that change something show what they would do with `--dry-run`. "
        "[Errors](errors.md) lists the exit codes.\n"
    )
    root = typer.main.get_command(app)
    yield from _command(root, root.make_context("countenance", [], resilient_parsing=True))


def _command(command: Any, context: Any) -> Iterator[str]:
    inner: dict[str, Any] = getattr(command, "commands", {})
    if not inner:
        yield f"## {context.command_path}\n"
        yield f"{command.help}\n"
        yield f"```text\n{command.get_usage(context).removeprefix('Usage: ')}\n```\n"
        rows = [row for row in (p.get_help_record(context) for p in command.params) if row]
        yield from (f"- `{name}`{': ' if said else ''}{said}" for name, said in rows)
        yield ""
    for name, below in inner.items():
        yield from _command(below, type(context)(below, info_name=name, parent=context))


def error_pages() -> Iterator[str]:
    """One heading an error, by slug."""
    yield "# Errors\n"
    yield "On the command line the sentence goes to stderr, and with `--json` the slug and the sentence to stdout.\n"
    yield "| exit code | meaning |\n|---|---|"
    yield from (f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items())
    tree = (errors.__doc__ or "").partition("::\n")[2].partition("A class")[0]
    yield f"\n```text\n{inspect.cleandoc(tree)}\n```\n"
    for kind in _tree(errors.CountenanceError):
        sentence = inspect.getdoc(kind) or ""
        yield f"## {kind.slug}\n"
        yield f"`{kind.__name__}`, exit code {kind.exit_code}, HTTP status {kind.status}.\n"
        yield f"{'The sentence says what was wrong.' if sentence == '{message}' else '> ' + sentence}\n"
        if kind is errors.BadImage:
            yield from (f"- `{reason}`: {why}" for reason, why in errors.BAD_IMAGE.items())
            yield ""


def _tree(kind: type[errors.CountenanceError]) -> Iterator[type[errors.CountenanceError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _tree(below)


def settings() -> Iterator[str]:
    """One heading a setting."""
    yield "# Settings\n"
    where = f"~/{FILE.relative_to(Path.home())}"
    yield (
        f"Each is a variable of the environment, or a line of `{where}` under the name in the heading. The environment "
        "wins over the file, and an option or argument wins over both.\n"
    )
    for name, field in Settings.model_fields.items():
        yield f"## {name}\n"
        default = "depends on the machine" if field.default_factory else _home(field.default)
        bounds = "".join(
            f"; {words} {getattr(limit, name)}"
            for limit in field.metadata
            for name, words in (("ge", "at least"), ("gt", "more than"))
            if hasattr(limit, name)
        )
        yield f"`COUNTENANCE_{name.upper()}`, default: {default}{bounds}.\n"
        yield f"{field.description}\n"


def _home(value: Any) -> str:
    return "none" if value is None else f"`{str(value).replace(str(Path.home()), '~')}`"


def python() -> Iterator[str]:
    """The vault's verbs, and the records that they give."""
    yield "# Python\n"
    yield (
        "`import countenance` loads no model and opens no file. A picture is a path, bytes, a PIL image or an array of "
        "shape (height, width, 3). A box is left, top, width and height in pixels of the picture turned upright. Errors "
        "are those of [Errors](errors.md), all under `countenance.errors`.\n"
    )
    for function in (countenance.create, countenance.open):
        yield from _callable(f"countenance.{function.__name__}", function)
    yield from _callable("countenance.restore.restore", restore.restore)
    yield from _callable("countenance.Vault", vault.Vault)
    for name, verb in _verbs():
        yield from _callable(f"Vault.{name}", verb)
    for record in _records():
        yield f"## {record.__name__}\n"
        yield f"{_prose(inspect.getdoc(record) or '')}\n"
        found = FIELD.findall(inspect.getsource(record))
        yield from (f"- `{name}: {kind}`{f': {said}' if said else ''}" for name, kind, said in found)
        yield ""


def _callable(name: str, member: Any) -> Iterator[str]:
    yield f"## {name}\n"
    signature = _unquoted(member).replace("(self, ", "(").replace("(self)", "()")
    signature = re.sub(r" = <.*? at 0x\w+>", " = …", signature)
    yield f"```text\n{name}{signature}\n```\n"
    yield f"{_prose(inspect.getdoc(member) or '')}\n"


def _records() -> list[Any]:
    """The records that the verbs give, and those inside them, in order of name."""
    known = {**vars(records), **vars(vault.ingest), **vars(vault)}
    found: dict[str, Any] = {}
    wanted = [_unquoted(verb) for _, verb in _verbs()]
    while wanted:
        for name in re.findall(r"\w+", wanted.pop()):
            if name not in found and dataclasses.is_dataclass(kind := known.get(name)):
                found[name] = kind
                wanted.extend(str(field.type) for field in dataclasses.fields(kind))
    return [found[name] for name in sorted(found)]


def _verbs() -> list[tuple[str, types.FunctionType]]:
    """The vault's verbs with their names, those of a group as `orders.draft`."""
    found: list[tuple[str, types.FunctionType]] = []
    for name, member in vars(vault.Vault).items():
        if isinstance(member, property):
            group = typing.get_type_hints(member.fget)["return"]
            if group.__module__.startswith("countenance.verbs"):
                found += [
                    (f"{name}.{verb}", act) for verb, act in vars(group).items() if isinstance(act, types.FunctionType)
                ]
        elif isinstance(member, types.FunctionType):
            found.append((name, member))
    return [(name, verb) for name, verb in found if not name.rpartition(".")[2].startswith("_")]


def _unquoted(member: Any) -> str:
    """A signature without the quotes that annotations carry."""
    return re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(member)))


def _prose(text: str) -> str:
    """A docstring as Markdown: the list of arguments as a list."""
    before, _, arguments = text.partition("Args:\n")
    return before + re.sub(r"^    (\w+): ", r"- `\1`: ", arguments, flags=re.MULTILINE)


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).write_text(text, "utf-8")
