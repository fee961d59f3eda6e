"""A day of 252 meters in virtual time: the broker away, three kills, a full disk; every poll is known of."""

import json
import signal
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from telemetry.wire import from_milliseconds
from tests.gateway.day import (
    DEAD_OF_A_LINE,
    DOWN,
    KILLS,
    LINES,
    METERS_OF_A_LINE,
    READ_SECONDS,
    SCHEDULE,
    Gateway,
    after,
)

ROOT = Path(__file__).resolve().parents[2]
METERS = [Gateway.meter(line, n) for line in range(LINES) for n in range(METERS_OF_A_LINE)]
Poll = tuple[str, datetime]


def polls_due(begin: datetime) -> set[Poll]:
    """Every meter at every slot of the day."""
    due = {(meter, slot) for meter in METERS for slot in SCHEDULE.between(begin, after(23.75))}
    assert len(due) == len(METERS) * 95
    return due


def accounted(stored: set[Poll], missed: set[tuple[str, datetime, str]]) -> Counter[Poll]:
    """How often each poll is told of; a readout belongs to the slot in which its exchange began."""
    taken = timedelta(seconds=READ_SECONDS)
    accounts = Counter((meter, SCHEDULE.latest(at - taken)) for meter, at in stored)
    accounts.update((meter, slot) for meter, slot, _ in missed)
    return accounts


@pytest.mark.expects_log("meter is gone")
@pytest.mark.expects_log("readouts cannot be kept")
@pytest.mark.expects_log("line is too slow")  # after the first attempts at the dead
def test_every_due_poll_of_a_day_is_a_stored_reading_or_a_recorded_miss(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path / "buffer.sqlite")
    begin = gateway.now
    for kill in KILLS:
        gateway.live_until(kill)
        gateway.now += DOWN
        gateway.start()
    gateway.live_until(after(24))
    gateway.now += timedelta(minutes=1)
    gateway.send()
    for buffer in gateway.buffers:
        buffer.close()

    accounts = accounted(gateway.stored, gateway.missed)
    assert {account: count for account, count in accounts.items() if count != 1} == {}
    assert polls_due(begin) == set(accounts) - {(meter, after(24)) for meter in METERS}
    reasons = Counter(reason for meter, _, reason in gateway.missed if meter not in gateway.dead)
    assert set(reasons) == {"garbled", "not running", "backing off"}
    assert reasons["not running"] > 2 * LINES * METERS_OF_A_LINE


def test_a_process_killed_three_times_and_once_on_a_full_disk_loses_no_poll_either(tmp_path: Path) -> None:
    stored: set[Poll] = set()
    missed: set[tuple[str, datetime, str]] = set()
    begin = now = after(0, 1)
    killed = []
    refused = 0
    for kill in (*KILLS, None):
        command = [
            sys.executable,
            "-m",
            "tests.gateway.day",
            str(tmp_path / "buffer.sqlite"),
            now.isoformat(),
        ]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                told = json.loads(line) if line.endswith("\n") else {}  # the last one may be cut
                stored |= {(meter, from_milliseconds(at)) for meter, at in told.get("readouts", [])}
                missed |= {(meter, from_milliseconds(at), why) for meter, at, why in told.get("missed", [])}
                refused += "refused" in told
                now = datetime.fromisoformat(told.get("now", now.isoformat()))
                if kill is not None and now >= kill:
                    process.kill()  # what it has told by then is still read
        assert process.returncode == (0 if kill is None else -signal.SIGKILL)
        killed.append(now)
        now += DOWN
    assert refused, "the disk was never full"
    assert all(last < after(24) for last in killed[:-1]), "a process had done its day before it was killed"

    accounts = accounted(stored, missed)
    assert polls_due(begin) - set(accounts) == set()
    # what was on the wire when the process died may be told as a miss as well, by the next one
    twice = {slot for (_, slot), count in accounts.items() if count > 1}
    assert twice <= {SCHEDULE.latest(last + timedelta(minutes=m)) for last in killed for m in (-1, 0, 1, 2)}
    assert not stored & {(meter, slot) for meter, slot, _ in missed}
    reasons = Counter(why for meter, _, why in missed if meter not in dead())
    assert reasons["not running"] > len(METERS)
    assert reasons["garbled"]


def dead() -> set[str]:
    return {Gateway.meter(line, n) for line in range(LINES) for n in range(DEAD_OF_A_LINE)}
