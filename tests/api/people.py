"""People in tests: an account with a role, and a browser that is signed in as it."""

from datetime import datetime, timedelta
from typing import Any

from fastapi.testclient import TestClient
from psycopg import Connection

from api.identity.form_tokens import Signer
from api.identity.passwords import Passwords
from metering.access import UserRole
from store.access import sessions, users

PASSWORD = "correct horse battery"
SECRET = b"t" * 32  # of the app under test
CHEAP = 64  # KiB


def person(connection: Connection[Any], login: str, utility: str, *roles: UserRole) -> int:
    """An account with `PASSWORD` and these roles; its id."""
    user_id = users.create(connection, login, login.title(), Passwords(CHEAP).hash(PASSWORD))
    for role in roles:
        users.grant(connection, login, utility, role)
    connection.commit()
    return user_id


def enrol(connection: Connection[Any], user_id: int) -> None:
    """Let the account have some second factor, so that all of its roles count."""
    connection.execute("update users set totp_secret = 'x' where id = %s", (user_id,))
    connection.commit()


def open_session(
    client: TestClient, connection: Connection[Any], utility_id: int, user_id: int, now: datetime
) -> str:
    """Let the client be signed in as somebody; the token that its forms need."""
    token = sessions.begin(
        connection, utility_id=utility_id, user_id=user_id, now=now, lasts=timedelta(hours=12)
    )
    connection.commit()
    client.cookies.clear()
    client.cookies.set("hesper-session", token, domain="127.0.0.1")
    return Signer(SECRET).form_token(token)


def post_sign_in(client: TestClient, **fields: str) -> Any:
    """Load the form and send it with these fields; the answer, whatever it is."""
    form = client.get("/sign-in").text
    token = form.split('name="form_token" value="')[1].split('"')[0]
    return client.post("/sign-in", data={"form_token": token, **fields})


def form_token(page: str) -> str:
    """The token of the first form of a page."""
    return page.split('name="form_token" value="')[1].split('"', maxsplit=1)[0]
