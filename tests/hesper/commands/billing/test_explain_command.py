"""`hesper explain`: the whole chain of a figure, from its versions down to what a telegram says."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from typer.testing import CliRunner

from hesper.cli import build
from store.postgres.database import connect
from store.validation.edits import Action, Edit, add, approve
from tests.support.people import sit_down
from tests.support.town import Town

OCTOBER = datetime(2026, 9, 30, 22, tzinfo=UTC)  # local midnights in Madrid
NOVEMBER = datetime(2026, 10, 31, 23, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RAW = "68252568080572175885062d2c08042c0000000c06517303000c14086105004c0661330300426c5f3aa116"
RULES = 'name = "test"\nversion = "1"\nladder = ["set_day", "reading", "average"]\n'


@pytest.fixture
def town(database: str) -> Iterator[Town]:
    """A meter read by telegram at the start of October; a month later a line between two readings."""
    with connect(database) as connection:
        town = Town(connection)
        readings = {OCTOBER - HOUR + n * DAY: str(37_351 + n) for n in range(-2, 40) if n != 31}
        town.meter("AAA-1", readings)
        connection.execute(
            """
            insert into telegrams (meter_id, measured_at, gateway_id, epoch, batch, raw)
            select m.id, %s, g.id, 'life', 4711, %s from meters m join gateways g using (utility_id)
            """,
            (OCTOBER - HOUR, bytes.fromhex(RAW)),
        )
        town.close("2026-10")
        yield town


def hesper(*arguments: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of the command."""
    result = CliRunner().invoke(build(list(arguments)), list(arguments))
    return result.exit_code, result.stdout, result.stderr


def test_figure_is_explained_down_to_the_value_in_the_telegram(town: Town, database: str) -> None:
    code, shown, _ = hesper("explain", "1", "--database-url", database)
    assert code == 0
    lines = [line.strip() for line in shown.splitlines()]
    assert lines[0] == "AAA-1  8-0:1.0.0  2026-10  version 1"
    assert "closed by anna" in shown
    assert "rules: built in" in lines
    assert "reading 37351 at 2026-09-30T21:00:00Z" in lines
    assert "6-0:1.0.0 37351 kW.h" in lines
    assert "not by installation: no meter was put in or taken out at this instant" in lines
    assert "not by set_day: the meter's own value for this instant is not there" in lines
    assert "by reading: taken: 37351" in lines
    assert "not by interpolation: not tried: a step before it had a value" in lines
    assert "not by reading: the nearest is 22 h away, the tolerance 2 h" in lines
    assert "no telegram: imported, entered, or no longer kept" in lines


def test_every_mark_and_edit_is_shown_with_who_said_so_and_why(town: Town, database: str) -> None:
    at = OCTOBER + 9 * DAY - HOUR
    row = add(town.connection, Edit(town.registers["AAA-1"], at, Action.EXCLUDE, "erik", "photo shows 7"))
    approve(town.connection, 1, row.id, "boris")
    town.connection.commit()
    code, shown, _ = hesper("explain", "1", "--database-url", database)
    assert code == 0
    assert "mark edit by erik on the reading 37360 at 2026-10-09T21:00:00Z: questionable, not used" in shown
    assert f"edit {row.id}: exclude at 2026-10-09T21:00:00Z, by erik on " in shown
    assert "photo shows 7 (approved by boris on " in shown
    code, printed, _ = hesper("explain", "1", "--json", "--database-url", database)
    told = json.loads(printed)
    (mark,) = [mark for mark in told["marks"] if mark["rule"] == "edit"]
    assert (mark["author"], mark["value"], mark["evidence"]["reason"]) == ("erik", "37360", "photo shows 7")
    (edit,) = told["edits"]
    assert (edit["author"], edit["approved_by"], edit["needs_approval"]) == ("erik", "boris", True)


def test_the_same_as_json_with_the_telegram_decoded(town: Town, database: str) -> None:
    code, printed, _ = hesper("explain", "1", "--json", "--database-url", database)
    assert code == 0
    told = json.loads(printed)
    assert (told["intact"], told["content"]["consumption"]) == (True, "31.083333")
    (telegram,) = told["telegrams"]
    values = {
        record["obis"]: record["value"] for record in telegram["decoded"]["records"] if not record["storage"]
    }
    assert (
        values["6-0:1.0.0"]
        == told["content"]["evidence"]["installations"][0]["start"]["readings"][0]["value"]
    )


def test_altered_figure_and_one_that_is_not_there_are_told_by_the_exit_code(
    town: Town, database: str
) -> None:
    town.connection.execute("update billing_readings set consumption = 7")
    town.connection.commit()
    code, shown, _ = hesper("explain", "1", "--database-url", database)
    assert code == 1
    assert "ALTERED since it was issued" in shown
    code, _, error = hesper("explain", "99", "--database-url", database)
    assert (code, "no billing reading has the id 99" in error) == (1, True)


def test_rules_are_given_listed_and_shown_in_the_explanation(
    town: Town, database: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("rules") / "test.toml"
    file.write_text(RULES)
    sit_down(town.connection, "anna")
    named = ("--utility", "town", "--database-url", database)
    code, shown, _ = hesper("rules", "apply", str(file), "--from", "2026-11-01", *named)
    assert (code, shown) == (0, "test 1 holds for town from 2026-11-01\n")
    code, shown, _ = hesper("rules", "list", "--utility", "town", "--database-url", database)
    assert (code, shown[:25]) == (0, "2026-11-01  test 1  (anna")
    assert hesper("rules", "coefficient", "AAA-1", "person", "3", "--from", "2026-11-01", *named)[0] == 0
    assert hesper("rules", "coefficient", "ZZZ-1", "person", "3", "--from", "2026-11-01", *named)[0] == 1
    assert hesper("rules", "coefficient", "AAA-1", "person", "many", "--from", "2026-11-01", *named)[0] == 1
    row = town.connection.execute("select amount, valid_from from service_point_coefficients").fetchone()
    assert row == (3, date(2026, 11, 1))
    town.close("2026-11")
    code, shown, _ = hesper("explain", "2", "--database-url", database)
    assert "rules: test 1" in shown
    assert "by average: taken: 37412.123601" in shown
    assert "rests on 2026-10: 31.083333 from 37351 to 37382.083333, version 1 (`hesper explain 1`)" in shown
    file.write_text("name = ")
    code, _, error = hesper("rules", "apply", str(file), "--from", "2026-11-01", *named)
    assert (code, "not TOML" in error) == (1, True)
