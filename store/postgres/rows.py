"""Rows of a query as objects of a class whose fields have the names of its columns."""

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString, TypeVar

from psycopg import Connection
from psycopg.rows import class_row, scalar_row

_Row = TypeVar("_Row")
_Values = Sequence[Any] | Mapping[str, Any]


def all_rows(
    connection: Connection[Any], kind: type[_Row], query: LiteralString, values: _Values = ()
) -> list[_Row]:
    """All rows, in the order of the query."""
    return connection.cursor(row_factory=class_row(kind)).execute(query, values).fetchall()


def one_row(
    connection: Connection[Any], kind: type[_Row], query: LiteralString, values: _Values = ()
) -> _Row | None:
    """The first row, None where there is none."""
    return connection.cursor(row_factory=class_row(kind)).execute(query, values).fetchone()


def one_value(connection: Connection[Any], query: LiteralString, values: _Values = ()) -> Any:
    """The first column of the first row, None where there is none."""
    return connection.cursor(row_factory=scalar_row).execute(query, values).fetchone()
