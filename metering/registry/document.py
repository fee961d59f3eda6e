"""Registry document in TOML, read and checked.

    [[utilities]]
    code = "aurora"
    name = "Aurora Heat and Water"
    time_zone = "Europe/Vilnius"

    [[utilities.gateways]]
    code = "lake-street-5"

    [[utilities.meters]]
    code = "KAM-06855817"
    medium = "heat"
    gateway = "lake-street-5"
    registers = [{ obis = "6-0:1.0.0", unit = "kW.h", digits = 7 }]

    [[utilities.service_points]]
    code = "flat-12-heat"
    medium = "heat"
    installations = [{ meter = "KAM-06855817", valid_from = 2026-10-01T00:00:00 }]
    contracts = [{ valid_from = 2026-10-01T00:00:00, account = "4711" }]

Instants without an offset are local time of the utility. Durations are ISO 8601 (`PT15M`, `P3D`). Values
of registers are decimal texts in the register's unit. A reference (`gateway`, `site`, `meter`, `parent`)
names an entry of the same utility, in this document or registered before.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from metering.registry.checks import RegistryError, check
from metering.registry.entries import Registry


def load(path: Path) -> Registry:
    """The checked registry of a TOML file. Raises RegistryError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RegistryError(str(path), f"cannot be read: {error}", "name a readable file in UTF-8") from error
    return parse(text)


def parse(text: str) -> Registry:
    """The checked registry of a TOML text. Raises RegistryError."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RegistryError("the document", f"is not TOML: {error}", "mend the syntax there") from error
    try:
        registry = msgspec.convert(document, Registry)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `")
        entry = _name(document, path.rstrip("`"))
        raise RegistryError(
            entry, message, "see the example at the top of metering/registry/document.py"
        ) from None
    check(registry)
    return registry


def _name(document: Any, path: str) -> str:
    """`$.utilities[0].meters[3].medium` in words: 'utilities aurora, meters KAM-1, medium'."""
    words: list[str] = []
    here = document
    for step in re.findall(r"[a-z_]+|\[\d+\]", path.removeprefix("$")):
        if step.startswith("["):
            index = int(step[1:-1])
            here = here[index]
            known = (
                here.get("code") or here.get("obis") or here.get("meter") if isinstance(here, dict) else None
            )
            words[-1] += f" {known or f'number {index + 1}'}"
        else:
            here = here.get(step) if isinstance(here, dict) else None
            words.append(step)
    return ", ".join(words) or "the document"
