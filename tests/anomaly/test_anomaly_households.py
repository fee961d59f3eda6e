"""A year of real water meters, whose faults nobody planted: what is said of them, number by number."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from anomaly.boundary.consistent_chain import Link, trace
from anomaly.input.block import Block
from anomaly.input.series import Judgement, Series, iso
from anomaly.judge import examine
from tests.anomaly.test_catalogue import check
from tests.support.blocks import register
from tests.support.counters import judge, learn
from tests.support.households import ZONE, Household, households


@pytest.fixture(scope="module")
def year(request: pytest.FixtureRequest) -> list[Household]:
    from tests.conftest import NEEDS_SHARED, SHARED_DATA

    if not SHARED_DATA.is_dir():
        pytest.skip(NEEDS_SHARED)
    return households(Path(SHARED_DATA))


def of(year: list[Household], meter: str) -> tuple[Series, Judgement]:
    home = next(home for home in year if home.meter == meter)
    series = Series.of(home.times, home.values)
    return series, judge(series)


def test_every_backward_step_gets_one_explanation(year: list[Household]) -> None:
    steps = 0
    for home in year:
        series = Series.of(home.times, home.values)
        life = trace(series, learn(series))
        linked = {(before, after) for before, after, _ in life.links}
        for i in np.flatnonzero(np.diff(series.values) < 0):
            steps += 1
            assert (not (life.chain[i] and life.chain[i + 1])) != ((i, i + 1) in linked), (home.meter, i)
    assert steps == 156


def test_no_usable_reading_shows_a_reset_or_jump_that_nobody_had(year: list[Household]) -> None:
    for home in year:
        series = Series.of(home.times, home.values)
        life = trace(series, learn(series))
        assert {link for _, _, link in life.links} <= {Link.JITTER}, home.meter


def test_findings_of_the_year(year: list[Household]) -> None:
    found = Counter(
        finding.kind for home in year for finding in judge(Series.of(home.times, home.values)).findings
    )
    assert found == {
        "negative_step.glitch": 9,
        "negative_step.jitter": 19,
        "negative_step.swap_suspect": 1,
        "stuck": 2,
    }


def test_meter_that_alternated_between_two_registers(year: list[Household]) -> None:
    series, judged = of(year, "9348c9bb")
    (finding,) = [f for f in judged.findings if f.kind == "negative_step.swap_suspect"]
    assert finding.evidence == {
        "readings": 4,
        "lowest": "207.814",
        "highest": "456.427",
        "before": "207.774",
        "before_at": "2017-01-17T10:36:56Z",
        "after": "207.907",
        "after_at": "2017-01-17T14:37:03Z",
        "pattern": "mix-up",
        "visits": 4,
    }
    assert series.values[judged.usable].max() == 215_116_000


def test_meter_that_sent_stale_values_in_between(year: list[Household]) -> None:
    series, judged = of(year, "1de2cf65")
    glitches = [finding for finding in judged.findings if finding.kind == "negative_step.glitch"]
    assert [glitch.evidence["lowest"] for glitch in glitches] == ["307.763", "295.487", "304.712"]
    assert (np.diff(series.values[judged.usable]) >= 0).all()


def test_months_of_small_steps_back_are_one_finding(year: list[Household]) -> None:
    _, judged = of(year, "219ffd09")
    jitters = [finding for finding in judged.findings if finding.kind == "negative_step.jitter"]
    assert [jitter.evidence["steps"] for jitter in jitters] == [2, 123]
    assert jitters[1].evidence["largest"] == "0.004"


def test_half_a_year_without_a_catch_up_is_no_finding(year: list[Household]) -> None:
    _, judged = of(year, "feccd95f")
    assert not judged.findings


def test_standstill_since_october_is_open(year: list[Household]) -> None:
    _, judged = of(year, "14388098")
    (finding,) = judged.findings
    assert (finding.kind, finding.ended_at) == ("stuck", None)
    assert finding.evidence["since"] == "2016-10-09T10:52:50Z"


def all_of(year: list[Household]) -> dict[str, Judgement]:
    registers = [register(meter=home.meter, max_rate=3_125_000, interval=None) for home in year]
    block = Block.of(
        registers,
        np.repeat(np.arange(len(year)), [len(home.times) for home in year]),
        np.concatenate([home.times for home in year]),
        np.concatenate([home.values for home in year]),
        zone=ZONE,
    )
    return {home.meter: judged for home, judged in zip(year, examine(block).judged, strict=True)}


def test_long_running_leaks_are_findings_with_start_and_end(year: list[Household]) -> None:
    """Looked at one by one: in each, nearly every interval between two readings has flow."""
    leaks = [
        (meter, iso(each.started_at)[:10], each.ended_at and iso(each.ended_at)[:10], each.evidence["lost"])
        for meter, judged in all_of(year).items()
        for each in judged.findings
        if each.kind == "leak"
    ]
    assert leaks == [
        ("da98dc95", "2016-03-23", "2016-03-26", "0.144"),
        ("da98dc95", "2016-04-02", "2016-06-23", "5.961"),
        ("da98dc95", "2016-07-04", "2016-07-17", "0.498"),
        ("da98dc95", "2016-07-24", "2016-08-19", "1.254"),
        ("da98dc95", "2016-08-22", "2016-12-23", "13.424"),  # 2,878 intervals in a row without a dry one
        ("da98dc95", "2017-01-02", None, "1.368"),
        ("78004e01", "2016-02-29", "2016-03-08", "0.384"),
        ("78004e01", "2016-04-23", "2016-04-29", "3.923"),  # 27 litres an hour, then dry at once
        ("78004e01", "2016-05-05", "2016-05-15", "0.506"),
        ("14388098", "2016-08-05", "2016-08-14", "0.221"),
        ("14388098", "2016-09-15", "2016-09-24", "0.438"),
    ]


def test_twelve_cubic_metres_in_a_day_and_a_night_are_a_burst(year: list[Household]) -> None:
    bursts = [each for each in all_of(year)["0e7d65c2"].findings if each.kind == "burst"]
    assert [iso(each.started_at) for each in bursts if float(str(each.evidence["ran"])) > 10] == [
        "2016-10-31T10:56:40Z"
    ]


def test_together_the_meters_are_judged_as_each_alone(year: list[Household]) -> None:
    """What decides about bills is the same in a block, with the meter's Qmax known, and for one series."""
    for meter, judged in all_of(year).items():
        _, alone = of(year, meter)
        assert (judged.usable == alone.usable).all(), meter
        assert all(finding in judged.findings for finding in alone.findings), meter


def test_findings_of_the_year_are_as_the_table_says(year: list[Household]) -> None:
    for judged in all_of(year).values():
        for finding in judged.findings:
            check(finding)
