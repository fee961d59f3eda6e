"""Every older schema, with data in it, becomes the present one; a file that fails leaves it as it was."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from store.postgres import migrate as migrations
from store.postgres.database import connect
from store.postgres.migrate import MigrationError, migrate

FOLDER = Path(migrations.__file__).parents[1] / "migrations"
AT = datetime(2026, 10, 1, 12, tzinfo=UTC)

# by the first table that each needs: what an older release could have stored
_DATA = {
    "utilities": """
        insert into utilities (code, name, time_zone) values ('aurora', 'Aurora', 'UTC');
        insert into gateways (utility_id, code) values (1, 'pi');
        insert into meters (utility_id, code, medium) values (1, 'KAM-06855817', 6);
        insert into registers (utility_id, meter_id, obis, unit, kind)
        values (1, 1, '6-0:1.0.0', 'kW.h', 'counter');
        insert into service_points (utility_id, code, medium) values (1, 'flat', 6);
        insert into installations (service_point_id, meter_id, valid_from) values (1, 1, '2026-01-01')
    """,
    "readings": """
        insert into readings (register_id, measured_at, value)
        select 1, instant, 37319000000 from unnest(array['2001-01-01', '2026-10-01T12:00Z', '2026-11-30',
                                                         '2046-01-01']::timestamptz[]) instant;
        insert into telegrams (meter_id, measured_at, gateway_id, epoch, batch, raw)
        values (1, '2026-10-01T12:00Z', 1, 'e', 1, 'raw')
    """,
    "billing_readings": """
        insert into closes (utility_id, period, starts_at, ends_at, run, author, summary)
        values (1, '2026-09', '2026-09-01', '2026-10-01', 1, 'anna', '{}');
        insert into billing_readings
            (utility_id, close_id, service_point_id, obis, period, version, starts_at, ends_at, start_offset,
             end_offset, start_value, end_value, consumption, unit, quality, start_method, end_method,
             evidence, content_hash)
        values (1, 1, 1, '6-0:1.0.0', '2026-09', 1, '2026-09-01', '2026-10-01', '0', '0', 1, 2, 1, 'kW.h', 0,
                'reading', 'reading',
                '{"installations": [{"meter": "KAM-06855817",
                                     "end": {"readings": [{"at": "2026-10-01T12:00:00Z"}]}}]}', '');
        do $$ begin  -- a trigger did it in older releases
            if to_regprocedure('note_disputable_telegrams(bigint)') is not null then
                perform note_disputable_telegrams(1);
            end if;
        end $$
    """,
}


def files_of(connection: psycopg.Connection) -> list[Path]:
    """The numbered files that this server takes, in order."""
    parts = [part.value for part in migrations.Part if part in migrations.parts(connection)]
    connection.rollback()
    return [path for part in parts for path in sorted((FOLDER / part).glob("*.sql"))]


def release(folder: Path, files: list[Path]) -> Path:
    """A folder of migrations with these files."""
    for path in files:
        copy = folder / path.relative_to(FOLDER)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    return folder


def fill(connection: psycopg.Connection) -> None:
    """Store what the schema has room for."""
    for table, statements in _DATA.items():
        if connection.execute("select to_regclass(%s)", (table,)).fetchone() != (None,):
            connection.execute(statements.encode())
    connection.commit()


def shape(connection: psycopg.Connection) -> list[tuple[str, str]]:
    """All tables and views with their columns."""
    rows = connection.execute(
        """
        select table_name, string_agg(column_name, ',' order by ordinal_position)
        from information_schema.columns where table_schema = 'public' group by 1 order by 1
        """
    ).fetchall()
    connection.rollback()
    return rows


def kept(connection: psycopg.Connection) -> list[tuple[int | None, ...]]:
    """How many readings (in their table, in the daily view), billing readings, and telegrams behind those."""
    rows = connection.execute(
        """
        select (select count(*) from readings)::int, (select sum(readings) from readings_daily)::int,
               (select count(*) from billing_readings)::int, (select count(*) from disputable_telegrams)::int
        """
    ).fetchall()
    connection.rollback()
    return rows


def upgrade(url: str, folder: Path, old: list[Path], following: Path) -> None:
    """The schema of the files `old`, filled; then one more that fails; then all the rest."""
    with connect(url) as connection:
        migrate(connection, release(folder / "old", old))
        fill(connection)
        before = shape(connection)
        broken = release(folder / "broken", [*old, following])
        failing = broken / following.relative_to(FOLDER)
        failing.write_text(failing.read_text() + "\n;select 1 / 0;\n")
        with pytest.raises(MigrationError, match="division by zero"):
            migrate(connection, broken)
        assert shape(connection) == before
        assert migrate(connection)
        assert migrate(connection) == []
        stored = {path.name for path in old}
        readings = 4 if "0002_readings.sql" in stored else 0
        bills = 1 if "0004_billing.sql" in stored else 0
        assert kept(connection) == [(readings, readings or None, bills, bills)]
        if readings:
            row = connection.execute("select value from readings where measured_at = %s", (AT,)).fetchone()
            assert row == (37_319_000_000,)


def _core() -> int:
    return len(list((FOLDER / "core").glob("*.sql")))


@pytest.mark.parametrize("number", range(1, _core() + 1))
def test_every_older_schema_becomes_the_present_one(
    unmigrated_database: str, tmp_path: Path, number: int
) -> None:
    with connect(unmigrated_database) as connection:
        files = files_of(connection)
    upgrade(unmigrated_database, tmp_path, files[:number], files[number])
