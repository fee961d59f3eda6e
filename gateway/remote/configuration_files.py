"""Files beside the installer's: the configuration from afar that runs instead, and a refused one.

`gateway.toml.remote` and `gateway.toml.refused` are TOML; the comment in their first line says what they are.
"""

import logging
import tomllib
from pathlib import Path

import msgspec

from gateway.buffer.atomic_file import write_whole
from gateway.config.document import FIXED, GatewayConfig
from gateway.config.file import ConfigError, load_config, parse_config
from telemetry.wire import DesiredConfig

log = logging.getLogger(__name__)


class RefusedConfigError(ValueError):
    """A configuration that is not even tried."""


class StoredConfiguration(msgspec.Struct, frozen=True, omit_defaults=True):
    """A desired configuration in a file. Of one that is being tried or was given up, also what became of it.

    `attempts`: how often it was begun. `final`: not to be tried again.
    """

    version: str
    toml: str = ""
    reason: str = ""
    attempts: int = 0
    final: bool = False

    def of(self, desired: DesiredConfig) -> bool:
        return (self.version, self.toml) == (desired.version, desired.toml)


class ConfigurationFiles:
    """Files beside the installer's. Every write is whole or not at all."""

    def __init__(self, installed: Path) -> None:
        self.installed = installed
        self._applied = installed.with_name(f"{installed.name}.remote")
        self._refused = installed.with_name(f"{installed.name}.refused")

    def applied(self) -> StoredConfiguration | None:
        """The configuration that was applied last, if it is not the installer's."""
        return _read(self._applied)

    def refused(self) -> StoredConfiguration | None:
        """The last one that was given up, or is being tried."""
        return _read(self._refused)

    def keep(self, desired: DesiredConfig) -> None:
        """This one is run after a restart. Raises OSError."""
        if desired.toml:
            _write(self._applied, StoredConfiguration(desired.version, desired.toml))
        else:
            self._applied.unlink(missing_ok=True)
        self._refused.unlink(missing_ok=True)

    def refuse(self, refused: StoredConfiguration) -> None:
        """Raises OSError."""
        _write(self._refused, refused)

    def load(self, toml: str) -> GatewayConfig:
        """Validated, and of the same gateway as the installer's. Raises RefusedConfigError, ConfigError."""
        installed = load_config(self.installed)
        if not toml:
            return installed
        self._check_files(toml, installed)
        config = parse_config(toml, self.installed)
        if changed := [name for name in FIXED if getattr(config, name) != getattr(installed, name)]:
            raise RefusedConfigError(
                f"{', '.join(changed)} must be as in the installer's file: changed from afar, the gateway "
                "could be out of reach for good"
            )
        return config

    def _check_files(self, toml: str, installed: GatewayConfig) -> None:
        """Whoever sends configurations shall not have any file of this machine sent to a meter."""
        try:
            lines = tomllib.loads(toml).get("line", [])
            meters = [meter for line in lines for meter in line.get("meter", [])]
            named = [meter[key] for meter in meters for key in ("key_file", "password_file") if key in meter]
        except (tomllib.TOMLDecodeError, AttributeError, TypeError):
            return  # the parser finds that, and says it better
        folder = self.installed.parent.resolve()
        mqtt = installed.mqtt
        own = [self.installed, mqtt.ca, mqtt.cert, mqtt.key, mqtt.password_file]
        taken = {path.resolve() for path in own if path is not None}
        for name in named:
            path = (folder / str(name)).resolve()
            if not path.is_relative_to(folder) or path in taken:
                raise RefusedConfigError(
                    f"{name!r}: secrets of meters stand in files of their own, in the folder of the "
                    "installer's file or below it"
                )


def configuration_to_run(installed: Path) -> tuple[GatewayConfig, str]:
    """The configuration with which a gateway begins, and its version; empty: the installer's.

    A stored one that cannot be used any more gives way to the installer's. Raises ConfigError.
    """
    files = ConfigurationFiles(installed)
    if (applied := files.applied()) is not None:
        try:
            return files.load(applied.toml), applied.version
        except (ConfigError, RefusedConfigError) as error:
            log.error(
                "remote configuration cannot be used, the installer's runs",
                extra={"version": applied.version, "reason": str(error)},
            )
    return load_config(installed), ""


def _read(path: Path) -> StoredConfiguration | None:
    try:
        head, _, toml = path.read_text("utf-8").partition("\n")
        return msgspec.structs.replace(
            msgspec.json.decode(head.removeprefix("# "), type=StoredConfiguration), toml=toml
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, msgspec.DecodeError) as error:
        log.error("remote configuration cannot be read", extra={"file": path.name, "reason": str(error)})
        return None


def _write(path: Path, stored: StoredConfiguration) -> None:
    """A comment that says what it is, then the TOML. For this user only: keys of meters may stand in it."""
    head = msgspec.json.encode(msgspec.structs.replace(stored, toml="")).decode()
    write_whole(path, f"# {head}\n{stored.toml}")
