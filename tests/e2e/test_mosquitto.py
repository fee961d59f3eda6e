"""The same pipeline on Mosquitto, the broker of production: import, ingester, acknowledgements."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hesper.central import Central, Role
from store.database import connect
from tests.support.broker import free_port
from tests.support.mosquitto import mosquitto as running_mosquitto

ROWS = 400


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[int]:
    """The port of a Mosquitto of this test, on loopback."""
    port = free_port()
    config = tmp_path / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 0\nuser root\n"
    )
    with running_mosquitto(port, config):
        yield port


@pytest.mark.e2e
def test_an_import_through_mosquitto_is_stored_and_acknowledged(mosquitto: int, tmp_path: Path) -> None:
    history = tmp_path / "history.csv"
    rows = [f"m{n % 4},2026-03-{1 + n // 24 % 28:02d}T{n % 24:02d}:00:00,{1000 + n}" for n in range(ROWS)]
    history.write_text("meter,time,litres\n" + "\n".join(rows) + "\n")
    arguments = ["import", str(history), "--utility", "u", "--tz", "Europe/Madrid", "--json"]
    mapping = ["--column-map", "meter=meter,at=time,8-0:1.0.0=litres:L"]
    central = Central(
        tmp_path / "data", roles=[Role.DATABASE, Role.INGEST], broker=f"mqtt://127.0.0.1:{mosquitto}"
    )
    with central:
        command = [sys.executable, "-m", "hesper", *arguments, *mapping, "--data", str(tmp_path / "data")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == 0, done.stderr
        with connect(central.database_url) as connection:
            stored = connection.execute("select count(*) from readings").fetchone()
    assert json.loads(done.stdout)["stored"] == ROWS
    assert stored == (ROWS,)
