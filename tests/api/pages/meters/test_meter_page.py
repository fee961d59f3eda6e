"""A meter's page: what is said of readings, edits with four eyes, telegrams, health, the year on paper."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient
from psycopg.types.json import Jsonb

from api.pages.meters.chart_words import words
from api.pages.meters.subject import RegisterView
from api.printing.meter_year import letterhead, months_of, story
from api.printing.pdf import document
from api.web.app import create_app
from api.web.settings import ApiSettings
from api.web.telegrams import Telegram, Undecoded
from api.words.language import COOKIE, languages
from api.words.presentation import expiry
from metering.access import UserRole
from store.fleet import meters as meter_queries
from store.fleet.utilities import utility
from store.postgres.roles import enter_utility
from telemetry.explanation import ExplainedRecord, Explanation
from telemetry.status import Status
from tests.api.conftest import Clock, sign_in
from tests.api.people import enrol, open_session, person
from tests.api.seeding import NOW, Seeded, insert
from tests.support.pdf_text import pdf_text

Form = dict[str, str]

OPEN_MONTH = datetime(2026, 11, 15, 14, tzinfo=UTC)  # the glitch that the seeded rules left out
CLOSED_MONTH = datetime(2026, 10, 20, 9, tzinfo=UTC)


@pytest.fixture
def meter(ours: Seeded) -> str:
    return f"/meters/{ours.meters[0]}"


@pytest.fixture
def engineer(anonymous: TestClient, connection: psycopg.Connection, ours: Seeded) -> Form:
    return signed_in(anonymous, connection, ours, "anna", UserRole.ENGINEER)


def signed_in(
    client: TestClient, connection: psycopg.Connection, ours: Seeded, login: str, *roles: UserRole
) -> Form:
    """Somebody's browser is signed in; what every form of theirs brings along."""
    identity = person(connection, login, ours.code, *roles)
    enrol(connection, identity)
    return {"form_token": open_session(client, connection, ours.id, identity, NOW)}


def chart(client: TestClient, meter: str, **query: Any) -> dict[str, Any]:
    answer = client.get(f"{meter}/chart", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def marked(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["instant"]: one for one in content["marked"]}


def test_a_reading_that_was_left_out_is_on_the_chart_with_its_value_and_why(
    browser: TestClient, meter: str
) -> None:
    content = chart(browser, meter, range="7d")
    left_out = marked(content)[OPEN_MONTH.isoformat()]
    assert left_out["kind"] == "excluded"
    assert left_out["title"] == "left out of accounting"
    assert left_out["reason"] == "Glitch"
    assert "." in left_out["value"]
    assert OPEN_MONTH.timestamp() not in content["points"]["at"]


def test_estimated_questionable_and_manual_readings_each_have_a_kind_of_their_own(
    browser: TestClient, connection: psycopg.Connection, ours: Seeded, meter: str
) -> None:
    register, hour = ours.registers[0], timedelta(hours=1)
    said = {8: "estimated", 9: "estimated", 10: "questionable", 7: "manual", 0: "noted"}
    for place, quality in enumerate(said):
        insert(
            connection,
            "marks",
            register_id=register,
            measured_at=OPEN_MONTH + (place + 2) * hour,
            rule="own_rule",
            quality=quality,
            usable=True,
            evidence=Jsonb({"rate": "5.25", "since": "2026-11-15T13:00:00Z", "more": {"not": "shown"}}),
        )
    connection.execute(
        "update readings set status = %s where register_id = %s and measured_at = %s",
        (int(Status.MANUAL), register, OPEN_MONTH + 9 * hour),
    )
    connection.commit()
    content = chart(browser, meter, range="7d")
    kinds = [marked(content)[(OPEN_MONTH + (place + 2) * hour).isoformat()]["kind"] for place in range(5)]
    assert kinds == list(said.values())
    one = marked(content)[(OPEN_MONTH + 2 * hour).isoformat()]
    assert one["reason"] == "Own rule (rate 5.25, since 15 Nov 2026, 14:00)"
    assert "Handed in" in marked(content)[(OPEN_MONTH + 9 * hour).isoformat()]["reason"]
    points = content["points"]
    place = points["instant"].index((OPEN_MONTH + 2 * hour).isoformat())
    assert points["kind"][place] == "estimated"
    assert points["counted"][place + 1] == "estimated", "what is counted from an estimate is one, too"


def test_exchanges_boundaries_and_the_end_of_verification_stand_on_the_axis_of_time(
    browser: TestClient, connection: psycopg.Connection, ours: Seeded, meter: str
) -> None:
    connection.execute("update meters set verified_until = '2026-11-10' where code = %s", (ours.meters[0],))
    connection.execute(
        """
        update installations set valid_to = '2026-11-18T09:00Z'
        where meter_id = (select id from meters where code = %s)
        """,
        (ours.meters[0],),
    )
    connection.commit()
    events = {(one["kind"], one["title"]): one for one in chart(browser, meter, range="30d")["events"]}
    boundary = events["boundary", "Billing boundary"]
    assert boundary["at"] == datetime(2026, 10, 31, 23, tzinfo=UTC).timestamp()
    assert boundary["reason"].startswith("October 2026: ")
    assert boundary["href"] == f"/billing/{ours.bills[0]}"
    assert events["swap", "Removed"]["reason"] == "From Flat 1"
    assert events["verification", "Verification ends"]["reason"] == "10 Nov 2026 was its last day"


def test_a_gap_says_what_the_gateway_said_of_it(
    browser: TestClient, connection: psycopg.Connection, ours: Seeded, meter: str
) -> None:
    register, start = ours.registers[0], datetime(2026, 11, 19, 8, tzinfo=UTC)
    connection.execute(
        "delete from readings where register_id = %s and measured_at > %s and measured_at < %s",
        (register, start, start + timedelta(hours=8)),
    )
    connection.execute(
        """
        insert into missed_polls (meter_id, due_at, reason, gateway_id, utility_id)
        select m.id, %s + n * interval '1 hour', case when n < 6 then 'no answer' else 'line busy' end,
               m.gateway_id, m.utility_id
        from meters m cross join generate_series(1, 7) n where m.code = %s
        """,
        (start, ours.meters[0]),
    )
    connection.commit()
    points = chart(browser, meter, range="7d")["points"]
    place = points["gap"].index(True)
    assert points["missed"][place] == "no answer (5 polls), line busy (2 polls)"
    text = browser.get(meter).text
    assert "no answer</strong> 5 times" in text


def test_figures_come_by_hour_day_month_and_year_as_they_fit_the_time(
    browser: TestClient, meter: str
) -> None:
    for query, bucket in (
        ({"range": "30d", "by": "hour"}, "hour"),
        ({"range": "13m", "by": "month"}, "month"),
        ({"range": "all", "by": "year"}, "year"),
        ({"range": "all", "by": "hour"}, "month"),
        ({"since": "1795000000", "until": "1795100000"}, "hour"),
        ({"since": "1690000000", "until": "1795100000"}, "month"),
    ):
        content = chart(browser, meter, **query)
        assert content["bucket"] == bucket, query
        assert len(content["points"]["at"]) <= 1000
        if query.get("range") == "all":
            assert content["from"] >= datetime(2025, 12, 31, 23, tzinfo=UTC).timestamp(), (
                "where readings begin"
            )
        assert all(content["from"] < at <= content["to"] for at in content["points"]["at"])


def test_a_time_that_ends_before_it_begins_or_is_beyond_calendars_is_refused(
    browser: TestClient, meter: str
) -> None:
    backwards = {"since": 1_795_000_000, "until": 1_700_000_000}
    assert browser.get(f"{meter}/chart", params=backwards).status_code == 422
    for last_day in ("0001-01-01", "9999-12-31"):
        assert browser.get(meter, params={"to": last_day}).status_code == 422


def test_the_script_has_its_words_from_the_server(browser: TestClient, meter: str) -> None:
    browser.cookies.set(COOKIE, "uk")
    content = chart(browser, meter)
    assert content["language"] == "uk"
    assert content["words"]["excluded"] == "вилучено з обліку"
    assert content["words"]["zoomed"].count("{") == 2


@pytest.mark.parametrize("code", ["ru", "uk"])
def test_what_the_script_fills_in_is_the_same_in_every_language(code: str) -> None:
    fields = re.compile(r"{\w+}")
    english = words(languages()["en"])
    for name, text in words(languages()[code]).items():
        assert sorted(fields.findall(text)) == sorted(fields.findall(english[name])), name


def edit(client: TestClient, meter: str, form: Form, **fields: str) -> Any:
    return client.post(f"{meter}/edits", data=form | fields, headers={"Accept": "text/html"})


def test_an_engineer_leaves_a_reading_out_and_takes_it_back(
    anonymous: TestClient, engineer: Form, meter: str
) -> None:
    at = (OPEN_MONTH + timedelta(hours=3)).isoformat()
    page = anonymous.get(meter, params={"at": at}).text
    assert "Leave it out of accounting" in page
    done = edit(anonymous, meter, engineer, at=at, action="exclude", reason="the dial was fogged")
    assert done.status_code == 303
    assert done.headers["location"].endswith("#edits")
    one = marked(chart(anonymous, meter, range="7d"))[at]
    assert (one["kind"], one["edited"]) == ("excluded", True)
    assert one["reason"] == "Left out by anna: the dial was fogged"
    page = anonymous.get(meter).text
    assert 'data-edit="exclude" data-state="holds"' in page
    assert edit(anonymous, meter, engineer, at=at, action="restore", reason="it was right").status_code == 303
    assert at not in marked(chart(anonymous, meter, range="7d"))
    assert 'data-edit="exclude" data-state="undone"' in anonymous.get(meter).text


def test_an_engineer_accepts_what_rules_left_out(anonymous: TestClient, engineer: Form, meter: str) -> None:
    page = anonymous.get(meter, params={"at": OPEN_MONTH.isoformat()}).text
    assert "Take it as it is" in page
    accepted = edit(anonymous, meter, engineer, at=OPEN_MONTH.isoformat(), action="accept", reason="seen")
    assert accepted.status_code == 303
    assert (
        "Accepted by anna: seen"
        in marked(chart(anonymous, meter, range="7d"))[OPEN_MONTH.isoformat()]["reason"]
    )


def test_a_value_is_entered_by_the_clocks_of_the_utility(
    anonymous: TestClient, engineer: Form, connection: psycopg.Connection, ours: Seeded, meter: str
) -> None:
    before = connection.execute(
        "select value from readings where register_id = %s and measured_at = %s",
        (ours.registers[0], datetime(2026, 11, 20, 9, tzinfo=UTC)),
    ).fetchone()
    assert before is not None
    value = f"{before[0] / 1_000_000:.6f}".replace(".", ",")
    done = edit(
        anonymous,
        meter,
        engineer,
        action="enter",
        local="2026-11-20T10:30",
        value=value,
        reason="read at the door",
    )
    assert done.status_code == 303, done.text
    at = datetime(2026, 11, 20, 9, 30, tzinfo=UTC).isoformat()
    one = marked(chart(anonymous, meter, range="2d"))[at]
    assert one["kind"] == "manual"
    assert one["value"] == value.replace(",", ".").rstrip("0")


FAULTS = (
    ({"action": "enter", "local": "2026-11-20T10:30", "value": "1", "reason": " "}, "Give a reason"),
    ({"action": "enter", "local": "2026-11-20T10:30", "value": "1", "reason": "x"}, "run backwards"),
    ({"action": "enter", "local": "2026-11-20T10:30", "value": "one", "reason": "x"}, "as the meter shows"),
    ({"action": "enter", "local": "2026-11-20T10:30", "value": "12345678", "reason": "x"}, "6 digits"),
    ({"action": "enter", "local": "2026-11-20T10:00", "value": "500", "reason": "x"}, "There is a reading"),
    ({"action": "enter", "local": "2026-12-24T10:30", "value": "500", "reason": "x"}, "still to come"),
    ({"action": "enter", "local": "2026-10-25T02:30", "value": "500", "reason": "x"}, "Clocks are changed"),
    ({"action": "enter", "local": "1026-11-20T10:30", "value": "500", "reason": "x"}, "too long ago"),
    ({"action": "enter", "local": "0001-01-01T00:00", "value": "500", "reason": "x"}, "the day and the"),
    ({"action": "enter", "local": "tomorrow", "value": "500", "reason": "x"}, "the day and the time"),
    ({"action": "exclude", "at": "2026-11-15T14:00:01Z", "reason": "x"}, "no reading of that instant"),
    ({"action": "restore", "at": OPEN_MONTH.isoformat(), "reason": "x"}, "what is to be done"),
    ({"action": "melt", "at": OPEN_MONTH.isoformat(), "reason": "x"}, "what is to be done"),
)


def test_what_cannot_be_is_said_beside_what_was_typed_in_and_changes_nothing(
    anonymous: TestClient, engineer: Form, connection: psycopg.Connection, meter: str
) -> None:
    before = connection.execute("select count(*) from edits").fetchone()
    for fields, said in FAULTS:
        answer = edit(anonymous, meter, engineer, **fields)
        assert answer.status_code == 422
        assert said in answer.text.split('role="alert">')[1].split("<")[0]
        if "value" in fields:
            assert f'value="{fields["value"]}"' in answer.text
    assert connection.execute("select count(*) from edits").fetchone() == before


def test_a_low_value_is_entered_once_it_is_confirmed(
    anonymous: TestClient, engineer: Form, meter: str
) -> None:
    fields = {"action": "enter", "local": "2026-11-20T10:30", "value": "1", "reason": "new counter unit"}
    assert 'name="confirmed"' in edit(anonymous, meter, engineer, **fields).text
    assert edit(anonymous, meter, engineer, **fields, confirmed="true").status_code == 303


def test_an_edit_of_a_closed_month_holds_once_a_second_person_approved(
    anonymous: TestClient,
    engineer: Form,
    connection: psycopg.Connection,
    ours: Seeded,
    meter: str,
) -> None:
    at = CLOSED_MONTH.isoformat()
    assert (
        edit(anonymous, meter, engineer, at=at, action="exclude", reason="a wrong meter").status_code == 303
    )
    page = anonymous.get(meter).text
    assert 'data-state="waits"' in page
    assert "/approval" not in page, "an engineer does not approve"
    assert at not in marked(chart(anonymous, meter, range="90d"))
    (number,) = re.findall(r'id="edit-(\d+)"', page)
    assert anonymous.post(f"{meter}/edits/{number}/approval", data=engineer).status_code == 403

    both = signed_in(anonymous, connection, ours, "olga", UserRole.ENGINEER, UserRole.APPROVER)
    elsewhere = f"/meters/{ours.meters[1]}/edits/{number}/approval"
    assert anonymous.post(elsewhere, data=both).status_code == 404
    assert f"/edits/{number}/approval" in anonymous.get(meter).text
    assert anonymous.post(f"{meter}/edits/{number}/approval", data=both).status_code == 303
    assert "approved by olga" in anonymous.get(meter).text
    assert marked(chart(anonymous, meter, range="90d"))[at]["reason"] == "Left out by anna: a wrong meter"


def test_nobody_approves_their_own_edit_whatever_their_roles(
    anonymous: TestClient, connection: psycopg.Connection, ours: Seeded, meter: str
) -> None:
    form = signed_in(anonymous, connection, ours, "ivan", UserRole.ENGINEER, UserRole.APPROVER)
    edit(anonymous, meter, form, at=CLOSED_MONTH.isoformat(), action="exclude", reason="x")
    page = anonymous.get(meter).text
    assert "/approval" not in page
    (number,) = re.findall(r'id="edit-(\d+)"', page)
    refused = anonymous.post(f"{meter}/edits/{number}/approval", data=form)
    assert refused.status_code == 422
    assert "second person" in refused.text


def test_telegrams_are_decoded_by_what_the_app_was_given(
    settings: ApiSettings, clock: Clock, connection: psycopg.Connection, ours: Seeded
) -> None:
    asked = []

    def decode(raw: bytes, model: str) -> Telegram:
        asked.append((raw, model))
        if model == "Multical 21":
            records = [
                ExplainedRecord("volume", "m3", "1412.565", "8-0:1.0.0"),
                ExplainedRecord("on time", "h", None, None, storage=1),
            ]
            return Explanation("mbus", "KAM-1", "KAM", "water", ["power low"], records)
        return Undecoded("it <hums>")

    connection.execute("update meters set model = 'other' where code = %s", (ours.meters[1],))
    connection.commit()
    app = create_app(settings, clock=clock, decode=decode)
    with TestClient(app, base_url="http://127.0.0.1", follow_redirects=False) as client:
        sign_in(client, ours.key)
        for path in (f"/meters/{ours.meters[0]}", f"/meters/{ours.meters[0]}/telegrams"):
            text = client.get(path).text
            assert "1\u202f412.565" in text
            assert "no valid value" in text
            assert "power low" in text
            assert "68 30 30 68" in text
        assert "it &lt;hums&gt;" in client.get(f"/meters/{ours.meters[1]}/telegrams").text
        gone = client.get(f"/meters/{ours.meters[0]}/telegrams", params={"at": "2026-01-01T00:00:00Z"})
        assert gone.status_code == 404
    assert asked[0][0].startswith(b"\x68\x30")


def test_a_meter_that_complains_or_was_never_heard_says_so(
    browser: TestClient, connection: psycopg.Connection, ours: Seeded, meter: str
) -> None:
    assert "It reported no error" in browser.get(meter).text
    connection.execute(
        "update readings set status = %s where register_id = %s and measured_at > %s",
        (int(Status.POWER_LOW | Status.TAMPER), ours.registers[0], NOW - timedelta(days=2)),
    )
    identity = connection.execute("select id from meters where code = %s", (ours.meters[1],)).fetchone()
    connection.execute("delete from readings where register_id = %s", (ours.registers[1],))
    connection.commit()
    assert identity is not None
    assert "power low, tamper</strong> with 48 readings" in browser.get(meter).text
    assert "none yet" in browser.get(f"/meters/{ours.meters[1]}").text


@pytest.mark.parametrize(
    ("last_day", "state", "words"),
    [
        (date(2031, 12, 31), "good", "5 years left"),
        (date(2027, 6, 1), "good", "6 months left"),
        (date(2026, 11, 22), "soon", "1 day left"),
        (date(2026, 11, 21), "soon", "its last day is today"),
        (date(2026, 11, 20), "over", "expired 1 day ago"),
    ],
)
def test_the_end_of_a_verification_is_told_in_words(last_day: date, state: str, words: str) -> None:
    told = expiry(last_day, date(2026, 11, 21), languages()["en"])
    assert (told.state, told.words) == (state, words)


def test_a_year_on_paper_has_the_bills_and_what_was_left_out_and_why(
    browser: TestClient, connection: psycopg.Connection, ours: Seeded, meter: str
) -> None:
    answer = browser.get(f"{meter}/year/2026.pdf")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/pdf"
    assert f'filename="{ours.meters[0]}-2026.pdf"' in answer.headers["content-disposition"]
    assert browser.get(f"{meter}/year/2026.pdf").content == answer.content, "the same bytes, however often"
    assert browser.get("/meters/KAM-00000000/year/2026.pdf").status_code == 404

    said = printed_year(connection, ours, 2026, "en")
    for part in (
        "Stadtwerke Abendstern",
        f"Meter {ours.meters[0]} in 2026",
        "Flat 1 · flat-01-8 (1 Mar 2024 – now)",
        "40001",
        "October 2026",
        "14.408234",
        "set day / reading",
        "not closed",
        "Glitch",
        "15 Nov 2026, 15:00",
    ):
        assert part in said, part
    assert "December 2026" not in said


def test_a_year_on_paper_speaks_the_readers_language(connection: psycopg.Connection, ours: Seeded) -> None:
    said = printed_year(connection, ours, 2026, "ru")
    for part in ("октябрь 2026", "Показания, исключённые из учёта", "14,408234", "Сбой показания"):
        assert part in said, part
    assert "None in this year" in printed_year(connection, ours, 2025, "en")


def printed_year(connection: psycopg.Connection, ours: Seeded, year: int, code: str) -> str:
    language = languages()[code]
    enter_utility(connection, ours.id)
    meter = meter_queries.meter(connection, ours.id, ours.meters[0])
    assert meter is not None
    register = meter_queries.registers(connection, meter.id)[0]
    about = RegisterView(connection, utility(connection, ours.id), meter, register, NOW, language)
    parts = story(about, year, months_of(about, year))
    content = document(letterhead(about, year, "Printed"), parts, language, compressed=False)
    return " ".join(pdf_text(content).split("\n"))
