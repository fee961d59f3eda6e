"""Status of each gateway: connected or not, and what its health messages said."""

from datetime import datetime

from psycopg import Connection

from store.postgres.rows import one_value


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
            returning gateways.id, gateways.utility_id
        ), noted as (
            insert into gateway_states (gateway_id, utility_id, state)
            select id, utility_id, %(state)s from changed
        )
        select exists (select from known)
    """
    values = {"utility": utility, "gateway": gateway, "state": state, "at": at}
    return bool(one_value(connection, statement, values))


def set_health(connection: Connection, utility: str, gateway: str, health: str, at: datetime) -> bool:
    """Add the health message `health` (JSON text) of instant `at` to the history, once.

    It is the last one, too, unless a later one is. An instant beyond the present counts as the present:
    after a clock that was wrong come later messages.

    False for a gateway that is not registered.
    """
    statement = """
        with known as (
            select g.id, g.utility_id, %(health)s::jsonb as said
            from gateways g join utilities u on u.id = g.utility_id
            where u.code = %(utility)s and g.code = %(gateway)s
        ), kept as (
            insert into gateway_health
                (gateway_id, at, utility_id, clock_ahead, clock_synchronised, buffered_readouts,
                 oldest_unacknowledged, buffer_full, disk_free_bytes, disk_total_bytes, memory_bytes,
                 memory_total_bytes, cpu_celsius, version, config_version, lines)
            select k.id, least(%(at)s, now()), k.utility_id, extract(epoch from %(at)s - now()),
                   s.clock_synchronised, s.buffered_readouts,
                   to_timestamp(s.oldest_unacknowledged / 1000.0), s.buffer_full, s.disk_free_bytes,
                   s.disk_total_bytes, s.memory_bytes, s.memory_total_bytes, s.cpu_celsius, s.version,
                   s.config_version, s.lines
            from known k cross join jsonb_to_record(k.said) as s (
                clock_synchronised boolean, buffered_readouts bigint, oldest_unacknowledged bigint,
                buffer_full boolean, disk_free_bytes bigint, disk_total_bytes bigint, memory_bytes bigint,
                memory_total_bytes bigint, cpu_celsius real, version text, config_version text, lines jsonb)
            on conflict (gateway_id, at) do nothing
        ), changed as (
            update gateways set health = known.said, health_at = least(%(at)s, now())
            from known where gateways.id = known.id
              and (gateways.health_at is null or gateways.health_at <= %(at)s)
        )
        select exists (select from known)
    """
    values = {"utility": utility, "gateway": gateway, "health": health, "at": at}
    return bool(one_value(connection, statement, values))
