"""Which rules are in force for a register on a day: those built in, with what its utility wants otherwise.

A parameter is named as its rule declares it: `leak.days`, `electricity.theft.down`; the name of a rule
alone takes `on` or `off`. Durations that a rule counts in microseconds may be given as `21d`, `12h`, `30min`
or `90s`. Of several rows for one name the narrower one counts (an OBIS code before a medium before all), then
the one with the later day, then the one that was set last; `default` takes back what its scope had set."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import date
from typing import Any, get_origin, get_type_hints

from anomaly.catalogue import PARAMETERS, parameters_of
from anomaly.parameters import ParameterSet
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
    ) -> ParameterSet:
        """The parameters of a register on a local day."""
        given = parameters_of(obis, house=house, submetered=submetered)
        for row in _counting(self._about(utility_id, obis), on):
            given = altered(given, row.name, row.value)
        return given

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


def altered(given: ParameterSet, name: str, value: str) -> ParameterSet:
    """A set with one parameter changed; as it is where the parameter's rule is switched off.

    Raises ParameterError.
    """
    head, _, rest = name.partition(".")
    rule = PARAMETERS.get(head)
    if rule is None:
        raise ParameterError(f"no parameter {head!r}", advice=f"there are {', '.join(PARAMETERS)}")
    if rest:
        part = given.get(rule)
        changed = _changed(part or rule(), rest, value)  # it must be a parameter all the same
        return given if part is None else given.having(changed)
    if value == "on":
        return given.having(rule())
    if value == "off" and not rule.required:
        return given.without(rule)
    raise ParameterError(
        f"{name} cannot be {value!r}",
        advice="this rule is always on; set one of its figures" if rule.required else "a rule is on or off",
    )


def check(name: str, value: str) -> None:
    """Raises ParameterError where nothing is called so or cannot be set to this."""
    if value == DEFAULT:
        value = "0" if "." in name else "on"
    altered(ParameterSet(), name, value)


def _changed(rule: Any, name: str, value: str) -> Any:
    """Parameters of a rule with one of them changed. Raises ParameterError."""
    head, _, rest = name.partition(".")
    kinds = get_type_hints(type(rule))
    known = [field.name for field in fields(rule)]
    if head not in known:
        raise ParameterError(f"no parameter {head!r}", advice=f"there are {', '.join(known)}")
    part = getattr(rule, head)
    if rest and not is_dataclass(part):
        raise ParameterError(f"{head} is a figure and has no {rest}", advice=f"give {head} itself a value")
    new = _changed(part, rest, value) if rest else _parsed(kinds[head], value, head)
    return replace(rule, **{head: new})


def _parsed(kind: Any, text: str, name: str) -> Any:
    try:
        if kind is bool:
            return {"true": True, "false": False}[text]
        if get_origin(kind) is tuple:
            return tuple(int(part) for part in text.split(",") if part.strip())
        if kind is int and (duration := _DURATION.fullmatch(text)):
            return int(duration[1]) * _MICROSECONDS[duration[2]]
        return _positive(kind(text))
    except (ValueError, KeyError, TypeError):
        raise ParameterError(
            f"{name} cannot be {text!r}", advice=f"give {getattr(kind, '__name__', 'whole numbers')}"
        ) from None


def _positive(figure: float) -> float:
    if not 0 <= figure < float("inf"):
        raise ValueError(figure)
    return figure
