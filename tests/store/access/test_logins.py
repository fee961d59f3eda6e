"""Logins of a real server: each role for itself, and no other than it was granted."""

from pathlib import Path

import psycopg
import pytest

from store.postgres.database import connect, pool
from store.postgres.embedded import EmbeddedPostgres
from store.postgres.migrate import MigrationError, migrate
from store.postgres.roles import Role, RoleError, set_password


def _login(url: str, name: str) -> str:
    return url.replace("//hesper@", f"//{name}@")


@pytest.mark.parametrize("role", list(Role))
def test_each_role_logs_in_as_itself_and_not_as_another(database: str, role: Role) -> None:
    with connect(_login(database, role), role=role) as connection:
        assert connection.execute("select current_user, session_user").fetchone() == (role, role)
    other = Role.ADMIN if role is not Role.ADMIN else Role.API
    with pytest.raises(RoleError, match=f"{role} may not act as {other}"):
        connect(_login(database, role), role=other)


def test_sessions_of_a_pool_stay_what_they_are_through_failures(database: str) -> None:
    sessions = pool(database, 1, role=Role.API)
    try:
        with pytest.raises(psycopg.errors.InsufficientPrivilege), sessions.connection() as connection:
            connection.execute("select * from readings")
        with sessions.connection() as connection:
            assert connection.execute("select current_user").fetchone() == (Role.API,)
    finally:
        sessions.close()


def test_an_owner_who_may_create_roles_migrates_without_being_a_superuser(
    postgres_server: EmbeddedPostgres, unmigrated_database: str
) -> None:
    with psycopg.connect(unmigrated_database, autocommit=True) as superuser:
        for login in ("owner", "plain"):
            superuser.execute(f"drop role if exists {login}".encode())
            superuser.execute(f"create role {login} login".encode())
        superuser.execute(b"grant create on schema public to owner, plain")
        try:
            with (
                pytest.raises(MigrationError, match="plain owns the tables but is no member of") as caught,
                connect(_login(unmigrated_database, "plain")) as connection,
            ):
                migrate(connection)
            assert "grant hesper_ingest to plain" in str(caught.value)
            superuser.execute(
                b"drop owned by plain; grant hesper_ingest, hesper_deliver, hesper_api, hesper_admin to owner"
            )
            with connect(_login(unmigrated_database, "owner")) as connection:
                assert migrate(connection)
                assert migrate(connection) == []
                connection.execute("insert into utilities (code, name, time_zone) values ('a', 'A', 'UTC')")
                assert connection.execute("select code from utilities").fetchall() == [("a",)]
            with connect(_login(unmigrated_database, "owner"), role=Role.API) as connection:
                assert connection.execute("select code from utilities").fetchall() == []
            with connect(_login(unmigrated_database, Role.ADMIN), role=Role.ADMIN) as connection:
                assert migrate(connection) == [], "who may not change the schema is told that all is there"
        finally:
            superuser.execute(b"drop owned by owner, plain cascade; drop role owner, plain")


def test_the_setup_of_the_documentation_needs_no_superuser_but_for_its_first_lines(tmp_path: Path) -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "database.md").read_text(encoding="utf-8")
    statements = text.split("```sql\n")[1].split("-- on TimescaleDB")[0]
    with EmbeddedPostgres(tmp_path / "postgres", {"fsync": "off", "hesper.embedded": "off"}) as server:
        with psycopg.connect(server.url_of("postgres"), autocommit=True) as superuser:
            # the embedded server's own database and superuser have these names already
            for statement in statements.replace("hesper", "utility").strip().split("\n"):
                superuser.execute(statement.encode())
        owner = server.url_of("utility", "utility")
        with connect(owner) as connection:
            assert migrate(connection)
            assert migrate(connection) == []
            assert set_password(connection, Role.API) != set_password(connection, Role.INGEST)
        for role in Role:
            for login in ("utility", role.value):
                with connect(server.url_of("utility", login), role=role) as connection:
                    assert connection.execute("select current_user").fetchone() == (role,)
                    connection.execute("select count(*) from utilities")
        with pytest.raises(RoleError, match="hesper is a superuser"):
            connect(server.url_of("utility"), role=Role.API)
