"""How long people wait: the questions of the API and the pages on 100,000 registers and 30 days.

    python -m bench.queries [--registers 100000] [--days 30] [--per-day 4] [--runs 200]

On the embedded PostgreSQL, asked as hesper_api with row security, by `store/` where there is a function
for it. The limit is the bare index: the same rows from `readings` by register and instant, asked by the
owner, with nothing joined and nothing checked. Readings lie in the table in the order of their arrival. Each
question is asked of other meters every time (seeded); the database as a whole may be in memory, as on a
server that has enough. Values are milliseconds over `runs` questions.

Hourly readings of 100,000 registers (`--per-day 24`) are 72 million rows, 7 GB and some minutes to make: the
default is a reading every six hours, 12 million rows.
"""

import argparse
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from bench.fresh_store import fresh_store
from bench.measurement import Measurement, show
from store.postgres.database import connect
from store.postgres.roles import Role, enter_utility
from store.readings.by_meter import Bucket, View, readings_page, series

BUILDING = 100  # meters in one
LATEST = 1_000  # meters asked for at once
YEAR = 200  # registers that have a whole year, by day

Ask = Callable[[psycopg.Connection, int], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Question:
    """`ask` and `bare` take a connection and the number of a register, and answer with as many rows."""

    name: str
    ask: Ask
    bare: Ask
    registers: int  # that have what is asked for


def fill(connection: psycopg.Connection, registers: int, days: int, per_day: int, now: datetime) -> None:
    """One utility, `BUILDING` meters a site, a counter each. A register has the number of its meter."""
    interval = timedelta(days=1) / per_day
    connection.execute("set session_replication_role = replica")  # a history of the making is not wanted here
    connection.execute("insert into utilities (code, name, time_zone) values ('bench', 'Bench', 'UTC')")
    sites = registers // BUILDING
    connection.execute(
        """
        insert into sites (utility_id, code, name)
        select 1, 's' || n, 'House ' || n from generate_series(1, %s) n
        """,
        (sites,),
    )
    connection.execute(
        """
        insert into meters (utility_id, code, medium, site_id)
        select 1, 'KAM-' || lpad(n::text, 8, '0'), 8, 1 + (n - 1) / %s from generate_series(1, %s) n
        """,
        (BUILDING, sites * BUILDING),
    )
    connection.execute(
        """
        insert into registers
            (utility_id, meter_id, obis, unit, kind, billed, expected_interval, validated_until)
        select 1, id, '8-0:1.0.0', 'm3', 'counter', true, %s, %s from meters order by id
        """,
        (interval, now),
    )
    connection.execute(
        """
        insert into readings (register_id, measured_at, value)
        select r, %(now)s - n * %(interval)s, (%(count)s - n) * 13000 + r
        from generate_series(%(count)s - 1, 0, -1) n cross join generate_series(1, %(registers)s) r
        """,
        {"now": now, "interval": interval, "count": days * per_day, "registers": sites * BUILDING},
    )
    connection.execute(
        """
        insert into readings (register_id, measured_at, value)
        select r, %(now)s - n * interval '1 day', 0 from generate_series(1, %(registers)s) r
        cross join generate_series(%(days)s + 1, 366) n
        """,
        {"now": now, "days": days, "registers": YEAR},
    )
    connection.commit()
    connection.autocommit = True
    connection.execute("vacuum (analyze)")


def questions(registers: int, now: datetime, days: int) -> list[Question]:
    """What is measured."""
    month, year = now - timedelta(days=days), now - timedelta(days=365)

    def rows(connection: psycopg.Connection, statement: str, parameters: Any) -> list[Any]:
        return connection.execute(statement.encode(), parameters).fetchall()

    def some(first: int) -> list[int]:
        return [1 + (first + step * 97) % registers for step in range(LATEST)]

    def building(first: int) -> int:
        return 1 + (first - 1) // BUILDING

    return [
        Question(
            f"latest reading of {LATEST} meters",
            lambda connection, first: rows(connection, _LATEST, (some(first),)),
            lambda connection, first: rows(connection, _LATEST_BARE, (some(first),)),
            registers,
        ),
        Question(
            "one month of one meter",
            lambda connection, meter: readings_page(
                connection, meter, obis=None, start=month, end=now, after=None, limit=10_000, view=View.RAW
            ),
            lambda connection, register: rows(connection, _RANGE_BARE, (register, month, now)),
            registers,
        ),
        Question(
            "a year of daily consumption",
            lambda connection, register: series(
                connection, register, start=year, end=now, bucket=Bucket.DAY, time_zone="Europe/Vilnius"
            ),
            lambda connection, register: rows(connection, _RANGE_BARE, (register, year, now)),
            YEAR,
        ),
        Question(
            f"arrival share of a building of {BUILDING}",
            lambda connection, first: rows(connection, _SHARE, {"month": month, "site": building(first)}),
            lambda connection, first: rows(
                connection, _SHARE_BARE, {"month": month, "last": building(first) * BUILDING}
            ),
            registers,
        ),
    ]


_LATEST = """
    select wanted, last.* from unnest(%s::int[]) wanted cross join lateral (
        select measured_at, value, status from utility_latest_readings where register_id = wanted
        offset 0) last
"""
_LATEST_BARE = """
    select wanted, last.* from unnest(%s::int[]) wanted cross join lateral (
        select measured_at, value, status from readings where register_id = wanted
        order by measured_at desc limit 1) last
"""
_RANGE_BARE = """
    select measured_at, value, status from readings
    where register_id = %s and measured_at >= %s and measured_at < %s order by measured_at
"""
_SHARE = """
    select r.id,
           arrived.count * extract(epoch from r.expected_interval) / extract(epoch from now() - %(month)s)
    from registers r
    join meters m on m.id = r.meter_id
    cross join lateral (
        select count(*) from utility_readings where register_id = r.id and measured_at > %(month)s
        offset 0) arrived
    where m.site_id = %(site)s
"""
_SHARE_BARE = """
    select register, arrived.* from generate_series(%(last)s - 99, %(last)s) register cross join lateral (
        select count(*) from readings where register_id = register and measured_at > %(month)s) arrived
"""


def timed(connection: psycopg.Connection, ask: Ask, registers: Sequence[int]) -> list[float]:
    """Milliseconds of each question, in order of size. The first ten are for the statement's plan."""
    spent = []
    for register in registers:
        begun = time.perf_counter()
        with connection.transaction():
            enter_utility(connection, 1)
            ask(connection, register)
        spent.append((time.perf_counter() - begun) * 1_000)
    return sorted(spent[10:])


def measure(url: str, options: argparse.Namespace, now: datetime) -> list[Measurement]:
    """p50 and p95 of every question beside those of the bare index."""
    measured = []
    with connect(url, role=Role.API) as reader, connect(url) as owner:
        reader.autocommit = owner.autocommit = True
        begun = time.perf_counter()
        for _ in range(options.runs):
            reader.execute("select 1")
        trip = (time.perf_counter() - begun) / options.runs * 1_000
        measured.append(Measurement("a round trip", trip, "ms", trip))
        for question in questions(options.registers, now, options.days):
            chance = random.Random(question.name)
            asked = [chance.randint(1, question.registers) for _ in range(options.runs + 10)]
            bare = timed(owner, question.bare, asked)
            spent = timed(reader, question.ask, asked)
            for share in (50, 95):
                place = min(len(bare) - 1, len(bare) * share // 100)
                measured.append(Measurement(f"{question.name}, p{share}", spent[place], "ms", bare[place]))
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--registers", type=int, default=100_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--per-day", type=int, default=4)
    parser.add_argument("--runs", type=int, default=200)
    options = parser.parse_args()
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    with fresh_store({"shared_buffers": "512MB"}) as server:
        with connect(server.url) as connection:
            begun = time.perf_counter()
            fill(connection, options.registers, options.days, options.per_day, now)
            row = connection.execute("select count(*) from readings").fetchone()
            assert row is not None
            seconds = time.perf_counter() - begun
        print(f"{options.registers} registers, {row[0]} readings, made in {seconds:.0f} s")
        show(measure(server.url, options, now))


if __name__ == "__main__":
    main()
