"""Receipts come true: what is handed in through the whole of two months is billed where its receipt says."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from ingest.billing.close import approve, draft
from metering.billing.canonical_hash import instant
from metering.billing.rule_set import parse_rules
from metering.periods.calendar import names, neighbour
from metering.submissions.receipt import Reception, SubmissionReceipt
from store.access.api_keys import issue
from store.billing.measured import utility
from store.postgres.database import connect
from store.submissions.submissions import Submission, add, billed_periods
from telemetry.obis import Medium
from tests.ingest.billing.test_estimates import HOUR, MADRID, RULES, daily, row_of, start, under
from tests.support.town import UTILITY, VOLUME, Town

LAST = 111_900_000  # micro-units on 1 June, when the meters fall silent
FIRST = datetime(2026, 6, 2, 12, tzinfo=UTC)
CLOSES = {
    "2026-06": datetime(2026, 7, 3, tzinfo=UTC),
    "2026-07": datetime(2026, 8, 8, tzinfo=UTC),
    "2026-08": datetime(2026, 9, 8, tzinfo=UTC),
}


@pytest.fixture
def town(database: str) -> Iterator[Town]:
    with connect(database) as connection:
        yield Town(connection)


def hand_in(town: Town, reception: Reception, meter: str, now: datetime) -> SubmissionReceipt | None:
    """What the API answers, and keeps: half as much again a day as before, read an hour ago."""
    read_at = now - timedelta(hours=1)
    if reception.untimely(read_at, now) is not None:
        return None
    known = utility(town.connection, UTILITY)
    row = town.connection.execute("select id from service_points where code = %s", (meter,)).fetchone()
    key = town.connection.execute("select min(id) from api_keys").fetchone()
    assert row is not None
    assert key is not None
    billed = billed_periods(town.connection, row[0], VOLUME, "2026-01")
    answer = reception.receipt(read_at, now, billed=billed)
    kept = Submission(
        service_point_id=row[0],
        register_id=town.registers[meter],
        read_at=read_at,
        value=LAST + 150_000 * (now - start("2026-06")).days,
        role="resident",
        author=meter,
        photo="",
        verdict="accepted",
        detail=answer.detail,
        counts_in=answer.counts_in,
        idempotency_key=meter,
        request_hash=b"",
    )
    assert add(town.connection, known.id, key[0], kept, now) is not None
    town.connection.commit()
    return answer


@pytest.mark.parametrize(
    "window",
    [
        "from_day = 15\nuntil_day = 25",
        "from_day = 15\nuntil_day = 25\nlate = 'refuse'",
        "from_day = 25\nuntil_day = 5",
        "from_day = 1\nuntil_day = 5",
        "from_day = 1\nuntil_day = 28\ncounts_in = 0",
        "from_day = -7\nuntil_day = 1",
        "media = [1]\nfrom_day = 1\nuntil_day = 2",  # not of water: taken at any time
    ],
)
def test_every_accepted_reading_is_billed_where_its_receipt_says(town: Town, window: str) -> None:
    """A meter for every third day from June on, each handed in once; June is closed on 3 July."""
    rules = RULES.replace("from_day = 15\nuntil_day = 25", window)
    under(town, rules)
    issue(town.connection, UTILITY, "portal")
    days = {f"AAA-{n}": FIRST + n * timedelta(days=3, hours=1) for n in range(20)}
    for meter in days:
        town.meter(meter, daily(start("2026-02"), start("2026-06"), "0.1"))
    for period in names("2026-02", "2026-05"):
        town.close(period)
    reception = Reception(MADRID, 1, Medium.COLD_WATER, lambda _: parse_rules(rules))
    receipts = {}
    for at, what in sorted(
        [*((at, period) for period, at in CLOSES.items()), *((at, m) for m, at in days.items())]
    ):
        if what in CLOSES:
            town.close(what)
        else:
            receipts[what] = hand_in(town, reception, what, at)
    taken = {meter: receipt.counts_in for meter, receipt in receipts.items() if receipt is not None}
    assert (len(taken) == len(days)) is ("refuse" not in window)
    assert len(set(taken.values())) > 1
    for meter, period in taken.items():
        billed = [row_of(town, each, meter) for each in names("2026-06", period)]
        end = billed[-1]["evidence"]["installations"][0]["end"]
        assert (end["method"], end["instant"]) == ("handed_in", instant(start(neighbour(period, 1))))
        assert end["readings"][0]["at"] == instant(days[meter] - HOUR)
        assert [row["end_method"] for row in billed[:-1]] == ["average"] * (len(billed) - 1)
        used = 150_000 * (days[meter] - start("2026-06")).days
        assert sum(row["consumption"] + (row["true_up"] or 0) for row in billed) == used


def test_what_is_drafted_is_too_late_for_a_reading_and_what_was_excepted_waits_for_it(town: Town) -> None:
    """June may be told until 5 July, and was drafted on the 2nd; BBB-2 had too short a past to estimate."""
    rules = RULES.replace("from_day = 15\nuntil_day = 25", "from_day = 25\nuntil_day = 5")
    under(town, rules)
    issue(town.connection, UTILITY, "portal")
    town.meter("AAA-1", daily(start("2026-02"), start("2026-06"), "0.1"))
    town.meter("BBB-2", daily(start("2026-05"), start("2026-06"), "0.1", first="108.8"))
    for period in names("2026-02", "2026-05"):
        town.close(period)
    draft([town.connection], UTILITY, "2026-06", "anna", datetime(2026, 7, 2, tzinfo=UTC))
    reception = Reception(MADRID, 1, Medium.COLD_WATER, lambda _: parse_rules(rules))
    now = datetime(2026, 7, 3, 12, tzinfo=UTC)
    receipts = [hand_in(town, reception, meter, now) for meter in ("AAA-1", "BBB-2")]
    assert [receipt and receipt.counts_in for receipt in receipts] == ["2026-07", "2026-06"]
    approve(town.connection, UTILITY, "2026-06", "zoe")
    town.close("2026-06")
    town.close("2026-07")
    assert row_of(town, "2026-06", "AAA-1")["end_method"] == "average"
    assert row_of(town, "2026-06", "BBB-2")["end_method"] == "handed_in"
    assert row_of(town, "2026-07", "AAA-1")["end_method"] == "handed_in"
