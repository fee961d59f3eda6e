"""`hesper quarantine`: what waits is seen, tried again, and discarded."""

import json
from datetime import UTC, datetime

import psycopg
import pytest
from typer.testing import CliRunner

from hesper.cli import build
from ingest.receive.decode import decode_readings
from ingest.receive.directory import Directory
from ingest.receive.writer import store_readings
from metering.registry.entries import MeterEntry, Registry, UtilityEntry
from store.registry import apply
from telemetry.obis import Medium
from telemetry.wire import encode, to_milliseconds
from tests.support.aurora import COLD, ELSEWHERE, REGISTRY, TOPIC, WATER, batch_of

STRANGER = "KAM-00000009"


def hesper(database: str, *arguments: str, answer: str | None = None) -> tuple[int, str]:
    """(exit code, output) of `hesper quarantine ARGUMENTS`."""
    words = ["quarantine", *arguments, "--database-url", database]
    result = CliRunner().invoke(build(words), words, input=answer, env={"COLUMNS": "160"})
    return result.exit_code, result.output


@pytest.fixture
def filled(connection: psycopg.Connection, database: str) -> str:
    """A database in which an unknown meter, another gateway's meter and bytes of no message wait."""
    apply(connection, REGISTRY)
    connection.commit()
    batch = batch_of(4, (STRANGER, 0, {COLD: 1.0}), (ELSEWHERE, 0, {COLD: 1.0}), (WATER, 0, {COLD: 1.0}))
    messages = [decode_readings(TOPIC, encode(batch)), decode_readings(TOPIC, b"\x00\xff" * 400)]
    store_readings(connection, Directory(), messages, to_milliseconds(datetime.now(UTC)))
    return database


def entries(database: str, *arguments: str) -> list[dict[str, str]]:
    code, output = hesper(database, "list", "--json", *arguments)
    assert code == 0
    listed = json.loads(output)["entries"]
    assert isinstance(listed, list)
    return listed


def test_what_waits_is_listed_with_its_reason_and_counted(filled: str) -> None:
    code, output = hesper(filled, "list")
    assert code == 0
    assert f"{STRANGER} is not registered at aurora" in output
    assert "1 malformed, 1 unknown meter, 1 wrong gateway" in output
    assert hesper(filled, "list", "--limit", "1")[1].rstrip().endswith("2 more, see --limit")


@pytest.mark.parametrize(
    ("arguments", "reasons"),
    [
        (["--reason", "wrong_gateway"], ["wrong_gateway"]),
        (["--meter", STRANGER], ["unknown_meter"]),
        (["--gateway", "house", "--utility", "aurora"], ["malformed", "unknown_meter", "wrong_gateway"]),
        (["--gateway", "yard"], []),
        (["--state", "discarded"], []),
    ],
)
def test_a_selection_is_what_agrees_with_all_that_is_said(
    filled: str, arguments: list[str], reasons: list[str]
) -> None:
    assert sorted(entry["reason"] for entry in entries(filled, *arguments)) == reasons


def test_an_entry_is_shown_decoded_or_in_hexadecimal(filled: str) -> None:
    (stranger,) = entries(filled, "--meter", STRANGER)
    code, output = hesper(filled, "show", str(stranger["number"]), "--json")
    assert code == 0
    assert json.loads(output)["payload"]["readouts"][0]["values"] == {COLD: 1.0}
    (malformed,) = entries(filled, "--reason", "malformed")
    code, output = hesper(filled, "show", str(malformed["number"]))
    assert "00 ff 00" in output
    assert "288 bytes more" in output
    assert hesper(filled, "show", "4711")[0] == 1


def test_a_replay_stores_what_is_mended_and_says_what_still_waits(
    filled: str, connection: psycopg.Connection
) -> None:
    code, output = hesper(filled, "replay", "--all", "--json")
    assert (code, json.loads(output)) == (
        1,
        {"tried": 3, "stored": 0, "known": 0, "missed": 0, "waiting": 3},
    )
    meters = [MeterEntry(STRANGER, Medium.COLD_WATER)]
    apply(connection, Registry([UtilityEntry("aurora", "Aurora", "Europe/Vilnius", meters=meters)]))
    connection.commit()
    assert hesper(filled, "replay", "--meter", STRANGER) == (
        0,
        "1 tried, 1 stored, 0 known, 0 missed, 0 waiting\n",
    )
    assert [entry["reason"] for entry in entries(filled, "--state", "replayed")] == ["unknown_meter"]


def test_discarding_asks_and_what_is_discarded_waits_no_more(filled: str) -> None:
    (malformed,) = entries(filled, "--reason", "malformed")
    number = str(malformed["number"])
    assert hesper(filled, "discard", number, answer="n\n")[0] == 1
    assert len(entries(filled)) == 3
    assert hesper(filled, "discard", number, "--yes") == (0, "1 discarded\n")
    assert len(entries(filled)) == 2
    assert [entry["number"] for entry in entries(filled, "--state", "discarded")] == [malformed["number"]]


@pytest.mark.parametrize("command", ["replay", "discard"])
def test_all_has_to_be_said(filled: str, command: str) -> None:
    code, output = hesper(filled, command)
    assert code == 2
    assert "--all" in output
