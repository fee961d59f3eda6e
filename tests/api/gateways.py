"""What the seeded utility's gateway told and was asked, as an ingester would have kept it."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
from psycopg import Connection
from psycopg.types.json import Jsonb

from store.gateways.downlink import GatewayReply, command_sent, keep_reply
from store.gateways.requests import CommandRequest, ConfigurationRequest, ask, put_configuration
from telemetry.wire import Health, LineHealth, MeterHealth, from_milliseconds, to_milliseconds

GATEWAY = "gw-lindenhof"
MINUTE = timedelta(minutes=1)

TOML = """\
utility = "{utility}"
gateway = "gw-lindenhof"
time_zone = "Europe/Berlin"

[mqtt]
host = "mqtt.example.org"

[buffer]
path = "/var/lib/hesper/buffer.sqlite"

[[line]]
name = "water"
port = "/dev/ttyUSB0"
protocol = "mbus"
schedule = "15min"

[[line.meter]]
address = 1
meter = "{meter}"
"""


def told(meters: list[str], at: datetime, **more: Any) -> Health:
    """A health message: the second line is nearly full, the last meter does not answer."""
    health = Health(
        at=to_milliseconds(at),
        version="0.1.0",
        epoch="life",
        clock_synchronised=True,
        buffered_readouts=3,
        oldest_unacknowledged=to_milliseconds(at - timedelta(seconds=20)),
        disk_free_bytes=11_400_000_000,
        disk_total_bytes=31_900_000_000,
        memory_bytes=84_000_000,
        memory_total_bytes=1_024_000_000,
        cpu_celsius=48.5,
        versions={"hesper": "0.1.0", "python": "3.13.5", "sqlite": "3.46.1", "os": "Linux 6.12 aarch64"},
        config_version="1",
        lines=[
            LineHealth("heat", exchanges=9_120, retries=41, timeouts=12, crc_errors=3, utilisation=0.94),
            LineHealth("water", exchanges=4_800, retries=2, timeouts=1, utilisation=0.31),
        ],
        meters=[
            MeterHealth(
                meter,
                last_success=to_milliseconds(at - 7 * MINUTE),
                failures=4 if meter == meters[-1] else 0,
                clock_drift=14.0,
                polls=480,
                errors=96 if meter == meters[-1] else 1,
            )
            for meter in meters
        ],
    )
    return msgspec.structs.replace(health, **more)


def keep_health(connection: Connection[Any], gateway_id: int, health: Health, at: datetime) -> None:
    """The message of instant `at`, which the server's clock need not have reached."""
    said = msgspec.to_builtins(health)
    oldest = health.oldest_unacknowledged
    row = said | {
        "gateway_id": gateway_id,
        "at": at.isoformat(),
        "received_at": at.isoformat(),
        "clock_ahead": -0.2,
        "oldest_unacknowledged": None if oldest is None else from_milliseconds(oldest).isoformat(),
    }
    connection.execute(
        """
        with last as (
            update gateways set health = %(said)s, health_at = %(at)s where id = %(gateway)s
            returning utility_id
        )
        insert into gateway_health
        select (jsonb_populate_record(null::gateway_health, %(row)s || to_jsonb(last))).* from last
        """,
        {"gateway": gateway_id, "said": Jsonb(said), "row": Jsonb(row), "at": at},
    )


def seed_gateway(
    connection: Connection[Any], utility: str, gateway_id: int, meters: list[str], now: datetime
) -> None:
    """A day of health, a command that was done, and two configurations, of which the second failed."""
    for minutes in range(24 * 60, 0, -30):
        at = now - minutes * MINUTE
        keep_health(connection, gateway_id, told(meters, at, buffered_readouts=minutes % 7), at)
    keep_health(connection, gateway_id, told(meters, now - MINUTE), now - MINUTE)
    connection.execute(
        "insert into gateway_states (utility_id, gateway_id, state, noticed_at) "
        "select utility_id, id, 'online', %s from gateways where id = %s",
        (now - timedelta(hours=30), gateway_id),
    )
    at = now - 50 * MINUTE
    request = CommandRequest("read-now", "anna", "the tenant asks", at, at + 10 * MINUTE, meter=meters[0])
    command_sent(connection, ask(connection, gateway_id, request), at)
    row = connection.execute(
        "select wire_id from gateway_commands where gateway_id = %s", (gateway_id,)
    ).fetchone()
    assert row is not None
    values = {"at": at.isoformat(), "status": [], "values": {"8-0:1.0.0": "412.318 m3"}}
    result = {"readouts": 1, "values": {meters[0]: values}}
    reply = GatewayReply(str(row[0]), at, "done", "1 readouts, 0 meters failed", result)
    assert keep_reply(connection, utility, GATEWAY, reply)
    for version, state, detail in (
        (1, "done", "it runs"),
        (2, "failed", "no meter answers any more on water (/dev/ttyUSB0); the one before runs again"),
    ):
        toml = TOML.format(utility=utility, meter=meters[version - 1])
        asked = ConfigurationRequest(toml, "anna", f"attempt {version}", at)
        assert put_configuration(connection, gateway_id, version - 1, asked) == version
        for number, one in enumerate(("running", state)):
            reply = GatewayReply(str(version), at + number * MINUTE, one, detail, {})  # type: ignore[arg-type]
            assert keep_reply(connection, utility, GATEWAY, reply)
