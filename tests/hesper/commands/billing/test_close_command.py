"""`hesper close`: what it prints, what it returns, and what it says when it cannot."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from hesper.cli import build
from hesper.commands.person import system_user
from metering.access import UserRole
from store.postgres.database import connect
from tests.support.people import sit_down
from tests.support.town import Town

DAY = timedelta(days=1)
START = datetime(2025, 7, 31, 22, tzinfo=UTC)


@pytest.fixture
def town(database: str) -> Iterator[Town]:
    with connect(database) as connection:
        town = Town(connection)
        town.meter("AAA-1", {START + n * DAY: str(100 + n) for n in range(62)})
        town.meter("BBB-2", {START + n * DAY: str(100 + n) for n in range(20)})
        sit_down(connection, "anna", UserRole.BILLING, UserRole.APPROVER)
        yield town


def run(database: str, *arguments: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr); what waits for validation is validated by the command."""
    command = ["close", *arguments, "--database-url", database]
    result = CliRunner().invoke(build(command), command)
    return result.exit_code, result.stdout, result.stderr


def test_one_month_is_closed_and_shown(town: Town, database: str) -> None:
    code, shown, _ = run(database, "2025-08")
    assert code == 0
    assert "2025-08" in shown
    assert [row[0] for row in town.billed("2025-08")] == ["AAA-1"]
    assert town.excepted("2025-08") == [("BBB-2", "no_reading_after")]
    assert town.connection.execute("select author from closes").fetchone() == ("anna",)


def test_several_months_as_json(town: Town, database: str) -> None:
    code, printed, _ = run(database, "--from", "2025-08", "--to", "2025-09", "--json")
    assert code == 0
    summaries = json.loads(printed)
    assert [(each["period"], each["billed"], each["exceptions"]) for each in summaries] == [
        ("2025-08", 1, {"no_reading_after": 1}),
        ("2025-09", 1, {"no_reading_after": 1}),
    ]


def test_status_says_how_far_each_close_is(town: Town, database: str) -> None:
    run(database, "2025-08")
    run(database, "2025-09", "--draft")
    code, shown, _ = run(database, "--status")
    assert code == 0
    first, second = shown.splitlines()
    assert first == "2025-09 run 1: drafted, drafted by anna, 1 billed, 1 exceptions"
    assert second.startswith("2025-08 run 1: approved, drafted by anna, approved by anna on ")
    code, printed, _ = run(database, "--status", "2025-08", "--json")
    (told,) = json.loads(printed)
    assert (told["state"], told["run"], told["summary"]["billed"]) == ("approved", 1, 1)


def test_draft_is_shown_worked_off_and_approved(town: Town, database: str) -> None:
    code, shown, _ = run(database, "2025-08", "--draft")
    assert code == 0
    assert "2025-08: nothing is issued yet; `hesper close 2025-08 --approve` issues it" in shown
    assert "2025-08 BBB-2 8-0:1.0.0 no_reading_after: BBB-2 has no usable reading" in shown
    assert town.billed("2025-08") == []
    assert run(database, "2025-08", "--approve")[0] == 0
    assert len(town.billed("2025-08")) == 1


@pytest.fixture
def corrected(town: Town, database: str) -> Town:
    """A month that was issued, and a correction of it that nobody has drafted yet."""
    run(database, "2025-08")
    town.read("AAA-1", {START + 31 * DAY + timedelta(minutes=1): "131.25"})
    town.connection.execute("update installations set multiplier = 2")
    town.connection.commit()
    return town


def test_correction_waits_until_another_person_approves_it(corrected: Town, database: str) -> None:
    code, shown, _ = run(database, "2025-08")
    assert (code, "1 of what was issued would change, so another person" in shown) == (0, True)
    code, _, error = run(database, "2025-08", "--approve")
    assert (code, "drafted by anna" in error, "another person approves it" in error) == (2, True, True)
    sit_down(corrected.connection, "boris")
    code, _, error = run(database, "2025-08", "--approve")
    assert (code, "no role goes so far as billing:approve" in error) == (2, True)
    sit_down(corrected.connection, "boris", UserRole.APPROVER)
    assert run(database, "2025-08", "--approve")[0] == 0
    assert [row[1] for row in corrected.billed("2025-08")] == [1, 2]
    assert (
        corrected.connection.execute(
            "select actor, detail from audit_log where subject like 'close_events%' order by id desc limit 1"
        ).fetchone()[0]
        == "boris"
    )  # type: ignore[index]
    assert run(database, "2025-08", "--withdraw")[0] == 2
    assert run(database, "2025-08", "--draft", "--approve")[0] == 2


def test_a_name_is_not_a_person(corrected: Town, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who somebody says to be, by an option or by variables, makes nobody another one."""
    corrected.connection.execute("update users set os_user = null")
    corrected.connection.commit()
    assert run(database, "2025-08", "--draft")[0] == 0
    for variable in ("LOGNAME", "USER", "SUDO_USER"):
        monkeypatch.setenv(variable, "boris")
    assert run(database, "2025-08", "--approve", "--author", "Somebody Else")[0] == 2
    code, _, error = run(database, "2025-08", "--approve")
    assert (code, "who approves has an account" in error) == (2, True)
    sit_down(corrected.connection, "boris", UserRole.APPROVER)
    code, _, error = run(database, "2025-08", "--approve")
    assert (code, f"drafted by {system_user()} at the command line, who may be anybody" in error) == (2, True)
    assert run(database, "2025-08", "--withdraw")[0] == 0
    sit_down(corrected.connection, "anna")
    assert run(database, "2025-08", "--draft")[0] == 0
    sit_down(corrected.connection, "boris")
    assert run(database, "2025-08", "--approve")[0] == 0
    assert [row[1] for row in corrected.billed("2025-08")] == [1, 2]


def test_common_needs_of_a_house_are_shown(town: Town, database: str) -> None:
    town.connection.execute(
        """
        insert into sites (utility_id, code, name) select id, 'house', '' from utilities;
        insert into sites (utility_id, code, name, parent_id) select utility_id, 'flat', '', id from sites;
        update service_points p set site_id = s.id from sites s
        where s.code = case p.code when 'AAA-1' then 'house' else 'flat' end
        """
    )
    town.connection.commit()
    run(database, "2025-08")
    code, shown, _ = run(database, "--common", "2025-08")
    assert (code, shown) == (
        0,
        (
            "2025-08 house 8-0:1.0.0: house 31, points behind it 0, common needs 31 m3, 100.0% of the house; "
            "1 of 1 points not billed\n"
        ),
    )


def test_what_was_issued_can_be_verified(town: Town, database: str) -> None:
    run(database, "2025-08")
    code, shown, _ = run(database, "--verify", "2025-08")
    assert code == 0
    assert shown.splitlines() == ["billing readings checked: 1, altered since they were issued: 0"]
    town.connection.execute("update billing_readings set consumption = 0")
    town.connection.commit()
    code, shown, _ = run(database, "--verify", "2025-08")
    assert code == 1
    assert "  2025-08 AAA-1 8-0:1.0.0 version 1 (id 1)" in shown.splitlines()
    code, printed, _ = run(database, "--verify", "2025-08", "--json")
    assert code == 1
    assert json.loads(printed)["altered"][0]["service_point"] == "AAA-1"
    assert town.connection.execute("select count(*) from closes").fetchone() == (1,)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "name one period"),
        (("2025-08", "--from", "2025-08"), "name one period"),
        (("2025-13",), "is not a period"),
        (("--from", "2025-09", "--to", "2025-08"), "comes before"),
        (("2999-01",), "close it after that"),
        (("2025-08", "--utility", "nowhere"), "no utility has the code 'nowhere'"),
    ],
)
def test_what_cannot_be_closed_is_explained(
    town: Town, database: str, arguments: tuple[str, ...], told: str
) -> None:
    code, _, error = run(database, *arguments)
    assert code == 2
    assert told in " ".join(error.split())


def test_utility_must_be_named_where_there_are_several(town: Town, database: str) -> None:
    town.connection.execute("insert into utilities (code, name, time_zone) values ('other', '', 'UTC')")
    town.connection.commit()
    code, _, error = run(database, "2025-08")
    assert code == 2
    assert "--utility: other, town" in " ".join(error.split())


def test_store_without_a_utility_says_how_to_register_one(database: str) -> None:
    code, _, error = run(database, "2025-08")
    assert code == 2
    assert "registry apply" in " ".join(error.split())
