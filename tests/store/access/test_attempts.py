"""Attempts to sign in: how the waits grow, and that many at once are as many attempts."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from store.access import attempts
from store.access.attempts import Patience
from store.postgres.database import connect
from store.postgres.roles import Role

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_each_further_failure_doubles_the_wait_up_to_its_limit(database: str) -> None:
    patience, now, waits = Patience(3), NOW, []
    with connect(database, role=Role.API) as connection:
        for _ in range(10):
            wait = attempts.begin(connection, "anna", patience, now)
            waits.append(wait // MINUTE)
            now += wait
            if wait:
                assert attempts.begin(connection, "anna", patience, now) == timedelta(0)
        assert waits == [0, 0, 0, 1, 2, 4, 8, 15, 15, 15]
        assert attempts.begin(connection, "boris", patience, now) == timedelta(0)
        assert attempts.begin(connection, "anna", patience, now + timedelta(minutes=31)) == timedelta(0)
        again = [attempts.begin(connection, "anna", patience, now + timedelta(minutes=31)) for _ in range(3)]
        assert again == [timedelta(0), timedelta(0), MINUTE], "a quiet half hour is a new beginning"


def test_who_is_right_at_last_is_forgiven_and_was_no_failure(database: str) -> None:
    with connect(database, role=Role.API) as connection:
        for _ in range(20):
            assert attempts.begin(connection, "192.0.2.7", Patience(2), NOW) == timedelta(0)
            attempts.right(connection, "192.0.2.7", forgive=False)
        assert attempts.begin(connection, "anna", Patience(2), NOW) == timedelta(0)
        assert attempts.begin(connection, "anna", Patience(2), NOW) == timedelta(0)
        attempts.right(connection, "anna", forgive=True)
        assert attempts.begin(connection, "anna", Patience(2), NOW) == timedelta(0)


def test_sixty_at_once_in_many_sessions_are_sixty_attempts(database: str) -> None:
    def attempt(_: int) -> bool:
        with connect(database, role=Role.API) as connection:
            return not attempts.begin(connection, "anna", Patience(5), NOW)

    with ThreadPoolExecutor(12) as threads:
        assert sum(threads.map(attempt, range(60))) == 5


def test_what_was_typed_is_not_kept_and_a_day_later_neither_is_its_hash(database: str) -> None:
    with connect(database, role=Role.API) as connection:
        attempts.begin(connection, "my password from 192.0.2.7", Patience(5), NOW - timedelta(days=400))
        kept = connection.execute("select sign_in_attempts::text from sign_in_attempts").fetchall()
        assert len(kept) == 1
        assert "password" not in kept[0][0]
        attempts.begin(connection, "another", Patience(5), datetime.now(UTC))
        assert connection.execute("select count(*) from sign_in_attempts").fetchone() == (1,)
