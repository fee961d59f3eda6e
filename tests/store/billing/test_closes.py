"""Closes as people look at them, who may approve them, and when they are delivered."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest

from ingest.billing.close import draft
from metering.billing.canonical_hash import decimal
from store.access.api_keys import find, issue
from store.billing.approval import ApprovalError, SecondPersonError, approve
from store.billing.close_list import exception_counts, exceptions_page, shares, state, states
from store.billing.issued import control_totals, highest_cursor, record_acknowledgement
from store.billing.measured import utility
from store.billing.outliers import outliers_page
from store.delivery.acknowledgements import acknowledge, sent_totals
from store.delivery.destinations import add as add_destination
from store.delivery.outbox import messages
from store.postgres.database import connect
from store.postgres.roles import Role, assume, enter_utility
from store.validation.edits import Action, Edit
from store.validation.edits import add as add_edit
from store.validation.edits import approve as approve_edit
from tests.support.town import NOW, UTILITY, VOLUME, Town

OCTOBER = datetime(2026, 9, 30, 22, tzinfo=UTC)  # local midnights in Madrid
NOVEMBER = datetime(2026, 10, 31, 23, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def town(database: str) -> Iterator[Town]:
    """Six meters of which two fall silent; AAA-5 used ten times as much in October as in September."""
    with connect(database) as connection:
        town = Town(connection)
        for number in range(6):
            days = 45 if number in (1, 3) else 90
            readings = {OCTOBER + (n - 40) * DAY: 100 + n for n in range(days)}
            if number == 5:
                readings = {at: value + 9 * max(0, (at - OCTOBER).days) for at, value in readings.items()}
            town.meter(f"AAA-{number}", {at: str(value) for at, value in readings.items()})
        town.judge()
        yield town


def identity(town: Town) -> int:
    return utility(town.connection, UTILITY).id


def drafted(town: Town, author: str = "anna") -> None:
    draft([town.connection], UTILITY, "2026-10", author, NOW)


def test_draft_and_close_are_listed_with_their_counts_and_people(town: Town) -> None:
    town.close("2026-09")
    drafted(town)
    first, second = states(town.connection, identity(town), limit=10)
    assert (first.period, first.run, first.state, first.drafted_by) == ("2026-10", 1, "drafted", "anna")
    assert (first.approved_by, first.blocks_done, first.blocks) == (None, 1, 1)
    assert first.summary is not None
    assert first.summary["exceptions"] == {"no_reading_after": 2}
    assert (second.period, second.state, second.approved_by) == ("2026-09", "approved", "zoe")
    approve(town.connection, identity(town), "2026-10", "boris")
    found = state(town.connection, identity(town), "2026-10", 1)
    assert found is not None
    assert (found.state, found.drafted_by, found.approved_by) == ("approved", "anna", "boris")
    assert found.summary == first.summary
    assert state(town.connection, identity(town), "2026-10", 2) is None


def test_pages_of_closes_go_on_behind_the_last_one_seen(town: Town) -> None:
    for period in ("2026-09", "2026-10"):
        town.close(period)
    town.read("AAA-2", {NOVEMBER + timedelta(minutes=1): "171.5"})
    town.close("2026-10")
    seen: list[tuple[str, int]] = []
    while page := states(town.connection, identity(town), limit=1, before=seen[-1] if seen else None):
        seen += [(row.period, row.run) for row in page]
    assert seen == [("2026-10", 2), ("2026-10", 1), ("2026-09", 1)]


def test_exceptions_of_a_draft_and_of_its_close_are_the_same(town: Town) -> None:
    drafted(town)
    before = exceptions_page(town.connection, identity(town), "2026-10", 1, limit=10)
    assert [(row.service_point, row.reason, row.standing) for row in before] == [
        ("AAA-1", "no_reading_after", False),
        ("AAA-3", "no_reading_after", False),
    ]
    assert "wait for or enter a later reading" in before[0].detail
    approve(town.connection, identity(town), "2026-10", "boris")
    pages = []
    after = None
    while page := exceptions_page(town.connection, identity(town), "2026-10", 1, limit=1, after=after):
        pages += page
        after = (page[-1].service_point, page[-1].obis)
    assert pages == before
    assert exception_counts(town.connection, identity(town), "2026-10", 1) == {"no_reading_after": 2}
    assert exceptions_page(town.connection, identity(town), "2026-10", 1, limit=9, reason="reset") == []


def test_shares_of_a_draft_are_those_of_its_close(town: Town) -> None:
    drafted(town)
    before = shares(town.connection, identity(town), "2026-10", 1)
    (row,) = before
    assert (row.readings, row.quality, row.end_method) == (4, 0, "reading")
    assert row.consumption == (3 * 31 + 310) * 1_000_000
    approve(town.connection, identity(town), "2026-10", "boris")
    assert shares(town.connection, identity(town), "2026-10", 1) == before


def test_outliers_are_found_against_the_month_before(town: Town) -> None:
    town.close("2026-09")
    drafted(town)
    (row,) = outliers_page(town.connection, identity(town), "2026-10", 1, limit=10)
    assert (row.service_point, row.consumption, row.last_month) == ("AAA-5", 310_000_000, 30_000_000)
    assert (row.ratio_to_last_month, row.last_year, row.factor) == (
        Decimal("10.333"),
        None,
        Decimal("10.032"),
    )
    every = outliers_page(town.connection, identity(town), "2026-10", 1, limit=10, least=Decimal(1))
    assert len(every) == 4
    paged = []
    after = None
    while page := outliers_page(
        town.connection, identity(town), "2026-10", 1, limit=1, least=Decimal(1), after=after
    ):
        paged += page
        after = (page[-1].service_point, page[-1].obis)
    assert paged == every


def test_who_drafted_does_not_approve(town: Town) -> None:
    drafted(town, "anna")
    with pytest.raises(SecondPersonError, match="drafted by anna"):
        approve(town.connection, identity(town), "2026-10", "anna")
    assert town.billed("2026-10") == []
    approve(town.connection, identity(town), "2026-10", "boris")
    assert len(town.billed("2026-10")) == 4


def edit(town: Town, author: str) -> int:
    """An edit of AAA-0's reading at the end of October; its id."""
    row = add_edit(
        town.connection,
        Edit(town.registers["AAA-0"], NOVEMBER + timedelta(hours=-1), Action.EXCLUDE, author, "misread"),
    )
    town.connection.commit()
    return row.id


def test_who_edited_after_the_close_does_not_approve_what_came_of_it(town: Town) -> None:
    """An editor approves neither the edit nor the correction that it makes."""
    town.close("2026-10")
    number = edit(town, "erik")
    approve_edit(town.connection, identity(town), number, "boris")
    town.judge()
    drafted(town, "anna")
    with pytest.raises(SecondPersonError, match="1 edits by erik"):
        approve(town.connection, identity(town), "2026-10", "erik")
    approve(town.connection, identity(town), "2026-10", "boris")
    assert [version for point, version, *_ in town.billed("2026-10") if point == "AAA-0"] == [1, 2]


def test_edit_that_an_earlier_close_contained_keeps_nobody_from_approving(town: Town) -> None:
    edit(town, "erik")
    town.judge()
    drafted(town, "anna")
    with pytest.raises(SecondPersonError):
        approve(town.connection, identity(town), "2026-10", "erik")
    approve(town.connection, identity(town), "2026-10", "boris")
    town.read("AAA-0", {NOVEMBER + timedelta(minutes=3): "171.5"})
    town.judge()
    drafted(town, "anna")
    approve(town.connection, identity(town), "2026-10", "erik")


def test_session_of_the_api_approves_for_its_own_utility_alone(town: Town, database: str) -> None:
    drafted(town)
    own = identity(town)
    with connect(database) as connection:
        assume(connection, Role.API)
        enter_utility(connection, own + 1)
        with pytest.raises((ApprovalError, psycopg.errors.InsufficientPrivilege)):
            approve(connection, own, "2026-10", "boris")
        connection.rollback()
        enter_utility(connection, own)
        approve(connection, own, "2026-10", "boris")
        connection.commit()
        connection.execute("reset role")
    assert len(town.billed("2026-10")) == 4
    left = town.connection.execute("select count(*) from draft_readings").fetchone()
    assert left == (0,)


def key_of(town: Town) -> int:
    key = issue(town.connection, UTILITY, "billing")
    found = town.connection.execute("select id from api_keys order by id desc limit 1").fetchone()
    assert key
    assert found is not None
    assert find(town.connection, found[0]) is not None
    return int(found[0])


def test_close_is_delivered_when_all_of_it_was_pulled_and_acknowledged(town: Town) -> None:
    town.close("2026-10")
    own, key = identity(town), key_of(town)
    highest = highest_cursor(town.connection, own, "2026-10")
    assert highest is not None
    for cursor, expected in ((highest - 1, "approved"), (highest, "delivered"), (highest, "delivered")):
        count, sums = control_totals(town.connection, own, "2026-10", cursor)
        totals = {name: decimal(total) for name, total in sums.items()}
        record_acknowledgement(
            town.connection, own, key, "2026-10", cursor=cursor, readings=count, totals=totals
        )
        found = state(town.connection, own, "2026-10", 1)
        assert found is not None
        assert (found.state, found.pulled) == (expected, expected == "delivered")
    town.read("AAA-2", {NOVEMBER + timedelta(minutes=1): "171.5"})
    town.close("2026-10")
    assert [row.state for row in states(town.connection, own, limit=9)] == ["approved", "delivered"]


def test_true_ups_have_control_totals_of_their_own(town: Town) -> None:
    add_destination(
        town.connection, UTILITY, "https://one.example/in", "whsec_x", "anna", allow_private=False
    )
    town.close("2026-10")
    town.connection.execute("update billing_readings set true_up = -2250000 where id = 1")
    (message,) = messages(town.connection, utility_id=identity(town))
    expected = {f"{VOLUME} m3": (3 * 31 + 310) * 1_000_000, f"{VOLUME} m3 true_up": -2_250_000}
    assert sent_totals(town.connection, message) == expected
    assert control_totals(town.connection, identity(town), "2026-10", message.last_reading) == (4, expected)


def test_close_is_delivered_when_every_destination_acknowledged_every_message(town: Town) -> None:
    own, key = identity(town), key_of(town)
    for name in ("one", "two"):
        add_destination(
            town.connection, UTILITY, f"https://{name}.example/in", "whsec_x", "anna", allow_private=False
        )
    town.connection.commit()
    town.close("2026-10")
    waiting = messages(town.connection, utility_id=own)
    assert len(waiting) == 2
    for position, message in enumerate(waiting):
        before = state(town.connection, own, "2026-10", 1)
        assert before is not None
        assert (before.state, before.messages, before.messages_acknowledged) == ("approved", 2, position)
        totals = {name: decimal(total) for name, total in sent_totals(town.connection, message).items()}
        for accepted in (False, True):
            assert state(town.connection, own, "2026-10", 1) == before
            acknowledge(
                town.connection,
                message,
                key,
                readings=message.readings,
                totals=totals,
                accepted=accepted,
                now=NOW,
            )
    after = state(town.connection, own, "2026-10", 1)
    assert after is not None
    assert (after.state, after.messages_acknowledged) == ("delivered", 2)
    assert after.delivered_at is not None
