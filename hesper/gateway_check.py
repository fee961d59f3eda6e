"""Check of a gateway's configuration by the central side before it is sent: its words, and its schedules.

The same parser and the same plan as on the gateway. What only the gateway can know is left to it: its ports,
its files of keys, and whether meters answer.
"""

import tomllib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from api.web.configuration_check import Checked, ConfigurationProblem, PlannedLine
from gateway.config.document import FIXED, NEEDS_RESTART, GatewayConfig
from gateway.config.file import ConfigError, parse_config
from gateway.config.toml_lines import TomlLines, TomlPath
from gateway.line.plan import LinePlan
from gateway.remote.redacted import MASK
from hesper.commands.gateways.plan import plans_of

MOST_METERS = 500  # on a line: M-Bus has 250 addresses, Modbus 247, and planning more takes long
_FILE = Path("/gateway.toml")  # where it will stand does not matter here
_SECRETS = {"key": "key_file", "password": "password_file"}


def check_configuration(
    toml: str, present: str | None, *, utility: str, gateway: str, now: datetime
) -> Checked:
    """An api.gateway_check.ConfigurationCheck."""
    try:
        config = parse_config(toml, _FILE, elsewhere=True)
    except RecursionError:
        return Checked([ConfigurationProblem(None, "this is not TOML: brackets without end")])
    except ConfigError as error:
        told = [(one.line, ": ".join(filter(None, (one.place, one.message)))) for one in error.problems]
        return Checked([ConfigurationProblem(*each) for each in told])
    secrets = _secrets(tomllib.loads(toml))
    found = (*_unfit(config, utility, gateway), *_changed(config, present), *secrets)
    if found:
        lines = TomlLines(toml)
        return Checked([ConfigurationProblem(lines.find(where), what) for where, what in found])
    plans = plans_of(config, lambda: now)
    return Checked(lines=[_planned(plan) for plan in plans])


def _planned(plan: LinePlan) -> PlannedLine:
    return PlannedLine(
        name=plan.name,
        meters=len(plan.meters),
        utilisation=plan.utilisation,
        midnight_seconds=plan.rush,
        fits=plan.fits,
        tight=plan.tight,
        unknown=len(plan.unknown),
    )


def _unfit(config: GatewayConfig, utility: str, gateway: str) -> Iterator[tuple[TomlPath, str]]:
    for name, right in (("utility", utility), ("gateway", gateway)):
        if getattr(config, name) != right:
            yield (name,), f'this is for the {name} {getattr(config, name)!r}; write {name} = "{right}"'
    for position, line in enumerate(config.line):
        if len(line.meter) > MOST_METERS:
            yield ("line", position), f"{len(line.meter)} meters are more than a line can read; divide them"


def _changed(config: GatewayConfig, present: str | None) -> Iterator[tuple[TomlPath, str]]:
    """What only the installer may change, on site."""
    if present is None:
        return
    try:
        running = parse_config(present.replace(MASK, "0" * 32), _FILE, elsewhere=True)
    except ConfigError:  # of a newer or older gateway: it will say so itself
        return
    for name in dict.fromkeys((*FIXED, *NEEDS_RESTART)):
        if name not in ("utility", "gateway") and getattr(config, name) != getattr(running, name):
            yield (name,), f"{name} can only be changed on site; write it as it is in what runs now"


def _secrets(tree: dict[str, Any]) -> Iterator[tuple[TomlPath, str]]:
    """Keys and passwords stay on the gateway: what is written here is kept and shown."""
    for position, line in enumerate(tree["line"]):
        for number, meter in enumerate(line["meter"]):
            for name, instead in _SECRETS.items():
                place = ("line", position, "meter", number)
                if name in meter:
                    what = (
                        f'no {name} is sent from here; let a file on the gateway hold it: {instead} = "..."'
                    )
                    yield (*place, name), what
                file = Path(meter.get(instead, ""))
                if file.is_absolute() or ".." in file.parts:
                    yield (
                        (*place, instead),
                        f"{instead} has to be in the folder of the installer's file or below it",
                    )
