"""`hesper deliver` and `hesper submissions`: destinations, messages, files, statements, windows."""

import csv
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hesper.cli import build
from hesper.secret_keys import SecretKeys
from ingest.delivery.signature import headers
from metering.delivery.formats import BILLING_WRITERS
from store.delivery import destinations
from store.keyring import Keyring
from store.postgres.database import connect
from tests.support.town import UTILITY, Town

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
START = datetime(2025, 7, 31, 22, tzinfo=UTC)
URL = "https://billing.example/hesper"


@pytest.fixture
def town(database: str) -> Iterator[Town]:
    with connect(database) as connection:
        town = Town(connection)
        town.meter("AAA-1", {START - HOUR + n * DAY: str(100 + n) for n in range(62)})
        town.meter("BBB-2", {START - HOUR + n * DAY: str(100 + n) for n in range(20)})
        connection.execute("update service_points set account = '40001'")
        connection.commit()
        yield town


def run(database: str, *arguments: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr)."""
    command = [*arguments, "--database-url", database]
    result = CliRunner(env={"COLUMNS": "200"}).invoke(build(command), command)
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


def test_a_destination_shows_its_secret_once(town: Town, database: str, surroundings: Path) -> None:
    code, secret, told = run(database, "deliver", "add", URL)
    assert (code, told) == (0, "destination 1 of town, 0 messages wait for it")
    assert headers("msg_1", 1, b"", [secret.strip()])
    assert URL in run(database, "deliver", "destinations")[1]
    assert "whsec" not in run(database, "deliver", "destinations", "--json")[1]
    code, fresh, _ = run(database, "deliver", "rotate", "1", "--hours", "2")
    assert code == 0
    assert fresh != secret
    claimed = town.connection.execute("select secret, previous_secret from destinations").fetchone()
    assert claimed is not None
    assert [*map(Keyring(SecretKeys.of(surroundings)).open, claimed)] == [fresh.strip(), secret.strip()]
    town.connection.commit()
    assert run(database, "deliver", "remove", "1")[0] == 0
    code, _, told = run(database, "deliver", "rotate", "1")
    assert code == 1
    assert "no destination 1" in told


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://billing.example/", "use https"),
        ("https://a:b@billing.example/", "password"),
        ("x", "not an https"),
    ],
)
def test_an_address_that_nothing_can_be_sent_to_is_refused(
    town: Town, database: str, url: str, told: str
) -> None:
    code, shown, error = run(database, "deliver", "add", url)
    assert (code, shown) == (1, "")
    assert told in error
    assert destinations.listing(town.connection) == []


def test_what_was_closed_before_can_be_sent_too_and_dead_messages_again(town: Town, database: str) -> None:
    town.close("2025-08")
    _, _, told = run(database, "deliver", "add", URL, "--since", "2025-08")
    assert "1 messages wait" in told
    town.connection.execute("update outbox set state = 'dead', attempts = 11, last_error = 'it answered 500'")
    town.connection.commit()
    assert "it answered 500" in run(database, "deliver", "list", "--dead")[1]
    assert json.loads(run(database, "deliver", "list", "--waiting", "--json")[1]) == []
    assert run(database, "deliver", "retry")[1] == "1 messages wait again\n"
    (waiting,) = json.loads(run(database, "deliver", "list", "--waiting", "--json")[1])
    assert (waiting["state"], waiting["attempts"], waiting["period"]) == ("waiting", 0, "2025-08")
    shown = json.loads(run(database, "deliver", "show", str(waiting["id"]))[1])
    assert shown["sent"] == {"count": 1, "totals": {"8-0:1.0.0 m3": "31"}}
    assert (shown["acknowledged"], shown["differences"]) == (None, {})
    assert run(database, "deliver", "show", "99")[0] == 1


@pytest.mark.parametrize("name", BILLING_WRITERS)
def test_a_file_is_the_same_to_the_byte_also_after_the_registry_changed(
    town: Town, database: str, tmp_path: Path, name: str
) -> None:
    town.close("2025-08")
    first, second, earlier = (tmp_path / each for each in ("first", "second", "earlier"))
    arguments = ("deliver", "file", "--period", "2025-08", "--format", name)
    code, told, _ = run(database, *arguments, "--output", str(first))
    assert code == 0
    assert told == f"{first}: 1 billing readings up to cursor 1\n"
    town.connection.execute("update service_points set account = 'other', name = 'renamed'")
    town.connection.commit()
    run(database, *arguments, "--output", str(second))
    assert first.read_bytes() == second.read_bytes()
    town.read("AAA-1", {START + 31 * DAY: "131.5"})
    assert town.close("2025-08").corrected == 1
    run(database, *arguments, "--output", str(second))
    assert first.read_bytes() != second.read_bytes()
    run(database, *arguments, "--output", str(earlier), "--cursor", "1")
    assert first.read_bytes() == earlier.read_bytes()


def test_a_file_in_the_dialect_of_half_of_europe(
    town: Town, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.close("2025-08")
    monkeypatch.chdir(tmp_path)
    assert run(database, "deliver", "file", "--period", "2025-08", "--dialect", "de")[0] == 0
    with (tmp_path / "town-2025-08-1.csv").open(newline="") as file:
        (row,) = csv.DictReader(file, delimiter=";")
    assert (row["service_point"], row["account"], row["consumption"]) == ("AAA-1", "40001", "31")
    assert list(tmp_path.iterdir()) == [tmp_path / "town-2025-08-1.csv"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--period", "2025-13"), "is not a period"),
        (("--period", "2025-08", "--format", "pdf"), "no format pdf"),
        (("--period", "2025-08", "--dialect", "x"), "dialect x"),
        (("--period", "2025-09"), "hesper close 2025-09"),
        (("--period", "2025-08", "--utility", "nowhere"), "no utility has the code"),
        (("--period", "2025-08", "--output", "/nowhere/file"), "was not written"),
    ],
)
def test_a_file_that_cannot_be_written_says_why(
    town: Town, database: str, arguments: tuple[str, ...], told: str
) -> None:
    if told == "was not written":
        town.close("2025-08")
    code, _, error = run(database, "deliver", "file", *arguments)
    assert code == 1
    assert told in error


def test_without_pyarrow_a_parquet_file_says_what_to_install(
    town: Town, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.close("2025-08")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    arguments = ("deliver", "file", "--period", "2025-08", "--format", "parquet")
    code, _, error = run(database, *arguments, "--output", str(tmp_path / "file"))
    assert code == 1
    assert "hesper[parquet]" in error
    assert list(tmp_path.iterdir()) == []


def test_a_statement_tells_what_billing_does_not_hold_and_what_was_left_out(
    town: Town, database: str
) -> None:
    town.close("2025-08")
    code, shown, _ = run(
        database, "deliver", "statement", "--account", "40001", "--from", "2025-08", "--json"
    )
    assert code == 3
    first, second = json.loads(shown)
    assert (first["issued"], first["acknowledged"], first["difference"]) == (
        {"version": 1, "consumption": "31"},
        None,
        "31",
    )
    assert second["remarks"][0].startswith("left out of accounting (no_reading_after)")
    town.connection.execute(
        """
        insert into api_keys (utility_id, name, secret_hash) select id, 'billing', 'x' from utilities;
        insert into billing_acknowledgements (utility_id, api_key_id, period, cursor, readings, totals)
        select utility_id, id, '2025-08', 1, 1, '{}' from api_keys
        """
    )
    town.connection.commit()
    code, shown, _ = run(database, "deliver", "statement", "--account", "40001", "--from", "2025-08")
    assert code == 0
    assert "2025-08 8-0:1.0.0 m3: issued 31, acknowledged 31, difference 0" in shown


def test_windows_are_set_and_listed(town: Town, database: str) -> None:
    base = ("submissions", "window", "--utility", UTILITY, "--from", "2026-01-01", "--refuse-late")
    assert run(database, *base, "--", "heat", "-7", "1")[0] != 0  # options after -- are no options
    command = [*base, "--database-url", database, "--", "heat", "-7", "1"]
    assert CliRunner().invoke(build(command), command).exit_code == 0
    shown = run(database, "submissions", "windows", "--utility", UTILITY)[1]
    assert all(text in shown for text in ("heat", "2026-01-01", "-7", "refused"))
    again = CliRunner().invoke(build(command), command)
    assert again.exit_code == 1
    assert "begin a day later" in " ".join(again.stderr.split())
    for medium, day, told in (("steam", "1", "no medium steam"), ("heat", "31", "from 1 to 28")):
        code, _, error = run(
            database, "submissions", "window", medium, day, "5", "--utility", UTILITY, "--from", "2026-02-01"
        )
        assert code == 1
        assert told in error
    assert run(database, "submissions", "list", "--utility", UTILITY)[0] == 0
