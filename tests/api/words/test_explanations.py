"""Findings are told in sentences that carry the numbers of their evidence, exactly, in every language."""

import re
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomaly.catalogue import RULES
from anomaly.input.series import HOUR, Series
from anomaly.judge import examine
from api.words.evidence_words import NAMES
from api.words.explanations import FINDINGS, estimated_loss, explain, finding_title
from api.words.facts import FIELD, Either, Saying, Sentence, Text
from api.words.language import english, languages
from tests.anomaly.detectors.test_heat_detectors import meter
from tests.anomaly.detectors.test_water_detectors import with_leak
from tests.anomaly.test_block_properties import Arrivals, arrivals, made
from tests.support.blocks import findings, register, used
from tests.support.counters import judge

BERLIN = ZoneInfo("Europe/Berlin")
EN = english()
RESET = {
    "before": "7229.96",
    "before_at": "2026-10-17T08:00:08Z",
    "after": "0",
    "after_at": "2026-10-17T09:00:08Z",
    "capacity": "100000",
}
# What a name stands for is seen from its end; a word for the rest (`pattern`, `parts`, `register`).
_SAMPLES = {
    "_at": "2026-10-17T08:00:08Z",
    "share": "12.5 %",
    "share_l1": "80.0 %",
    "share_l2": "15.0 %",
    "share_l3": "5.0 %",
    "since": "2026-10-12T08:00:08Z",
    "until": "2026-10-16T09:00:08Z",
    "last_before": "2026-10-16T09:00:08Z",
    "next": "2026-10-18T09:00:08Z",
    "pattern": "mix-up",
    "parts": "phases",
    "register": "1-0:1.29.0",
    "bit": "tamper",
    "factor": "1/1000",
}


def evidence_of(kind: str) -> dict[str, object]:
    """What the detector of a kind writes, by what it declares."""
    told: dict[str, object] = {}
    for number, name in enumerate(sorted(RULES[kind].evidence.split())):
        sample = next((value for end, value in _SAMPLES.items() if name.endswith(end)), None)
        told[name] = sample if sample is not None else str(3 + number)
    return told


def test_every_name_of_evidence_has_words() -> None:
    assert {name for kind in RULES for name in RULES[kind].evidence.split()} == set(NAMES)


@pytest.mark.parametrize("kind", [*RULES])
@pytest.mark.parametrize("language", languages().values(), ids=languages().keys())
def test_every_kind_has_a_title_and_a_sentence_for_what_its_detector_writes(
    kind: str, language: object
) -> None:
    title = finding_title(kind, language)  # type: ignore[arg-type]
    sentence = explain(kind, evidence_of(kind), "m3", BERLIN, language)  # type: ignore[arg-type]
    assert ":" not in title
    assert sentence is not None
    assert "%(" not in sentence
    assert any(character.isdigit() for character in sentence), "numbers that a person can check"
    if language is not EN:
        assert title != finding_title(kind, EN)
        assert sentence != explain(kind, evidence_of(kind), "m3", BERLIN, EN)


def texts(saying: Saying) -> Iterator[Text]:
    """Every text that a kind may be told in."""
    if isinstance(saying, Either):
        yield from texts(saying.one)
        yield from texts(saying.other)
    elif isinstance(saying, Sentence):
        yield saying


@pytest.mark.parametrize("kind", FINDINGS)
def test_every_text_has_the_same_fields_in_each_language(kind: str) -> None:
    for text in (FINDINGS[kind].title, *texts(FINDINGS[kind].sentence)):
        assert text.ru
        assert text.uk
        assert set(FIELD.findall(text.ru)) <= set(FIELD.findall(text.en)), text.en
        assert set(FIELD.findall(text.uk)) <= set(FIELD.findall(text.en)), text.en


@pytest.mark.parametrize("kind", FINDINGS)
def test_no_words_are_of_a_kind_that_nobody_writes(kind: str) -> None:
    assert kind in RULES


def test_a_kind_without_words_is_told_by_its_name() -> None:
    assert finding_title("flow.backwards", EN) == "Flow: backwards"


@given(arrivals())
@settings(max_examples=40)
def test_whatever_the_detectors_write_has_a_sentence(arrived: Arrivals) -> None:
    for judged in examine(made(*arrived)).judged:
        for finding in judged.findings:
            assert explain(finding.kind, finding.evidence, "m3", BERLIN, EN) is not None, finding.kind


def test_a_reset_tells_both_readings_by_local_clocks_and_what_to_do() -> None:
    sentence = explain("negative_step.reset", RESET, "kW.h", BERLIN, EN)
    assert sentence is not None
    assert "from 7\u202f229.96\u202fkWh (17 Oct 2026, 10:00) to 0\u202fkWh (17 Oct 2026, 11:00)" in sentence
    assert "two installations" in sentence


def test_one_reading_is_not_called_readings() -> None:
    evidence = RESET | {"readings": 1, "lowest": "0", "highest": "0"}
    sentence = explain("negative_step.glitch", evidence, "m3", BERLIN, EN)
    assert sentence is not None
    assert sentence.startswith("1 reading of 0\u202fm³ between")


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
def test_what_is_found_in_a_series_is_told_in_a_sentence(kind: str, values: list[int]) -> None:
    series = Series.of(
        np.arange(len(values), dtype=np.int64) * HOUR,
        np.array(values, dtype=np.int64) * 1_000_000,
        100_000 * 1_000_000,
    )
    found = [finding for finding in judge(series).findings if finding.kind == kind]
    assert found
    sentence = explain(kind, found[0].evidence, "m3", BERLIN, EN)
    assert sentence is not None
    assert "none" not in sentence


def test_a_leak_says_how_much_was_lost() -> None:
    [leak] = findings(used(register(), with_leak(1000, 1500, 12)), "leak")
    loss = estimated_loss("leak", leak.evidence, "m3", BERLIN, EN)
    assert loss == f"{leak.evidence['lost']}\u202fm³"
    sentence = explain("leak", leak.evidence, "m3", BERLIN, EN)
    assert sentence is not None
    assert f"{loss} were lost" in sentence


def test_heat_that_was_not_counted_is_told_in_its_own_unit_whatever_the_register_has() -> None:
    [found] = findings(meter(energy=0), "heat.volume_without_energy")
    sentence = explain(found.kind, found.evidence, "GJ", BERLIN, EN)
    loss = estimated_loss(found.kind, found.evidence, "GJ", BERLIN, EN)
    assert sentence is not None
    assert loss is not None
    assert loss.endswith("\u202fkWh")
    assert re.search(
        r"m³ ran for 10 days and no heat was counted; by the usual cooling about .* are missing", sentence
    )


@pytest.mark.parametrize("evidence", [{}, {"before": "1"}])
def test_incomplete_evidence_has_no_sentence(evidence: dict[str, object]) -> None:
    assert explain("negative_step.reset", evidence, "m3", BERLIN, EN) is None
    assert explain("leak", evidence, "m3", BERLIN, EN) is None
    assert estimated_loss("leak", evidence, "m3", BERLIN, EN) is None


@given(
    kind=st.sampled_from([*RULES]),
    value=st.one_of(st.text(), st.floats(), st.none(), st.integers()),
)
def test_odd_evidence_is_told_as_it_was_written(kind: str, value: object) -> None:
    assert explain(kind, dict.fromkeys(RULES[kind].evidence.split(), value), "m3", BERLIN, EN) is not None
