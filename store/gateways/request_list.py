"""Lists of requests to a gateway: by whom, and what it answered."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection

from store.postgres.rows import all_rows, one_row


@dataclass(frozen=True, slots=True)
class CommandRow:
    """A command with its last reply: `detail`, `result` and `answered_at` are None before the first.

    `state` is the text of a store.gateway_requests.CommandState.
    """

    id: int
    command: str
    line: str
    meter: str
    level: str
    since: datetime | None
    author: str
    reason: str
    created_at: datetime
    expires_at: datetime
    state: str
    state_at: datetime
    sent_at: datetime | None
    answered_at: datetime | None
    detail: str | None
    result: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class ConfigurationRow:
    """A configuration with what its gateway said of it last, `detail`; None before that.

    `state` is the text of a store.gateway_requests.ConfigurationState; empty `toml`: the installer's file.
    """

    version: int
    toml: str
    restores: int | None
    author: str
    reason: str
    created_at: datetime
    state: str
    state_at: datetime
    detail: str | None


@dataclass(frozen=True, slots=True)
class PresentConfiguration:
    """Configuration that runs, by the gateway's health: `version` is empty for the installer's file.

    `toml` is None where nobody has asked the gateway for the text yet; `told_at`: when it gave it.
    """

    version: str
    toml: str | None
    told_at: datetime | None


_COMMANDS = """
    select c.id, c.command, c.line, c.meter, c.level, c.since, c.author, c.reason, c.created_at, c.expires_at,
           c.state, c.state_at, c.sent_at, r.received_at as answered_at, r.detail, r.result
    from gateway_commands c
    left join lateral (
        select received_at, detail, result from gateway_replies where command_id = c.id
        order by (state <> 'running') desc, id desc limit 1
    ) r on true
"""
_CONFIGURATIONS = """
    select c.version, c.toml, c.restores, c.author, c.reason, c.created_at, c.state, c.state_at, r.detail
    from gateway_configurations c
    left join lateral (
        select detail from gateway_replies where configuration_id = c.id order by at desc, id desc limit 1
    ) r on true
"""


def commands(
    connection: Connection[Any], gateway_id: int, *, before: int | None = None, limit: int
) -> list[CommandRow]:
    """The commands to a gateway, the newest first; those with a smaller id than `before`."""
    page = """
        where c.gateway_id = %(gateway)s and (%(before)s::bigint is null or c.id < %(before)s)
        order by c.id desc limit %(limit)s
        """
    return all_rows(
        connection, CommandRow, _COMMANDS + page, {"gateway": gateway_id, "before": before, "limit": limit}
    )


def command(connection: Connection[Any], gateway_id: int, command_id: int) -> CommandRow | None:
    """One of a gateway's commands."""
    one = _COMMANDS + "where c.gateway_id = %s and c.id = %s"
    return one_row(connection, CommandRow, one, (gateway_id, command_id))


def configurations(
    connection: Connection[Any], gateway_id: int, *, before: int | None = None, limit: int
) -> list[ConfigurationRow]:
    """The configurations that a gateway was to run, the newest first; earlier than version `before`."""
    page = """
        where c.gateway_id = %(gateway)s and (%(before)s::int is null or c.version < %(before)s)
        order by c.version desc limit %(limit)s
        """
    return all_rows(
        connection,
        ConfigurationRow,
        _CONFIGURATIONS + page,
        {"gateway": gateway_id, "before": before, "limit": limit},
    )


def configuration(connection: Connection[Any], gateway_id: int, version: int) -> ConfigurationRow | None:
    """One of a gateway's configurations."""
    query = _CONFIGURATIONS + "where c.gateway_id = %s and c.version = %s"
    return one_row(connection, ConfigurationRow, query, (gateway_id, version))


def present(connection: Connection[Any], gateway_id: int) -> PresentConfiguration:
    """The configuration of a gateway: the text that we sent, else the one that it showed when asked."""
    query = """
        select running.version, coalesce(ours.toml, shown.toml) as toml,
               case when ours.toml is null then shown.at end as told_at
        from (
            select id, coalesce(health ->> 'config_version', '') as version from gateways where id = %s
        ) running
        left join lateral (
            select nullif(c.toml, '') as toml from gateway_configurations c
            where c.gateway_id = running.id and c.version::text = running.version
        ) ours on true
        left join lateral (
            select r.result ->> 'toml' as toml, r.received_at as at
            from gateway_replies r join gateway_commands c on c.id = r.command_id
            where c.gateway_id = running.id and c.command = 'show-config' and r.state = 'done'
              and r.result ->> 'version' = running.version
            order by r.id desc limit 1
        ) shown on true
        """
    row = one_row(connection, PresentConfiguration, query, (gateway_id,))
    assert row is not None
    return row
