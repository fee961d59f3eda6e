"""The table of anomaly/README.md is what the code does: names, parameters, evidence, severities."""

import re
from dataclasses import dataclass, fields
from pathlib import Path

import pytest
from hypothesis import given, settings

from anomaly import parameters
from anomaly.boundary import stuck
from anomaly.catalogue import OTHER_KINDS, REGISTER_KINDS, VERDICTS
from anomaly.detectors import balance, communication
from anomaly.input.series import Finding
from anomaly.judge import judge_block
from telemetry.findings import Severity
from tests.anomaly.test_block_properties import Arrivals, arrivals, made

FOLDER = Path(__file__).resolve().parents[2] / "anomaly"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
SOURCE = "".join(path.read_text(encoding="utf-8") for path in sorted(FOLDER.rglob("*.py")))


@dataclass(frozen=True, slots=True)
class Row:
    parameters: list[str]
    evidence: set[str]
    severities: set[Severity]
    verdict: str


def table() -> dict[str, Row]:
    rows = {}
    for line in README.split("## Rules and detectors")[1].split("\n## ")[0].splitlines():
        if not line.startswith("| `"):
            continue
        name, _, parameters, evidence, severity = (cell.strip() for cell in line.strip("|").split(" | "))
        of_finding, _, verdict = severity.removesuffix(" |").partition(" · ")
        rows[name.strip("` ")] = Row(
            re.findall(r"`([\w.]+)`", parameters),
            set(evidence.split(", ")),
            {Severity(each) for each in of_finding.split(", ")},
            verdict,
        )
    return rows


TABLE = table()
RULES = {each.__name__: each for each in vars(parameters).values() if isinstance(each, type)} | {
    "StuckRule": stuck.StuckRule,
    "BalanceRule": balance.BalanceRule,
}


def check(finding: Finding) -> None:
    row = TABLE[finding.kind]
    assert finding.severity in row.severities, finding.kind
    assert set(finding.evidence) <= row.evidence, finding.kind


def test_the_table_names_every_rule_and_detector_in_order() -> None:
    assert list(TABLE) == [*REGISTER_KINDS, *OTHER_KINDS]


def test_the_table_says_what_each_means_for_its_readings() -> None:
    assert {kind: TABLE[kind].verdict for kind in VERDICTS} == {
        kind: verdict.value for kind, verdict in VERDICTS.items()
    }


@pytest.mark.parametrize("kind", list(TABLE))
def test_parameters_exist(kind: str) -> None:
    for parameter in TABLE[kind].parameters:
        owner, _, field = parameter.partition(".")
        if owner == "LIMITS":
            assert kind in communication.KINDS
        else:
            assert field in {each.name for each in fields(RULES[owner])}


def test_no_parameter_is_left_out() -> None:
    told = {parameter for row in TABLE.values() for parameter in row.parameters}
    for name, rule in RULES.items():
        if name.endswith("Rule"):
            assert {f"{name}.{each.name}" for each in fields(rule)} <= told, name


@pytest.mark.parametrize("kind", list(TABLE))
def test_evidence_is_written_by_some_module(kind: str) -> None:
    for key in TABLE[kind].evidence:
        assert f'"{key}"' in SOURCE or key.startswith("share_l")


@given(arrivals())
@settings(max_examples=50)
def test_findings_of_any_series_are_as_the_table_says(arrived: Arrivals) -> None:
    for judged in judge_block(made(*arrived)):
        for finding in judged.findings:
            check(finding)
