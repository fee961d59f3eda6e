"""A year of real water meters, whose faults nobody planted: what is said of them, number by number."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from anomaly.judge import judge
from anomaly.lifeline import Link, trace
from anomaly.pace import learn
from anomaly.series import Judgement, Series
from tests.support.households import Household, households


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
