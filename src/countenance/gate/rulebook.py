"""The rules that ship, one TOML file a jurisdiction, each with examples that run as tests.

::

    rules = shipped()
    rules[0].law    # "Act to establish a legal framework for information technology …"

A file that says something else than it seems to (a field misspelt, a date that is text) is refused by its name.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from datetime import date
from functools import cache
from importlib import resources
from typing import Any, TypeVar, get_args, get_type_hints

from countenance.errors import UsageError
from countenance.gate.place import canonical
from countenance.gate.rule import STATED, Age, Condition, Declaration, Duty, Retention, Rule, Statement
from countenance.records import ART9, Collection

EXAMPLES = 5
"""The fewest examples of a rule."""

EXAMPLE = Collection(
    id="example",
    name="Example",
    purpose="finding photos",
    controller="Example Club",
    contact="privacy@example.org",
    art6="consent",
    art9="explicit-consent",
    notice="a letter to every member",
    retention_days=3650,
)
"""The collection of an example, but for what the example says."""

D = TypeVar("D", bound=Duty)
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One case: a photo, a collection and a day, and what the rule makes of it."""

    says: str
    on: date
    territories: tuple[str, ...]  # what the photo's evidence names
    collection: Collection
    applies: bool
    refused: str | None  # slug
    expires: date | None  # UTC; None where it is refused or not asked


@cache
def shipped() -> tuple[Rule, ...]:
    """Return the packaged rules in order of name. Raises UsageError if one cannot be used."""
    return tuple(read(name, text)[0] for name, text in files())


def files() -> list[tuple[str, str]]:
    """Return name and text of each packaged file, in order of name."""
    folder = resources.files("countenance.gate") / "rules"
    found = sorted((each.name, each) for each in folder.iterdir() if each.name.endswith(".toml"))
    return [(name, each.read_text("utf-8")) for name, each in found]


def read(name: str, text: str) -> tuple[Rule, tuple[Example, ...]]:
    """Read one file's text. Raises UsageError, with the file's name, if anything in it is not as it must be."""
    try:
        table = _Table(name, "", tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"The rule {name} cannot be used: it is no TOML ({error}).") from error
    examples = tuple(_example(each) for each in table.tables("example"))
    if len(examples) < EXAMPLES:
        raise table.wrong(f"it has {len(examples)} examples, and needs {EXAMPLES}")
    rule = Rule(
        name=name.removesuffix(".toml"),
        law=table.take("law", str),
        link=table.take("link", str),
        territories=table.territories("territories"),
        since=table.take("since", date),
        until=table.maybe("until", date),
        who=table.take("who", str),
        retention=_duty(table.table("retention"), Retention),
        age=_duty(table.table("age"), Age),
        notice=_duty(table.table("notice"), Duty),
        condition=_duty(table.table("condition"), Condition),
        representative=_duty(table.table("representative"), Duty) if "representative" in table else None,
        declaration=_duty(table.table("declaration"), Declaration) if "declaration" in table else None,
        states=tuple(_duty(each, Statement) for each in table.tables("states")),
        confirmed=table.texts("confirmed"),
        unconfirmed=table.texts("unconfirmed"),
    )
    table.close()
    _check(table, rule)
    return rule, examples


def _check(table: _Table, rule: Rule) -> None:
    """Refuse what the types let through."""
    term = rule.retention
    wrong = {
        "territories is empty": not rule.territories,
        "link is no address with https": not rule.link.startswith("https://"),
        "until lies before since": rule.until is not None and rule.until < rule.since,
        "a term of retention is not above 0": any(each is not None and each < 1 for each in (term.months, term.days)),
        "a term of retention has no counted_from": (term.months or term.days) and term.counted_from is None,
        "condition.art9 holds something else than conditions": not set(rule.condition.art9) <= ART9.keys(),
        "states asks for something that no collection states": not {each.field for each in rule.states}
        <= STATED.keys(),
    }
    for words, is_so in wrong.items():
        if is_so:
            raise table.wrong(words)


def _duty(table: _Table, kind: type[D]) -> D:
    """Read one record of `rule`; each of its fields is a key, and those without a default must be there."""
    values = table.record(kind)
    table.close()
    return kind(**values)


def _example(table: _Table) -> Example:
    collection = table.table("collection") if "collection" in table else _Table(table.file, "", {})
    own = collection.record(Collection, EXAMPLE)
    collection.close()
    example = Example(
        says=table.take("says", str),
        on=table.take("on", date),
        territories=table.territories("photo"),
        collection=Collection(**own),
        applies=table.take("applies", bool),
        refused=table.maybe("refused", str),
        expires=table.maybe("expires", date),
    )
    table.close()
    return example


class _Table:
    """One table of a file: every key is taken once and has the type it must have; `close` refuses what is left."""

    def __init__(self, file: str, where: str, values: dict[str, Any]) -> None:
        self.file, self._where, self._values = file, where, dict(values)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def wrong(self, words: str) -> UsageError:
        return UsageError(f"The rule {self.file} cannot be used: {words}.")

    def take(self, key: str, kind: type[T]) -> T:
        if key not in self._values:
            raise self.wrong(f"{self._where}{key} is missing")
        value = self._values.pop(key)
        if type(value) is not kind:  # exactly: a bool is an int too, and a time of day a date
            raise self.wrong(f"{self._where}{key} must be {_WORDS[kind]}")
        return value

    def maybe(self, key: str, kind: type[T]) -> T | None:
        return self.take(key, kind) if key in self._values else None

    def texts(self, key: str) -> tuple[str, ...]:
        values: list[Any] = self.take(key, list)
        if not all(isinstance(value, str) for value in values):
            raise self.wrong(f"{self._where}{key} must be a list of texts")
        return tuple(values)

    def territories(self, key: str) -> tuple[str, ...]:
        codes = self.texts(key)
        for code in codes:
            if canonical(code) != code:
                raise self.wrong(f"{self._where}{key} has {code}, which is no territory")
        return codes

    def table(self, key: str) -> _Table:
        return _Table(self.file, f"{self._where}{key}.", self.take(key, dict))

    def tables(self, key: str) -> list[_Table]:
        values: list[Any] = self.take(key, list) if key in self._values else []
        if not all(isinstance(value, dict) for value in values):
            raise self.wrong(f"{self._where}{key} must be a list of tables")
        return [_Table(self.file, f"{self._where}{key} {number}: ", value) for number, value in enumerate(values, 1)]

    def record(self, kind: type[Any], base: Any = None) -> dict[str, Any]:
        """Take every field of a record: those of `base` where the table has none, an empty text for None."""
        found = {} if base is None else {field.name: getattr(base, field.name) for field in fields(kind)}
        hints = get_type_hints(kind)
        needed = {field.name for field in fields(kind) if field.default is field.default_factory}
        for key, hint in hints.items():
            if key in self or (base is None and key in needed):
                found[key] = self._typed(key, hint)
        return found

    def _typed(self, key: str, hint: Any) -> Any:
        if tuple in (hint, getattr(hint, "__origin__", None)):
            return self.territories(key) if key == "takes_in" else self.texts(key)
        kinds = [each for each in get_args(hint) or (hint,) if each is not type(None)]
        choices = [choice for each in kinds for choice in (get_args(each) or (each,))]
        words = [choice for choice in choices if isinstance(choice, str)]
        value = self.take(key, str if words else choices[0])
        if words and value not in words:
            raise self.wrong(f"{self._where}{key} must be one of {', '.join(words)}")
        return None if value == "" else value

    def close(self) -> None:
        for key in self._values:
            raise self.wrong(f"{self._where}{key} is unknown")


_WORDS: dict[type, str] = {
    str: "a text",
    int: "a whole number",
    bool: "true or false",
    date: "a date such as 2018-05-25",
    list: "a list",
    dict: "a table",
}
