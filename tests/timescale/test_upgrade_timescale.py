"""Older schemas of a TimescaleDB become the present one; so does one that had no TimescaleDB so far."""

from pathlib import Path

import pytest

from store.postgres import migrate as migrations
from store.postgres.database import connect
from store.postgres.migrate import Part, migrate
from tests.store.postgres.test_upgrade import FOLDER, fill, kept, upgrade

# the files of the release before this one, and the first that this one brings
_RELEASED = {"core": 6, "timescale": 1, "timescale/community": 2}
_FOLLOWING = "core/0010_registry_details.sql"


def test_the_released_schema_becomes_the_present_one(unmigrated_database: str, tmp_path: Path) -> None:
    old = [
        path
        for part, number in _RELEASED.items()
        for path in sorted((FOLDER / part).glob("*.sql"))
        if int(path.name[:4]) <= number
    ]
    upgrade(unmigrated_database, tmp_path, old, FOLDER / _FOLLOWING)


def test_a_database_that_gains_timescaledb_keeps_what_it_has(
    unmigrated_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(unmigrated_database) as connection:
        with monkeypatch.context() as without:
            without.setattr(migrations, "parts", lambda _connection: [Part.CORE, Part.PLAIN])
            migrate(connection)
        fill(connection)
        before = kept(connection)
        assert [m.part for m in migrate(connection)][:1] == [Part.TIMESCALE.value]
        assert migrate(connection) == []
        assert kept(connection) == before
        chunks = connection.execute("select count(*) from show_chunks('readings')").fetchone()
        assert chunks == (4,)
