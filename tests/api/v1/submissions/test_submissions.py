"""Readings that people hand in: judged at once, kept whatever becomes of them, a reading only when taken."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from fastapi.testclient import TestClient

from metering.billing.rule_set import parse_rules
from store.billing.rule_sets import add_rules
from telemetry.status import Status
from tests.api.conftest import Clock
from tests.api.seeding import NOW, Seeded

POINT = "flat-01-8"
AS_A_READING = (
    "Taken as a reading of the meter in 2026-11. It counts where it lies nearest to the beginning or the end "
    "of a period that is not billed yet."
)


@pytest.fixture
def last(connection: psycopg.Connection, ours: Seeded) -> tuple[int, int]:
    """(register, its last value in micro-units): cold water of flat 1, read hourly until now."""
    row = connection.execute(
        "select value from readings where register_id = %s order by measured_at desc limit 1",
        (ours.registers[0],),
    ).fetchone()
    connection.commit()
    assert row is not None
    return ours.registers[0], row[0]


@pytest.fixture
def later(clock: Clock) -> Clock:
    """Two days after the meter fell silent."""
    clock.now = NOW + timedelta(days=2)
    return clock


def hand_in(
    client: TestClient, value: int | str, *, key: str = "one", code: str = POINT, **fields: Any
) -> httpx.Response:
    text = value if isinstance(value, str) else f"{value / 1e6:.3f}"
    body = {"value": text, "author": "h.novak", "role": "resident"} | fields
    answer: httpx.Response = client.post(
        f"/v1/service-points/{code}/readings", json=body, headers={"Idempotency-Key": key}
    )
    return answer


def stored(connection: psycopg.Connection) -> list[tuple[str, str | None]]:
    rows = connection.execute("select verdict, counts_in from submissions order by id").fetchall()
    connection.commit()
    return rows


def manual(connection: psycopg.Connection) -> list[tuple[int, int]]:
    rows = connection.execute(
        "select register_id, value from readings where status = %s", (int(Status.MANUAL),)
    ).fetchall()
    connection.commit()
    return rows


def refused(answer: httpx.Response, name: str) -> str:
    """The detail of a refusal of this type."""
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"/problems/{name}"
    assert answer.json()["submission"] > 0
    return str(answer.json()["detail"])


def test_a_plausible_reading_is_taken_and_becomes_a_reading(
    client: TestClient, connection: psycopg.Connection, last: tuple[int, int], later: Clock
) -> None:
    register, value = last
    answer = hand_in(client, value + 500_000, photo="photos/4711.jpg")
    assert answer.status_code == 201, answer.text
    assert answer.json()["counts_in"] == "2026-11"
    assert answer.json()["detail"] == AS_A_READING
    ((got, kept),) = manual(connection)
    assert (got, abs(kept - value - 500_000) < 1000) == (register, True)
    row = connection.execute("select author, role, photo, at from submissions").fetchone()
    assert row == ("h.novak", "resident", "photos/4711.jpg", later.now)
    queued = connection.execute(
        "select count(*) from validation_queue where block = %s and day = %s",
        (register // 32, later.now.date()),
    ).fetchone()
    assert queued == (1,)


def test_a_reading_below_the_last_is_refused_kept_and_not_a_reading(
    client: TestClient, connection: psycopg.Connection, last: tuple[int, int], later: Clock
) -> None:
    detail = refused(hand_in(client, last[1] - 2_000_000), "reading-too-low")
    assert "2026-11-21" in detail
    assert "is less than" in detail
    assert stored(connection) == [("reading-too-low", None)]
    assert manual(connection) == []


def test_an_implausible_reading_needs_an_inspector(
    client: TestClient, connection: psycopg.Connection, last: tuple[int, int], later: Clock
) -> None:
    misread = last[1] + 100_000_000
    assert "Check the decimal point" in refused(hand_in(client, misread, key="a"), "reading-too-high")
    refused(hand_in(client, misread, key="b", confirmed=True), "reading-too-high")
    refused(hand_in(client, misread, key="c", role="inspector"), "reading-too-high")
    assert hand_in(client, misread, key="d", role="inspector", confirmed=True).status_code == 201
    assert [verdict for verdict, _ in stored(connection)] == ["reading-too-high"] * 3 + ["accepted"]


def test_a_reading_above_a_later_one_is_refused(
    client: TestClient, last: tuple[int, int], clock: Clock
) -> None:
    clock.now = NOW + timedelta(hours=1)
    detail = refused(
        hand_in(client, last[1] + 1_000_000, read_at=(NOW - timedelta(days=2)).isoformat()),
        "reading-too-high",
    )
    assert "read later" in detail


def test_too_many_digits_are_refused(client: TestClient, last: tuple[int, int], later: Clock) -> None:
    assert "6 before the decimal" in refused(hand_in(client, "4123181"), "wrong-digits")
    answer = hand_in(client, "9000000000", key="beyond")
    assert answer.json()["type"] == "/problems/wrong-digits"


def test_a_register_that_rolled_over_is_believed(
    client: TestClient, connection: psycopg.Connection, last: tuple[int, int], later: Clock
) -> None:
    top = last[1] + 1_000_000
    connection.execute("update registers set capacity = %s where id = %s", (top, last[0]))
    connection.commit()
    assert hand_in(client, "0.25").status_code == 201


def test_what_names_no_register_or_no_recent_instant_is_refused(
    client: TestClient, last: tuple[int, int], later: Clock
) -> None:
    for number, (fields, name) in enumerate(
        [
            ({"meter": "KAM-99999999"}, "meter-unknown"),
            ({"obis": "8-0:9.9.9"}, "register-unclear"),
            ({"read_at": "2026-11-24T17:40:00Z"}, "read-in-future"),
            ({"read_at": "2026-11-10T12:00:00Z"}, "read-long-ago"),
            ({"read_at": "2020-01-01T12:00:00Z"}, "read-long-ago"),
        ]
    ):
        refused(hand_in(client, last[1], key=str(number), **fields), name)


def test_an_unknown_service_point_is_not_found(client: TestClient) -> None:
    assert hand_in(client, "1", code="nowhere").status_code == 404


def test_a_value_that_is_no_decimal_is_refused_before_it_is_looked_at(
    client: TestClient, connection: psycopg.Connection
) -> None:
    for value in ("-1", "1e3", "NaN", "", "1,5", "0x10", "1.1234567", "1\n"):
        assert hand_in(client, value).status_code == 422, value
    assert stored(connection) == []


def test_the_same_key_gives_the_same_answer_and_one_reading(
    client: TestClient, connection: psycopg.Connection, last: tuple[int, int], later: Clock
) -> None:
    read_at = later.now.isoformat()
    first = hand_in(client, last[1] + 100_000, read_at=read_at)
    later.now += timedelta(days=1)
    again = hand_in(client, last[1] + 100_000, read_at=read_at)
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    other = hand_in(client, last[1] + 200_000, read_at=read_at)
    assert other.status_code == 422
    assert other.json()["type"] == "/problems/idempotency-key-reused"
    conflict = hand_in(client, last[1] + 200_000, read_at=read_at, key="two")
    assert conflict.json()["type"] == "/problems/reading-exists"
    assert len(manual(connection)) == len(stored(connection)) == 1


def test_a_key_is_asked_for(client: TestClient) -> None:
    body = {"value": "1", "author": "h.novak", "role": "resident"}
    assert client.post(f"/v1/service-points/{POINT}/readings", json=body).status_code == 422


LADDER = '["installation", "set_day", "reading", "interpolation", "handed_in", "average"]'
FROM_15_TO_25 = "[[submission]]\nfrom_day = 15\nuntil_day = 25\n"
COMES_BEFORE = " What the meter itself gives for the end of that period comes before it."
LATER_ONE = " A later reading replaces it."


def under(connection: psycopg.Connection, utility: int, text: str, ladder: str = LADDER) -> None:
    """From the beginning of the year the utility's months are billed by such rules."""
    content = f'name = "test"\nversion = "1"\nladder = {ladder}\n{text}'
    rules = parse_rules(content)
    named = {"name": rules.name, "version": rules.version, "content": content, "author": "anna"}
    add_rules(connection, utility, valid_from=date(2026, 1, 1), **named)
    connection.commit()


def test_a_late_reading_counts_in_the_next_period_and_the_answer_says_so(
    client: TestClient, connection: psycopg.Connection, ours: Seeded, last: tuple[int, int], clock: Clock
) -> None:
    under(connection, ours.id, FROM_15_TO_25)
    clock.now = datetime(2026, 11, 25, 22, 59, tzinfo=UTC)  # a minute before midnight in Prague
    assert hand_in(client, last[1] + 100_000, key="in").json()["counts_in"] == "2026-11"
    clock.now = datetime(2026, 11, 25, 23, 0, tzinfo=UTC)
    late = hand_in(client, last[1] + 200_000, key="late").json()
    assert late["counts_in"] == "2026-12"
    assert late["detail"] == (
        "Taken late: the days for readings are over, so it counts in 2026-12. "
        "The next are from 2026-12-15 to 2026-12-25." + COMES_BEFORE + LATER_ONE
    )


def test_what_is_billed_already_counts_in_the_next_period(
    client: TestClient, connection: psycopg.Connection, ours: Seeded, last: tuple[int, int], clock: Clock
) -> None:
    """The window for October is open until 5 November, but October was billed before."""
    under(connection, ours.id, "[[submission]]\nfrom_day = 24\nuntil_day = 5\n")
    connection.execute("delete from readings where measured_at > '2026-11-01'")
    connection.commit()
    clock.now = datetime(2026, 11, 3, 9, tzinfo=UTC)
    value = connection.execute(
        "select max(value) from readings where register_id = %s", (ours.registers[0],)
    ).fetchone()
    connection.commit()
    assert value is not None
    answer = hand_in(client, value[0] + 100_000).json()
    assert answer["counts_in"] == "2026-11"
    assert answer["detail"] == (
        "Taken. 2026-10 is billed already, so it counts in 2026-11." + COMES_BEFORE + LATER_ONE
    )


@pytest.mark.parametrize(
    ("ladder", "said"),
    [
        (LADDER, "Taken. It counts in 2026-11." + COMES_BEFORE + LATER_ONE),
        ('["handed_in", "installation", "set_day"]', "Taken. It counts in 2026-11." + LATER_ONE),
        ('["installation", "reading"]', AS_A_READING),
    ],
)
@pytest.mark.usefixtures("later")
def test_the_receipt_says_by_the_ladder_what_comes_before_the_reading(
    client: TestClient, connection: psycopg.Connection, ours: Seeded, ladder: str, said: str
) -> None:
    under(connection, ours.id, FROM_15_TO_25, ladder)
    row = connection.execute(
        "select max(value) from readings where register_id = %s", (ours.registers[0],)
    ).fetchone()
    assert row is not None
    connection.commit()
    assert hand_in(client, row[0] + 100_000).json()["detail"] == said


def test_the_receipt_of_a_meter_whose_verification_ran_out_says_that_it_will_not_count(
    client: TestClient, connection: psycopg.Connection, ours: Seeded, last: tuple[int, int], later: Clock
) -> None:
    under(connection, ours.id, FROM_15_TO_25 + "[verification]\nrequired = true\n")
    connection.execute("delete from verifications")
    connection.execute("update meters set verified_until = '2026-11-29'")
    connection.commit()
    answer = hand_in(client, last[1] + 100_000).json()
    assert answer["detail"] == (
        "Taken, but 2026-11 will not be billed by it: the meter is verified until 2026-11-29 only. "
        "It counts when a new verification is known."
    )


def test_a_closed_window_says_until_when(
    client: TestClient, connection: psycopg.Connection, ours: Seeded, last: tuple[int, int]
) -> None:
    under(connection, ours.id, '[[submission]]\nfrom_day = 15\nuntil_day = 20\nlate = "refuse"\n')
    detail = refused(hand_in(client, last[1] + 100_000), "window-closed")
    assert detail == "The window is closed until 2026-12-15; it is open to 2026-12-20. Read the meter then."


@pytest.mark.usefixtures("later")
def test_another_utilitys_points_and_keys_are_another_world(
    client: TestClient, connection: psycopg.Connection, ours: Seeded, theirs: Seeded, last: tuple[int, int]
) -> None:
    assert hand_in(client, last[1] + 100_000).status_code == 201
    answer = client.post(
        f"/v1/service-points/{POINT}/readings",
        json={"value": "9999", "author": "x", "role": "inspector", "confirmed": True},
        headers={"Idempotency-Key": "one", "Authorization": f"Bearer {theirs.key}"},
    )
    assert answer.status_code == 201, answer.text
    registers = [register for register, _ in manual(connection)]
    assert registers == [ours.registers[0], theirs.registers[0]]
