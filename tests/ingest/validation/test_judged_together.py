"""Registers of one meter are judged together wherever their ids lie, and by what the registry knows."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from ingest.validation import Validator
from store.postgres.database import connect
from telemetry.blocks import BLOCK
from tests.support.judged import judged
from tests.support.town import Town

START = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
TOTAL, DAY_TARIFF, NIGHT_TARIFF = "1-0:1.8.0", "1-0:1.8.1", "1-0:1.8.2"


@pytest.fixture
def town(database: str) -> Iterator[Town]:
    with connect(database) as connection:
        yield Town(connection)


def cut_meter(town: Town, hours: int = 240) -> dict[str, dict[datetime, str]]:
    """An electricity meter whose tariff registers lie in the block after its total's; the tariffs miss a
    tenth. What it read, by register."""
    town.meter("AAA-1", {START: "1"})
    for number in range(2, BLOCK - 1):
        town.meter(f"AAA-{number}", {START: "1"})
    row = town.connection.execute(
        """
        insert into meters (utility_id, code, medium) select utility_id, 'EEE-1', 1 from meters limit 1
        returning id, utility_id
        """
    ).fetchone()
    assert row is not None
    for number, obis in enumerate((TOTAL, DAY_TARIFF, NIGHT_TARIFF)):
        if number:  # the other registers of the block in between
            town.connection.execute("select setval('registers_id_seq', %s)", (BLOCK + number,))
        found = town.connection.execute(
            """
            insert into registers (utility_id, meter_id, obis, unit, kind)
            values (%s, %s, %s, 'kW.h', 'counter') returning id
            """,
            (row[1], row[0], obis),
        ).fetchone()
        assert found is not None
        town.registers[obis] = found[0]
    town.connection.commit()
    assert {town.registers[each] // BLOCK for each in (TOTAL, DAY_TARIFF, NIGHT_TARIFF)} == {0, 1}
    return {
        TOTAL: {START + n * HOUR: str(1000 + n) for n in range(hours)},
        DAY_TARIFF: {START + n * HOUR: f"{500 + 0.5 * n:.1f}" for n in range(hours)},
        NIGHT_TARIFF: {START + n * HOUR: f"{500 + 0.4 * n:.1f}" for n in range(hours)},
    }


def test_tariffs_that_lie_in_another_block_are_compared_with_their_total(town: Town) -> None:
    for register, readings in cut_meter(town).items():
        town.read(register, readings)
    town.judge()
    found = judged(town)
    assert {row[0] for row in found["findings"] if row[1] == "sibling"} == {town.registers[TOTAL]}
    assert all(until is not None for _, until in found["validated"])


@pytest.mark.parametrize("seed", range(4))
def test_order_of_arrival_does_not_matter_to_a_meter_cut_apart(town: Town, database: str, seed: int) -> None:
    """Its registers arrive apart, in pieces, judged in between by validators that remember."""
    pieces = [
        (register, dict(list(readings.items())[first : first + 60]))
        for register, readings in cut_meter(town).items()
        for first in range(0, len(readings), 60)
    ]
    for register, piece in pieces:
        town.read(register, piece)
    town.judge()
    whole = judged(town)
    assert any(row[1] == "sibling" for row in whole["findings"])
    with town.connection.transaction():
        for table in ("marks", "findings"):
            town.connection.execute(f"delete from {table}")
        town.connection.execute("delete from readings where register_id >= %s", (town.registers[TOTAL],))
        town.connection.execute("update registers set validated_until = null")
    shuffled = random.Random(seed)
    shuffled.shuffle(pieces)
    town.read("AAA-1", {START: "1"})  # its block is judged again, whatever comes first
    with connect(database) as second:
        validators = [Validator(town.connection), Validator(second)]
        for register, piece in pieces:
            town.read(register, piece)
            if shuffled.random() < 0.7:
                shuffled.choice(validators).step()
        while validators[seed % 2].step() is not None:
            pass
    assert judged(town) == whole


def test_silent_meter_is_missed_while_others_are_heard_and_not_after_its_removal(town: Town) -> None:
    for code in ("AAA-1", "AAA-2", "AAA-3"):
        town.meter(code, {START + n * HOUR: str(n % 7) for n in range(10)})
    town.connection.execute("update registers set expected_interval = '1 hour'")
    town.connection.execute(
        """
        update installations set valid_to = %s
        where meter_id = (select id from meters where code = 'AAA-3')
        """,
        (START + 10 * HOUR,),
    )
    town.read("AAA-1", {START + n * HOUR: str(n) for n in range(10, 60)})
    town.judge()
    missing = [row for row in judged(town)["findings"] if row[1] == "missing"]
    assert [(row[0], row[3], row[4]) for row in missing] == [
        (town.registers["AAA-2"], START + 9 * HOUR, None)
    ]
    assert missing[0][5]["absent"] == 50


def test_more_than_the_meters_qmax_and_after_its_verification_is_said(town: Town) -> None:
    used = {START + n * HOUR: str(n) for n in range(200)}
    town.meter("AAA-1", used | {START + n * HOUR: str(n + 30) for n in range(150, 200)})
    town.connection.execute("update meters set qmax = 5000000, verified_until = '2026-06-03'")
    town.connection.commit()
    town.judge()
    found = {row[1]: row for row in judged(town)["findings"]}
    assert found["max_rate"][3:5] == (START + 149 * HOUR, START + 150 * HOUR)
    assert found["verification_expired"][3] == datetime(2026, 6, 3, 22, tzinfo=UTC)  # midnight in Madrid
    assert found["verification_expired"][4] is None
