"""Findings as a work list: narrowed, changed one by one and many at once, with a history of who did what."""

import psycopg
import pytest
from fastapi.testclient import TestClient

from metering.access import UserRole
from store.validation.finding_changes import changes_of
from tests.api.conftest import Clock
from tests.api.people import open_session, person
from tests.api.seeding import Seeded

LEAK = {
    "night_flow_per_hour": "12.4",
    "usual_night_flow_per_hour": "0",
    "highest_night_flow_per_hour": "13",
    "hours": 240,
    "lost": "2.976",
}


@pytest.fixture
def engineer(anonymous: TestClient, connection: psycopg.Connection, ours: Seeded, clock: Clock) -> TestClient:
    """Anna, an engineer of alpha; `headers` carry the token of forms."""
    user_id = person(connection, "anna", "alpha", UserRole.ENGINEER)
    person(connection, "boris", "alpha", UserRole.ENGINEER)
    anonymous.headers["X-Form-Token"] = open_session(anonymous, connection, ours.id, user_id, clock.now)
    return anonymous


def ids(connection: psycopg.Connection, kind: str = "%") -> list[int]:
    rows = connection.execute("select id from findings where kind like %s order by id", (kind,)).fetchall()
    return [identity for (identity,) in rows]


def states(connection: psycopg.Connection) -> dict[str, str]:
    return dict(connection.execute("select kind, state from findings").fetchall())


def test_the_gravest_comes_first_with_its_sentence_its_loss_and_its_chart(
    engineer: TestClient, connection: psycopg.Connection, ours: Seeded
) -> None:
    connection.execute(
        "update findings set kind = 'leak', evidence = %s where kind = 'stuck'",
        (psycopg.types.json.Jsonb(LEAK),),
    )
    connection.commit()
    page = engineer.get("/findings").text
    assert page.index('data-finding="leak"') < page.index('data-finding="negative_step.glitch"')
    assert "estimated loss: 2.976\u202fm³" in page
    assert "Tell the residents" in page
    assert f"/meters/{ours.meters[1]}?register=9-0%3A1.0.0" in page


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("", {"stuck", "negative_step.glitch"}),
        ("state=all", {"stuck", "negative_step.glitch", "negative_step.rollover"}),
        ("severity=alarm", {"stuck"}),
        ("kind=negative_step", {"negative_step.glitch"}),
        ("medium=8", {"negative_step.glitch"}),
        ("site=house-1", {"stuck", "negative_step.glitch"}),
        ("site=elsewhere", set()),
        ("q=FLAT 1", {"stuck", "negative_step.glitch"}),
        ("q=40002", set()),
        ("assignee=nobody", {"stuck", "negative_step.glitch"}),
        ("assignee=me", set()),
    ],
)
def test_the_list_is_narrowed_by_what_is_chosen(engineer: TestClient, query: str, kinds: set[str]) -> None:
    page = engineer.get(f"/findings?{query}").text
    shown = {part.split('"', 1)[0] for part in page.split('data-finding="')[1:]}
    assert shown == kinds


def test_many_are_acknowledged_at_once_and_the_list_comes_back_as_it_was_narrowed(
    engineer: TestClient, connection: psycopg.Connection
) -> None:
    answer = engineer.post(
        "/findings?state=open&severity=alarm", data={"action": "acknowledge", "finding": ids(connection)[:2]}
    )
    assert answer.status_code == 303
    assert answer.headers["location"] == "/findings?state=open&severity=alarm"
    assert states(connection)["stuck"] == states(connection)["negative_step.glitch"] == "acknowledged"
    page = engineer.get("/findings?state=acknowledged").text
    assert "anna, " in page


def test_a_finding_is_taken_assigned_resolved_with_a_note_and_reopened(
    engineer: TestClient, connection: psycopg.Connection, ours: Seeded
) -> None:
    [stuck] = ids(connection, "stuck")
    for form in (
        {"action": "take"},
        {"action": "assign", "assignee": "boris"},
        {"action": "resolve", "note": "Exchanged, see protocol 17."},
        {"action": "reopen", "note": "Wrong flat."},
    ):
        assert engineer.post(f"/findings/{stuck}", data=form).status_code == 303
    history = changes_of(connection, ours.id, stuck)
    assert [(one.state, one.assignee, one.author) for one in history] == [
        (None, "anna", "anna"),
        (None, "boris", "anna"),
        ("resolved", None, "anna"),
        ("open", None, "anna"),
    ]
    page = engineer.get(f"/findings/{stuck}").text
    assert "Exchanged, see protocol 17." in page
    assert "assigned to boris" in page
    assert 'data-finding="stuck"' in engineer.get("/findings?assignee=boris").text


@pytest.mark.parametrize("action", ["resolve", "false alarm"])
def test_what_takes_a_finding_out_of_the_months_way_needs_a_note(
    engineer: TestClient, connection: psycopg.Connection, action: str
) -> None:
    before = states(connection)
    answer = engineer.post("/findings", data={"action": action, "finding": ids(connection)[:1]})
    assert answer.status_code == 422
    assert "Write a note" in answer.text
    assert states(connection) == before


def test_nothing_chosen_is_said_so(engineer: TestClient) -> None:
    answer = engineer.post("/findings", data={"action": "acknowledge"})
    assert answer.status_code == 422
    assert "tick the box" in answer.text


def test_nobody_is_assigned_who_has_no_role_here(
    engineer: TestClient, connection: psycopg.Connection
) -> None:
    answer = engineer.post(
        "/findings", data={"action": "assign", "assignee": "mallory", "finding": ids(connection)[:1]}
    )
    assert answer.status_code == 422
    assert "nobody here signs in as mallory" in answer.text


def test_who_only_looks_is_shown_no_buttons(
    anonymous: TestClient, connection: psycopg.Connection, ours: Seeded, clock: Clock
) -> None:
    user_id = person(connection, "vera", "alpha", UserRole.VIEWER)
    open_session(anonymous, connection, ours.id, user_id, clock.now)
    page = anonymous.get("/findings").text
    assert 'data-finding="stuck"' in page
    assert 'name="action"' not in page


def test_another_utilitys_findings_are_not_known(
    engineer: TestClient, connection: psycopg.Connection, theirs: Seeded
) -> None:
    [foreign] = [
        identity
        for (identity,) in connection.execute(
            "select id from findings where utility_id = %s and kind = 'stuck'", (theirs.id,)
        )
    ]
    assert engineer.get(f"/findings/{foreign}").status_code == 404
    assert engineer.post(f"/findings/{foreign}", data={"action": "acknowledge"}).status_code == 404
    assert engineer.post("/findings", data={"action": "acknowledge", "finding": [foreign]}).status_code == 404
