"""`hesper edit` and `hesper validate rules`: decisions are made, listed, approved or refused."""

import json
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from typer.testing import CliRunner

from hesper.cli import build
from metering.access import UserRole
from tests.support.people import sit_down
from tests.support.town import Town

START = datetime(2026, 6, 1, tzinfo=UTC)
AT = "2026-06-01T05:00:00Z"
SINCE = ("--from", "2026-01-01", "--reason", "r")


def hesper(database: str, *arguments: str) -> tuple[int, str]:
    """(exit code, output) of `hesper ARGUMENTS`."""
    words = [*arguments, "--database-url", database]
    result = CliRunner().invoke(build(words), words, env={"COLUMNS": "200"})
    return result.exit_code, result.output


@pytest.fixture
def town(connection: psycopg.Connection) -> Town:
    town = Town(connection)
    town.meter("AAA-1", {START + timedelta(hours=n): str(n) for n in range(10)})
    sit_down(connection, "anna", UserRole.ENGINEER, UserRole.APPROVER)
    return town


def test_whom_nobody_knows_makes_no_edit(town: Town, database: str) -> None:
    town.connection.execute("update users set os_user = null")
    town.connection.commit()
    code, output = hesper(database, "edit", "exclude", "AAA-1", "8-0:1.0.0", AT, "--reason", "magnet")
    assert (code, "no account is known" in output, "hesper login" in output) == (1, True, True)
    assert json.loads(hesper(database, "edit", "list", "--json")[1]) == []


def test_an_edit_is_made_listed_and_undone(town: Town, database: str) -> None:
    of = ("AAA-1", "8-0:1.0.0", AT, "--reason", "magnet")
    code, output = hesper(database, "edit", "exclude", *of)
    assert (code, "holds" in output) == (0, True)
    assert hesper(database, "edit", "restore", *of)[0] == 0
    code, output = hesper(database, "edit", "list", "--json")
    listed = json.loads(output)
    assert [(row["action"], row["author"], row["reason"], row["undoes"]) for row in listed] == [
        ("restore", "anna", "magnet", listed[1]["id"]),
        ("exclude", "anna", "magnet", None),
    ]
    assert "restore" in hesper(database, "edit", "list")[1]
    assert town.connection.execute("select count(*) from readings").fetchone() == (10,)


def test_an_edit_after_the_close_waits_for_a_second_person(town: Town, database: str) -> None:
    town.connection.execute(
        """
        insert into closes (utility_id, period, starts_at, ends_at, run, author, summary)
        select id, '2026-06', '2026-06-01', '2026-07-01', 1, 'anna', '{}' from utilities
        """
    )
    town.connection.commit()
    of = ("AAA-1", "8-0:1.0.0", "2026-06-01T05:30:00Z", "5.5", "--reason", "photo")
    code, output = hesper(database, "edit", "enter", *of)
    assert (code, "waits for a second person" in output) == (0, True)
    (waiting,) = json.loads(hesper(database, "edit", "list", "--waiting", "--json")[1])
    number = str(waiting["id"])
    assert hesper(database, "edit", "approve", number)[0] == 1
    sit_down(town.connection, "ben")
    assert "billing:approve" in hesper(database, "edit", "approve", number)[1]
    sit_down(town.connection, "ben", UserRole.APPROVER)
    assert hesper(database, "edit", "approve", number)[0] == 0
    assert json.loads(hesper(database, "edit", "list", "--waiting", "--json")[1]) == []
    assert town.connection.execute("select count(*) from readings").fetchone() == (11,)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("edit", "exclude", "AAA-9", "8-0:1.0.0", AT, "--reason", "r"), "no register"),
        (("edit", "exclude", "AAA-1", "8-0:1.0.0", "yesterday", "--reason", "r"), "no instant"),
        (("edit", "exclude", "AAA-1", "8-0:1.0.0", "2026-06-01T05:00:00", "--reason", "r"), "offset"),
        (("edit", "enter", "AAA-1", "8-0:1.0.0", AT, "x", "--reason", "r"), "range of a register"),
        (("edit", "accept", "AAA-1", "8-0:1.0.0", AT, "--reason", "r", "--utility", "x"), "no utility"),
        (("edit", "approve", "7"), "no edit 7"),
        (("validate", "rules", "--set", "leek.days=3"), "no parameter"),
        (("validate", "rules", "--set", "leak.days=3"), "from when"),
        (("validate", "rules", "water"), "not an OBIS code"),
        (("validate", "rules", "8-0:1.0.0", "--on", "today"), "no day"),
        (("validate", "route", "duty", "--email", "anna"), "whom?"),
        (("validate", "route", "duty", "--webhook", "file:///etc"), "not an https://"),
        (("validate", "route", "duty", "--webhook", "https://10.0.0.7/"), "not a public address"),
        (("validate", "route", "duty", "--email", "a@b", "--quiet", "late"), "no time of day"),
        (("validate", "route", "duty", "--off"), "no route"),
        (("validate", "rules", "--set", "leak=off", *SINCE, "--medium", "x"), "no medium"),
    ],
)
def test_what_cannot_be_done_is_refused(town: Town, database: str, words: tuple[str, ...], said: str) -> None:
    code, output = hesper(database, *words)
    assert code == 1
    assert said in output
    assert town.connection.execute("select count(*) from edits").fetchone() == (0,)


def test_a_rule_is_set_from_a_day_on_and_shown(town: Town, database: str) -> None:
    wanted = (
        "--set",
        "leak.days=5",
        "--medium",
        "cold water",
        "--from",
        "2026-07-01",
        "--reason",
        "old pipes",
    )
    assert hesper(database, "validate", "rules", *wanted)[0] == 0
    assert "old pipes" in hesper(database, "validate", "rules")[1]

    def leak_days(on: str) -> str:
        code, output = hesper(database, "validate", "rules", "8-0:1.0.0", "--on", on)
        assert code == 0
        (line,) = [line for line in output.splitlines() if " leak.days " in line]
        return line.split()[3]

    assert (leak_days("2026-06-30"), leak_days("2026-07-01")) == ("3", "5")


def test_an_alarm_route_is_set_shown_and_ended(town: Town, database: str) -> None:
    wanted = ("--webhook", "https://example.org/h", "--quiet", "22:00-06:00", "--severity", "alarm")
    code, output = hesper(database, "validate", "route", "duty", *wanted)
    assert code == 0
    assert "whsec_" in output
    assert (
        hesper(database, "validate", "route", "post", "--email", "a@example.org", "--digest", "07:00")[0] == 0
    )
    shown = hesper(database, "validate", "route")[1]
    assert "22:00:00-06:00:00" in shown
    assert "07:00:00" in shown
    assert "whsec_" not in shown
    assert hesper(database, "validate", "route", "duty", "--off")[0] == 0
    assert "duty" not in hesper(database, "validate", "route")[1]
