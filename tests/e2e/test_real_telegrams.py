"""Real telegrams in virtual meters, polled over TCP by a gateway process, are in `readings` exactly."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from drivers.bus import VirtualBus
from drivers.host import TcpMeterHost, Wiring
from drivers.line import SerialSettings
from drivers.mbus.virtual import VirtualMBusMeter
from hesper.central import Central
from hesper.decode import Explanation, explain
from metering.registry.entries import GatewayEntry, MeterEntry, Registry, UtilityEntry
from store.postgres.database import connect
from store.readings.progress import meters_read_since
from store.registry import apply
from telemetry.micro import to_micro
from telemetry.obis import Medium
from telemetry.status import Status
from telemetry.units import convert
from tests.e2e.conftest import wait_until

SETTINGS = SerialSettings(2400, 8, "E", 1)
_MEDIA = {"electricity": Medium.ELECTRICITY, "gas": Medium.GAS, "water": Medium.COLD_WATER}


@dataclass(frozen=True)
class Sample:
    """One file: its telegram, what `hesper decode` says of it, and the address it gets on the line."""

    name: str
    raw: bytes
    explained: Explanation
    address: int

    @property
    def meter(self) -> str:
        assert self.explained.meter is not None
        return self.explained.meter


def load(folder: Path) -> list[list[Sample]]:
    """The telegrams on lines: two captures of one meter cannot hang on the same one."""
    lines: list[list[Sample]] = [[], []]
    for number, path in enumerate(sorted(folder.glob("*.hex")), start=1):
        raw = bytes.fromhex(path.read_text())
        sample = Sample(path.stem, raw, explain(raw), number)
        first_line_has_it = any(other.meter == sample.meter for other in lines[0])
        lines[1 if first_line_has_it else 0].append(sample)
    return lines


def registry(samples: list[Sample], gateways: list[str]) -> Registry:
    meters = {
        sample.meter: MeterEntry(sample.meter, _MEDIA.get(sample.explained.medium or "", Medium.HEAT))
        for sample in samples
    }
    utility = UtilityEntry(
        code="real",
        name="Real telegrams",
        time_zone="Europe/Berlin",
        gateways=[GatewayEntry(code) for code in gateways],
        meters=list(meters.values()),
    )
    return Registry([utility])


def configuration(central: Central, gateway: str, folder: Path, spec: str, samples: list[Sample]) -> str:
    head = (
        f'utility = "real"\ngateway = "{gateway}"\ntime_zone = "Europe/Berlin"\nclock = "trusted"\n'
        f'[mqtt]\nhost = "{central.broker_host}"\nport = {central.broker_port}\n'
        f'[buffer]\npath = "{folder / gateway}.sqlite"\n'
        f'[[line]]\nname = "bus"\nport = "{spec}"\nprotocol = "mbus"\nschedule = "2s"\n'
    )
    return head + "".join(
        f'[[line.meter]]\naddress = "{sample.address}"\nmeter = "{sample.meter}"\n' for sample in samples
    )


def stored(connection: psycopg.Connection) -> dict[tuple[str, str], list[tuple[int, str, Status, datetime]]]:
    """(meter, OBIS) -> all its readings: (micro-units, unit, status, instant)."""
    found: dict[tuple[str, str], list[tuple[int, str, Status, datetime]]] = {}
    rows = connection.execute(
        """
        select m.code, g.obis, r.value, g.unit, r.status, r.measured_at
        from readings r join registers g on g.id = r.register_id join meters m on m.id = g.meter_id
        """
    )
    for meter, obis, value, unit, status, at in rows:
        found.setdefault((meter, obis), []).append((value, unit, Status(status), at))
    return found


@pytest.mark.e2e
def test_every_record_with_an_obis_name_is_stored_exactly(
    shared_data: Path, central: Central, start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    lines = load(shared_data / "mbus-frames")
    samples = [sample for line in lines for sample in line]
    assert len(samples) == 43
    gateways = ["bus-1", "bus-2"]
    began = datetime.now(UTC)
    with connect(central.database_url) as connection:
        connection.autocommit = True
        apply(connection, registry(samples, gateways))
        for gateway, line in zip(gateways, lines, strict=True):
            bus = VirtualBus(VirtualMBusMeter(sample.address, [sample.raw]) for sample in line)
            with TcpMeterHost(bus, SETTINGS, Wiring(time_scale=0)) as host:
                config = tmp_path / f"{gateway}.toml"
                config.write_text(configuration(central, gateway, tmp_path, host.spec, line))
                process = start(["gateway", "run", str(config)])
                wanted = {sample.meter for sample in line}
                since = began if gateway == "bus-1" else datetime.now(UTC)
                wait_until(lambda: wanted <= meters_read_since(connection, "real", since), 60, "all polled")  # noqa: B023 - called in this turn
                process.terminate()
                assert process.wait(30) == 0
        readings = stored(connection)
        assert not connection.execute("select reason, detail from quarantine").fetchall()
    checked = sum(_check(sample, readings) for sample in samples)
    assert checked >= 238, "what the telegrams held when this was written"


def _check(sample: Sample, readings: dict[tuple[str, str], list[tuple[int, str, Status, datetime]]]) -> int:
    checked = 0
    for record in sample.explained.records:
        if record.obis is None:
            continue
        assert record.value is not None
        assert record.unit is not None
        rows = readings.get((sample.meter, record.obis), [])
        historical = record.storage > 0
        values = {
            (value, unit) for value, unit, status, _ in rows if (Status.HISTORICAL in status) == historical
        }
        expected = {(to_micro(convert(Decimal(record.value), record.unit, unit)), unit) for _, unit in values}
        assert expected, f"{sample.name}: {record.obis} (storage {record.storage}) is not stored"
        assert expected <= values, f"{sample.name}: {record}"
        checked += 1
    return checked
