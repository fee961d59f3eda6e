"""When something of each gateway was stored last: what tells a database from its backup.

Gateways are told when their batches were stored, and repeat it with the next ones. One that was told of a
later time than the database knows has sent what is gone: it is asked to send it again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection

from store.postgres.rows import one_row

AUTHOR = "hesper"
_REASON = "the database was put back from a backup"
_WRITTEN_EVERY = timedelta(seconds=10)
_MARGIN = timedelta(minutes=1)  # more than that, and than a transaction takes
_PATIENCE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class StoredMark:
    """Instant of a transaction, and the ids of gateways that were asked to send again what it cannot see."""

    stored_at: datetime
    asked: list[int]


def note_stored(connection: Connection[Any], told: Mapping[int, datetime]) -> StoredMark:
    """Note that something of these gateways is being stored; `told` is what each was told last.

    Gateways that know of a later time than the database are asked to send again what came since that.
    """
    query = """
        with told as (
            select * from unnest(%(gateways)s::int[], %(told)s::timestamptz[]) as t (gateway_id, told)
        ), known as (
            select gateway_id, g.utility_id, told, s.stored_at
            from told join gateways g on g.id = gateway_id left join gateway_stored s using (gateway_id)
            where s.stored_at is null or s.stored_at < now() - %(every)s or told > s.stored_at + %(margin)s
            order by gateway_id
        ), noted as (
            insert into gateway_stored as s (gateway_id, utility_id, stored_at)
            select gateway_id, utility_id, now() from known order by gateway_id
            on conflict (gateway_id) do update set stored_at = greatest(s.stored_at, now())
        ), asked as (
            insert into gateway_commands
                (utility_id, gateway_id, command, since, author, reason, created_at, expires_at)
            select utility_id, gateway_id, 'send-again',
                   coalesce(stored_at - %(margin)s, to_timestamp(0)), %(author)s, %(reason)s, now(),
                   now() + %(patience)s
            from known k
            where told > coalesce(stored_at + %(margin)s, to_timestamp(0))
              and told < now() + %(margin)s  -- else it is no time that this server ever told
              and not exists (
                select from gateway_commands c where c.gateway_id = k.gateway_id
                and c.command = 'send-again' and c.state in ('queued', 'sent', 'running'))
            returning gateway_id
        )
        select now() as stored_at, array(select gateway_id from asked) as asked
        """
    values = {
        "gateways": list(told),
        "told": list(told.values()),
        "every": _WRITTEN_EVERY,
        "margin": _MARGIN,
        "author": AUTHOR,
        "reason": _REASON,
        "patience": _PATIENCE,
    }
    mark = one_row(connection, StoredMark, query, values)
    assert mark is not None, "a query without from has one row"
    return mark


def ask_all(connection: Connection[Any], since: datetime, gateway: str | None = None) -> list[str]:
    """Ask gateways, or those of this code, to send again what they have since then; their codes."""
    query = """
        with asked as (
            insert into gateway_commands
                (utility_id, gateway_id, command, since, author, reason, created_at, expires_at)
            select utility_id, id, 'send-again', %(since)s, %(author)s, 'asked by a command', now(),
                   now() + %(patience)s
            from gateways where kind = 'field' and (%(gateway)s::text is null or code = %(gateway)s)
            returning gateway_id
        )
        select code from gateways where id in (select gateway_id from asked) order by code
        """
    values = {"since": since, "author": AUTHOR, "patience": _PATIENCE, "gateway": gateway}
    return [code for (code,) in connection.execute(query, values)]
