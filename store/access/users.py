"""People: their accounts, and the roles that they have for utilities.

The API sees one account at a time, that of the person who signs in (store.roles.enter_person); the command
line sees all of them. Nothing is deleted: a role is revoked, an account disabled. Passwords come here hashed,
second factors encrypted.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from metering.access import UserRole
from store.postgres.roles import enter_person


@dataclass(frozen=True, slots=True)
class User:
    """An account that is not disabled. `totp_secret` is encrypted; None: no second factor."""

    id: int
    login: str
    name: str
    issuer: str | None
    password_hash: str | None = field(repr=False)
    totp_secret: bytes | None = field(repr=False)
    totp_pending: bytes | None = field(repr=False)
    totp_step: int
    recovery_hashes: list[bytes] = field(repr=False)

    @property
    def has_second_factor(self) -> bool:
        """Whether more than a password stands for this person: ours, or what a provider asks for."""
        return self.totp_secret is not None or self.issuer is not None


@dataclass(frozen=True, slots=True)
class Membership:
    """A utility that a person has roles for."""

    utility_id: int
    utility: str
    roles: list[str]


@dataclass(frozen=True, slots=True)
class Colleague:
    """Person who has a role at a utility."""

    login: str
    name: str


@dataclass(frozen=True, slots=True)
class UserRow:
    """An account as a list shows it; `roles` as "utility:role"."""

    login: str
    name: str
    issuer: str | None
    second_factor: bool
    os_user: str | None
    roles: list[str]
    created_at: datetime
    disabled_at: datetime | None


# --- the person who signs in ----------------------------------------------------------------------------


def enter(connection: Connection[Any], user_id: int) -> User | None:
    """The person's account, unless it is disabled; to the end of the transaction the session is theirs."""
    enter_person(connection, user_id)
    with connection.cursor(row_factory=class_row(User)) as cursor:
        return cursor.execute(
            """
            select id, login, name, issuer, password_hash, totp_secret, totp_pending, totp_step,
                   recovery_hashes
            from users where id = %s and disabled_at is null
            """,
            (user_id,),
        ).fetchone()


def enter_by_login(connection: Connection[Any], login: str) -> User | None:
    """The account with this login, of those with a password."""
    found = connection.execute("select person_of_login(%s)", (login,)).fetchone()
    return enter(connection, found[0]) if found and found[0] is not None else None


def enter_by_subject(
    connection: Connection[Any], *, issuer: str, subject: str, login: str, name: str
) -> User | None:
    """The account of whom a provider vouches for, made at the first time; None if it is disabled."""
    found = connection.execute(
        "select person_of_subject(%s, %s, %s, %s)", (issuer, subject, login, name)
    ).fetchone()
    assert found is not None
    return enter(connection, found[0])


def memberships(connection: Connection[Any], user_id: int) -> list[Membership]:
    """The utilities of the person who was entered, by code."""
    with connection.cursor(row_factory=class_row(Membership)) as cursor:
        return cursor.execute(
            """
            select utility_id, code_of_utility(utility_id) as utility, array_agg(role order by role) as roles
            from user_roles where user_id = %s and revoked_at is null group by utility_id order by utility
            """,
            (user_id,),
        ).fetchall()


def colleagues(connection: Connection[Any]) -> list[Colleague]:
    """People with a role at the utility that the session was entered for, or vouched for there lately."""
    with connection.cursor(row_factory=class_row(Colleague)) as cursor:
        return cursor.execute("select login, name from people_of_utility() order by login").fetchall()


def utility_of_code(connection: Connection[Any], code: str) -> int | None:
    """The id of a utility, before it is entered."""
    row = connection.execute("select utility_of_code(%s)", (code,)).fetchone()
    return row[0] if row else None


def enter_system_user(connection: Connection[Any], system_user: str) -> User | None:
    """The account of whoever this user of the system is."""
    found = connection.execute("select id from users where os_user = %s", (system_user,)).fetchone()
    return enter(connection, found[0]) if found else None


def set_password_hash(connection: Connection[Any], user_id: int, password_hash: str) -> None:
    """Replace the password."""
    connection.execute("update users set password_hash = %s where id = %s", (password_hash, user_id))


def set_totp_pending(connection: Connection[Any], user_id: int, encrypted: bytes) -> None:
    """Keep a secret that was shown, until a code confirms it."""
    connection.execute("update users set totp_pending = %s where id = %s", (encrypted, user_id))


def confirm_totp(connection: Connection[Any], user_id: int, step: int, recovery: Collection[bytes]) -> None:
    """Let the pending secret be the second factor; `step` is that of the code which showed it works."""
    connection.execute(
        """
        update users set totp_secret = totp_pending, totp_pending = null, totp_step = %s, recovery_hashes = %s
        where id = %s and totp_pending is not null
        """,
        (step, list(recovery), user_id),
    )


def use_totp_step(connection: Connection[Any], user_id: int, step: int) -> bool:
    """Take a code's time step; False if it, or a later one, was taken already."""
    return (
        connection.execute(
            "update users set totp_step = %s where id = %s and totp_step < %s", (step, user_id, step)
        ).rowcount
        == 1
    )


def use_recovery_code(connection: Connection[Any], user_id: int, code_hash: bytes) -> bool:
    """Take a recovery code; False if there is none such, or it was taken already."""
    return (
        connection.execute(
            """
            update users set recovery_hashes = array_remove(recovery_hashes, %s)
            where id = %s and %s = any(recovery_hashes)
            """,
            (code_hash, user_id, code_hash),
        ).rowcount
        == 1
    )


# --- the command line -----------------------------------------------------------------------------------


def create(connection: Connection[Any], login: str, name: str, password_hash: str) -> int:
    """A new account without a role. Raises LookupError if the login is taken or is none."""
    row = connection.execute(
        """
        insert into users (login, name, password_hash)
        select %(login)s, %(name)s, %(hash)s where %(login)s ~ '^[a-z0-9][a-z0-9._@+-]{0,63}$'
        on conflict (login) do nothing returning id
        """,
        {"login": login, "name": name, "hash": password_hash},
    ).fetchone()
    if row is None:
        raise LookupError(
            f"{login!r} is taken, or no login: small letters, digits and . _ @ + - make one, at most 64"
        )
    return int(row[0])


def grant(connection: Connection[Any], login: str, utility: str, role: UserRole) -> None:
    """Give somebody a role for a utility. Raises LookupError for an unknown login or utility."""
    connection.execute(
        """
        insert into user_roles (utility_id, user_id, role) values (%s, %s, %s)
        on conflict (utility_id, user_id, role) do update set revoked_at = null, granted_at = now()
        where user_roles.revoked_at is not null
        """,
        (_utility(connection, utility), _user(connection, login), role),
    )


def withdraw(connection: Connection[Any], login: str, utility: str, role: UserRole) -> None:
    """Take a role away, at once. Raises LookupError where there is nothing to take."""
    taken = connection.execute(
        """
        update user_roles set revoked_at = now()
        where utility_id = %s and user_id = %s and role = %s and revoked_at is null
        """,
        (_utility(connection, utility), _user(connection, login), role),
    )
    if not taken.rowcount:
        raise LookupError(f"{login} is no {role} of {utility}")


def set_system_user(connection: Connection[Any], login: str, system_user: str | None) -> None:
    """Say which user of the system somebody is at the command line; None: nobody. Raises LookupError."""
    user_id = _user(connection, login)
    taken = connection.execute(
        "select login from users where os_user = %s and id <> %s", (system_user, user_id)
    ).fetchone()
    if taken:
        raise LookupError(
            f"{system_user} is {taken[0]} already: `hesper user map {taken[0]} --remove` ends that"
        )
    connection.execute("update users set os_user = %s where id = %s", (system_user, user_id))


def reset(connection: Connection[Any], login: str, password_hash: str) -> None:
    """A new password, no second factor, and every session ended. Raises LookupError."""
    user_id = _user(connection, login)
    changed = connection.execute(
        """
        update users set password_hash = %s, totp_secret = null, totp_pending = null, recovery_hashes = '{}'
        where id = %s and issuer is null
        """,
        (password_hash, user_id),
    )
    if not changed.rowcount:
        raise LookupError(f"{login} signs in with a provider: it keeps the password")
    _end_sessions(connection, user_id)


def set_disabled(connection: Connection[Any], login: str, *, disabled: bool) -> None:
    """Shut somebody out at once, or let them in again. Raises LookupError."""
    user_id = _user(connection, login)
    connection.execute(
        "update users set disabled_at = case when %s then coalesce(disabled_at, now()) end where id = %s",
        (disabled, user_id),
    )
    if disabled:
        _end_sessions(connection, user_id)


def listed(connection: Connection[Any]) -> list[UserRow]:
    """All accounts, by login."""
    with connection.cursor(row_factory=class_row(UserRow)) as cursor:
        return cursor.execute(
            """
            select login, u.name, issuer, totp_secret is not null as second_factor, os_user,
                   coalesce(array_agg(c.code || ':' || role order by c.code, role)
                            filter (where role is not null), '{}') as roles, created_at, disabled_at
            from users u left join user_roles r on r.user_id = u.id and r.revoked_at is null
            left join utilities c on c.id = r.utility_id group by u.id order by login
            """
        ).fetchall()


def _end_sessions(connection: Connection[Any], user_id: int) -> None:
    connection.execute(
        "update sessions set ended_at = now() where user_id = %s and ended_at is null", (user_id,)
    )


def _user(connection: Connection[Any], login: str) -> int:
    return _id(connection.execute("select id from users where login = %s", (login,)).fetchone(), login)


def _utility(connection: Connection[Any], code: str) -> int:
    return _id(connection.execute("select id from utilities where code = %s", (code,)).fetchone(), code)


def _id(row: tuple[Any, ...] | None, what: str) -> int:
    if row is None:
        raise LookupError(f"{what!r} is not known")
    return int(row[0])
