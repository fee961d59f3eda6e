"""People at the command line of a test: the user who runs it becomes one account after the other."""

import psycopg

from hesper.commands.person import system_user
from metering.access import UserRole
from store.access import users


def sit_down(connection: psycopg.Connection, login: str, *roles: UserRole, utility: str = "town") -> None:
    """Let the user of the system who runs this test be that account, with a second factor and these roles."""
    connection.execute("update users set os_user = null")
    if connection.execute("select from users where login = %s", (login,)).fetchone() is None:
        users.create(connection, login, "", "no password")
        connection.execute("update users set totp_secret = 'x' where login = %s", (login,))
    for role in roles:
        users.grant(connection, login, utility, role)
    users.set_system_user(connection, login, system_user())
    connection.commit()
