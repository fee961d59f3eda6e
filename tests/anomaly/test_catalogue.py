"""What rules declare is what the code does, and what the table of anomaly/README.md says."""

import runpy
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings

from anomaly.catalogue import DETECTORS, PARAMETERS, REGISTER_KINDS, RULES, parameters_of
from anomaly.input.series import Finding
from anomaly.judge import examine
from telemetry.findings import Verdict
from telemetry.obis import Obis
from tests.anomaly.test_block_properties import Arrivals, arrivals, made

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "anomaly" / "README.md").read_text(encoding="utf-8")
SOURCE = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "anomaly").rglob("*.py")))
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "rules-table"))


def check(finding: Finding) -> None:
    rule = RULES[finding.kind]
    assert finding.severity in rule.severities, finding.kind
    assert set(finding.evidence) <= set(rule.evidence.split()), finding.kind


@pytest.mark.parametrize("kind", RULES)
def test_the_readme_has_the_row_of(kind: str) -> None:
    assert SCRIPT["row"](RULES[kind]) in README, "run scripts/rules-table"


def test_the_readme_has_no_other_rows() -> None:
    assert SCRIPT["with_table"](README) == README, "run scripts/rules-table"


@pytest.mark.parametrize("kind", RULES)
def test_a_rule_goes_by_parameters_that_its_class_has(kind: str) -> None:
    owner = RULES[kind].parameters
    if owner is not None:
        assert set(RULES[kind].parameter_names) <= {each.name for each in fields(owner)}


@pytest.mark.parametrize(
    "owner", dict.fromkeys(rule.parameters for rule in RULES.values() if rule.parameters is not None)
)
def test_every_parameter_is_some_rules(owner: type) -> None:
    told = {name for rule in RULES.values() if rule.parameters is owner for name in rule.parameter_names}
    assert told == {each.name for each in fields(owner)}


def test_parameters_have_a_name_of_their_own() -> None:
    classes = {rule.parameters for rule in RULES.values() if hasattr(rule.parameters, "usual")}
    assert set(PARAMETERS.values()) == classes


@pytest.mark.parametrize("kind", RULES)
def test_evidence_is_written_by_some_module(kind: str) -> None:
    for key in RULES[kind].evidence.split():
        assert f'"{key}"' in SOURCE or key.startswith("share_l")


def test_registers_buildings_and_lines_have_rules() -> None:
    assert {*REGISTER_KINDS} == {kind for kind, rule in RULES.items() if rule.verdict is not None}
    assert {rule.verdict for rule in RULES.values()} == {*Verdict, None}
    assert DETECTORS


def test_what_is_needed_is_always_on() -> None:
    on = parameters_of(Obis.parse("8-0:1.0.0")).chosen
    assert {each for each in PARAMETERS.values() if each.required} <= set(on)


@given(arrivals())
@settings(max_examples=50)
def test_findings_of_any_series_are_as_declared(arrived: Arrivals) -> None:
    for judged in examine(made(*arrived)).judged:
        for finding in judged.findings:
            check(finding)
