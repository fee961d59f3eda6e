"""Numbers that Python and SQL must agree on: in SQL one function says each, as telemetry has it."""

import re
from pathlib import Path

import psycopg
import pytest

import store
from telemetry.blocks import BLOCK
from telemetry.quality import Quality
from telemetry.status import Status

_STORE = Path(store.__file__).parent
# a block by division, a status bit or a quality as a number: 0 of a status asks for no bit, and is no copy
_SPELLED = re.compile(
    rf"(?<![\w.])[/*%]\s*{BLOCK}\b|\bstatus\s*(?:[&|]|=|<>)\s*[1-9]\d*\b|,\s*{int(Status.MANUAL)}\s*\)"
    r"|\bquality\s*(?:=|<>|[<>]=?|in)\s*\(?\s*\d+|\bthen\s+(?:7|8|9|1[0134578])\b",
    re.IGNORECASE,
)
_DEFINED = "core/0002_readings.sql"  # the functions themselves


def test_registers_are_in_the_blocks_that_telemetry_says(connection: psycopg.Connection) -> None:
    registers = [1, BLOCK - 1, BLOCK, BLOCK + 1, 100 * BLOCK - 1, 2_147_483_647]
    rows = connection.execute(
        "select block_of(id) from unnest(%s::int[]) with ordinality r (id, n) order by n", (registers,)
    )
    assert [block for (block,) in rows] == [register // BLOCK for register in registers]


def test_what_people_hand_in_has_the_status_that_telemetry_says(connection: psycopg.Connection) -> None:
    assert connection.execute("select manual_status()").fetchone() == (Status.MANUAL,)


@pytest.mark.parametrize("quality", [Quality.EDITED, Quality.QUESTIONABLE, Quality.VALIDATED])
def test_qualities_have_the_codes_that_telemetry_says(
    connection: psycopg.Connection, quality: Quality
) -> None:
    assert connection.execute("select quality(%s)", (quality.label,)).fetchone() == (quality,)


def test_no_statement_spells_such_a_number() -> None:
    spelled = {}
    for path in _STORE.rglob("*"):
        if path.suffix in (".sql", ".py"):
            text = path.read_text(encoding="utf-8")
            if path.match(_DEFINED):
                text = text[text.index("create table readings") :]
            spelled[path.name] = _SPELLED.findall(text)
    assert len(spelled) > 50
    assert {name: found for name, found in spelled.items() if found} == {}


@pytest.mark.parametrize(
    "statement",
    ["register_id / 32", "block * 32", "edit.value, 256)", "x.status & 256", "b.quality = 0", "then 17"],
)
def test_a_number_in_a_statement_is_noticed(statement: str) -> None:
    assert _SPELLED.search(statement)
