"""Which rules are in force for a register on a day: those built in, with what its utility wants otherwise.

A parameter is named as in `anomaly/parameters.py`: `leak.days`, `electricity.theft.down`; the name of a rule
alone takes `on` or `off`. Durations that a rule counts in microseconds may be given as `21d`, `12h`, `30min`
or `90s`. Of several rows for one name the narrower one counts (an OBIS code before a medium before all), then
the one with the later day, then the one that was set last; `default` takes back what its scope had set."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import date
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from anomaly.parameters import Rules
from store.postgres.errors import StoreError
from store.validation.rule_parameters import ParameterRow
from telemetry.obis import Obis

_MICROSECONDS = {"d": 86_400_000_000, "h": 3_600_000_000, "min": 60_000_000, "s": 1_000_000}
_DURATION = re.compile(r"(\d+)(d|h|min|s)")
DEFAULT = "default"


class ParameterError(StoreError):
    """A parameter that no rule has, or a value that it cannot take."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """All rows of the utilities whose registers are judged together."""

    rows: Sequence[ParameterRow] = ()

    def of(
        self, utility_id: int, obis: Obis, on: date, *, house: bool = False, submetered: bool = False
    ) -> Rules:
        """The rules of a register on a local day."""
        rules = Rules.of(obis, house=house, submetered=submetered)
        for row in _counting(self._about(utility_id, obis), on):
            rules = altered(rules, row.name, row.value)
        return rules

    def changes(self, utility_id: int, obis: Obis) -> list[date]:
        """The days from which something else is in force for a register, in order."""
        return sorted({row.valid_from for row in self._about(utility_id, obis)})

    def _about(self, utility_id: int, obis: Obis) -> list[ParameterRow]:
        return [
            row
            for row in self.rows
            if row.utility_id == utility_id and row.medium in {None, obis.a} and row.obis in {None, str(obis)}
        ]


def _counting(rows: Sequence[ParameterRow], on: date) -> list[ParameterRow]:
    """Those that count on a day, in the order in which they are applied: whole rules before their figures."""
    last: dict[tuple[int, str], ParameterRow] = {}
    for row in sorted(rows, key=lambda row: (row.valid_from, row.id)):
        if row.valid_from <= on:
            last[_width(row), row.name] = row
    named = {}
    for (_, name), row in sorted(last.items(), key=lambda item: item[0]):
        if row.value != DEFAULT:
            named[name] = row
    return [named[name] for name in sorted(named)]


def _width(row: ParameterRow) -> int:
    return 2 if row.obis is not None else 1 if row.medium is not None else 0


def altered(rule: Any, name: str, value: str) -> Any:
    """A rule (or all of them) with one parameter changed; as it is where the rule is switched off.

    Raises ParameterError.
    """
    head, _, rest = name.partition(".")
    known = [field.name for field in fields(rule) if field.name != "unit"]
    if head not in known:
        raise ParameterError(f"no parameter {head!r}", advice=f"there are {', '.join(known)}")
    kind, optional = _kind(type(rule), head)
    if not rest:
        return replace(rule, **{head: _parsed(kind, value, head, optional=optional)})
    part = getattr(rule, head)
    if not isinstance(kind, type) or not is_dataclass(kind):
        raise ParameterError(f"{head} is a figure and has no {rest}", advice=f"give {head} itself a value")
    if part is None:
        altered(kind(), rest, value)  # it must be a parameter all the same
        return rule
    return replace(rule, **{head: altered(part, rest, value)})


def check(name: str, value: str) -> None:
    """Raises ParameterError where nothing is called so or cannot be set to this."""
    if value == DEFAULT:
        altered(Rules(), name, "off" if "." not in name else "0")
    else:
        altered(Rules(), name, value)


def _kind(rule: type, name: str) -> tuple[Any, bool]:
    """The type of a parameter, and whether it may be None."""
    hint = get_type_hints(rule)[name]
    if get_origin(hint) is UnionType:
        return next(each for each in get_args(hint) if each is not NoneType), True
    return hint, False


def _parsed(kind: Any, text: str, name: str, *, optional: bool) -> Any:
    if is_dataclass(kind) and isinstance(kind, type):
        if text == "on":
            return kind()
        if text == "off" and optional:
            return None
        raise ParameterError(
            f"{name} cannot be {text!r}",
            advice="a rule is on or off" if optional else "this rule is always on; set one of its figures",
        )
    try:
        if kind is bool:
            return {"true": True, "false": False}[text]
        if get_origin(kind) is tuple:
            return tuple(int(part) for part in text.split(",") if part.strip())
        if kind is int and (duration := _DURATION.fullmatch(text)):
            return int(duration[1]) * _MICROSECONDS[duration[2]]
        return _positive(kind(text))
    except (ValueError, KeyError):
        raise ParameterError(
            f"{name} cannot be {text!r}", advice=f"give {getattr(kind, '__name__', 'whole numbers')}"
        ) from None


def _positive(figure: float) -> float:
    if not 0 <= figure < float("inf"):
        raise ValueError(figure)
    return figure
