"""What is learnt of a meter's past after that was settled has it judged as if it had been known all along."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from ingest.validation import Validator
from store.postgres.database import connect
from tests.support.judged import judged
from tests.support.town import Town

START = datetime(2026, 5, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAYS = 70
POINT = "(select id from service_points where code = 'AAA-1')"


def shown(hours: range) -> dict[datetime, str]:
    """Half a kWh in each hour, and seven in one of the twentieth day."""
    return {START + n * HOUR: f"{n * 0.5 + (6.5 if n > 20 * 24 else 0):.1f}" for n in hours}


@pytest.fixture
def town(database: str) -> Iterator[Town]:
    """Two electricity meters; somebody pays for what the first one counts."""
    with connect(database) as connection:
        town = Town(connection)
        for code in ("AAA-1", "AAA-2"):
            town.meter(code, {START - HOUR: "0"})
        connection.execute("update meters set medium = 1")
        connection.execute("update registers set obis = '1-0:1.8.0', unit = 'kW.h', billed = true")
        connection.execute(
            f"""
            insert into contracts (utility_id, service_point_id, valid_from)
            values (1, {POINT}, '2026-01-01')
            """
        )
        for code in town.registers:
            town.read(code, shown(range(DAYS * 24)))
        yield town


FUSE = f"""
    insert into fuses (utility_id, service_point_id, since, amperes, phases)
    values (1, {POINT}, '2020-01-01', 16000000, 1)
"""
ANOTHER_FUSE = f"""
    insert into fuses (utility_id, service_point_id, since, amperes, phases)
    values (1, {POINT}, '2020-01-01', 63000000, 3), (1, {POINT}, '2026-05-20', 16000000, 1)
"""
CURRENT = "update meters set imax = 10000000, phases = 1 where code = 'AAA-1'"
MOVED_OUT = "update contracts set valid_to = '2026-05-20'"
CLOCK = """
    with told as (
        insert into meter_clocks (meter_id, day, utility_id, ahead)
        select id, '2026-05-20', 1, 600 from meters where code = 'AAA-1')
    insert into validation_queue (block, day) values (0, '2026-05-20')
"""


@pytest.mark.parametrize(
    ("learnt", "kind"),
    [
        (FUSE, "max_rate"),
        (ANOTHER_FUSE, "max_rate"),
        (CURRENT, "max_rate"),
        (MOVED_OUT, "inactive_consumption"),
        (CLOCK, "clock_drift"),
    ],
    ids=["fuse", "fuse since a day", "largest current", "contract", "clock"],
)
def test_what_is_learnt_late_is_as_if_it_had_been_known(town: Town, learnt: str, kind: str) -> None:
    validator = Validator(town.connection)
    for day in (DAYS, DAYS + 1):
        progress = validator.step()
        assert progress is not None
        for code in town.registers:
            town.read(code, shown(range(day * 24, (day + 1) * 24)))
    assert progress.readings < 2 * 20 * 24  # most was settled
    assert kind not in {finding[1] for finding in judged(town)["findings"]}
    town.connection.execute(learnt)
    town.connection.commit()
    assert validator.step() is not None
    bit_by_bit = judged(town)
    assert kind in {finding[1] for finding in bit_by_bit["findings"]}
    with town.connection.transaction():
        town.connection.execute("delete from marks")
        town.connection.execute("delete from findings")
        town.connection.execute("insert into validation_queue (block, day) values (0, '2026-05-04')")
    town.judge()
    assert judged(town) == bit_by_bit
