"""Person at the command line: whose name the record has, and what four eyes are told apart by.

Whoever signed in with `hesper login` is that account; else the account that `hesper user map` gave to the
user of the system, as the kernel names them and no variable does. Anybody else is only that user of the
system: they may do much, but nothing that takes two people.
"""

import os
import pwd
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from psycopg import Connection

from hesper.settings import Settings
from metering.access import Scope, UserRole, counting, scopes_of
from store.access import sessions, users
from store.audit import sign_session, system_user_actor
from store.postgres.errors import StoreError

IDLE = timedelta(hours=1)  # as in a browser
LASTS = timedelta(hours=12)


class PersonError(StoreError):
    """Somebody of whom no account is known, or whose roles do not go so far."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever gave the command: `name` is that of the record; `account` None: a user of the system alone."""

    name: str
    account: users.User | None

    def with_account(self) -> str:
        """The name of an account. Raises PersonError."""
        if self.account is None:
            raise PersonError(
                f"{self.name}: no account is known",
                advice="sign in with `hesper login`, or let `hesper user map` say whose account this user "
                "of the system is",
            )
        return self.name

    def allowed(self, connection: Connection[Any], utility_id: int, scope: Scope) -> str:
        """The name, where the person's roles at a utility go so far. Raises PersonError."""
        name = self.with_account()
        assert self.account is not None
        roles = next(
            (
                frozenset(map(UserRole, one.roles))
                for one in users.memberships(connection, self.account.id)
                if one.utility_id == utility_id
            ),
            frozenset[UserRole](),
        )
        if scope not in scopes_of(counting(roles, second_factor=self.account.has_second_factor)):
            raise PersonError(
                f"{name} may not do this: no role goes so far as {scope}",
                advice="`hesper user role` gives one; an approver's counts with a second factor (/account)",
            )
        return name


def person_here(connection: Connection[Any]) -> Person:
    """Whoever gives this command."""
    account = _signed_in(connection) or users.enter_system_user(connection, system_user())
    return Person(account.login, account) if account else Person(system_user_actor(system_user()), None)


def sign_here(connection: Connection[Any]) -> Person:
    """Let what this session does be noted as done by this person, from this machine. Commits."""
    person = person_here(connection)
    sign_session(connection, person.name, f"{system_user()} on {socket.gethostname()}")
    return person


def system_user() -> str:
    """The user of the system, by the kernel's word: variables such as LOGNAME say what one likes."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # in a container
        return f"user {os.getuid()}"


def token_file() -> Path:
    """Where `hesper login` keeps the token of this person's session."""
    configured = Settings().session
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return configured or folder / "hesper" / "session"


def _signed_in(connection: Connection[Any]) -> users.User | None:
    """The account of the session whose token is kept here, while both are in force."""
    try:
        token = token_file().read_text(encoding="utf-8").strip()
    except OSError:
        return None
    session = sessions.find(connection, token, now=datetime.now(UTC), idle=IDLE)
    return users.enter(connection, session.user_id) if session and session.user_id is not None else None
