"""Rows that are held to the end of a transaction, so that what was looked at is what is changed."""

from typing import Any, Literal

from psycopg import Connection, sql


def hold(
    connection: Connection[Any], table: Literal["sites", "meters", "service_points"], row_id: int
) -> None:
    """Nobody else changes the row until this transaction ends; what refers to it may still be added."""
    connection.execute(
        sql.SQL("select from {} where id = %s for no key update").format(sql.Identifier(table)), (row_id,)
    )
