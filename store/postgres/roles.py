"""Roles of sessions in the database, and the rows that each sees.

Four roles, none a superuser, with the rights that `migrations/rights/` grants. A process takes the one that
it needs; its login is that role, or one that was granted it. A superuser passes all row security, so nothing
but `hesper migrate` works as one. The embedded server is the exception: it belongs to whoever started it, and
says so by the setting `hesper.embedded`; its superuser takes the role too.
"""

import secrets
from enum import StrEnum
from typing import Any

from psycopg import Connection, sql

from store.postgres.errors import StoreError

_PASSWORD_BYTES = 32


class Role(StrEnum):
    """Purpose of a session."""

    INGEST = "hesper_ingest"  # messages, validation: all utilities, and no right to alter a reading
    DELIVER = "hesper_deliver"  # billing readings out of the outbox: the one that reads signing secrets
    API = "hesper_api"  # one utility at a time: that of the key which `enter_utility` was called for
    ADMIN = "hesper_admin"  # the command line: registry, keys, month close


class RoleError(StoreError):
    """The login cannot be what the process needs, or must not."""


def assume(connection: Connection[Any], role: Role) -> None:
    """Lets the session act as `role` and nothing more. Raises RoleError. Ends the transaction."""
    row = connection.execute(
        """
        select session_user, me.rolsuper, coalesce(current_setting('hesper.embedded', true), '') = 'on',
               wanted.oid is not null, wanted.oid is not null and pg_has_role(me.oid, wanted.oid, 'member')
        from pg_roles me left join pg_roles wanted on wanted.rolname = %s
        where me.rolname = session_user
        """,
        (role.value,),
    ).fetchone()
    assert row is not None
    login, superuser, embedded, exists, member = row
    if superuser and not embedded:
        raise RoleError(
            f"{login} is a superuser, whom the database lets see and change everything",
            advice=f"let DATABASE_URL log in as {role}: `hesper migrate --password {role}` gives it one",
        )
    if not exists:
        raise RoleError(f"the database has no role {role}", advice="run `hesper migrate` first")
    if not member:
        raise RoleError(
            f"{login} may not act as {role}",
            advice=f"log in as {role}, or let an administrator run: grant {role} to {login}",
        )
    connection.execute(sql.SQL("set role {}").format(sql.Identifier(role.value)))
    if not connection.autocommit:
        connection.commit()  # or the end of a failed first transaction would give the role back


def enter_utility(connection: Connection[Any], utility_id: int) -> None:
    """From here to the end of the transaction the session sees and writes this utility's rows alone.

    Matters to `Role.API`; the others see every utility's.
    """
    connection.execute("select set_config('hesper.utility', %s, true)", (str(utility_id),))


def enter_person(connection: Connection[Any], user_id: int) -> None:
    """From here to the end of the transaction the session also sees and changes this person's own account."""
    connection.execute("select set_config('hesper.person', %s, true)", (str(user_id),))


def set_password(connection: Connection[Any], role: Role) -> str:
    """Gives the role a new random password, and returns it: the only time that it can be seen.

    The server gets its SCRAM verifier, so that no log of statements holds the password. The caller commits.
    """
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    verifier = connection.pgconn.encrypt_password(password.encode(), role.value.encode(), b"scram-sha-256")
    connection.execute(
        sql.SQL("alter role {} password {}").format(
            sql.Identifier(role.value), sql.Literal(verifier.decode())
        )
    )
    return password
