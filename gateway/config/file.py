"""File of a gateway's TOML. Every problem is named with its line, its place and the remedy, all at once."""

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gateway.config.document import (
    ELSEWHERE,
    FOLDER,
    BufferConfig,
    GatewayConfig,
    LineConfig,
    MeterConfig,
    MqttConfig,
    RemoteConfig,
)
from gateway.config.rules import contradictions
from gateway.config.toml_lines import TomlLines, TomlPath

_MODELS: Mapping[tuple[str, ...], type[BaseModel]] = {
    (): GatewayConfig,
    ("mqtt",): MqttConfig,
    ("buffer",): BufferConfig,
    ("remote",): RemoteConfig,
    ("line",): LineConfig,
    ("line", "meter"): MeterConfig,
}
_SECRETS = {"key", "password"}  # of meters; what is wrong with them is said without showing them
_ARRAYS = {("line",), ("line", "meter")}


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """Problem to mend. `line` counts from 1; None where the whole file is meant. `place` is a table."""

    line: int | None
    place: str
    message: str

    def text(self, file: str) -> str:
        """'gateway.toml line 14: [[line]] 'basement': protocol ...'."""
        where = file if self.line is None else f"{file} line {self.line}"
        return ": ".join(part for part in (where, self.place, self.message) if part)


class ConfigError(ValueError):
    """A configuration that cannot be used; `problems` has all that is wrong with it."""

    def __init__(self, path: Path, problems: list[ConfigProblem]) -> None:
        super().__init__("\n".join(problem.text(path.name) for problem in problems))
        self.path = path
        self.problems = problems


def load_config(path: Path) -> GatewayConfig:
    """The configuration in a file. Raises ConfigError."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(
            path, [ConfigProblem(None, "", f"cannot be read: {reason}; check the path")]
        ) from None
    return parse_config(text, path)


def parse_config(text: str, path: Path, *, elsewhere: bool = False) -> GatewayConfig:
    """The configuration in a text that stands, or could stand, in the file `path`. Raises ConfigError.

    `elsewhere`: on another machine, whose files it names.
    """
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(path, [_not_toml(str(error))]) from None
    lines = TomlLines(text)
    try:
        config = GatewayConfig.model_validate(tree, context={FOLDER: path.parent, ELSEWHERE: elsewhere})
    except ValidationError as error:
        found = [(tuple(detail["loc"]), _message(detail)) for detail in error.errors()]
    else:
        found = list(contradictions(config))
    if found:
        problems = [
            ConfigProblem(lines.find(where), _place(where, tree), message) for where, message in found
        ]
        raise ConfigError(path, sorted(problems, key=lambda problem: problem.line or 0))
    return config


def _not_toml(message: str) -> ConfigProblem:
    text, _, position = message.partition(" (at ")
    line = re.match(r"line (\d+)", position)
    hint = 'texts stand in quotes, as in name = "basement"'
    return ConfigProblem(int(line[1]) if line else None, "", f"this is not TOML: {text}; {hint}")


def _place(where: TomlPath, tree: object) -> str:
    """'[[line]] 'basement'' for a path in the file: its innermost table, with the name a person gave it."""
    keys: tuple[str, ...] = ()
    place, node = "", tree
    for step in where:
        if isinstance(step, str):
            keys = (*keys, step)
        node = _step(node, step)
        if keys in _MODELS and (isinstance(step, int) or keys not in _ARRAYS):
            place = _heading(keys, node)
    return place


def _heading(keys: tuple[str, ...], node: object) -> str:
    name = ".".join(keys)
    if keys not in _ARRAYS:
        return f"[{name}]"
    fields: Mapping[str, Any] = node if isinstance(node, dict) else {}
    given = fields.get("name") or fields.get("meter") or fields.get("address")
    called = f" {str(given)!r}" if given is not None and not isinstance(given, list) else ""
    return f"[[{name}]]{called}"


def _step(node: object, step: str | int) -> object:
    if isinstance(node, dict) and isinstance(step, str):
        return node.get(step)
    if isinstance(node, list) and isinstance(step, int) and step < len(node):
        return node[step]
    return None


def _message(detail: ErrorDetails) -> str:
    """pydantic's finding in the words of an installer."""
    where = detail["loc"]
    field = str(where[-1])
    model = _MODELS.get(tuple(step for step in where[:-1] if isinstance(step, str)))
    match detail["type"]:
        case "missing":
            return f"{field} is missing; write {_example(field, model)}"
        case "extra_forbidden" if model is not None:
            known = sorted(model.model_fields)
            close = difflib.get_close_matches(field, known, n=1)
            remedy = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
            return f"{field} is not a setting; {remedy}"
        case "value_error":
            return str(detail["ctx"]["error"])
        case _:
            said = detail["msg"]
            if model is MeterConfig and field in _SECRETS:
                return f"{field}: {said[:1].lower()}{said[1:]}"
            return f"{field} = {detail['input']!r}: {said[:1].lower()}{said[1:]}"


def _example(field: str, model: type[BaseModel] | None) -> str:
    if field in ("line", "meter"):
        return "[[line]] and what stands below it" if field == "line" else "a table [[line.meter]] below it"
    if (field,) in _MODELS:
        return f"a table [{field}]"
    info = model.model_fields.get(field) if model else None
    return " or ".join(f'{field} = "{example}"' for example in (info.examples if info else None) or ["..."])
