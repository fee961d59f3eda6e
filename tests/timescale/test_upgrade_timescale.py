"""Older schemas of a TimescaleDB become the present one; so does one that had no TimescaleDB so far."""

from pathlib import Path

import pytest

from store import migrate as migrations
from store.database import connect
from store.migrate import Part, migrate
from tests.store.test_upgrade import FOLDER, fill, kept, upgrade

# the files of releases before this one, and the next that this one brings
_OLDER = {
    "0.1": ({"core": 6, "timescale": 1, "timescale/community": 2}, "core/0010_registry_details.sql"),
    "tables only": ({"core": 4}, "core/0005_aggregates.sql"),
    "no columns": ({"core": 11, "timescale": 1}, "timescale/community/0001_columnstore.sql"),
}


@pytest.mark.parametrize("name", _OLDER)
def test_an_older_schema_becomes_the_present_one(unmigrated_database: str, tmp_path: Path, name: str) -> None:
    until, following = _OLDER[name]
    old = [
        path
        for part, number in until.items()
        for path in sorted((FOLDER / part).glob("*.sql"))
        if int(path.name[:4]) <= number
    ]
    upgrade(unmigrated_database, tmp_path, old, FOLDER / following)


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
