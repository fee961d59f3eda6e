"""How fast a month is closed: from daily readings to an approved draft, in sessions side by side.

    python -m bench.close [service points] [--sessions 2]

A generator in the database makes the utility: a cold water meter at each point, a reading a day for a month
and a bit, some minutes after local midnight, one in a thousand meters with a gap that the ladder has to
bridge. Everything is validated before; what is measured is `draft` and `approve`, on the embedded
PostgreSQL with fsync. The limit is one SQL pass, in a single session, that reads the boundary rows and
writes as many rows: their two values and the difference, into a table with the same key. The default of
100,000 points makes 3.4 million readings; a million take some 5 GB of disk and some minutes to make.
"""

import argparse
import time
from datetime import UTC, datetime, timedelta

import psycopg

from bench.fresh_store import fresh_store
from bench.measurement import Measurement, show
from ingest.billing.close import approve, draft
from store.postgres.database import connect
from store.postgres.roles import Role

PERIOD = "2026-10"
STARTS = datetime(2026, 9, 30, 21, tzinfo=UTC)  # local midnights in Kyiv
ENDS = datetime(2026, 10, 31, 22, tzinfo=UTC)
DAYS = 34
BATCH = 20_000  # meters whose readings arrive together, day by day
WANTED_SECONDS = 60  # for a million service points


def fill(connection: psycopg.Connection, points: int) -> None:
    """One utility. A point has the number of its meter, its register and its installation."""
    connection.execute(
        "insert into utilities (code, name, time_zone) values ('bench', 'Bench', 'Europe/Kyiv')"
    )
    connection.commit()
    connection.execute("set session_replication_role = replica")  # a history of the making is not wanted here
    for statement in (
        """
        insert into meters (utility_id, code, medium)
        select 1, 'KAM-' || lpad(n::text, 8, '0'), 8 from generate_series(1, %(points)s) n
        """,
        """
        insert into registers (utility_id, meter_id, obis, unit, kind, billed, capacity, validated_until)
        select 1, id, '8-0:1.0.0', 'm3', 'counter', true, 100000000000, %(until)s from meters order by id
        """,
        """
        insert into service_points (utility_id, code, medium, account)
        select 1, 'flat ' || n, 8, n::text from generate_series(1, %(points)s) n
        """,
        """
        insert into installations (service_point_id, meter_id, valid_from)
        select n, n, '2024-01-01' from generate_series(1, %(points)s) n
        """,
    ):
        connection.execute(statement, {"points": points, "until": ENDS + timedelta(days=30)})
    for first in range(1, points + 1, BATCH):
        connection.execute(
            """
            insert into readings (register_id, measured_at, value)
            select m, %(starts)s + day * interval '1 day' + (m %% 20) * interval '1 minute',
                   100000000 + m * 1000 + day * (13000 + m %% 777)
            from generate_series(-1, %(days)s::int - 2) day
            cross join generate_series(%(first)s::int, %(last)s::int) m
            where m %% 1000 <> 0 or day not between 30 and 31
            """,
            {"starts": STARTS, "days": DAYS, "first": first, "last": min(points, first + BATCH - 1)},
        )
    connection.commit()
    connection.autocommit = True
    connection.execute("vacuum (analyze)")
    connection.execute("checkpoint")


_PASS = """
    insert into bare
    select r.id, %(period)s, s.value, e.value, e.value - s.value
    from registers r
    cross join lateral (
        select value from readings where register_id = r.id
        and measured_at between %(starts)s - interval '2 hours' and %(starts)s + interval '2 hours'
        order by measured_at limit 1) s
    cross join lateral (
        select value from readings where register_id = r.id
        and measured_at between %(ends)s - interval '2 hours' and %(ends)s + interval '2 hours'
        order by measured_at limit 1) e
"""


def bare_pass(url: str) -> float:
    """Seconds of the limit."""
    with connect(url) as owner:
        owner.execute(
            """
            create table bare (id int, period text, start_value bigint, end_value bigint, consumption bigint,
                               primary key (id, period))
            """
        )
        owner.commit()
        begun = time.perf_counter()
        owner.execute(_PASS, {"period": PERIOD, "starts": STARTS, "ends": ENDS})
        owner.commit()
        return time.perf_counter() - begun


def measure(url: str, points: int, sessions: int, now: datetime) -> list[Measurement]:
    """Draft and approval beside the bare pass, and both as seconds for a million."""
    bare = bare_pass(url)
    opened = [connect(url, role=Role.ADMIN) for _ in range(sessions)]
    begun = time.perf_counter()
    drafted = draft(opened, "bench", PERIOD, "bench", now)
    between = time.perf_counter()
    issued = approve(opened[0], "bench", PERIOD, "bench")
    ended = time.perf_counter()
    for session in opened:
        session.close()
    assert issued.billed == issued.new == points
    print(f"{issued.billed} billed, {issued.ordinary} of them ordinary, qualities {drafted.qualities}")
    million = 1_000_000 / points
    return [
        Measurement(f"draft of {points} in {sessions} sessions", between - begun, "s", bare),
        Measurement("approval", ended - between, "s", bare),
        Measurement(f"close of {points}", ended - begun, "s", bare),
        Measurement("a million, to approved", (ended - begun) * million, "s", WANTED_SECONDS, "<= 1.0"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("points", type=int, nargs="?", default=100_000)
    parser.add_argument("--sessions", type=int, default=2)
    options = parser.parse_args()
    with fresh_store({"shared_buffers": "1GB", "max_wal_size": "8GB"}) as server:
        with connect(server.url) as connection:
            begun = time.perf_counter()
            fill(connection, options.points)
        print(f"{options.points} service points made in {time.perf_counter() - begun:.0f} s", flush=True)
        show(measure(server.url, options.points, options.sessions, datetime.now(UTC)))


if __name__ == "__main__":
    main()
