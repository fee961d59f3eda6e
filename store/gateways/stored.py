"""When something of each gateway was stored last: what tells a database from its backup.

Gateways are told when their batches were stored, and repeat it with the next ones. One that was told of a
later time than the database knows has sent what is gone: it is asked to send it again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection

from store.gateways.requests import CommandRequest, ask

AUTHOR = "hesper"
_REASON = "the database was put back from a backup"
_WRITTEN_EVERY = timedelta(seconds=10)
_MARGIN = timedelta(minutes=1)  # more than that, and than a transaction takes
_PATIENCE = timedelta(days=1)
_EVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class StoredMark:
    """Instant of a transaction, and the ids of gateways that were asked to send again what it cannot see."""

    stored_at: datetime
    asked: list[int]


def note_stored(connection: Connection[Any], told: Mapping[int, datetime]) -> StoredMark:
    """Note that something of these gateways is being stored; `told` is what each was told last.

    Gateways that know of a later time than the database are asked to send again what came since that.
    """
    rows = connection.execute(
        """
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
        ), ahead as (
            select gateway_id, stored_at - %(margin)s as since from known k
            where told > coalesce(stored_at + %(margin)s, %(ever)s)
              and told < now() + %(margin)s  -- else it is no time that this server ever told
              and not exists (
                select from gateway_commands c where c.gateway_id = k.gateway_id
                and c.command = 'send-again' and c.state in ('queued', 'sent', 'running'))
        )
        select now(), gateway_id, since from (select) as once left join ahead on true
        """,
        {
            "gateways": list(told),
            "told": list(told.values()),
            "every": _WRITTEN_EVERY,
            "margin": _MARGIN,
            "ever": _EVER,
        },
    ).fetchall()
    stored_at = rows[0][0]
    ahead = {gateway_id: since or _EVER for _, gateway_id, since in rows if gateway_id is not None}
    for gateway_id, since in ahead.items():
        ask(connection, gateway_id, _send_again(since, _REASON, stored_at))
    return StoredMark(stored_at, list(ahead))


def ask_all(connection: Connection[Any], since: datetime, gateway: str | None = None) -> list[str]:
    """Ask gateways, or those of this code, to send again what they have since then; their codes."""
    rows = connection.execute(
        """
        select id, code, now() from gateways
        where kind = 'field' and (%(gateway)s::text is null or code = %(gateway)s) order by id
        """,
        {"gateway": gateway},
    ).fetchall()
    for gateway_id, _, now in rows:
        ask(connection, gateway_id, _send_again(since, "asked by a command", now))
    return sorted(code for _, code, _ in rows)


def _send_again(since: datetime, reason: str, now: datetime) -> CommandRequest:
    return CommandRequest("send-again", AUTHOR, reason, now, now + _PATIENCE, since=since)
