"""Connections to the database, the same for plain PostgreSQL and TimescaleDB.

Every session runs in UTC, names itself, and gives up in bounded time: a dead network is noticed within a
minute, a lock is waited for at most a minute, and a transaction that its owner forgot is ended.
"""

import os
import select
import socket
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import PGconn, Ping
from psycopg_pool import ConnectionPool, PoolTimeout

from store.postgres.errors import StoreError
from store.postgres.roles import Role, assume

__all__ = ["StoreError", "UnreachableError", "UnsupportedServerError", "connect", "pool", "shown"]

MINIMUM_VERSION = 150_000  # PostgreSQL 15, as `server_version` counts
_CONNECT_SECONDS = 10
_PASSWORDS = {"password", "sslpassword"}
_POOL_SECONDS = 3  # there is one for each worker: who waits for longer waits for a server that hangs


class UnreachableError(StoreError):
    """No session with the database could be had."""

    advice = (
        "check that the database runs and that DATABASE_URL names its host, port, user and database, "
        "such as postgresql://hesper@127.0.0.1:5432/hesper"
    )


class UnsupportedServerError(StoreError):
    """The server is older than the schema needs."""

    advice = "use PostgreSQL 15 or newer, or leave DATABASE_URL unset for the embedded one"


def lives(url: str) -> bool:
    """Whether a server is there, known within two seconds: also one that is full, or starts, says so."""
    told = PGconn.ping(make_conninfo(url, connect_timeout=2).encode())
    return told in (Ping.OK, Ping.REJECT)


def answers(url: str) -> bool:
    """Whether the server takes sessions: known within two seconds, also where it hangs."""
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def connect(
    url: str,
    *,
    application: str = "hesper",
    statement_timeout: timedelta | None = None,
    role: Role | None = None,
) -> psycopg.Connection:
    """A session in UTC, not in autocommit: `with connection.transaction()` or `commit()` ends work.

    `application` is shown in pg_stat_activity. With `role` it acts as that one (store/postgres/roles.py),
    else as its login. Raises UnreachableError, UnsupportedServerError and RoleError."""
    try:
        connection = psycopg.connect(_conninfo(url, application, statement_timeout))
    except psycopg.Error as error:
        raise UnreachableError(f"cannot reach the database: {_one_line(error)}") from error
    try:
        _check_version(connection)
        if role is not None:
            assume(connection, role)
    except (StoreError, psycopg.Error):
        connection.close()
        raise
    return connection


def pool(
    url: str,
    size: int,
    *,
    role: Role,
    application: str = "hesper",
    statement_timeout: timedelta | None = None,
) -> ConnectionPool[psycopg.Connection]:
    """An open pool of at most `size` sessions that act as `role`, each checked when it is handed out.

    The caller closes it. Raises what `connect` raises when no session can be had at the start.
    """
    sessions = ConnectionPool(
        _conninfo(url, application, statement_timeout),
        min_size=1,
        max_size=size,
        timeout=_POOL_SECONDS,
        check=_check,
        configure=partial(assume, role=role),
        name=application,
        open=False,
    )
    connect(url, application=application, role=role).close()  # says at once, and clearly, what is wrong
    sessions.open()
    try:
        sessions.wait(timeout=_CONNECT_SECONDS)
    except PoolTimeout as error:
        sessions.close()
        raise UnreachableError(f"cannot reach the database: {_one_line(error)}") from error
    return sessions


def _check(connection: psycopg.Connection) -> None:
    """Refuse a session that the server has ended, without asking the server: it might not answer."""
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    if waiting.poll(0):
        connection.close()
        raise psycopg.OperationalError("the server ended the session")


def cut(connection: psycopg.Connection[Any]) -> None:
    """Shut the socket of a session whose server hangs: whoever waits for it gets an OperationalError."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)


def allow_statements(connection: psycopg.Connection[Any], length: timedelta) -> None:
    """Let statements take so long to the end of this transaction, whatever the session's limit is."""
    milliseconds = str(length // timedelta(milliseconds=1))
    connection.execute("select set_config('statement_timeout', %s, true)", (milliseconds,))


def _conninfo(url: str, application: str, statement_timeout: timedelta | None) -> str:
    """`url` with our defaults; what the URL itself says wins."""
    given = _parts(url)
    session = {
        "timezone": "UTC",
        "lock_timeout": "60s",
        "idle_in_transaction_session_timeout": "10min",
    }
    if statement_timeout is not None:
        session["statement_timeout"] = str(statement_timeout // timedelta(milliseconds=1))
    options = " ".join(f"-c {name}={value}" for name, value in session.items())
    defaults: dict[str, Any] = {
        "application_name": application,
        "connect_timeout": _CONNECT_SECONDS,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
    }
    extra = str(given.get("options") or "")
    return make_conninfo("", **{**defaults, **given, "options": f"{options} {extra}".strip()})


def shown(url: str) -> str:
    """The address of a database for people and logs: without its passwords, and it can still be used."""
    try:
        parts = _parts(url)
    except UnreachableError:
        return "(no database URL)"
    if not parts.keys() & _PASSWORDS:
        return url
    user, name = (quote(parts.pop(key, ""), safe="") for key in ("user", "dbname"))
    rest = urlencode({key: value for key, value in parts.items() if key not in _PASSWORDS}, safe="/:,")
    return f"postgresql://{user}@/{name}?{rest}"


def _parts(url: str) -> dict[str, Any]:
    """Parts of an address. Raises UnreachableError, which repeats none of it: it may hold a password."""
    try:
        parts: dict[str, Any] = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise UnreachableError("this is no database URL") from None
    if "@" in str(parts.get("host", "")):  # the rest of a password: it would be told as an unknown host
        raise UnreachableError("this is no database URL: write %40 for each @ of its password")
    return parts


def _check_version(connection: psycopg.Connection) -> None:
    version = connection.info.server_version
    if version < MINIMUM_VERSION:
        raise UnsupportedServerError(f"the server is PostgreSQL {version // 10_000}")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
