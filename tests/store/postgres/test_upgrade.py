"""A database of the first release, with data in it, takes a later migration and keeps everything."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from store.postgres import migrate as migrations
from store.postgres.database import connect
from store.postgres.migrate import MigrationError, MigrationPart, migrate

FOLDER = Path(migrations.__file__).parents[1] / "migrations"
AT = datetime(2026, 10, 1, 12, tzinfo=UTC)

_DATA = """
    insert into utilities (code, name, time_zone) values ('aurora', 'Aurora', 'UTC');
    insert into gateways (utility_id, code) values (1, 'pi');
    insert into meters (utility_id, code, medium) values (1, 'KAM-06855817', 6);
    insert into registers (utility_id, meter_id, obis, unit, kind)
    values (1, 1, '6-0:1.0.0', 'kW.h', 'counter');
    insert into service_points (utility_id, code, medium) values (1, 'flat', 6);
    insert into installations (service_point_id, meter_id, valid_from) values (1, 1, '2026-01-01');
    insert into readings (register_id, measured_at, value)
    select 1, instant, 37319000000 from unnest(array['2001-01-01', '2026-10-01T12:00Z', '2026-11-30',
                                                     '2046-01-01']::timestamptz[]) instant;
    insert into telegrams (meter_id, measured_at, gateway_id, epoch, batch, raw)
    values (1, '2026-10-01T12:00Z', 1, 'e', 1, 'raw');
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
    select note_disputable_telegrams(1)
"""

# a column and a table of a utility's, and work on readings, which no two kinds of server store alike
_LATER = """
    alter table meters add column colour text not null default 'grey';
    create table notes (utility_id int not null references utilities, note text not null);
    insert into notes select id, 'later' from utilities;
    update readings set status = 1 where measured_at = '2001-01-01';
"""


def release(folder: Path, name: str, text: str) -> Path:
    """The migrations of a later release, with one more file of the part `core`."""
    shutil.copytree(FOLDER, folder / name)
    (folder / name / MigrationPart.CORE.value / "9000_later.sql").write_text(text)
    return folder / name


def fill(connection: psycopg.Connection) -> None:
    """Store what the schema has room for."""
    connection.execute(_DATA.encode())
    connection.commit()


def kept(connection: psycopg.Connection) -> list[tuple[int | None, ...]]:
    """Numbers of readings (their table, the daily view), billing readings, and telegrams behind those."""
    rows = connection.execute(
        """
        select (select count(*) from readings)::int, (select sum(readings) from readings_daily)::int,
               (select count(*) from billing_readings)::int, (select count(*) from disputable_telegrams)::int
        """
    ).fetchall()
    connection.rollback()
    return rows


def shape(connection: psycopg.Connection) -> list[tuple[str, ...]]:
    """All tables and views with their columns, what each role may do with them, and their policies."""
    rows = connection.execute(
        """
        select c.relname, c.relacl::text, string_agg(a.attname, ',' order by a.attnum),
               (select string_agg(polname, ',' order by polname) from pg_policy where polrelid = c.oid)
        from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
        group by c.oid, c.relname, c.relacl order by 1
        """
    ).fetchall()
    connection.rollback()
    return rows


def upgrade(url: str, folder: Path) -> None:
    """The schema of the first release, filled; then a later one that fails; then one that does not."""
    with connect(url) as connection:
        migrate(connection)
        fill(connection)
        before = shape(connection)
        assert migrate(connection) == []
        assert kept(connection) == [(4, 4, 1, 1)]

        with pytest.raises(MigrationError, match="division by zero"):
            migrate(connection, release(folder, "broken", _LATER + "select 1 / 0;"))
        assert (shape(connection), kept(connection)) == (before, [(4, 4, 1, 1)])

        later = release(folder, "later", _LATER)
        applied = [str(migration) for migration in migrate(connection, later)]
        assert (applied[0], {name.partition("/")[0] for name in applied[1:]}) == (
            "core/9000_later",
            {"rights"},
        )
        assert migrate(connection, later) == []
        assert kept(connection) == [(4, 4, 1, 1)]
        assert connection.execute("select colour from meters").fetchall() == [("grey",)]
        assert connection.execute("select value from readings where measured_at = %s", (AT,)).fetchone() == (
            37_319_000_000,
        )
        policies = {name: policies for name, _, _, policies in shape(connection)}
        assert policies["notes"] == "all_utilities,own_utility"

        with pytest.raises(MigrationError, match="core/9000_later, which this release does not know"):
            migrate(connection)


def test_a_later_release_keeps_what_is_stored(unmigrated_database: str, tmp_path: Path) -> None:
    upgrade(unmigrated_database, tmp_path)


def test_a_file_of_the_first_release_that_was_edited_is_refused(
    unmigrated_database: str, tmp_path: Path
) -> None:
    edited = release(tmp_path, "edited", _LATER)
    with (edited / "core" / "0001_registry.sql").open("a") as file:
        file.write("-- a comment is enough\n")
    with connect(unmigrated_database) as connection:
        migrate(connection)
        before = shape(connection)
        with pytest.raises(MigrationError, match="core/0001_registry was changed after it was applied"):
            migrate(connection, edited)
        assert shape(connection) == before


def test_a_migration_that_stopped_half_way_goes_on_from_there(
    unmigrated_database: str, database: str, tmp_path: Path
) -> None:
    stopped = release(tmp_path, "stopped", "select 1 / 0;")
    with connect(unmigrated_database) as connection, connect(database) as whole:
        with pytest.raises(MigrationError, match="division by zero"):
            migrate(connection, stopped)
        assert shape(connection) != shape(whole), "the parts behind core are missing"
        assert next(str(migration) for migration in migrate(connection)) == "plain/0001_partitions"
        assert shape(connection) == shape(whole)
