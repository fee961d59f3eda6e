"""Every process of a central side is stopped at once, as a hang would: all are replaced, and work goes on."""

import os
import time
from pathlib import Path
from signal import SIGSTOP

import httpx
import psycopg
import pytest

from hesper.central import Central
from tests.e2e.conftest import wait_until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.expects_log("program hangs, will be ended"),
    pytest.mark.expects_log("program died"),
    pytest.mark.expects_log("program dies again and again"),
]
NOTICED = 30.0  # seconds


def test_hung_processes_are_noticed_within_half_a_minute_and_replaced(tmp_path: Path) -> None:
    with Central(tmp_path / "central") as central:
        names = list(central.supervisor.restarts())
        assert len(names) == 7
        before = {name: central.supervisor.pid(name) for name in names}
        time.sleep(3)  # each has beaten
        for pid in before.values():
            assert pid is not None
            os.kill(pid, SIGSTOP)
        began = time.monotonic()
        waiting = set(names)
        while waiting:
            assert time.monotonic() - began < NOTICED, f"not noticed: {waiting}"
            waiting -= {name for name in waiting if central.supervisor.restarts()[name]}
            time.sleep(0.1)

        def works() -> bool:
            try:
                psycopg.connect(central.database_url, connect_timeout=2).close()
                return httpx.get(f"{central.api_url}/health", timeout=2).status_code == 200
            except (psycopg.OperationalError, httpx.HTTPError):
                return False

        wait_until(works, 60, "database and API work again")
        now = {name: central.supervisor.pid(name) for name in names}
        assert not set(now.values()) & set(before.values())
