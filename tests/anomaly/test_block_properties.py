"""Whatever the series: nothing raises, order of arrival does not matter, and every event has one identity."""

from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from anomaly.catalogue import REGISTER_KINDS
from anomaly.input.block import Block, Register
from anomaly.input.local_time import local, midnight
from anomaly.input.series import DAY, HOUR, Judgement
from anomaly.judge import examine
from telemetry.micro import LIMIT
from telemetry.obis import Obis, RegisterKind
from tests.support.blocks import UNIT, register

CODES = (
    "8-0:1.0.0", "6-0:1.0.0", "6-0:2.0.0", "6-0:10.0.0", "6-0:11.0.0", "1-0:1.8.0", "1-0:1.8.1", "1-0:2.8.0",
    "1-0:21.8.0", "1-0:41.8.0", "1-0:61.8.0", "1-0:1.29.0", "1-0:16.7.0", "4-0:1.0.0", "7-0:3.0.0",
)  # fmt: skip
ZONES = st.sampled_from(
    [ZoneInfo(name) for name in ("UTC", "Europe/Madrid", "Australia/Lord_Howe", "Asia/Kolkata")]
)
SECOND = 1_000_000
Arrivals = tuple[list[Register], list[np.ndarray], ZoneInfo, int]


@st.composite
def facts(draw: st.DrawFn) -> Register:
    return register(
        draw(st.sampled_from(CODES)),
        f"KAM-{draw(st.integers(1, 2))}",
        capacity=draw(st.sampled_from([None, 100 * UNIT])),
        interval=draw(st.sampled_from([None, HOUR, DAY])),
        max_rate=draw(st.sampled_from([None, 3 * UNIT])),
        verified_until=draw(st.sampled_from([None, 20 * DAY])),
        contracts=draw(st.sampled_from([None, (), ((5 * DAY, 9 * DAY), (11 * DAY, None))])),
    )


@st.composite
def arrivals(draw: st.DrawFn) -> Arrivals:
    """Registers, and the columns of their readings: up to 200 at any distance, with any faults."""
    registers = draw(
        st.lists(facts(), min_size=1, max_size=4, unique_by=lambda each: (each.meter, each.obis))
    )
    columns: list[np.ndarray] = []
    for row in range(len(registers)):
        random = np.random.default_rng(draw(st.integers(0, 2**32)))
        count = draw(st.integers(0, 50))
        gap = draw(st.sampled_from([1, 900 * SECOND, HOUR, DAY, 9 * DAY]))
        times = draw(st.integers(-DAY, DAY)) + np.cumsum(random.integers(1, 2 * gap + 1, count))
        values = np.cumsum(random.integers(-draw(st.sampled_from([0, 5, UNIT])), UNIT, count))
        for _ in range(draw(st.integers(0, 3)) if count else 0):
            at = int(random.integers(0, count))
            values[at : at + int(random.integers(1, 9))] = draw(st.integers(-LIMIT + 1, LIMIT - 1))
        status = random.choice(np.array([0, 0, 1, 2, 64, 1024, 2047]), count)
        shift = random.integers(-DAY, DAY, count)
        columns.append(np.stack([np.full(count, row), times, values, status, times + shift, times - shift]))
    return registers, list(np.concatenate(columns, axis=1)), draw(ZONES), draw(st.integers(0, 3000)) * DAY


def made(registers: list[Register], columns: list[np.ndarray], zone: ZoneInfo, until: int) -> Block:
    row, times, values, status, received, clocks = columns
    return Block.of(
        registers, row, times, values, status=status, received=received, clocks=clocks, zone=zone, until=until
    )


def same(one: tuple[Judgement, ...], other: tuple[Judgement, ...]) -> bool:
    return all(
        a.findings == b.findings and a.marks == b.marks and (a.usable == b.usable).all()
        for a, b in zip(one, other, strict=True)
    )


@given(arrivals(), st.integers(0, 2**32))
@settings(max_examples=50)
def test_any_order_of_arrival_gives_the_same_judgement(arrived: Arrivals, seed: int) -> None:
    registers, columns, zone, until = arrived
    order = np.random.default_rng(seed).permutation(len(columns[0]))
    judged = examine(made(registers, columns, zone, until)).judged
    assert same(judged, examine(made(registers, columns, zone, until)).judged)
    assert same(judged, examine(made(registers, [each[order] for each in columns], zone, until)).judged)


@given(arrivals())
@settings(max_examples=50)
def test_what_is_said_has_an_identity_and_lies_within_the_series(
    arrived: Arrivals,
) -> None:
    block = made(*arrived)
    for row, judged in enumerate(examine(block).judged):
        count = int(block.bounds[row + 1] - block.bounds[row])
        findings = [(finding.kind, finding.started_at) for finding in judged.findings]
        marks = [(mark.index, mark.rule) for mark in judged.marks]
        assert len(set(findings)) == len(findings)
        assert len(set(marks)) == len(marks)
        assert {mark.index for mark in judged.marks if not mark.usable} == set(np.flatnonzero(~judged.usable))
        for finding in judged.findings:
            assert finding.kind in REGISTER_KINDS
            assert 0 <= finding.first <= finding.last < count
            assert finding.ended_at is None or finding.started_at <= finding.ended_at
            assert {type(told) for told in finding.evidence.values()} <= {str, int}


@given(arrivals())
@settings(max_examples=25)
def test_a_meter_is_judged_the_same_in_whatever_company(
    arrived: Arrivals,
) -> None:
    registers, columns, zone, until = arrived
    together = examine(made(registers, columns, zone, until)).judged
    for meter in {each.meter for each in registers}:
        own = [row for row, each in enumerate(registers) if each.meter == meter]
        kept = np.isin(columns[0], own)
        alone = [each[kept] for each in columns]
        alone[0] = np.searchsorted(own, alone[0])
        apart = examine(made([registers[row] for row in own], alone, zone, until)).judged
        assert same(apart, tuple(together[row] for row in own))


@given(ZONES, st.integers(0, 20_000))
def test_local_midnight_is_when_the_day_begins(zone: ZoneInfo, day: int) -> None:
    begins = midnight(day, zone)
    clock = local(np.array([begins - SECOND, begins]), zone)
    assert clock[0] // DAY == day - 1
    assert clock[1] // DAY == day


def test_local_clocks_skip_and_repeat_an_hour() -> None:
    madrid = ZoneInfo("Europe/Madrid")
    spring = local(np.array([1_711_846_800, 1_711_846_799]) * SECOND, madrid)  # 2024-03-31T01:00Z
    assert spring[0] - spring[1] == HOUR + SECOND
    autumn = local(np.array([1_729_990_800, 1_729_990_799]) * SECOND, madrid)  # 2024-10-27T01:00Z
    assert autumn[0] - autumn[1] == SECOND - HOUR


def test_a_gauge_may_fall() -> None:
    gauge = Register("KAM-1", Obis.parse("1-0:32.7.0"), RegisterKind.GAUGE)
    block = Block.of([gauge], np.zeros(50), np.arange(50) * HOUR, np.arange(50, 0, -1) * UNIT)
    (judged,) = examine(block).judged
    assert not judged.findings
    assert judged.usable.all()


def test_an_empty_block_is_judged_too() -> None:
    assert examine(Block.of([], [], [], [])).judged == ()
    (judged,) = examine(Block.of([register()], [], [], [])).judged
    assert not judged.findings
