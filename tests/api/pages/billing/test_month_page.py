"""A month in the browser: drafted by one person, approved by another, worked off, delivered, sent again."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from fastapi.testclient import TestClient
from psycopg import Connection

from ingest.billing.close import draft
from metering.access import UserRole
from store.billing.measured import utility
from store.delivery.destinations import add as add_destination
from store.delivery.outbox import MessageState, messages
from store.tasks import TaskKind, tasks_page
from tests.api.conftest import Clock
from tests.api.people import enrol, open_session, person
from tests.support.town import NOW, UTILITY, Town

OCTOBER = datetime(2026, 9, 30, 22, tzinfo=UTC)  # local midnights in Madrid
DAY = timedelta(days=1)
MONTH = "/months/2026-10"


@pytest.fixture
def town(connection: psycopg.Connection) -> Town:
    """Four meters: one falls silent, another used ten times as much in October as in September."""
    town = Town(connection)
    for number in range(4):
        days = 45 if number == 1 else 90
        readings = {OCTOBER + (n - 40) * DAY: 100 + n for n in range(days)}
        if number == 3:
            readings = {at: value + 9 * max(0, (at - OCTOBER).days) for at, value in readings.items()}
        town.meter(f"AAA-{number}", {at: str(value) for at, value in readings.items()})
    town.connection.execute("update service_points set account = '77' where code = 'AAA-1'")
    town.judge()
    return town


class People:
    """A browser that is one person after the other."""

    def __init__(self, client: TestClient, town: Town, clock: Clock) -> None:
        self.client, self.town, self.clock = client, town, clock
        self.known: dict[str, int] = {}

    def as_(self, login: str, *roles: UserRole) -> TestClient:
        if login not in self.known:
            self.known[login] = person(self.town.connection, login, UTILITY, *roles)
            enrol(self.town.connection, self.known[login])
        connection = self.town.connection
        token = open_session(
            self.client, connection, utility(connection, UTILITY).id, self.known[login], self.clock.now
        )
        self.client.headers["X-Form-Token"] = token
        return self.client


@pytest.fixture
def people(anonymous: TestClient, town: Town, clock: Clock) -> People:
    return People(anonymous, town, clock)


def drafted(town: Town, author: str) -> None:
    draft([town.connection], UTILITY, "2026-10", author, NOW)
    town.connection.commit()


def issued(connection: Connection) -> int:
    row = connection.execute("select count(*) from billing_readings where period = '2026-10'").fetchone()
    assert row is not None
    return int(row[0])


def test_a_draft_is_asked_for_and_the_page_says_who_waits(people: People, town: Town) -> None:
    billing = people.as_("anna", UserRole.BILLING)
    assert "Draft this month" in billing.get(MONTH).text
    assert billing.post(f"{MONTH}/draft").status_code == 303
    [asked] = tasks_page(town.connection, utility(town.connection, UTILITY).id, limit=5)
    assert (asked.kind, asked.author, asked.subject) == (TaskKind.DRAFT, "anna", {"period": "2026-10"})
    page = billing.get(MONTH).text
    assert 'data-asked="waiting"' in page
    assert "Draft this month" not in page


def test_a_month_that_is_not_over_is_not_drafted(people: People) -> None:
    billing = people.as_("anna", UserRole.BILLING)
    answer = billing.post("/months/2026-11/draft")
    assert answer.status_code == 409
    assert "not over yet" in answer.text


def test_what_is_to_be_worked_off_says_what_is_wrong_what_to_do_and_where_to_look(
    people: People, town: Town
) -> None:
    town.close("2026-09")
    drafted(town, "anna")
    page = people.as_("vera", UserRole.VIEWER).get(MONTH).text
    assert 'data-close="draft"' in page
    assert 'data-exception="no_reading_after"' in page
    assert "Wait for a later reading or enter one" in page
    assert 'href="/meters/AAA-1?register=8-0%3A1.0.0' in page
    assert 'href="/findings?state=all&amp;q=AAA-1"' in page
    assert 'href="/accounts/77/statement"' in page
    assert 'data-outlier="AAA-3"' in page
    assert "Approve and issue" not in page
    narrowed = people.client.get(f"{MONTH}?reason=reset").text
    assert "None has this reason any more." in narrowed


def test_another_person_approves_and_the_readings_are_issued(people: People, town: Town) -> None:
    drafted(town, "anna")
    approver = people.as_("boris", UserRole.APPROVER)
    assert "Approve and issue" in approver.get(MONTH).text
    assert approver.post(f"{MONTH}/approve").status_code == 303
    assert issued(town.connection) == 3
    page = approver.get(MONTH).text
    assert 'data-close="closed"' in page
    assert "boris" in page


def test_who_drafted_it_is_refused_with_a_reason(people: People, town: Town) -> None:
    drafted(town, "anna")
    anna = people.as_("anna", UserRole.APPROVER, UserRole.BILLING)
    assert "data-own-draft" in anna.get(MONTH).text
    answer = anna.post(f"{MONTH}/approve")
    assert answer.status_code == 409
    assert "Another person has to approve this" in answer.text
    assert "2026-10 was drafted by anna" in answer.text
    assert issued(town.connection) == 0


def test_a_draft_is_withdrawn_and_nothing_is_left_of_it(people: People, town: Town) -> None:
    drafted(town, "anna")
    billing = people.as_("anna", UserRole.BILLING)
    assert billing.post(f"{MONTH}/withdraw").status_code == 303
    assert 'data-close="open"' in billing.get(MONTH).text
    assert billing.post(f"{MONTH}/withdraw").status_code == 409


def test_dead_messages_are_sent_again(people: People, town: Town) -> None:
    add_destination(
        town.connection, UTILITY, "https://billing.example/in?token=1", "s" * 32, "anna", allow_private=False
    )
    town.close("2026-10")
    town.connection.execute("update outbox set state = 'dead', attempts = 12, last_error = 'refused: 500'")
    town.connection.commit()
    billing = people.as_("anna", UserRole.BILLING)
    page = billing.get(MONTH).text
    assert "https://billing.example/in" in page
    assert "token=1" not in page
    assert "refused: 500" in page
    [dead] = messages(town.connection)
    assert billing.post(f"{MONTH}/deliveries", data={"message": dead.id}).status_code == 303
    [again] = messages(town.connection)
    assert (again.state, again.attempts) == (MessageState.WAITING, 0)


def test_billing_readings_are_narrowed_to_those_found_in_one_way(people: People, town: Town) -> None:
    town.close("2026-10")
    viewer = people.as_("vera", UserRole.VIEWER)
    assert viewer.get(f"{MONTH}?method=reading").text.count("data-service-point=") == 3
    assert "None is like that." in viewer.get(f"{MONTH}?method=estimate").text
