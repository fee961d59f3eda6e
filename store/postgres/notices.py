"""Notices that something changed, for whoever looks at it now: a topic and a utility, never contents.

PostgreSQL's NOTIFY: told when a transaction commits, to the sessions that listen then, and kept for nobody.
Who was away asks for everything anew.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any, NamedTuple

from psycopg import Connection, sql

CHANNEL = "hesper_changes"


class ChangeTopic(StrEnum):
    """Topic of a notice. All but `READINGS` are announced by triggers (core/0013)."""

    READINGS = "readings"
    FINDINGS = "findings"
    EDITS = "edits"
    QUARANTINE = "quarantine"
    GATEWAYS = "gateways"
    MONTHS = "months"
    DELIVERIES = "deliveries"


class ChangeNotice(NamedTuple):
    """Notice that something of this topic changed at this utility."""

    utility_id: int
    topic: ChangeTopic


def announce(connection: Connection[Any], utilities: Iterable[int], topic: ChangeTopic) -> None:
    """Tell of a change of each utility when the transaction commits."""
    payloads = [f"{utility} {topic}" for utility in sorted(set(utilities))]
    if payloads:
        connection.execute("select pg_notify(%s, p) from unnest(%s::text[]) p", (CHANNEL, payloads))


def listen(connection: Connection[Any]) -> None:
    """From here on the session, which is in autocommit, is told of changes."""
    connection.execute(sql.SQL("listen {}").format(sql.Identifier(CHANNEL)))


def changes(connection: Connection[Any], seconds: float) -> Iterator[ChangeNotice]:
    """Notices that a listening session gets within `seconds`. Raises psycopg.Error where the session ends."""
    for notice in connection.notifies(timeout=seconds):
        utility, _, topic = notice.payload.partition(" ")
        if utility.isdecimal() and topic in ChangeTopic.__members__.values():
            yield ChangeNotice(int(utility), ChangeTopic(topic))
