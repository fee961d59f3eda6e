"""The validator on a real database: what it stores is a function of the stored series, however that came."""

import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from ingest.validation import Validator, drain
from ingest.validation.series_cache import SeriesMemory
from store.postgres.database import connect
from telemetry.blocks import BLOCK
from telemetry.status import Status
from tests.support.judged import judged
from tests.support.town import Town

START = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def town(database: str) -> Iterator[Town]:
    with connect(database) as connection:
        yield Town(connection)


def faulty(days: int = 40) -> dict[datetime, str]:
    """Hourly readings with a glitch, a step back, a reset, and a standstill to the end."""
    readings = {START + n * HOUR: str(1000 + n) for n in range(days * 24)}
    readings[START + 100 * HOUR] = "0"
    readings[START + 200 * HOUR] = "1198.5"
    for n in range(600, days * 24):
        readings[START + n * HOUR] = str(n - 600)
    last = days * 24
    return readings | {START + n * HOUR: str(last - 601) for n in range(last, last + 8 * 24)}


def kinds(town: Town) -> list[str]:
    """What was found, but for what follows from water that runs at a cubic metre an hour for ever."""
    found = {row[1] for row in judged(town)["findings"]}
    return sorted(kind for kind in found if kind == "stuck" or kind.startswith("negative_step"))


def test_marks_findings_and_how_far_it_has_come_are_stored(town: Town) -> None:
    register = town.meter("AAA-1", faulty())
    town.judge()
    said = judged(town)
    assert [(row[1], row[2], row[4]) for row in said["marks"]] == [
        (START + 100 * HOUR, "glitch", False),
        (START + 600 * HOUR, "reset", True),
    ]
    assert kinds(town) == ["negative_step.glitch", "negative_step.jitter", "negative_step.reset", "stuck"]
    assert {row[1] for row in said["findings"]} - set(kinds(town)) == {"leak", "high_low.low"}
    last = max(faulty())
    assert said["validated"] == [(register, last + timedelta(microseconds=1))]
    assert town.connection.execute("select count(*) from validation_queue").fetchone() == (0,)


@pytest.mark.parametrize("seed", range(4))
def test_order_of_arrival_does_not_matter(town: Town, database: str, seed: int) -> None:
    """Pieces in any order, judged in between or not, by one validator that remembers or by several."""
    shuffled = random.Random(seed)
    readings = list(faulty().items())
    register = town.meter("AAA-1", dict(readings))
    town.judge()
    whole = judged(town)
    with town.connection.transaction():
        for table in ("readings", "marks", "findings"):
            town.connection.execute(f"delete from {table}")
        town.connection.execute("update registers set validated_until = null")
    shuffled.shuffle(readings)
    with connect(database) as second:
        validators = [Validator(town.connection), Validator(second)]
        for first in range(0, len(readings), 150):
            town.read("AAA-1", dict(readings[first : first + 150]))
            if shuffled.random() < 0.7:
                shuffled.choice(validators).step()
        town.judge()
    assert judged(town) == whole
    assert whole["validated"][0][0] == register


def test_judging_again_rewrites_nothing(town: Town) -> None:
    town.meter("AAA-1", faulty())
    town.judge()
    before = town.connection.execute("select xmin::text, ctid::text from marks order by 2").fetchall()
    town.connection.commit()
    town.read("AAA-1", {START + 23 * HOUR: "1023"})
    progress = Validator(town.connection).step()
    assert progress is not None
    assert progress.changed == 0
    assert town.connection.execute("select xmin::text, ctid::text from marks order by 2").fetchall() == before


def test_finding_keeps_its_identity_and_state_while_it_goes_on(town: Town) -> None:
    town.meter("AAA-1", faulty())
    town.judge()
    identity = finding(town, "stuck")
    assert identity[1] is None
    town.connection.execute("update findings set state = 'acknowledged' where kind = 'stuck'")
    town.connection.commit()
    last = max(faulty())
    town.read("AAA-1", {last + 24 * HOUR: "359"})
    town.judge()
    assert finding(town, "stuck") == (identity[0], None, "acknowledged")
    town.read("AAA-1", {last + 25 * HOUR: "361"})
    town.judge()
    assert finding(town, "stuck") == (identity[0], last + 25 * HOUR, "acknowledged")


def finding(town: Town, kind: str) -> tuple[Any, ...]:
    (row,) = town.connection.execute(
        "select id, ended_at, state from findings where kind = %s", (kind,)
    ).fetchall()
    town.connection.commit()
    return row


def test_late_reading_that_explains_a_finding_takes_it_away(town: Town) -> None:
    """A zero at the end may be a glitch or a reset: what follows tells."""
    readings = {START + n * HOUR: str(1000 + n) for n in range(100)}
    town.meter("AAA-1", readings)
    town.read("AAA-1", {START + 100 * HOUR: "0"})
    town.judge()
    assert kinds(town) == ["negative_step.glitch"]
    town.read("AAA-1", {START + n * HOUR: str(n - 100) for n in range(101, 110)})
    town.judge()
    assert kinds(town) == ["negative_step.reset"]
    assert [row[2] for row in judged(town)["marks"]] == ["reset"]


def test_finding_that_a_person_dealt_with_is_not_removed(town: Town) -> None:
    town.meter("AAA-1", {START + n * HOUR: str(1000 + n) for n in range(100)})
    town.read("AAA-1", {START + 100 * HOUR: "0"})
    town.judge()
    town.connection.execute("update findings set state = 'acknowledged'")
    town.connection.commit()
    town.read("AAA-1", {START + n * HOUR: str(n - 100) for n in range(101, 110)})
    town.judge()
    assert kinds(town) == ["negative_step.glitch", "negative_step.reset"]
    assert finding(town, "negative_step.glitch")[1:] == (START + 100 * HOUR, "acknowledged")


def test_marks_of_people_stay(town: Town) -> None:
    register = town.meter("AAA-1", faulty())
    town.connection.execute(
        """
        insert into marks (register_id, measured_at, rule, quality, usable, evidence, author)
        values (%s, %s, 'manual', 10, false, '{}', 'anna')
        """,
        (register, START),
    )
    town.connection.commit()
    town.judge()
    assert [row[2] for row in judged(town)["marks"]] == ["manual", "glitch", "reset"]


def test_block_that_another_validator_works_on_is_left_to_it(town: Town, database: str) -> None:
    town.meter("AAA-1", faulty())
    with connect(database) as other:
        town.judge()
        town.read("AAA-1", {max(faulty()) + HOUR: "400"})
        other.execute("select from validation_blocks for update")
        assert drain(town.connection) == 0
        other.rollback()
    assert drain(town.connection) == 1


def test_two_validators_share_the_blocks_and_judge_each_once(town: Town, database: str) -> None:
    """Both are inside a claim at the same time, so neither waits for the other."""
    meters = 3 * BLOCK
    for number in range(meters):
        town.meter(f"AAA-{number}", {START: "1"})
    both = threading.Barrier(2, timeout=120)
    judged_by: list[list[int]] = [[], []]

    def work(mine: list[int]) -> None:
        with connect(database) as connection:
            validator = Validator(connection)
            fetch = validator._memory.fetch

            def meet(*arguments: Any) -> Any:
                if not mine:
                    both.wait()
                return fetch(*arguments)

            validator._memory.fetch = meet  # type: ignore[method-assign]  # the other one is waited for here
            while (progress := validator.step()) is not None:
                mine += progress.blocks

    threads = [threading.Thread(target=work, args=(mine,)) for mine in judged_by]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    first, second = judged_by
    assert first
    assert second
    assert sorted(first + second) == [0, 1, 2, 3]
    row = town.connection.execute(
        "select count(*) from registers where validated_until is not null"
    ).fetchone()
    assert row == (meters,)


def test_crash_before_the_commit_leaves_the_work_to_the_next(town: Town, database: str) -> None:
    town.meter("AAA-1", faulty())
    with connect(database) as dying:
        dying.execute("insert into validation_blocks values (0, 0)")
        dying.commit()
        validator = Validator(dying)

        def gone(*_: object) -> None:
            raise ConnectionError("the process died")

        validator._memory.fetch = gone  # type: ignore[method-assign,assignment]  # dies after its claim
        with pytest.raises(ConnectionError):
            validator.step()
    assert drain(town.connection) == 1
    assert "stuck" in kinds(town)


def looked_at(validator: Validator) -> int:
    """How many readings the next step looks at."""
    progress = validator.step()
    assert progress is not None
    return progress.readings


def test_only_what_is_not_settled_is_judged_again(town: Town) -> None:
    town.meter("AAA-1", faulty())
    validator = Validator(town.connection)
    assert looked_at(validator) == len(faulty())
    town.read("AAA-1", {max(faulty()) + HOUR: "400"}, Status.TEMPORARY_ERROR)
    assert looked_at(validator) < 14 * 24
    town.read("AAA-1", {START + timedelta(minutes=30): "1000.5"})  # late
    assert looked_at(validator) == len(faulty()) + 2
    town.connection.execute("update meters set qmax = 2500000")
    town.read("AAA-1", {max(faulty()) + 2 * HOUR: "401"})
    assert looked_at(validator) == len(faulty()) + 3


def test_memory_forgets_what_is_used_least(town: Town) -> None:
    town.meter("AAA-1", faulty())
    for number in range(1, BLOCK):
        town.meter(f"BBB-{number}", {START: "1"})  # the last of them lies in another block
    validator = Validator(town.connection, SeriesMemory(limit=0))
    while validator.step() is not None:
        pass
    town.read("AAA-1", {max(faulty()) + HOUR: "400"})
    assert looked_at(validator) > len(faulty())


def test_connection_inside_a_transaction_is_refused(connection: psycopg.Connection) -> None:
    connection.execute("select 1")
    with pytest.raises(ValueError, match="commit first"):
        Validator(connection)


def test_gauges_are_validated_without_being_judged(town: Town) -> None:
    register = town.meter("AAA-1", {START: "5", START + HOUR: "3"})
    town.connection.execute("update registers set kind = 'gauge' where id = %s", (register,))
    town.connection.commit()
    town.judge()
    assert judged(town) == {
        "marks": [],
        "findings": [],
        "validated": [(register, START + HOUR + timedelta(microseconds=1))],
    }
