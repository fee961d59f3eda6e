"""The statements that are sent to the database while something is done, as this process sends them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import psycopg

Statement = tuple[Any, Any]
"""A statement as psycopg takes it, and its parameters."""


@contextmanager
def recorded() -> Iterator[list[Statement]]:
    """The statements sent meanwhile, whichever connection they went by; many of one kind at once are one."""
    sent: list[Statement] = []
    execute, executemany = psycopg.Cursor.execute, psycopg.Cursor.executemany

    def noting_execute(self: Any, query: Any, params: Any = None, **options: Any) -> Any:
        sent.append((query, params))
        return execute(self, query, params, **options)

    def noting_executemany(self: Any, query: Any, params: Any, **options: Any) -> Any:
        sent.append((query, None))
        return executemany(self, query, params, **options)

    with (
        patch.object(psycopg.Cursor, "execute", noting_execute),
        patch.object(psycopg.Cursor, "executemany", noting_executemany),
    ):
        yield sent
