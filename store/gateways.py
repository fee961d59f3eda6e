"""How each gateway is: connected or not, and the last health message that it sent."""

from datetime import datetime

from psycopg import Connection


def set_state(connection: Connection, utility: str, gateway: str, state: str, at: datetime) -> bool:
    """Note that a gateway is 'online' or 'offline' since `at`; False for a gateway that is not registered.

    What is delivered last holds, whatever its instant: a last will carries the instant of its connection.
    `at` never goes back, nor beyond the present, so that a gateway's wrong clock does not last. Nothing is
    written where nothing changes.
    """
    statement = """
        with known as (
            select g.id from gateways g join utilities u on u.id = g.utility_id
            where u.code = %(utility)s and g.code = %(gateway)s
        ), changed as (
            update gateways set state = %(state)s, state_at = greatest(state_at, least(%(at)s, now()))
            from known where gateways.id = known.id and gateways.state <> %(state)s
        )
        select exists (select from known)
    """
    row = connection.execute(
        statement, {"utility": utility, "gateway": gateway, "state": state, "at": at}
    ).fetchone()
    return bool(row and row[0])


def set_health(connection: Connection, utility: str, gateway: str, health: str, at: datetime) -> bool:
    """Keep the health message `health` (JSON text) of instant `at` unless a later one is kept already.

    An instant beyond the present counts as the present: after a clock that was wrong come later messages.

    False for a gateway that is not registered.
    """
    statement = """
        with known as (
            select g.id from gateways g join utilities u on u.id = g.utility_id
            where u.code = %(utility)s and g.code = %(gateway)s
        ), changed as (
            update gateways set health = %(health)s::jsonb, health_at = least(%(at)s, now())
            from known where gateways.id = known.id
              and (gateways.health_at is null or gateways.health_at <= %(at)s)
        )
        select exists (select from known)
    """
    row = connection.execute(
        statement, {"utility": utility, "gateway": gateway, "health": health, "at": at}
    ).fetchone()
    return bool(row and row[0])
