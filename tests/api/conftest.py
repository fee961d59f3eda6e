"""The app on a real database with two utilities, and a client for each of them."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

import psycopg
import pytest
from fastapi import FastAPI
from starlette.exceptions import StarletteDeprecationWarning

from api.web.app import create_app
from api.web.settings import ApiSettings
from store.postgres.database import connect
from store.postgres.embedded import EmbeddedPostgres
from tests.api.seeding import NOW, Seeded, seed
from tests.support.postgres import TEMPLATE, copied

with warnings.catch_warnings():  # starlette's test client wants httpx2, which the rest of us does not need
    warnings.simplefilter("ignore", StarletteDeprecationWarning)
    from fastapi.testclient import TestClient


@dataclass(slots=True)
class Clock:
    """A clock that stands still until a test moves it."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(database: str) -> ApiSettings:
    return ApiSettings(
        database_url=database,
        session_secret=b"t" * 32,
        secure_cookies=False,
        password_memory_kib=64,
        stream_seconds=0,
    )


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    with connect(database) as session:
        yield session


@pytest.fixture(scope="session")
def seeded(postgres_server: EmbeddedPostgres) -> tuple[str, Seeded]:
    """A database with the utility `ours`, made once to be copied: to fill one takes longer than a test."""
    with connect(postgres_server.url) as administrator:
        administrator.autocommit = True
        name = f"seeded_{uuid4().hex}"  # folders that borrow this fixture have one each
        administrator.execute(f"create database {name} template {TEMPLATE}")
    with connect(postgres_server.url_of(name)) as connection:
        ours = seed(connection, "alpha")
    return name, ours


@pytest.fixture
def database(request: pytest.FixtureRequest, postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """The URL of a database that only this test uses: with `ours` where the test asks for that."""
    asked = request.node._fixtureinfo.name2fixturedefs.get("ours", ())
    here = asked and asked[-1].func.__module__ == __name__  # else a module has an `ours` of its own
    template = request.getfixturevalue("seeded")[0] if here else TEMPLATE
    yield from copied(postgres_server, template)


@pytest.fixture
def ours(database: str, seeded: tuple[str, Seeded]) -> Seeded:
    return seeded[1]


@pytest.fixture
def theirs(connection: psycopg.Connection) -> Seeded:
    return seed(connection, "beta", name="Aqua Beta", days=3)


@pytest.fixture
def app(settings: ApiSettings, clock: Clock) -> FastAPI:
    return create_app(settings, clock=clock)


@pytest.fixture
def anonymous(app: FastAPI) -> Iterator[TestClient]:
    """A client without a key; errors of the app come as responses."""
    with TestClient(
        app, base_url="http://127.0.0.1", raise_server_exceptions=False, follow_redirects=False
    ) as client:
        yield client


@pytest.fixture
def client(anonymous: TestClient, ours: Seeded) -> TestClient:
    """A program of the utility alpha."""
    anonymous.headers["Authorization"] = f"Bearer {ours.key}"
    return anonymous


@pytest.fixture
def browser(anonymous: TestClient, ours: Seeded) -> TestClient:
    """A person of the utility alpha, signed in."""
    sign_in(anonymous, ours.key)
    return anonymous


def sign_in(client: TestClient, key: str, next_page: str = "/") -> None:
    """Sign in as a browser does: load the form, post it."""
    form = client.get("/sign-in").text
    token = form.split('name="form_token" value="')[1].split('"')[0]
    answer = client.post("/sign-in", data={"key": key, "form_token": token, "next": next_page})
    assert answer.status_code == 303, answer.text
