"""Demos on days on which calendars are awkward: the planted faults, and what follows from them, each time."""

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from hesper.demo.building import TIME_ZONE
from tests.e2e.conftest import assert_planted_only
from tests.support.clock import shifted_to


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("today", "closes"),
    [
        ("2026-10-25T05:00", "2026-09"),  # this morning the hour from two to three came twice
        ("2026-12-01T04:00", "2026-11"),
        ("2027-01-01T00:30", "2026-12"),
        ("2027-03-28T05:00", "2027-02"),  # and this morning not at all
        ("2028-02-29T23:00", "2028-01"),
    ],
)
def test_the_demo_finds_what_was_planted_on_any_day(today: str, closes: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hesper", "demo", "--once", "--json", "--months", "3"]
    done = subprocess.run(
        [*command, "--data", str(tmp_path)],
        env={**os.environ, **shifted_to(datetime.fromisoformat(today).replace(tzinfo=TIME_ZONE))},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert_planted_only(summary["kinds"])
    assert summary["meters_read"] == summary["meters"] == 100
    assert summary["readings_stored"] >= summary["readings_sent"] > 200_000
    assert summary["quarantined"] == 0
    assert summary["period"] == closes
    assert summary["billing_readings"] + summary["exceptions"] >= 101
