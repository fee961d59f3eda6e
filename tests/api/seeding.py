"""A utility with a building, put straight into the database: enough of everything that the pages show."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from psycopg import Connection, sql
from psycopg.rows import scalar_row
from psycopg.types.json import Jsonb

from metering.access import Scope
from metering.billing.canonical_hash import BillingContent, decimal, instant
from metering.billing.evidence import evidence_from
from store.access.api_keys import issue
from telemetry.micro import MICRO
from telemetry.wire import Batch, WireReadout, encode, to_milliseconds
from tests.api.gateways import seed_gateway

NOW = datetime(2026, 11, 21, 17, 40, tzinfo=UTC)
PERIOD = "2026-10"
ZONE = ZoneInfo("Europe/Prague")


class Kind(NamedTuple):
    """A kind of meter; `hourly` is its mean consumption and `first` its first value, in micro-units."""

    medium: int
    obis: str
    unit: str
    model: str
    hourly: int
    first: int


KINDS = (
    Kind(8, "8-0:1.0.0", "m3", "Multical 21", 9_000, 412_318_000),
    Kind(9, "9-0:1.0.0", "m3", "Multical 21", 5_000, 188_904_000),
    Kind(6, "6-0:1.0.0", "kW.h", "Multical 403", 900_000, 37_319_000_000),
)
_BY_HOUR = (2, 1, 1, 1, 2, 6, 14, 18, 12, 8, 7, 8, 10, 8, 7, 8, 10, 14, 18, 17, 14, 10, 6, 4)
_MEAN = 9
_NO_READING = (
    "KAM-00112233 has no usable reading for 2026-10-31T23:00:00Z; the last before is 191.5 at "
    "2026-10-20T06:00:00Z, the first after missing: wait for or enter a later reading, or note the value at "
    "the removal"
)


@dataclass(frozen=True, slots=True)
class Seeded:
    """What a test needs to know of the utility that was made; meters, registers and bills flat by flat."""

    id: int
    code: str
    key: str
    meters: list[str]
    registers: list[int]
    bills: list[int]
    finding: int
    edit: int  # waits for its approval
    waiting: int  # in quarantine, of an unknown meter
    request: int
    installations: list[int]


@dataclass(frozen=True, slots=True)
class _Owners:
    utility: int
    site: int
    gateway: int
    close: int


def insert(connection: Connection[Any], table: str, **values: Any) -> Any:
    """Insert one row; its first column, which is the id where there is one."""
    statement = sql.SQL("insert into {} ({}) values ({}) returning *").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, values)),
        sql.SQL(", ").join(map(sql.Placeholder, values)),
    )
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(statement, values).fetchone()


def seed(
    connection: Connection[Any],
    code: str,
    *,
    name: str = "Stadtwerke Abendstern",
    flats: int = 2,
    days: int = 45,
    now: datetime = NOW,
) -> Seeded:
    """A utility with this code: flats with water and heat meters, findings, a closed month, and a key."""
    chance = random.Random(code)
    utility = insert(connection, "utilities", code=code, name=name, time_zone=ZONE.key)
    site = insert(connection, "sites", utility_id=utility, code="house-1", name="Lindenhof 7")
    gateway, _silent = (
        insert(
            connection,
            "gateways",
            utility_id=utility,
            site_id=site,
            code=gateway_code,
            state=state,
            state_at=now - timedelta(hours=30),
            health_at=heard,
        )
        for gateway_code, state, heard in (
            ("gw-lindenhof", "online", now - timedelta(seconds=40)),
            ("gw-keller", "offline", now - timedelta(hours=3)),
        )
    )
    close = insert(
        connection,
        "closes",
        utility_id=utility,
        period=PERIOD,
        starts_at=_start(),
        ends_at=_end(),
        run=1,
        author="h.novak",
        closed_at=datetime(2026, 11, 1, 5, tzinfo=UTC),
        summary=Jsonb({}),
    )
    owners = _Owners(utility, site, gateway, close)
    meters, registers = [], []
    for flat in range(1, flats + 1):
        for kind in KINDS:
            code_of_meter = f"KAM-{chance.randrange(10**8):08d}"
            meter, register = _meter(connection, owners, flat, kind, code_of_meter)
            _readings(connection, register, kind, chance, days=days, now=now)
            insert(
                connection,
                "telegrams",
                meter_id=meter,
                measured_at=now.replace(minute=0),
                gateway_id=gateway,
                epoch="e1",
                batch=17,
                raw=bytes.fromhex("68303068080172") + chance.randbytes(46),
            )
            meters.append(code_of_meter)
            registers.append(register)
    _findings(connection, utility, registers, now)
    told = _told(connection, owners, code, registers[-1], now - timedelta(days=days))
    seed_gateway(connection, code, gateway, meters, now)
    key = issue(connection, code, f"{name} billing", scopes=frozenset(Scope) - {Scope.AUDIT_READ})
    connection.commit()
    bills = connection.execute(
        "select id from billing_readings where utility_id = %s order by id", (utility,)
    ).fetchall()
    installations = connection.execute(
        """
        select i.id from installations i join service_points p on p.id = i.service_point_id
        where p.utility_id = %s order by i.id
        """,
        (utility,),
    ).fetchall()
    return Seeded(
        utility,
        code,
        key,
        meters,
        registers,
        [row[0] for row in bills],
        *told,
        [row[0] for row in installations],
    )


def billing_reading(
    connection: Connection[Any],
    seeded: int,
    close: int,
    point: int,
    *,
    obis: str,
    unit: str,
    start: int,
    consumption: int,
    version: int = 1,
) -> int:
    """One version of a billing reading of 2026-10 of the utility with id `seeded`; its cursor."""
    interpolated = point % 5 == 0
    methods = ("set_day", "interpolation" if interpolated else "reading")
    evidence = _evidence(connection, point, (start, start + consumption), methods)
    code, point_code = connection.execute(
        "select u.code, p.code from service_points p join utilities u on u.id = p.utility_id where p.id = %s",
        (point,),
    ).fetchone() or ("", "")
    content = BillingContent(
        utility=code,
        service_point=point_code,
        obis=obis,
        period=PERIOD,
        starts_at=_start(),
        ends_at=_end(),
        start_value=start,
        end_value=start + consumption,
        consumption=consumption,
        unit=unit,
        quality=9 if interpolated else 0,
        start_method=methods[0],
        end_method=methods[1],
        evidence=evidence_from(evidence),
    )
    cursor: int = insert(
        connection,
        "billing_readings",
        utility_id=seeded,
        close_id=close,
        service_point_id=point,
        obis=obis,
        period=PERIOD,
        version=version,
        starts_at=_start(),
        ends_at=_end(),
        start_offset=_start().utcoffset(),
        end_offset=_end().utcoffset(),
        start_value=start,
        end_value=start + consumption,
        consumption=consumption,
        unit=unit,
        quality=content.quality,
        start_method=content.start_method,
        end_method=content.end_method,
        evidence=Jsonb(evidence),
        content_hash=content.digest(),
    )
    return cursor


def correct(connection: Connection[Any], seeded: Seeded, *, by: int) -> None:
    """A second version of the utility's first billing reading, that used so many micro-units more."""
    row = connection.execute(
        """
        select service_point_id, close_id, obis, unit, start_value, consumption from billing_readings
        where id = %s
        """,
        (seeded.bills[0],),
    ).fetchone()
    assert row is not None
    point, close, obis, unit, start, used = row
    billing_reading(
        connection,
        seeded.id,
        close,
        point,
        obis=obis,
        unit=unit,
        start=start,
        consumption=used + by,
        version=2,
    )
    connection.commit()


def _evidence(
    connection: Connection[Any], point: int, values: tuple[int, int], methods: tuple[str, str]
) -> dict[str, Any]:
    """One meter's part from the first to the last instant, each found in a reading at that instant."""
    row = connection.execute(
        """
        select i.id, m.code, r.id from installations i join meters m on m.id = i.meter_id
        join registers r on r.meter_id = m.id where i.service_point_id = %s
        """,
        (point,),
    ).fetchone()
    assert row is not None
    start, end = (
        {
            "instant": instant(at),
            "value": decimal(value),
            "method": method,
            "settled_at": instant(at),
            "readings": [{"at": instant(at), "value": decimal(value), "status": 0, "status_labels": []}],
            "passed_over": [],
        }
        for at, value, method in zip((_start(), _end()), values, methods, strict=True)
    )
    part = {
        "installation": row[0],
        "meter": row[1],
        "register": row[2],
        "multiplier": "1",
        "capacity": None,
        "start": start,
        "end": end,
        "marks": {},
        "findings": [],
        "events": [],
        "consumption": decimal(values[1] - values[0]),
    }
    return {"installations": [part]}


def _start() -> datetime:
    return datetime(2026, 10, 1, tzinfo=ZONE)


def _end() -> datetime:
    return datetime(2026, 11, 1, tzinfo=ZONE)


def _meter(connection: Connection[Any], owners: _Owners, flat: int, kind: Kind, code: str) -> tuple[int, int]:
    """A meter at its service point, with its billing reading or exception: (meter id, register id)."""
    meter = insert(
        connection,
        "meters",
        utility_id=owners.utility,
        gateway_id=owners.gateway,
        site_id=owners.site,
        code=code,
        model=kind.model,
        medium=kind.medium,
        verified_until="2031-12-31",
    )
    register = insert(
        connection,
        "registers",
        utility_id=owners.utility,
        meter_id=meter,
        obis=kind.obis,
        unit=kind.unit,
        kind="counter",
        billed=True,
        expected_interval="1 hour",
        capacity=10**6 * MICRO,
    )
    point = insert(
        connection,
        "service_points",
        utility_id=owners.utility,
        site_id=owners.site,
        code=f"flat-{flat:02d}-{kind.medium}",
        name=f"Flat {flat}",
        medium=kind.medium,
        account=f"{40000 + flat}",
    )
    insert(
        connection,
        "installations",
        service_point_id=point,
        meter_id=meter,
        valid_from=datetime(2024, 3, 1, 9, tzinfo=UTC),
    )
    if flat == 2 and kind.medium == 9:
        insert(
            connection,
            "billing_exceptions",
            utility_id=owners.utility,
            close_id=owners.close,
            service_point_id=point,
            obis=kind.obis,
            period=PERIOD,
            reason="no_reading_after",
            detail=_NO_READING,
            evidence=Jsonb({}),
        )
    else:
        billing_reading(
            *(connection, owners.utility, owners.close, point),
            obis=kind.obis,
            unit=kind.unit,
            start=kind.first,
            consumption=7_204_117 * (flat + 1),
        )
    return meter, register


def _readings(
    connection: Connection[Any], register: int, kind: Kind, chance: random.Random, *, days: int, now: datetime
) -> None:
    """One reading an hour up to `now`, as a household uses water: mornings and evenings."""
    value = kind.first + chance.randrange(10**6) * 1000
    hour = now.replace(minute=0) - timedelta(days=days)
    with connection.cursor().copy("copy readings (register_id, measured_at, value) from stdin") as copy:
        while hour <= now:
            mean = kind.hourly * _BY_HOUR[hour.astimezone(ZONE).hour] / _MEAN
            value += round(mean * chance.uniform(0.2, 1.9) / 1000) * 1000
            copy.write_row((register, hour, value))
            hour += timedelta(hours=1)


def _told(
    connection: Connection[Any], owners: _Owners, code: str, register: int, first: datetime
) -> tuple[int, int, int, int]:
    """What people and gateways said: (finding, edit of a closed month, unknown meter's readout, request)."""
    finding = connection.execute(
        "select min(id) from findings where utility_id = %s", (owners.utility,)
    ).fetchone()
    assert finding is not None
    edit = insert(
        connection,
        "edits",
        utility_id=owners.utility,
        register_id=register,
        measured_at=first.replace(minute=0),
        action="accept",
        author="h.novak",
        reason="seen on site",
        needs_approval=True,
    )
    at = to_milliseconds(first)
    readout = WireReadout("QDS-00112233", at, {"8-0:1.0.0": 12.5}, raw=b"\x68")
    waiting = insert(
        connection,
        "quarantine",
        utility_id=owners.utility,
        topic=f"hesper/v1/{code}/gw-lindenhof/readings",
        reason="unknown_meter",
        detail=f"QDS-00112233 is not registered at {code}",
        meter="QDS-00112233",
        payload=encode(Batch("e1", 1, at, [readout])),
        payload_hash=b"1",
    )
    request = insert(
        connection,
        "tasks",
        utility_id=owners.utility,
        kind="replay",
        subject=Jsonb({"reason": "conflict"}),
        author="h.novak",
        reason="clock mended",
    )
    return finding[0], edit, waiting, request


def _findings(connection: Connection[Any], utility: int, registers: list[int], now: datetime) -> None:
    """A glitch whose reading is marked unusable, a register that is stuck, and a rollover long settled."""
    glitch = now.replace(minute=0) - timedelta(days=6, hours=3)
    rollover = now - timedelta(days=20)
    for register, kind, severity, started, ended, state in (
        (registers[0], "negative_step.glitch", "warning", glitch, glitch + timedelta(hours=1), "open"),
        (registers[1], "stuck", "alarm", now - timedelta(days=3), None, "open"),
        (registers[2], "negative_step.rollover", "info", rollover, rollover, "resolved"),
    ):
        insert(
            connection,
            "findings",
            utility_id=utility,
            register_id=register,
            kind=kind,
            severity=severity,
            started_at=started,
            ended_at=ended,
            state=state,
            evidence=Jsonb({"before": "412.318", "after": "41.231", "hours": 1}),
        )
    insert(
        connection,
        "marks",
        register_id=registers[0],
        measured_at=glitch,
        rule="glitch",
        quality=10,
        usable=False,
        evidence=Jsonb({}),
    )
    connection.execute(
        "update registers set validated_until = %s where utility_id = %s", (now - timedelta(days=1), utility)
    )
