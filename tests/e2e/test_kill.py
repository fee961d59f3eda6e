"""kill -9 of every process on a reading's way, one by one: nothing is lost, and nothing counted twice."""

import csv
import gzip
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pytest

from drivers.bus import VirtualBus
from drivers.host import TcpMeterHost, Wiring
from drivers.line import SerialSettings
from drivers.mbus.virtual import VirtualMBusMeter
from gateway.buffer.entry import unpack
from hesper.central import Central
from hesper.importer.columns import EXAMPLE
from metering.registry.entries import GatewayEntry, MeterEntry, Registry, UtilityEntry
from store.postgres.database import connect
from store.registry import apply
from telemetry.obis import Medium
from telemetry.wire import WireReadout
from tests.e2e.conftest import wait_until

Start = Callable[..., subprocess.Popen[bytes]]

READINGS = 345_099
METERS = 46
MADRID = ZoneInfo("Europe/Madrid")
METER = "GWF-00182007"  # whose telegram is in mbus-frames/GWF-MTKcoder.hex

pytestmark = [pytest.mark.e2e, pytest.mark.expects_log("program died, will be restarted")]


def kill(central: Central, name: str) -> None:
    """SIGKILL to a program of the central side; the supervisor starts it again."""
    pid = central.supervisor.pid(name)
    assert pid is not None, f"{name} does not run"
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: central.supervisor.pid(name) not in (None, pid), 30, f"{name} runs again")


def count_readings(central: Central) -> int:
    """What is stored at this moment."""
    with connect(central.database_url) as connection:
        row = connection.execute("select count(*) from readings").fetchone()
    assert row is not None
    return int(row[0])


def fingerprint(readings: Iterable[tuple[str, int, int]]) -> str:
    """One text for a set of (meter, seconds since 1970, micro-units), whatever its order."""
    return hashlib.sha256(repr(sorted(readings)).encode()).hexdigest()


def readings_of(file: Path) -> Iterable[tuple[str, int, int]]:
    """What the file says, by no code of Hesper: litres at a local time, each meter's in order of time."""
    passed: dict[str, datetime] = {}  # meter -> its last row, to tell the two passes of October's hour apart
    with gzip.open(file, "rt", newline="") as text:
        for row in csv.DictReader(text):
            at = datetime.fromisoformat(row["local_time"]).replace(tzinfo=MADRID)
            last = passed.get(row["meter"])
            if last is not None and at.astimezone(UTC) <= last.astimezone(UTC):
                at = at.replace(fold=1)
            passed[row["meter"]] = at
            yield f"IMP-{row['meter'].upper()}", int(at.timestamp()), int(Decimal(row["litres"]) * 1_000)


def stored_readings(connection: psycopg.Connection) -> list[tuple[str, int, int]]:
    """What the store says."""
    return connection.execute(
        """
        select m.code, extract(epoch from r.measured_at)::bigint, r.value
        from readings r join registers g on g.id = r.register_id join meters m on m.id = g.meter_id
        """
    ).fetchall()


def test_an_import_survives_the_death_of_each_process_in_its_middle(
    shared_data: Path, central: Central, start: Start
) -> None:
    file = shared_data / "daiad-water" / "readings.csv.gz"
    command = ["import", str(file), "--utility", "daiad", "--tz", "Europe/Madrid", "--column-map", EXAMPLE]
    command += ["--json", "--data", str(central.data)]
    importing = start(command, output=subprocess.PIPE)

    def reach(share: float) -> None:
        """Waits until that share is stored, and makes sure that it is still the middle of the import."""
        wait_until(lambda: count_readings(central) >= share * READINGS, 60, f"{share:.0%} stored")
        assert count_readings(central) <= 0.9 * READINGS
        assert importing.poll() is None

    for share, victim in ((0.1, "ingest"), (0.25, "broker"), (0.4, "database")):
        reach(share)
        kill(central, victim)
        wait_until(lambda: answers(central), 30, "the database answers")
    reach(0.55)
    importing.kill()  # the gateway of an import is the command itself
    importing.wait(30)
    assert count_readings(central) <= 0.9 * READINGS

    importing = start(command, output=subprocess.PIPE)
    output, _ = importing.communicate(timeout=80)
    assert importing.returncode == 0
    summary = json.loads(output)
    assert summary["stored"] + summary["already_there"] == READINGS
    assert summary["stored"] >= 0.1 * READINGS
    with connect(central.database_url) as connection:
        stored = stored_readings(connection)
        assert connection.execute("select count(*) from quarantine").fetchone() == (0,)
    assert len(stored) == READINGS
    assert len({meter for meter, _, _ in stored}) == METERS
    assert fingerprint(stored) == fingerprint(readings_of(file))


def answers(central: Central) -> bool:
    """Whether the database takes statements."""
    try:
        psycopg.connect(central.database_url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def test_what_a_gateways_buffer_holds_outlives_gateway_and_broker(
    shared_data: Path, central: Central, start: Start, tmp_path: Path
) -> None:
    telegram = bytes.fromhex((shared_data / "mbus-frames" / "GWF-MTKcoder.hex").read_text())
    buffer = tmp_path / "buffer.sqlite"
    bus = VirtualBus([VirtualMBusMeter(1, [telegram])])
    gateways = [GatewayEntry("gw-1")]
    meters = [MeterEntry(METER, Medium.COLD_WATER)]
    utility = UtilityEntry(
        code="town", name="Town", time_zone="Europe/Berlin", gateways=gateways, meters=meters
    )
    with connect(central.database_url) as connection:
        apply(connection, Registry([utility]))
    with TcpMeterHost(bus, SerialSettings(2400, 8, "E", 1), Wiring(time_scale=0)) as host:
        config = tmp_path / "gateway.toml"
        config.write_text(configuration(central, host.spec, buffer))
        seen: set[int] = set()  # instants of readouts that were on the gateway's disk, whenever looked at

        def look() -> set[int]:
            """The instants that wait on the disk now."""
            waiting = buffered(buffer)
            seen.update(waiting)
            return waiting

        gateway = start(["gateway", "run", str(config)])
        wait_until(lambda: bool(look()) and bool(stored_instants(central)), 30, "readouts arrive")
        for _ in range(3):
            wait_until(lambda: len(look()) >= 2, 30, "readouts wait")
            gateway.kill()
            gateway.wait(30)
            left = look()
            kill(central, "broker")
            gateway = start(["gateway", "run", str(config)])
            wait_until(lambda: not look() & left, 30, "what the dead gateway left is acknowledged")  # noqa: B023 - called in this turn
        gateway.terminate()
        assert gateway.wait(30) == 0
    waiting = look()
    assert len(seen) >= 6
    with connect(central.database_url) as connection:
        assert connection.execute("select count(*) from quarantine").fetchone() == (0,)
    stored = stored_instants(central)
    assert seen - waiting <= set(stored)
    assert set(stored.values()) == {1}, "the meter has one register"


def configuration(central: Central, spec: str, buffer: Path) -> str:
    return (
        'utility = "town"\ngateway = "gw-1"\ntime_zone = "Europe/Berlin"\nclock = "trusted"\n'
        f'[mqtt]\nhost = "{central.broker_host}"\nport = {central.broker_port}\n'
        f'[buffer]\npath = "{buffer}"\n'
        f'[[line]]\nname = "bus"\nport = "{spec}"\nprotocol = "mbus"\nschedule = "1s"\n'
        f'[[line.meter]]\naddress = "1"\nmeter = "{METER}"\n'
    )


WAITING = """
select body from entries
where not exists (select 1 from batches where acknowledged and entries.id between first and last)
"""


def buffered(path: Path) -> set[int]:
    """Milliseconds of the readouts that wait on a gateway's disk; none where there is no buffer yet."""
    if not path.exists():
        return set()
    with closing(sqlite3.connect(path, timeout=10)) as connection:
        try:
            rows = connection.execute(WAITING).fetchall()
        except sqlite3.OperationalError:  # it is being made
            return set()
    return {entry.at for (body,) in rows if isinstance(entry := unpack(body), WireReadout)}


def stored_instants(central: Central) -> dict[int, int]:
    """Milliseconds of the stored readings -> how many registers were read then."""
    with connect(central.database_url) as connection:
        return dict(
            connection.execute(
                "select (extract(epoch from measured_at) * 1000)::bigint, count(*) from readings group by 1"
            ).fetchall()
        )
