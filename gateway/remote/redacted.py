"""The configuration that runs as the central side may see it: the text that people wrote, without secrets."""

import re
import tomllib
from typing import Any

from gateway.config.document import GatewayConfig
from gateway.config.file import parse_config
from gateway.config.toml_lines import TomlLines, TomlPath
from gateway.remote.configuration_files import ConfigurationFiles

MASK = "(stays on the gateway)"  # neither a key nor the name of a file: sent back, it is refused
_SECRETS = ("key", "password")
_STRING = r""""(?:[^"\\\n]|\\.)*"|'[^'\n]*'"""
_AES_KEY = re.compile(r"\b(?:[0-9A-Fa-f]{64}|[0-9A-Fa-f]{32})\b")  # wherever: an old one in a comment, too


class NotShownError(Exception):
    """There is no text that says what runs, or none that may be shown; the message says why."""


def running_text(files: ConfigurationFiles, running: GatewayConfig, version: str) -> str:
    """The text behind the running configuration of that version (empty: the installer's file), masked.

    Raises NotShownError, OSError, ValueError.
    """
    if version:
        applied = files.applied()
        if applied is None or applied.version != version:
            raise NotShownError("a configuration is being tried; ask again once it was judged")
        return masked(applied.toml)
    text = files.installed.read_text("utf-8")
    if parse_config(text, files.installed) != running:
        raise NotShownError("the installer's file was changed, and the gateway was not started anew since")
    return masked(text)


def masked(text: str) -> str:
    """The same text with `MASK` for every key and password in it.

    Raises NotShownError where a secret is written so that it cannot be found in the text.
    """
    tree = tomllib.loads(text)
    lines = text.splitlines()
    for meter, name, path in _secrets_of(tree):
        number = TomlLines(text).find(path)
        if number is not None:
            pattern = rf"""(\b{name}["']?\s*=\s*)(?:{_STRING})"""
            lines[number - 1] = re.sub(pattern, lambda found: f'{found[1]}"{MASK}"', lines[number - 1])
        meter[name] = MASK
    shown = _AES_KEY.sub(MASK, "\n".join(lines))
    try:
        complete = tomllib.loads(shown) == tree
    except tomllib.TOMLDecodeError:
        complete = False
    if not complete:
        raise NotShownError(
            "a key or password cannot be told from the text around it; write it on a line of its own, or "
            "better, name its file with key_file or password_file"
        )
    return shown + "\n" * text.endswith("\n")


def _secrets_of(tree: dict[str, Any]) -> list[tuple[dict[str, Any], str, TomlPath]]:
    """Meter, name of the secret, and where that stands."""
    return [
        (meter, name, ("line", position, "meter", number, name))
        for position, line in enumerate(tree.get("line", []))
        for number, meter in enumerate(line.get("meter", []))
        for name in _SECRETS
        if name in meter
    ]
