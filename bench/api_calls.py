"""Questions that `bench.api` asks, who asks them, and the rows that they are asked of."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg

from metering.access import UserRole
from store.access import sessions, users
from store.access.api_keys import issue
from store.postgres.database import connect

PERIOD = "2026-10"
VARIANTS = 50  # addresses of each call


@dataclass(frozen=True, slots=True)
class Call:
    """A question that is asked often: its addresses, which differ in what they ask of."""

    name: str
    paths: Sequence[str]


def fill_more(connection: psycopg.Connection, registers: int) -> None:
    """A service point for each meter, a billed month, and a finding at every twentieth register."""
    connection.execute(
        """
        insert into service_points (utility_id, site_id, code, name, medium, account)
        select 1, site_id, 'p-' || code, 'Flat ' || id, 8, id::text from meters
        """
    )
    connection.execute(
        """
        insert into installations (service_point_id, meter_id, valid_from)
        select p.id, m.id, '2020-01-01' from meters m join service_points p on p.code = 'p-' || m.code
        """
    )
    connection.execute(
        """
        insert into findings (utility_id, register_id, kind, severity, started_at, evidence)
        select 1, n, 'stuck', (array['info', 'warning', 'alarm'])[1 + n / 20 %% 3],
               now() - n %% 1000 * interval '1 hour', '{"value": "1.5", "hours": 48}'
        from generate_series(20, %s, 20) n
        """,
        (registers,),
    )
    connection.execute(
        """
        insert into closes (utility_id, period, starts_at, ends_at, run, author, summary)
        values (1, %s, '2026-10-01', '2026-11-01', 1, 'bench', '{}')
        """,
        (PERIOD,),
    )
    connection.execute(
        """
        insert into billing_readings
            (utility_id, close_id, service_point_id, obis, period, version, starts_at, ends_at, start_offset,
             end_offset, start_value, end_value, consumption, unit, quality, start_method, end_method,
             evidence, content_hash)
        select 1, 1, id, '8-0:1.0.0', %s, 1, '2026-10-01', '2026-11-01', '0', '0', 1000000, 8500000, 7500000,
               'm3', 0, 'reading', 'reading', '{}', sha256(code::bytea)
        from service_points order by id
        """,
        (PERIOD,),
    )
    connection.execute("vacuum (analyze)")


def calls(registers: int, now: datetime) -> list[Call]:
    """What is asked often."""
    chance = random.Random(7)
    meters = [f"KAM-{chance.randint(1, registers):08d}" for _ in range(VARIANTS)]

    def since(days: int) -> str:
        return (now - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")

    return [
        Call("meters, a page of 100", [f"/v1/meters?cursor={meter}" for meter in meters]),
        Call("a meter", [f"/v1/meters/{meter}" for meter in meters]),
        Call("a meter's last readings", [f"/v1/meters/{meter}/registers" for meter in meters]),
        Call("a day of a meter", [f"/v1/meters/{meter}/readings?from={since(1)}" for meter in meters]),
        Call("a month of a meter", [f"/v1/meters/{meter}/readings?from={since(30)}" for meter in meters]),
        Call("findings, a page of 100", ["/v1/findings?state=open"]),
        Call("billing, a page of 500", [f"/v1/billing/{PERIOD}?cursor={n * 500}" for n in range(20)]),
        Call("the page of findings", ["/findings"]),
        Call("the page of a meter", [f"/meters/{meter}" for meter in meters]),
        Call("the first page", ["/"]),
    ]


def signed_in(url: str) -> dict[str, str]:
    """The headers of a program and of a person at once."""
    with connect(url) as connection:
        user = users.create(connection, "anna", "Anna", "")
        users.grant(connection, "anna", "bench", UserRole.ENGINEER)
        key = issue(connection, "bench", "bench")
        now = datetime.now(UTC)
        token = sessions.begin(connection, utility_id=1, user_id=user, now=now, lasts=timedelta(hours=12))
        connection.commit()
    return {"X-API-Key": key, "Cookie": f"hesper-session={token}"}
