"""Requests of people to gateways: a command to be done once, and a configuration to be run from now on.

Rows are added here and sent by ingesters (`downlink.py`). What was asked is never altered: whoever changes
his mind asks again, and an earlier configuration comes back as a new version.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from psycopg import Connection
from psycopg.errors import UniqueViolation

from store.postgres.rows import one_value


class CommandState(StrEnum):
    """State of a command."""

    QUEUED = "queued"
    SENT = "sent"  # the broker took it; the gateway has not answered
    RUNNING = "running"  # the gateway said that it does it
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"  # nobody answered in time


class ConfigurationState(StrEnum):
    """State of a configuration."""

    QUEUED = "queued"
    SENT = "sent"
    TRIED = "tried"  # it runs, until meters have answered
    KEPT = "kept"
    ROLLED_BACK = "rolled back"  # it was tried, and the one before runs again
    REFUSED = "refused"  # it was not even tried
    SUPERSEDED = "superseded"  # by a later one, before the gateway said anything


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """Command, its author and reason. `line`, `meter`, `level`, `since` as it takes them, else empty."""

    command: str
    author: str
    reason: str
    created_at: datetime
    expires_at: datetime
    line: str = ""
    meter: str = ""
    level: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class ConfigurationRequest:
    """A text to be run, by whom and why. `restores`: the earlier version whose text it is."""

    toml: str
    author: str
    reason: str
    created_at: datetime
    restores: int | None = None


def ask(connection: Connection[Any], gateway_id: int, request: CommandRequest) -> int:
    """Queue a command; its id."""
    query = """
        insert into gateway_commands
            (utility_id, gateway_id, command, line, meter, level, since, author, reason, created_at,
             state_at, expires_at)
        select utility_id, id, %(command)s, %(line)s, %(meter)s, %(level)s, %(since)s, %(author)s,
               %(reason)s, %(created_at)s, %(created_at)s, %(expires_at)s
        from gateways where id = %(gateway)s
        returning id
        """
    return int(one_value(connection, query, {**asdict(request), "gateway": gateway_id}))


def open_commands(connection: Connection[Any], gateway_id: int, now: datetime) -> int:
    """The number of commands to a gateway that wait for their end."""
    query = """
        select count(*) from gateway_commands
        where gateway_id = %s and state in ('queued', 'sent', 'running') and expires_at > %s
        """
    return int(one_value(connection, query, (gateway_id, now)))


def latest_version(connection: Connection[Any], gateway_id: int) -> int:
    """The highest version of a gateway's configurations; 0 where there is none."""
    query = "select coalesce(max(version), 0) from gateway_configurations where gateway_id = %s"
    return int(one_value(connection, query, (gateway_id,)))


def put_configuration(
    connection: Connection[Any], gateway_id: int, after: int, request: ConfigurationRequest
) -> int | None:
    """Let a gateway run this text, as the version after version `after`; the new version.

    None where there is a later one than `after` by now: somebody else was faster.
    """
    if latest_version(connection, gateway_id) != after:
        return None
    try:
        with connection.transaction():
            connection.execute(
                """
                insert into gateway_configurations
                    (utility_id, gateway_id, version, toml, author, reason, restores, created_at,
                     state_at)
                select utility_id, id, %(version)s, %(toml)s, %(author)s, %(reason)s, %(restores)s,
                       %(created_at)s, %(created_at)s
                from gateways where id = %(gateway)s
                """,
                {**asdict(request), "version": after + 1, "gateway": gateway_id},
            )
    except UniqueViolation:  # two at the same moment
        return None
    return after + 1
