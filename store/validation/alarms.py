"""Alarm routes: who is told of a utility's findings, by which way, and what was told already."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from store.keyring import Keyring
from telemetry.findings import SEVERITIES

_AT_ONCE = 500  # findings in one message


@dataclass(frozen=True, slots=True)
class AlarmRoute:
    """`target`: an address or a URL. `quiet`: local times between which only alarms are told. `digest_at`:
    the local time of the one message of a day. `told_at`: the last message, or the route's beginning.
    `allow_private`: a webhook may be an address of the operator's own network."""

    id: int
    utility_id: int
    utility: str
    zone: str
    name: str
    way: str
    target: str
    secret: str | None = field(repr=False)
    severity: str
    quiet_from: time | None
    quiet_to: time | None
    digest_at: time | None
    told_at: datetime
    failures: int
    allow_private: bool = False


@dataclass(frozen=True, slots=True)
class ToldFinding:
    """Finding as a message carries it: of a meter's register, or of a gateway and perhaps its line."""

    id: int
    meter: str
    register: str
    gateway: str
    line: str
    kind: str
    severity: str
    started_at: datetime
    ended_at: datetime | None
    evidence: dict[str, Any]


def set_route(
    connection: Connection,
    utility_id: int,
    name: str,
    *,
    way: str,
    target: str,
    secret: str | None,
    severity: str,
    quiet: tuple[time, time] | None,
    digest_at: time | None,
    allow_private: bool = False,
) -> None:
    """Add a route, or let the one of that name be so from now on."""
    connection.execute(
        """
        insert into alarm_routes
            (utility_id, name, way, target, secret, severity, quiet_from, quiet_to, digest_at, allow_private)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        on conflict (utility_id, name) do update
        set way = excluded.way, target = excluded.target, secret = excluded.secret,
            severity = excluded.severity, quiet_from = excluded.quiet_from, quiet_to = excluded.quiet_to,
            digest_at = excluded.digest_at, allow_private = excluded.allow_private, active = true,
            since = case when alarm_routes.active then alarm_routes.since else now() end,
            failures = 0, failure = '', retry_at = null
        """,
        (utility_id, name, way, target, secret, severity, *(quiet or (None, None)), digest_at, allow_private),
    )


def reseal(connection: Connection, keyring: Keyring) -> int:
    """Encrypt with the newest key what an older one, or none, does; how many secrets."""
    rows = connection.execute(
        "select id, secret from alarm_routes where secret is not null order by id for update"
    ).fetchall()
    fresh = {number: sealed for number, secret in rows if (sealed := keyring.resealed(secret))}
    for number, sealed in fresh.items():
        connection.execute("update alarm_routes set secret = %s where id = %s", (sealed, number))
    return len(fresh)


def end_route(connection: Connection, utility_id: int, name: str) -> bool:
    """Tell nobody by this route any more; False where there is none."""
    done = connection.execute(
        "update alarm_routes set active = false where utility_id = %s and name = %s and active",
        (utility_id, name),
    )
    return done.rowcount > 0


def routes(connection: Connection, utility_id: int) -> list[tuple[Any, ...]]:
    """(name, way, target, severity, quiet hours, digest, last told, failure) of the routes, by name."""
    return connection.execute(
        """
        select name, way, target, severity, quiet_from || '-' || quiet_to, digest_at, told_at, failure
        from alarm_routes where utility_id = %s and active order by name
        """,
        (utility_id,),
    ).fetchall()


def waiting_routes(connection: Connection, now: datetime) -> list[int]:
    """Routes that have something to tell and are not resting after a failure."""
    rows = connection.execute(
        """
        select r.id from alarm_routes r
        where r.active and coalesce(r.retry_at <= %s, true) and exists (
            select from findings f where f.utility_id = r.utility_id and f.state = 'open'
              and f.detected_at >= r.since
              and array_position(%s, f.severity) >= array_position(%s, r.severity)
              and not exists (select from alarms_told t where t.route_id = r.id and t.finding_id = f.id))
        order by 1
        """,
        (now, list(SEVERITIES), list(SEVERITIES)),
    )
    return [identity for (identity,) in rows]


def take_route(connection: Connection, identity: int) -> AlarmRoute | None:
    """The route, locked until the transaction ends; None where another process has it."""
    with connection.cursor(row_factory=class_row(AlarmRoute)) as cursor:
        return cursor.execute(
            """
            select r.id, r.utility_id, u.code as utility, u.time_zone as zone, r.name, r.way, r.target,
                   r.secret, r.severity, r.quiet_from, r.quiet_to, r.digest_at,
                   coalesce(r.told_at, r.since) as told_at, r.failures,
                   r.allow_private
            from alarm_routes r join utilities u on u.id = r.utility_id
            where r.id = %s and r.active for update of r skip locked
            """,
            (identity,),
        ).fetchone()


def untold(connection: Connection, route: AlarmRoute, severity: str) -> list[ToldFinding]:
    """Open findings of at least this severity that the route has not told, the first one first.

    Not more than one message should hold.
    """
    with connection.cursor(row_factory=class_row(ToldFinding)) as cursor:
        return cursor.execute(
            """
            select f.id, coalesce(m.code, '') as meter, coalesce(g.obis, '') as register,
                   coalesce(w.code, '') as gateway, f.line, f.kind, f.severity, f.started_at, f.ended_at,
                   f.evidence
            from findings f
            left join registers g on g.id = f.register_id left join meters m on m.id = g.meter_id
            left join gateways w on w.id = f.gateway_id
            join alarm_routes r on r.id = %s and r.utility_id = f.utility_id
            where f.state = 'open' and f.detected_at >= r.since
              and array_position(%s, f.severity) >= array_position(%s, %s)
              and not exists (select from alarms_told t where t.route_id = r.id and t.finding_id = f.id)
            order by f.id limit %s
            """,
            (route.id, list(SEVERITIES), list(SEVERITIES), severity, _AT_ONCE),
        ).fetchall()


def note_told(
    connection: Connection, route: AlarmRoute, findings: Sequence[ToldFinding], now: datetime
) -> None:
    """The message was taken."""
    connection.execute(
        """
        insert into alarms_told (route_id, finding_id, utility_id, told_at)
        select %s, id, %s, %s from unnest(%s::bigint[]) id
        """,
        (route.id, route.utility_id, now, [finding.id for finding in findings]),
    )
    connection.execute(
        """
        update alarm_routes set told_at = %s, failures = 0, failure = '', retry_at = null where id = %s
        """,
        (now, route.id),
    )


def note_failure(connection: Connection, route: AlarmRoute, reason: str, retry_at: datetime) -> None:
    """It was not: it is tried again after `retry_at`."""
    connection.execute(
        "update alarm_routes set failures = failures + 1, failure = %s, retry_at = %s where id = %s",
        (reason, retry_at, route.id),
    )
