"""Store of a bench: an embedded PostgreSQL with the schema and nothing else, which ends with the bench."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from store.postgres.database import connect
from store.postgres.embedded import EmbeddedPostgres
from store.postgres.migrate import migrate


@contextmanager
def fresh_store(settings: Mapping[str, str] | None = None) -> Iterator[EmbeddedPostgres]:
    """Server with an empty database, in a folder that is removed afterwards."""
    with (
        TemporaryDirectory(prefix="hesper-bench-") as folder,
        EmbeddedPostgres(Path(folder) / "postgres", settings) as server,
    ):
        with connect(server.url) as connection:
            migrate(connection)
        yield server
