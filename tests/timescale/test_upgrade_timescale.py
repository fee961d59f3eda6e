"""A TimescaleDB takes a later release's migrations; a database that had no TimescaleDB so far becomes one."""

from pathlib import Path

import pytest

from store.postgres import migrate as migrations
from store.postgres.database import connect
from store.postgres.migrate import MigrationPart, migrate
from tests.store.postgres.test_upgrade import fill, kept, shape, upgrade


def test_a_later_release_keeps_what_is_stored(unmigrated_database: str, tmp_path: Path) -> None:
    upgrade(unmigrated_database, tmp_path)


def test_a_database_that_gains_timescaledb_keeps_what_it_has(
    unmigrated_database: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(unmigrated_database) as connection:
        with monkeypatch.context() as without:
            without.setattr(
                migrations, "parts", lambda _connection: [MigrationPart.CORE, MigrationPart.PLAIN]
            )
            migrate(connection)
        fill(connection)
        before = kept(connection)
        assert [m.part for m in migrate(connection)][:1] == [MigrationPart.TIMESCALE.value]
        assert migrate(connection) == []
        assert kept(connection) == before
        chunks = connection.execute("select count(*) from show_chunks('readings')").fetchone()
        assert chunks == (4,)
        with connect(database) as whole:
            assert {row[0] for row in shape(connection)} == {row[0] for row in shape(whole)}
