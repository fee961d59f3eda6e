"""Tenancy is in the database: a session of one utility neither reads nor writes another's rows.

What is tried comes from the catalogue, so that a new table without a policy, or without a row here, fails.
"""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import GeneratedAlways, InsufficientPrivilege

from store.access.api_keys import find, issue, verify
from store.postgres.database import connect
from store.postgres.roles import Role, RoleError, assume, enter_person, enter_utility, set_password

_OPEN = {"schema_migrations", "sign_in_attempts"}  # say nothing of any utility
_DRAFTS = {
    "close_drafts",
    "draft_blocks",
    "draft_readings",
    "draft_exceptions",
    "draft_points",
}  # go when they are issued
_PERSONAL = {"users"}  # a row is seen by the session of that person alone, of whatever utility

_ROWS = """
    with u as (
        insert into utilities (code, name, time_zone) values (%(code)s, %(code)s, 'UTC') returning id
    ), s as (
        insert into sites (utility_id, code, name) select id, 's', 's' from u returning *
    ), g as (
        insert into gateways (utility_id, code) select id, 'g' from u returning *
    ), told as (
        insert into gateway_health (gateway_id, at, utility_id, clock_ahead, clock_synchronised,
                                    buffered_readouts, buffer_full, version, config_version, lines)
        select id, now(), utility_id, 0, true, 0, false, '', '', '[]' from g
    ), gs as (
        insert into gateway_states (utility_id, gateway_id, state) select utility_id, id, 'online' from g
    ), gc as (
        insert into gateway_commands (utility_id, gateway_id, command, author, reason, expires_at)
        select utility_id, id, 'scan', 'anna', '', now() + interval '1 hour' from g returning *
    ), gv as (
        insert into gateway_configurations (utility_id, gateway_id, version, toml, author, reason)
        select utility_id, id, 1, '', 'anna', '' from g
    ), gr as (
        insert into gateway_replies (utility_id, gateway_id, command_id, at, state, detail, result)
        select utility_id, gateway_id, id, now(), 'done', '', '{}' from gc
    ), l as (
        insert into lines (utility_id, gateway_id, code) select utility_id, id, 'l' from g
    ), m as (
        insert into meters (utility_id, code, medium) select id, 'KAM-1', 8 from u returning *
    ), v as (
        insert into verifications (utility_id, meter_id, verified_on, valid_until)
        select utility_id, id, '2026-01-01', '2030-01-01' from m
    ), r as (
        insert into registers (utility_id, meter_id, obis, unit, kind)
        select utility_id, id, '8-0:1.0.0', 'm3', 'counter' from m returning *
    ), p as (
        insert into service_points (utility_id, code, medium) select id, 'p', 8 from u returning *
    ), i as (
        insert into installations (service_point_id, meter_id, valid_from) select p.id, m.id, now() from p, m
    ), x as (
        insert into readings (register_id, measured_at, value) select id, now(), 1 from r
    ), t as (
        insert into telegrams (meter_id, measured_at, gateway_id, epoch, batch, raw)
        select m.id, now(), g.id, 'e', 1, '' from m, g
    ), mp as (
        insert into missed_polls (meter_id, due_at, reason, gateway_id, utility_id)
        select m.id, now(), 'no answer', g.id, g.utility_id from m, g
    ), ar as (
        insert into arrivals (register_id, utility_id, day, slots, in_time)
        select id, utility_id, '2026-11-01', B'1', 1 from r
    ), fu as (
        insert into fuses (utility_id, service_point_id, since, amperes, phases)
        select utility_id, id, '2026-01-01', 63000000, 3 from p
    ), co as (
        insert into contracts (utility_id, service_point_id, valid_from) select utility_id, id, now() from p
    ), gho as (
        insert into gateway_hours (gateway_id, hour, utility_id, clock_ahead)
        select id, now(), utility_id, 0 from g
    ), lh as (
        insert into line_hours
            (gateway_id, line, hour, utility_id, told_at, exchanges, retries, crc_errors)
        select id, 'l', now(), utility_id, now(), 1, 0, 0 from g
    ), mc as (
        insert into meter_clocks (meter_id, day, utility_id, ahead)
        select id, '2026-11-01', utility_id, 3 from m
    ), bd as (
        insert into balance_days (site_id, medium, day, utility_id, obis, unit, points, used, measured)
        select id, 8, '2026-11-01', utility_id, '8-0:1.0.0', 'm3', '{}', '{}', '{}' from s
    ), k as (
        insert into marks (register_id, measured_at, rule, quality, usable, evidence)
        select id, now(), 'glitch', 10, false, '{}' from r
    ), f as (
        insert into findings (utility_id, register_id, kind, severity, started_at, evidence)
        select utility_id, id, 'stuck', 'info', now(), '{}' from r returning *
    ), fc as (
        insert into finding_changes (utility_id, finding_id, note, author)
        select utility_id, id, 'n', 'anna' from f
    ), rq as (
        insert into tasks (utility_id, kind, subject, author)
        select id, 'draft', '{"period": "2026-10"}', 'anna' from u
    ), rp as (
        insert into rule_parameters (utility_id, name, value, valid_from, author, reason)
        select id, 'leak.days', '5', '2026-01-01', 'anna', 'r' from u
    ), ed as (
        insert into edits (utility_id, register_id, measured_at, action, needs_approval, author, reason)
        select utility_id, id, now(), 'exclude', true, 'anna', 'r' from r returning *
    ), ea as (
        insert into edit_approvals (edit_id, utility_id, author) select id, utility_id, 'ben' from ed
    ), q as (
        insert into quarantine (utility_id, topic, reason, detail, payload, payload_hash)
        select id, %(code)s, 'malformed', '', '', '' from u
    ), c as (
        insert into closes (utility_id, period, starts_at, ends_at, run, author, summary)
        select id, '2026-10', now() - interval '1 day', now(), 1, 'anna', '{}' from u returning *
    ), b as (
        insert into billing_readings
            (utility_id, close_id, service_point_id, obis, period, version, starts_at, ends_at, start_offset,
             end_offset, start_value, end_value, consumption, unit, quality, start_method, end_method,
             evidence, content_hash)
        select c.utility_id, c.id, p.id, '8-0:1.0.0', c.period, 1, c.starts_at, c.ends_at, '0', '0', 1, 2, 1,
               'm3', 0, 'reading', 'reading', '{}', '' from c, p returning *
    ), e as (
        insert into billing_exceptions (utility_id, close_id, period, service_point_id, obis, reason, detail,
                                        evidence)
        select c.utility_id, c.id, c.period, p.id, '8-0:2.0.0', 'no_reading', '', '{}' from c, p
    ), a as (
        insert into api_keys (utility_id, name, secret_hash) select id, 'k', %(code)s::bytea from u
        returning *
    ), w as (
        insert into billing_acknowledgements (utility_id, api_key_id, period, cursor, readings, totals)
        select utility_id, id, '2026-10', 1, 1, '{}' from a
    ), d as (
        insert into destinations (utility_id, url, secret, author)
        select id, 'https://' || %(code)s, %(code)s, 'anna' from u returning *
    ), o as (
        insert into outbox
            (utility_id, destination_id, close_id, period, first_reading, last_reading, readings)
        select d.utility_id, d.id, b.close_id, b.period, b.id, b.id, 1 from d, b returning *
    ), y as (
        insert into delivery_acknowledgements (utility_id, outbox_id, api_key_id, readings, totals, accepted)
        select o.utility_id, o.id, a.id, 1, '{}', true from o, a
    ), br as (
        insert into billing_rules (utility_id, valid_from, name, version, content, author)
        select id, '2026-01-01', 'r', '1', '', 'anna' from u
    ), ce as (
        insert into close_events (utility_id, period, run, state, author)
        select id, '2026-10', 1, 'approved', 'ben' from u
    ), cd as (
        insert into close_drafts (utility_id, period, starts_at, ends_at, start_offset, end_offset, base_run,
                                  author)
        select utility_id, '2026-11', starts_at, ends_at, '0', '0', 0, 'anna' from c returning *
    ), db as (
        insert into draft_blocks (utility_id, draft_id, block, first_point, last_point)
        select utility_id, id, 0, 0, 1 from cd
    ), dr as (
        insert into draft_readings (utility_id, draft_id, service_point_id, obis, version, start_value,
                                    end_value, consumption, unit, quality, start_method, end_method,
                                    evidence, content_hash)
        select cd.utility_id, cd.id, p.id, '8-0:1.0.0', 1, 1, 2, 1, 'm3', 0, 'reading', 'reading', '{}', ''
        from cd, p
    ), de as (
        insert into draft_exceptions (utility_id, draft_id, service_point_id, obis, reason, detail, evidence)
        select cd.utility_id, cd.id, p.id, '8-0:2.0.0', 'no_reading', '', '{}' from cd, p
    ), dp as (
        insert into draft_points (utility_id, draft_id, service_point_id)
        select cd.utility_id, cd.id, p.id from cd, p
    ), h as (
        insert into submissions (utility_id, service_point_id, register_id, read_at, value, role, author,
                                 api_key_id, verdict, detail, counts_in, idempotency_key, request_hash)
        select p.utility_id, p.id, r.id, now() - interval '1 hour', 1, 'resident', 'boris', a.id, 'accepted',
               '', '2026-10', 'one', '' from p, r, a
    ), ik as (
        insert into idempotency_keys (utility_id, owner, key, request_hash, status, headers, body)
        select utility_id, 'key ' || id, 'one', '', 201, '{}', '' from a
    ), us as (
        insert into users (login) values (%(code)s) returning *
    ), ur as (
        insert into user_roles (utility_id, user_id, role) select u.id, us.id, 'viewer' from u, us
    ), se as (
        insert into sessions (utility_id, user_id, token_hash, created_at, seen_at, expires_at)
        select u.id, us.id, %(code)s::bytea, now(), now(), now() from u, us
    )
    select id from u
"""


@pytest.fixture
def two(database: str) -> Iterator[tuple[psycopg.Connection, int, int]]:
    """A superuser's session, and two utilities with a row in every table."""
    with connect(database) as connection:
        ids = [connection.execute(_ROWS, {"code": code}).fetchone() for code in ("ours", "theirs")]
        assert ids[0]
        assert ids[1]
        connection.execute("set constraints all immediate")  # a commit would: the audit log has its rows
        yield connection, ids[0][0], ids[1][0]
        connection.rollback()


def _readable(
    connection: psycopg.Connection, kinds: str, *, besides: set[str] = _OPEN | _PERSONAL
) -> dict[str, bool]:
    """Tables (kinds 'rp') or views ('v') that hesper_api has a right to; whether row security is forced."""
    rows = connection.execute(
        """
        select relname, relforcerowsecurity from pg_class
        where relnamespace = 'public'::regnamespace and relkind::text = any(%s) and relname <> all(%s)
          and (has_table_privilege('hesper_api', oid, 'select, insert, update, delete, truncate')
               or has_any_column_privilege('hesper_api', oid, 'select, insert, update'))
        order by 1
        """,
        (list(kinds), list(besides)),
    )
    return dict(rows.fetchall())


def _as_api(connection: psycopg.Connection, utility: int) -> None:
    connection.execute("set local role hesper_api")
    enter_utility(connection, utility)


def _columns(connection: psycopg.Connection, table: str) -> list[str]:
    rows = connection.execute(
        """
        select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped
          and attgenerated = ''
          and has_column_privilege('hesper_api', attrelid, attnum, 'select') order by attnum
        """,
        (table,),
    )
    return [name for (name,) in rows]


def test_every_table_that_the_api_touches_has_forced_row_security(database: str) -> None:
    with connect(database) as connection:
        tables = _readable(connection, "rp", besides=_OPEN)
        assert len(tables) > 10
        assert [table for table, forced in tables.items() if not forced] == []


def test_every_table_with_a_utility_has_forced_row_security(database: str) -> None:
    with connect(database) as connection:
        rows = connection.execute(
            """
            select relname, relforcerowsecurity from pg_class c
            join pg_attribute a on a.attrelid = c.oid and a.attname = 'utility_id'
            where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
            """
        )
        forced = dict(rows.fetchall())
    assert forced["billing_readings"]
    assert [table for table, is_forced in forced.items() if not is_forced] == []


def test_a_session_reads_the_rows_of_its_utility_alone(two: tuple[psycopg.Connection, int, int]) -> None:
    connection, ours, theirs = two
    for table in _readable(connection, "rp") | _readable(connection, "v"):
        columns = sql.SQL(", ").join(map(sql.Identifier, _columns(connection, table)))
        rows = sql.SQL("select {} from {}").format(columns, sql.Identifier(table))
        seen = {}
        for utility in (ours, theirs):
            with connection.transaction(force_rollback=True):
                _as_api(connection, utility)
                seen[utility] = connection.execute(rows).fetchall()
        assert seen[ours], f"{table}: a row of each utility belongs into _ROWS"
        assert seen[theirs], table
        assert not set(map(str, seen[ours])) & set(map(str, seen[theirs])), table


def test_a_session_of_no_utility_sees_nothing(two: tuple[psycopg.Connection, int, int]) -> None:
    connection, *_ = two
    connection.execute("set local role hesper_api")
    for table in _readable(connection, "rp") | _readable(connection, "v"):
        found = connection.execute(
            sql.SQL("select count(*) from {}").format(sql.Identifier(table))
        ).fetchone()
        assert found == (0,), table


def test_a_session_writes_no_row_of_another_utility(two: tuple[psycopg.Connection, int, int]) -> None:
    connection, ours, theirs = two
    for table in _readable(connection, "rp"):
        name, columns = sql.Identifier(table), _columns(connection, table)
        listed = sql.SQL(", ").join(map(sql.Identifier, columns))
        with connection.transaction(force_rollback=True):
            _as_api(connection, theirs)
            own = connection.execute(sql.SQL("select from {}").format(name)).rowcount
            texts = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(one)) for one in columns)
            row = connection.execute(sql.SQL("select {} from {}").format(texts, name)).fetchone()
        assert row is not None
        values = sql.SQL(", ").join(map(sql.Literal, row))
        _refused(
            connection,
            ours,
            sql.SQL("insert into {} ({}) overriding system value values ({})").format(name, listed, values),
        )
        _refused(connection, ours, sql.SQL("truncate {} cascade").format(name))
        for column in columns:
            assignment = sql.SQL("update {} set {column} = {column}").format(
                name, column=sql.Identifier(column)
            )
            assert _touched(connection, ours, assignment) <= own, table
        removed = _touched(connection, ours, sql.SQL("delete from {}").format(name))
        assert removed <= (own if table in _DRAFTS else 0), table


def _refused(connection: psycopg.Connection, utility: int, statement: sql.Composable) -> None:
    with connection.transaction(force_rollback=True):
        _as_api(connection, utility)
        with pytest.raises(InsufficientPrivilege), connection.transaction():
            connection.execute(statement)


def _touched(connection: psycopg.Connection, utility: int, statement: sql.Composed) -> int:
    try:
        with connection.transaction(force_rollback=True):
            _as_api(connection, utility)
            return connection.execute(statement).rowcount
    except (InsufficientPrivilege, GeneratedAlways):
        return 0


def test_what_is_handed_in_becomes_a_reading_of_its_own_utility_alone(
    two: tuple[psycopg.Connection, int, int],
) -> None:
    connection, ours, theirs = two
    registers = {
        utility: connection.execute("select id from registers where utility_id = %s", (utility,)).fetchone()
        for utility in (ours, theirs)
    }
    insert = """
        insert into submissions (utility_id, service_point_id, register_id, read_at, value, role, author,
                                 api_key_id, verdict, detail, counts_in, idempotency_key, request_hash)
        select utility_id, service_point_id, {register}, read_at + interval '1 minute', 2, role, author,
               api_key_id, verdict, detail, counts_in, 'two', request_hash from submissions
    """
    own, foreign = (
        sql.SQL(insert).format(register=sql.Literal((registers[utility] or (0,))[0]))
        for utility in (ours, theirs)
    )
    _refused(connection, ours, foreign)
    _refused(
        connection,
        ours,
        sql.SQL("insert into readings (register_id, measured_at, value) values (1, now(), 1)"),
    )
    with connection.transaction(force_rollback=True):
        _as_api(connection, ours)
        connection.execute(own)
        row = connection.execute(
            "select count(*) from utility_readings where status = 256 and value = 2"
        ).fetchone()
        assert row == (1,)
    for change in ("update submissions set value = 3", "delete from submissions"):
        with pytest.raises(InsufficientPrivilege), connection.transaction():
            connection.execute(change.encode())


def test_an_account_is_seen_and_changed_by_its_person_alone(two: tuple[psycopg.Connection, int, int]) -> None:
    connection, ours, _ = two
    anna = connection.execute("select id from users where login = 'ours'").fetchone()
    assert anna
    for entered in (False, True):
        with connection.transaction(force_rollback=True):
            _as_api(connection, ours)
            if entered:
                enter_person(connection, anna[0])
            seen = connection.execute("select login from users").fetchall()
            assert seen == ([("ours",)] if entered else [])
            changed = connection.execute("update users set password_hash = 'x'").rowcount
            assert changed == len(seen)
            roles = connection.execute("select count(*) from user_roles").fetchone()
            assert roles == (1,)
            with pytest.raises(InsufficientPrivilege), connection.transaction():
                connection.execute("insert into user_roles values (%s, %s, 'approver')", (ours, anna[0]))


@pytest.mark.parametrize(
    "statement",
    ["update audit_log set actor = 'x'", "delete from audit_log", "truncate audit_log"],
)
@pytest.mark.parametrize("role", ["hesper_api", "hesper_admin", "hesper_ingest", None])
def test_the_audit_log_is_only_added_to(
    two: tuple[psycopg.Connection, int, int], role: str | None, statement: str
) -> None:
    connection, ours, _ = two
    if role is not None:  # None: the owner of the table, whom no right stops
        connection.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
    enter_utility(connection, ours)
    with pytest.raises(InsufficientPrivilege):
        connection.execute(statement.encode())


def test_readings_themselves_are_open_to_no_reader(two: tuple[psycopg.Connection, int, int]) -> None:
    connection, ours, _ = two
    _refused(connection, ours, sql.SQL("select * from readings"))


@pytest.mark.parametrize(
    "statement",
    [
        "update readings set value = 2",
        "delete from readings",
        "truncate readings",
        "update telegrams set raw = 'x'",
        "delete from telegrams",
        "delete from quarantine",
        "delete from registers",
        "delete from gateway_commands",
        "update gateway_commands set reason = 'x'",
        "update gateway_configurations set toml = 'x'",
        "update gateway_replies set detail = 'x'",
        "update registers set unit = 'L'",
        "select * from api_keys",
        "select * from billing_readings",
        "create table mine (n int)",
    ],
)
def test_the_ingester_alters_nothing_that_was_stored(
    two: tuple[psycopg.Connection, int, int], statement: str
) -> None:
    connection, *_ = two
    connection.execute("set local role hesper_ingest")
    with pytest.raises(InsufficientPrivilege):
        connection.execute(statement.encode())


@pytest.mark.parametrize("statement", ["update readings set value = 2", "delete from billing_readings"])
def test_the_administrator_neither(two: tuple[psycopg.Connection, int, int], statement: str) -> None:
    connection, *_ = two
    connection.execute("set local role hesper_admin")
    with pytest.raises(InsufficientPrivilege):
        connection.execute(statement.encode())


def test_no_role_is_a_superuser_or_passes_row_security(database: str) -> None:
    with connect(database) as connection:
        rows = connection.execute(
            """
            select rolname from pg_roles where rolname like 'hesper\\_%%'
              and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication)
            """
        )
        assert rows.fetchall() == []


def test_a_key_opens_its_own_utility_until_the_transaction_ends(database: str) -> None:
    with connect(database) as connection:
        for code in ("ours", "theirs"):
            connection.execute(_ROWS, {"code": code})
        key = issue(connection, "ours", "billing")
        connection.commit()
        assume(connection, Role.API)
        known = verify(connection, key)
        assert known is not None
        assert connection.execute("select code from utilities").fetchall() == [("ours",)]
        connection.commit()
        assert connection.execute("select code from utilities").fetchall() == []
        assert find(connection, known.id) == known
        assert verify(connection, key + "x") is None
        connection.execute("reset role")


def test_a_superuser_is_refused_outside_of_the_embedded_server(database: str) -> None:
    with connect(database) as connection:
        try:
            connection.execute("set hesper.embedded = 'off'")
            with pytest.raises(RoleError, match="is a superuser") as caught:
                assume(connection, Role.API)
            assert "hesper migrate --password hesper_api" in caught.value.advice
        finally:
            connection.rollback()
            connection.execute("set hesper.embedded = 'on'")
            connection.commit()


def test_a_new_password_is_stored_as_a_verifier(database: str) -> None:
    with connect(database) as connection:
        password = set_password(connection, Role.API)
        row = connection.execute("select rolpassword from pg_authid where rolname = 'hesper_api'").fetchone()
        connection.rollback()
    assert row is not None
    assert row[0].startswith("SCRAM-SHA-256$")
    assert password not in row[0]
