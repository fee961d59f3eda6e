"""docs/gateway-remote.md says what the gateway does."""

import re
import tomllib
from pathlib import Path

from gateway.config.document import RemoteConfig
from gateway.line.tasks import SCAN_SECONDS
from gateway.remote.commands import KNOWN
from gateway.remote.configuration import TRIAL_SECONDS
from telemetry.wire import Command, DesiredConfig, decode

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "gateway-remote.md").read_text("utf-8")


def test_its_messages_follow_the_contract() -> None:
    config, command = re.findall(r"`(\{.*?\})`", TEXT)
    assert decode(config.encode(), DesiredConfig).version == "2026-11-24a"
    assert decode(command.encode(), Command).command in KNOWN


def test_its_table_has_every_command_and_no_other() -> None:
    assert tuple(re.findall(r"^\| `([a-z-]+)`", TEXT, re.MULTILINE)) == KNOWN


def test_its_defaults_and_bounds_are_the_codes() -> None:
    (toml,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    assert RemoteConfig(**tomllib.loads(toml)["remote"]) == RemoteConfig()
    assert f"{TRIAL_SECONDS / 60:.0f} minutes without" in TEXT
    assert f"at most {SCAN_SECONDS / 60:.0f} minutes" in TEXT
