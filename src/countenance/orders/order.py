"""The order file: a small YAML text that a lawyer can read and write, strictly checked.

::

    order: countenance/order/v1
    authority: Information Commissioner's Office
    country: GB
    reference: press release of 23 May 2022
    issued: 2022-05-18
    measures: [stop, erase]
    scope:
      territories: [GB]
      unknown: include

Every scalar is read as text, so that NO is Norway and a date is what is written. Anchors, aliases and tags are refused:
with them a small file unfolds into an endless one. `docs/orders.md` lists every field.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

import yaml

from countenance.errors import UsageError
from countenance.gate.place import canonical
from countenance.records import Order, OrderScope, Penalty, Service

VERSION = "countenance/order/v1"
LIMIT = 100_000  # bytes; a real one has about 1 kB
DEPTH = 4  # of nesting
MEASURES = {
    "stop": "collect, search and show no more",
    "erase": "erase what is held",
    "answer-first": "answer the requests that are open before erasing",
    "refuse-service": "refuse searches from where the order says",
}
UNKNOWN = ("include", "exclude", "review")
NEEDED = ("authority", "country", "reference", "issued", "measures", "scope")

_PENALTY = re.compile(r"([A-Z]{3}) ([1-9][0-9]{0,12})")
_MANY = 10_000  # values of one list


def parse(text: str) -> Order:
    """Read an order file. Raises UsageError naming the field, what stands there and what would be right."""
    fields = _read(text)
    if fields.pop("order", None) != VERSION:
        raise UsageError(f"The first line of an order file is `order: {VERSION}`. Nothing was changed.")
    if lacking := [name for name in NEEDED if name not in fields]:
        raise UsageError(f"The order does not say: {', '.join(lacking)}. Nothing was changed.")
    order = Order(**_values(fields, _ORDER, ""))
    if why := contradiction(order):
        raise UsageError(f"{why} Nothing was changed.")
    return order


def to_text(order: Order) -> str:
    """The order as a file that `parse` reads to the same order."""
    return yaml.safe_dump({"order": VERSION} | _plain(order), sort_keys=False, allow_unicode=True, width=100)


def contradiction(order: Order) -> str | None:
    """What in an order cannot be, as a sentence; None if nothing."""
    scope = order.scope
    pairs = (
        ("issued", order.issued, "cease_from", order.cease_from),
        ("issued", order.issued, "delete_by", order.delete_by),
        ("added.from", scope.added_from, "added.until", scope.added_until),
        ("taken.from", scope.taken_from, "taken.until", scope.taken_until),
    )
    for first, earlier, second, later in pairs:
        if earlier and later and later < earlier:
            return f"{second} ({later}) lies before {first} ({earlier})."
    if not order.measures:
        return "It orders nothing: say at least one measure."
    if "refuse-service" in order.measures and order.service == Service():
        return "It refuses service to nobody: say under `service` which territories or tenants."
    narrow = OrderScope(everything=scope.everything, unknown=scope.unknown) != scope
    if scope.everything == narrow and order.measures != ("refuse-service",):
        return (
            "Its scope says everything and something: leave one out."
            if narrow
            else "Its scope is empty. If it is meant to reach everything, say `everything: yes`."
        )
    return None


def _read(text: str) -> dict[str, Any]:
    if len(text) > LIMIT:
        raise UsageError(f"An order file has at most {LIMIT:,} characters. Nothing was read.")
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.BaseLoader):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) or getattr(event, "tag", None):
                raise UsageError("An order file has no anchors, aliases or tags. Nothing was read.")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEPTH:
                raise UsageError("The order file is nested too deeply. Nothing was read.")
        node = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise UsageError(f"The order file cannot be read as YAML{where}. Nothing was changed.") from None
    found = _unique(node, "")
    if not isinstance(found, dict):
        raise UsageError("An order file is a list of fields and their values. Nothing was read.")
    return found


def _unique(node: Any, where: str) -> Any:
    """What a node holds as text, lists and tables; a name given twice is refused."""
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for name, value in node.value:
            if not isinstance(name, yaml.ScalarNode) or name.value in found:
                raise UsageError(
                    f"The order says {where}{str(getattr(name, 'value', '?'))[:80]} twice. Nothing was changed."
                )
            found[name.value] = _unique(value, f"{where}{name.value}.")
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_unique(value, where) for value in node.value]
    return node.value if node else None


def _values(fields: Any, readers: Mapping[str, tuple[str, Callable[[Any, str], Any]]], where: str) -> dict[str, Any]:
    """The record's fields from the file's; `readers` has for each name in the file the record's field and its reader."""
    if not isinstance(fields, dict):
        raise UsageError(f"{where.rstrip('.')} must have fields of its own. Nothing was changed.")
    if strange := sorted(set(fields) - set(readers)):
        known = ", ".join(readers)
        raise UsageError(f"An order has no field {where}{strange[0][:80]}; it may have: {known}. Nothing was changed.")
    found: dict[str, Any] = {}
    for name, value in fields.items():
        field, read = readers[name]
        got = read(value, where + name)
        found |= got if isinstance(got, dict) else {field: got}
    return found


def _wrong(where: str, value: object, right: str) -> UsageError:
    return UsageError(f"{where} is {value!r:.160}; it must be {right}. Nothing was changed.")


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not 0 < len(value.strip()) <= 1000 or not value.isprintable():  # noqa: PLR2004
        raise _wrong(where, value, "a line of text")
    return value.strip()


def _day(value: Any, where: str) -> date:
    text = _text(value, where)
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.isoformat() != text:  # 20220518 and 2022-W20 are dates too, and surprise
        raise _wrong(where, value, "a date such as 2022-05-18")
    return found


def _territory(value: Any, where: str) -> str:
    code = canonical(_text(value, where))
    if code is None:
        raise _wrong(where, value, "a country such as GB, or a part of one such as US-IL")
    return code


def _list(read: Callable[[Any, str], Any]) -> Callable[[Any, str], tuple[Any, ...]]:
    def of(value: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) > _MANY:
            raise _wrong(where, value, "a list in brackets")
        return tuple(dict.fromkeys(read(one, where) for one in value))

    return of


def _one_of(choices: tuple[str, ...]) -> Callable[[Any, str], str]:
    def of(value: Any, where: str) -> str:
        if value not in choices:
            raise _wrong(where, value, f"one of {', '.join(choices)}")
        return str(value)

    return of


def _span(kind: str) -> Callable[[Any, str], dict[str, Any]]:
    readers = {"from": (f"{kind}_from", _day), "until": (f"{kind}_until", _day)}
    return lambda value, where: _values(value, readers, f"{where}.")


def _penalty(value: Any, where: str) -> Penalty:
    match = _PENALTY.fullmatch(_text(value, where))
    if not match:
        raise _wrong(where, value, "a currency and whole units, such as GBP 7552800")
    return Penalty(currency=match[1], amount=int(match[2]))


def _record(kind: Callable[..., Any], readers: Mapping[str, Any]) -> Callable[[Any, str], Any]:
    return lambda value, where: kind(**_values(value, readers, f"{where}."))


def _named(**readers: Callable[[Any, str], Any]) -> dict[str, tuple[str, Callable[[Any, str], Any]]]:
    return {name: (name, read) for name, read in readers.items()}


_SCOPE = _named(
    territories=_list(_territory),
    unknown=_one_of(UNKNOWN),
    collections=_list(_text),
    sources=_list(_text),
    subjects=_list(_text),
    purposes=_list(_text),
    added=_span("added"),
    taken=_span("taken"),
    everything=lambda value, where: _one_of(("yes", "no"))(value, where) == "yes",
)
_SERVICE = _named(territories=_list(_territory), tenants=_list(_text))
_ORDER = _named(
    authority=_text,
    country=_territory,
    reference=_text,
    issued=_day,
    cease_from=_day,
    delete_by=_day,
    measures=_list(_one_of(tuple(MEASURES))),
    scope=_record(OrderScope, _SCOPE),
    service=_record(Service, _SERVICE),
    fine=_penalty,
    daily=_penalty,
    note=_text,
    unconfirmed=_list(_text),
)


def _plain(record: Any) -> dict[str, Any]:
    """A record as the file writes it, without what it does not say."""
    written: dict[str, Any] = {}
    for name, value in _fields(record):
        span, dot, end = name.partition(".")
        if dot:
            written.setdefault(span, {})[end] = value
        else:
            written[name] = value
    return written


def _fields(record: Any) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if value is None or value in {(), "", False} or value == Service():
            continue
        name = re.sub(r"^(added|taken)_", r"\1.", field.name)
        if isinstance(value, Penalty):
            yield name, f"{value.currency} {value.amount}"
        elif dataclasses.is_dataclass(value):
            yield name, _plain(value)
        elif isinstance(value, tuple):
            yield name, list(value)
        else:
            yield name, "yes" if value is True else str(value)
