"""Replies of gateways to commands, as people read them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from api.words.language import Language
from store.gateways.request_list import CommandRow
from store.gateways.requests import CommandState

_OVER = (CommandState.DONE, CommandState.FAILED, CommandState.EXPIRED)
_DECIMAL = re.compile(r"-?\d+(\.\d+)?")


@dataclass(frozen=True, slots=True)
class ReplyText:
    """Reply in words and figures. It comes from outside: what is not of its form is left out.

    `values`: of each meter, its registers as they were read; `more`: there are some, to be asked for.
    `lists`: meters found, or not read, and a word.
    """

    over: bool
    values: Sequence[tuple[str, Sequence[tuple[str, str]]]] = ()
    lists: Sequence[tuple[str, str]] = ()
    configuration: bool = False
    more: bool = False


def told_by(command: CommandRow, language: Language, *, more: bool = False) -> ReplyText:
    """The last reply to a command, as people read it. `more`: it has values, which are left out."""
    over = command.state in _OVER
    result = command.result
    if not isinstance(result, dict):
        return ReplyText(over, more=more)
    values = [
        (meter, [(obis, _figure(value, language)) for obis, value in _items(read.get("values"))])
        for meter, read in _items(result.get("values"))
        if isinstance(read, dict)
    ]
    found = result.get("found")
    meters = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    address = language.gettext("address")
    lists = [
        *((str(one.get("meter", "?")), f"{address} {one.get('address', '?')}") for one in meters),
        *((meter, str(why)) for meter, why in _items(result.get("failed"))),
    ]
    return ReplyText(over, values, lists, command.command == "show-config" and "toml" in result, more)


def _items(told: object) -> list[tuple[str, Any]]:
    return list(told.items()) if isinstance(told, dict) else []


def _figure(value: object, language: Language) -> str:
    """'56.108 m3' as the language writes it; anything else as it came."""
    number, _, unit = str(value).partition(" ")
    if not _DECIMAL.fullmatch(number):
        return str(value)
    return f"{language.decimal(number)}\u202f{language.unit(unit)}"
