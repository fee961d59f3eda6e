"""A utility with a building, put straight into the database: enough of everything that the pages show."""

import hashlib
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from psycopg import Connection
from psycopg.rows import scalar_row
from psycopg.types.json import Jsonb

from store.api_keys import issue
from telemetry.micro import MICRO

NOW = datetime(2026, 11, 21, 17, 40, tzinfo=UTC)
PERIOD = "2026-10"
# medium, obis, unit, model, micro-units an hour at the daily mean, first value
KINDS = (
    (8, "8-0:1.0.0", "m3", "Multical 21", 9_000, 412_318_000),
    (9, "9-0:1.0.0", "m3", "Multical 21", 5_000, 188_904_000),
    (6, "6-0:1.0.0", "kW.h", "Multical 403", 900_000, 37_319_000_000),
)
_BY_HOUR = (2, 1, 1, 1, 2, 6, 14, 18, 12, 8, 7, 8, 10, 8, 7, 8, 10, 14, 18, 17, 14, 10, 6, 4)


@dataclass(frozen=True, slots=True)
class Seeded:
    """What a test needs to know of the utility that was made."""

    id: int
    code: str
    key: str
    meters: list[str]
    registers: list[int]


def seed(
    connection: Connection[Any],
    code: str,
    *,
    name: str = "Stadtwerke Abendstern",
    flats: int = 2,
    days: int = 45,
    now: datetime = NOW,
    time_zone: str = "Europe/Prague",
) -> Seeded:
    """A utility named `code`: flats with water and heat meters, a close of 2026-10, findings, telegrams, a key."""
    chance = random.Random(code)
    utility = _insert(
        connection,
        "insert into utilities (code, name, time_zone) values (%s, %s, %s) returning id",
        (code, name, time_zone),
    )
    site = _insert(
        connection,
        "insert into sites (utility_id, code, name, address) values (%s, 'house-1', 'Lindenhof 7', 'Lindenhof 7')"
        " returning id",
        (utility,),
    )
    gateways = [
        _insert(
            connection,
            "insert into gateways (utility_id, site_id, code, state, state_at, health_at)"
            " values (%s, %s, %s, %s, %s, %s) returning id",
            (utility, site, gateway, state, now - timedelta(hours=30), heard),
        )
        for gateway, state, heard in (
            ("gw-lindenhof", "online", now - timedelta(seconds=40)),
            ("gw-keller", "offline", now - timedelta(hours=3)),
        )
    ]
    close = _insert(
        connection,
        "insert into closes (utility_id, period, starts_at, ends_at, run, author, closed_at, summary)"
        " values (%s, %s, %s, %s, 1, 'h.novak', %s, '{}') returning id",
        (utility, PERIOD, *_bounds(time_zone), datetime(2026, 11, 1, 5, tzinfo=UTC)),
    )
    meters, registers = [], []
    for flat in range(1, flats + 1):
        for place, kind in enumerate(KINDS):
            serial = f"{chance.randrange(10**8):08d}"
            meter, register = _meter(
                connection, (utility, site, gateways[0], close), flat, place, f"KAM-{serial}", time_zone
            )
            first = kind[5] + chance.randrange(10**6) * 1000
            _readings(connection, register, kind, first, days, now, chance)
            meters.append(f"KAM-{serial}")
            registers.append(register)
            connection.execute(
                "insert into telegrams (meter_id, measured_at, gateway_id, epoch, batch, raw)"
                " values (%s, %s, %s, 'e1', 17, %s)",
                (
                    meter,
                    now.replace(minute=0),
                    gateways[0],
                    bytes.fromhex("68303068080172") + chance.randbytes(46),
                ),
            )
    _findings(connection, utility, registers, now)
    key = issue(connection, code, f"{name} billing")
    connection.commit()
    return Seeded(utility, code, key, meters, registers)


def _insert(connection: Connection[Any], statement: str, values: tuple[Any, ...]) -> int:
    with connection.cursor(row_factory=scalar_row) as cursor:
        cursor.execute(statement, values)
        row = cursor.fetchone()
    assert isinstance(row, int)
    return row


def _bounds(time_zone: str) -> tuple[datetime, datetime]:
    zone = ZoneInfo(time_zone)
    return datetime(2026, 10, 1, tzinfo=zone), datetime(2026, 11, 1, tzinfo=zone)


def _meter(
    connection: Connection[Any],
    owners: tuple[int, int, int, int],
    flat: int,
    place: int,
    code: str,
    time_zone: str,
) -> tuple[int, int]:
    utility, site, gateway, close = owners
    medium, obis, unit, model, _hourly, first = KINDS[place]
    meter = _insert(
        connection,
        "insert into meters (utility_id, gateway_id, site_id, code, model, medium, verified_until)"
        " values (%s, %s, %s, %s, %s, %s, '2031-12-31') returning id",
        (utility, gateway, site, code, model, medium),
    )
    register = _insert(
        connection,
        "insert into registers (utility_id, meter_id, obis, unit, kind, billed, expected_interval, capacity)"
        " values (%s, %s, %s, %s, 'counter', true, '1 hour', %s) returning id",
        (utility, meter, obis, unit, 10**6 * MICRO),
    )
    point = _insert(
        connection,
        "insert into service_points (utility_id, site_id, code, name, medium, account)"
        " values (%s, %s, %s, %s, %s, %s) returning id",
        (utility, site, f"flat-{flat:02d}-{medium}", f"Flat {flat}", medium, f"{40000 + flat}"),
    )
    connection.execute(
        "insert into installations (service_point_id, meter_id, valid_from) values (%s, %s, '2024-03-01T09:00Z')",
        (point, meter),
    )
    if flat == 2 and medium == 9:
        connection.execute(
            "insert into billing_exceptions"
            " (utility_id, close_id, service_point_id, obis, period, reason, detail, evidence)"
            " values (%s, %s, %s, %s, %s, 'no_reading', %s, '{}')",
            (
                *(utility, close, point, obis, PERIOD),
                "No usable reading within 3 days of 1 Nov 2026. Read the meter by hand, or wait for it to answer.",
            ),
        )
    else:
        billing_reading(
            connection, utility, close, point, obis, unit, start=first, consumption=7_204_117 * (flat + 1)
        )
    return meter, register


def billing_reading(
    connection: Connection[Any],
    utility: int,
    close: int,
    point: int,
    obis: str,
    unit: str,
    *,
    start: int,
    consumption: int,
    version: int = 1,
    time_zone: str = "Europe/Prague",
) -> int:
    """One version of a billing reading of 2026-10; its cursor."""
    starts_at, ends_at = _bounds(time_zone)
    interpolated = point % 5 == 0
    return _insert(
        connection,
        "insert into billing_readings (utility_id, close_id, service_point_id, obis, period, version, starts_at,"
        " ends_at, start_offset, end_offset, start_value, end_value, consumption, unit, quality, start_method,"
        " end_method, evidence, content_hash)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'set_day', %s, '{}', %s) returning id",
        (
            *(utility, close, point, obis, PERIOD, version, starts_at, ends_at),
            *(starts_at.utcoffset(), ends_at.utcoffset(), start, start + consumption, consumption, unit),
            *((9, "interpolation") if interpolated else (0, "reading")),
            hashlib.sha256(f"{point} {obis} {version}".encode()).digest(),
        ),
    )


def _readings(
    connection: Connection[Any],
    register: int,
    kind: tuple[int, str, str, str, int, int],
    first: int,
    days: int,
    now: datetime,
    chance: random.Random,
) -> None:
    value = first
    hour = now.replace(minute=0) - timedelta(days=days)
    with connection.cursor().copy("copy readings (register_id, measured_at, value) from stdin") as copy:
        while hour <= now:
            value += round(kind[4] * _BY_HOUR[hour.hour] / 9 * chance.uniform(0.2, 1.9) / 1000) * 1000
            copy.write_row((register, hour, value))
            hour += timedelta(hours=1)


def _findings(connection: Connection[Any], utility: int, registers: list[int], now: datetime) -> None:
    glitch = now.replace(minute=0) - timedelta(days=6, hours=3)
    found = (
        (registers[0], "negative_step.glitch", "warning", glitch, glitch + timedelta(hours=1), "open"),
        (registers[1], "stuck", "alarm", now - timedelta(days=3), None, "open"),
        (registers[2], "rollover", "info", now - timedelta(days=20), now - timedelta(days=20), "resolved"),
    )
    for register, kind, severity, started, ended, state in found:
        connection.execute(
            "insert into findings (utility_id, register_id, kind, severity, started_at, ended_at, state, evidence)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s)",
            (
                *(utility, register, kind, severity, started, ended, state),
                Jsonb({"before": "412.318", "after": "41.231", "hours": 1}),
            ),
        )
    connection.execute(
        "insert into marks (register_id, measured_at, rule, quality, usable, evidence)"
        " values (%s, %s, 'glitch', 10, false, '{}')",
        (registers[0], glitch),
    )
    connection.execute(
        "update registers set validated_until = %s where utility_id = %s", (now - timedelta(days=1), utility)
    )
