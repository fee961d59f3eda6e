"""Two people who approve at once: the second waits shortly and goes on, or is told who is at it."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from ingest.billing.close import approve, draft, withdraw
from store.billing import locks
from store.billing.locks import PeriodBusyError
from store.postgres.database import connect
from store.postgres.roles import Role
from tests.support.town import UTILITY, Town

OCTOBER = datetime(2026, 9, 30, 22, tzinfo=UTC)  # local midnights in Madrid
NOVEMBER = datetime(2026, 10, 31, 23, tzinfo=UTC)
DAY = timedelta(days=1)
NOW = datetime(2027, 1, 15, tzinfo=UTC)


@pytest.fixture
def town(database: str) -> Iterator[Town]:
    """October and November are drafted, and share the reading at their boundary with its telegram."""
    with connect(database) as connection:
        town = Town(connection)
        town.meter("AAA-1", {OCTOBER + (n - 10) * DAY: str(100 + n) for n in range(90)})
        connection.execute(
            """
            insert into telegrams (meter_id, measured_at, gateway_id, epoch, batch, raw)
            select m.id, r.measured_at, g.id, 'life', 1, '\\x68'
            from readings r join registers x on x.id = r.register_id join meters m on m.id = x.meter_id,
                 gateways g
            """
        )
        town.judge()
        connection.commit()
        for period in ("2026-10", "2026-11"):
            draft([connection], UTILITY, period, "erik", NOW)
        yield town


@pytest.fixture
def other(database: str) -> Iterator[psycopg.Connection]:
    """The session of a second person."""
    with connect(database, role=Role.ADMIN) as connection:
        yield connection


def approved(connection: psycopg.Connection) -> list[tuple[object, ...]]:
    """(period, billing readings, outcomes noted) of all closes."""
    rows = connection.execute(
        """
        select period, (select count(*) from billing_readings b where b.close_id = c.id),
               (select count(*) from close_events e where e.period = c.period and e.state = 'approved')
        from closes c order by period
        """
    ).fetchall()
    connection.rollback()
    return rows


def test_the_second_waits_and_goes_on_when_the_first_is_done(town: Town, other: psycopg.Connection) -> None:
    done = threading.Event()

    def second() -> None:
        approve(other, UTILITY, "2026-11", "boris")
        done.set()

    with town.connection.transaction():
        approve(town.connection, UTILITY, "2026-10", "anna")
        shared = town.connection.execute("select count(*) from disputable_telegrams").fetchone()
        assert shared == (2,), "the months share evidence"
        waiting = threading.Thread(target=second)
        waiting.start()
        assert not done.wait(0.3)
    waiting.join()
    assert done.is_set()
    assert approved(town.connection) == [("2026-10", 1, 1), ("2026-11", 1, 1)]


def test_where_the_first_takes_long_the_second_is_told_who_it_is_and_nothing_is_half_done(
    town: Town, other: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "WAIT", timedelta(milliseconds=100))
    with town.connection.transaction():
        approve(town.connection, UTILITY, "2026-10", "anna")
        begun = time.monotonic()
        with pytest.raises(PeriodBusyError, match="2026-11 has to wait: anna approves 2026-10 right") as told:
            approve(other, UTILITY, "2026-11", "boris")
        assert time.monotonic() - begun < 5
        assert "try again" in told.value.advice
        with pytest.raises(PeriodBusyError, match="2026-10 has to wait: anna approves 2026-10 right"):
            withdraw(other, UTILITY, "2026-10", "boris")
        with pytest.raises(PeriodBusyError, match="2026-10 has to wait: anna approves 2026-10 right"):
            draft([other], UTILITY, "2026-10", "boris", NOW)
    assert approved(town.connection) == [("2026-10", 1, 1)]
    approve(other, UTILITY, "2026-11", "boris")
    assert approved(town.connection) == [("2026-10", 1, 1), ("2026-11", 1, 1)]


def test_whoever_is_told_may_go_on_in_their_transaction_and_waits_as_long_as_before(
    town: Town, other: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "WAIT", timedelta(milliseconds=100))
    settings = "select current_setting('lock_timeout'), current_setting('application_name')"
    before = other.execute(settings).fetchone()
    with town.connection.transaction():
        approve(town.connection, UTILITY, "2026-10", "anna")
        with pytest.raises(PeriodBusyError):
            approve(other, UTILITY, "2026-11", "boris")
    assert other.execute(settings).fetchone() == before
    with other.transaction():
        approve(other, UTILITY, "2026-11", "boris")
        timeout = other.execute("select current_setting('lock_timeout')").fetchone()
    assert timeout == (before[:1] if before else None)
    other.commit()
    assert other.execute(settings).fetchone() == before
