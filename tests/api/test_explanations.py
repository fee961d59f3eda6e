"""Findings are told in sentences that carry the numbers of their evidence, exactly."""

from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomaly.judge import KINDS, judge
from anomaly.series import HOUR, Series
from api.explanations import explain, finding_title

BERLIN = ZoneInfo("Europe/Berlin")
RESET = {
    "before": "7229.96",
    "before_at": "2026-10-17T08:00:08Z",
    "after": "0",
    "after_at": "2026-10-17T09:00:08Z",
    "capacity": "100000",
}


def test_a_reset_tells_both_readings_by_local_clocks_and_what_to_do() -> None:
    sentence = explain("negative_step.reset", RESET, "kW.h", BERLIN)
    assert sentence is not None
    assert "from 7\u202f229.96\u202fkWh (17 Oct 2026, 10:00) to 0\u202fkWh (17 Oct 2026, 11:00)" in sentence
    assert "two installations" in sentence


def test_one_reading_is_not_called_readings() -> None:
    evidence = RESET | {"readings": 1, "lowest": "0", "highest": "0"}
    sentence = explain("negative_step.glitch", evidence, "m3", BERLIN)
    assert sentence is not None
    assert sentence.startswith("1 reading of 0\u202fm³ between")


def test_every_kind_of_the_detectors_has_a_title_in_plain_words() -> None:
    for kind in KINDS:
        assert ":" not in finding_title(kind), kind
    assert finding_title("flow.backwards") == "Flow: backwards"


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("negative_step.glitch", [*range(1000, 1050), 0, *range(1051, 1100)]),
        ("negative_step.glitch", [*range(1000, 1050), 0]),
        ("negative_step.reset", [*range(1000, 1100), *range(50)]),
        ("negative_step.rollover", [*range(99_900, 100_000), *range(50)]),
        ("negative_step.swap_suspect", [*range(1000, 1100), *range(50_000, 50_100)]),
        ("stuck", [*range(1000, 2000), *[2000] * 2000]),
    ],
)
def test_what_the_detectors_find_is_told_in_a_sentence(kind: str, values: list[int]) -> None:
    series = Series.of(
        np.arange(len(values), dtype=np.int64) * HOUR,
        np.array(values, dtype=np.int64) * 1_000_000,
        100_000 * 1_000_000,
    )
    found = [finding for finding in judge(series).findings if finding.kind == kind]
    assert found
    sentence = explain(kind, found[0].evidence, "m3", BERLIN)
    assert sentence is not None
    assert "none" not in sentence


@pytest.mark.parametrize("evidence", [{}, {"before": "1"}])
def test_incomplete_evidence_has_no_sentence(evidence: dict[str, object]) -> None:
    assert explain("negative_step.reset", evidence, "m3", BERLIN) is None
    assert explain("leak", evidence, "m3", BERLIN) is None


@given(value=st.one_of(st.text(), st.floats(), st.none(), st.integers()))
def test_odd_evidence_is_told_as_it_was_written(value: object) -> None:
    assert explain("negative_step.reset", dict.fromkeys(RESET, value), "m3", BERLIN) is not None
