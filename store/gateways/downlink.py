"""Requests that are due to be sent to gateways, and their answers: the ingester's side of `requests.py`.

Any number of ingesters do this at once: each claims rows that no other holds (`for update skip locked`).
Sending twice does no harm, since a gateway does an id once and answers again, and keeping a reply twice
changes nothing. So a command is sent again until it is answered, whatever is lost on the way.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from psycopg import Connection
from psycopg.types.json import Jsonb

from store.postgres.rows import all_rows, one_value

_UNANSWERED = timedelta(hours=1)  # after its end, for a command that the gateway said to have begun


@dataclass(frozen=True, slots=True)
class DueCommand:
    """A command to be published; held until the transaction ends."""

    id: int
    wire_id: UUID
    utility: str
    gateway: str
    command: str
    line: str
    meter: str
    level: str
    since: datetime | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class DueConfiguration:
    """A configuration to be published; held until the transaction ends."""

    id: int
    utility: str
    gateway: str
    version: int
    toml: str


@dataclass(frozen=True, slots=True)
class GatewayReply:
    """Reply of a gateway. `to` is the id of a command, or the version of a configuration."""

    to: str
    at: datetime
    state: Literal["running", "done", "failed"]
    detail: str
    result: dict[str, Any]


def due_commands(
    connection: Connection[Any], now: datetime, again: timedelta, at_most: int
) -> list[DueCommand]:
    """Those that were not sent yet, or not answered for so long; the oldest first.

    One that runs is asked after beyond its end: only to begin it is too late then.
    """
    query = """
        select c.id, c.wire_id, u.code as utility, g.code as gateway, c.command, c.line, c.meter, c.level,
               c.since, c.expires_at
        from gateway_commands c join gateways g on g.id = c.gateway_id
        join utilities u on u.id = c.utility_id
        where c.state in ('queued', 'sent', 'running')
          and (c.sent_at is null or c.sent_at <= %(now)s - %(again)s)
          and (c.expires_at > %(now)s or c.state = 'running')
        order by c.id limit %(at_most)s
        for update of c skip locked
        """
    return all_rows(connection, DueCommand, query, {"now": now, "again": again, "at_most": at_most})


def command_sent(connection: Connection[Any], command_id: int, at: datetime) -> None:
    """The broker has taken it."""
    connection.execute(
        """
        update gateway_commands set sent_at = %(at)s,
            state_at = case state when 'queued' then %(at)s else state_at end,
            state = case state when 'queued' then 'sent' else state end
        where id = %(id)s
        """,
        {"id": command_id, "at": at},
    )


def expire_commands(connection: Connection[Any], now: datetime) -> int:
    """End what nobody answered in time; how many."""
    return connection.execute(
        """
        update gateway_commands set state = 'expired', state_at = %(now)s
        where id = any(array(
            select id from gateway_commands
            where state in ('queued', 'sent', 'running')
              and expires_at <= %(now)s - case state when 'running' then %(late)s else interval '0' end
            for update skip locked))
        """,
        {"now": now, "late": _UNANSWERED},
    ).rowcount


def due_configurations(connection: Connection[Any], at_most: int) -> list[DueConfiguration]:
    """The newest of each gateway, where it was not sent yet. Older ones that wait are superseded by it."""
    connection.execute(
        """
        update gateway_configurations set state = 'superseded', state_at = now()
        where id = any(array(
            select c.id from gateway_configurations c
            where c.state in ('queued', 'sent') and exists (
                select from gateway_configurations later
                where later.gateway_id = c.gateway_id and later.version > c.version)
            for update skip locked))
        """
    )
    query = """
        select c.id, u.code as utility, g.code as gateway, c.version, c.toml
        from gateway_configurations c join gateways g on g.id = c.gateway_id
        join utilities u on u.id = c.utility_id
        where c.state = 'queued'
        order by c.id limit %s
        for update of c skip locked
        """
    return all_rows(connection, DueConfiguration, query, (at_most,))


def configuration_sent(connection: Connection[Any], configuration_id: int, at: datetime) -> None:
    """The broker has taken it, and keeps it for its gateway."""
    connection.execute(
        """
        update gateway_configurations set sent_at = %(at)s, state_at = %(at)s, state = 'sent'
        where id = %(id)s and state = 'queued'
        """,
        {"id": configuration_id, "at": at},
    )


def send_configurations_again(connection: Connection[Any]) -> int:
    """Queue what no gateway has answered yet: a broker that was started anew may have lost it. How many."""
    return connection.execute(
        "update gateway_configurations set state = 'queued', state_at = now() where state = 'sent'"
    ).rowcount


def keep_reply(connection: Connection[Any], utility: str, gateway: str, reply: GatewayReply) -> bool:
    """Keep what a gateway answered, once, and let the state of what was asked follow.

    False where nobody has asked that of this gateway.
    """
    command_id, configuration_id = _asked(connection, utility, gateway, reply.to)
    if command_id is None and configuration_id is None:
        return False
    connection.execute(
        """
        insert into gateway_replies
            (utility_id, gateway_id, command_id, configuration_id, at, state, detail, result)
        select asked.utility_id, asked.gateway_id, %(command)s, %(configuration)s, %(at)s, %(state)s,
               %(detail)s, %(result)s
        from (
            select utility_id, gateway_id from gateway_commands where id = %(command)s
            union all
            select utility_id, gateway_id from gateway_configurations where id = %(configuration)s
        ) asked
        on conflict do nothing
        """,
        {
            "command": command_id,
            "configuration": configuration_id,
            "at": reply.at,
            "state": reply.state,
            "detail": reply.detail,
            "result": Jsonb(reply.result),
        },
    )
    if command_id is not None:
        _follow_command(connection, command_id, reply)
    else:
        _follow_configuration(connection, configuration_id, reply)
    return True


def _asked(connection: Connection[Any], utility: str, gateway: str, to: str) -> tuple[int | None, int | None]:
    """The command, or else the configuration, that a reply of this gateway is to."""
    if (wire_id := _uuid(to)) is not None:
        return one_value(connection, _COMMAND, (wire_id, utility, gateway)), None
    if to.isascii() and to.isdecimal() and len(to) < 10:
        return None, one_value(connection, _CONFIGURATION, (int(to), utility, gateway))
    return None, None


_COMMAND = """
    select c.id from gateway_commands c join gateways g on g.id = c.gateway_id
    join utilities u on u.id = g.utility_id
    where c.wire_id = %s and u.code = %s and g.code = %s
"""
_CONFIGURATION = """
    select c.id from gateway_configurations c join gateways g on g.id = c.gateway_id
    join utilities u on u.id = g.utility_id
    where c.version = %s and u.code = %s and g.code = %s
"""


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


def _follow_command(connection: Connection[Any], command_id: int, reply: GatewayReply) -> None:
    """The first end that is told holds; what comes of an earlier time afterwards changes nothing."""
    connection.execute(
        """
        update gateway_commands set state = %s, state_at = now()
        where id = %s and state not in ('done', 'failed') and state <> %s
        """,
        (reply.state, command_id, reply.state),
    )


def _follow_configuration(
    connection: Connection[Any], configuration_id: int | None, reply: GatewayReply
) -> None:
    """The gateway's latest word holds: it may take back what it kept, when it is started anew and fails."""
    connection.execute(
        """
        update gateway_configurations c set reported_at = %(at)s, state_at = now(), state =
            case %(state)s
                when 'running' then 'tried'
                when 'done' then 'kept'
                else case when exists (
                    select from gateway_replies r
                    where r.configuration_id = c.id and r.state = 'running' and r.at <= %(at)s
                ) then 'rolled back' else 'refused' end
            end
        where id = %(id)s and (reported_at is null or reported_at <= %(at)s)
        """,
        {"id": configuration_id, "at": reply.at, "state": reply.state},
    )
