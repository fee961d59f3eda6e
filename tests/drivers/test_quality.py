"""What the quality scale claims of each driver follows from tests that exist."""

import ast
import runpy
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from drivers.protocol import PROTOCOLS

ROOT = Path(__file__).resolve().parents[2]
QUALITY = (ROOT / "drivers" / "quality.toml").read_text("utf-8")
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "drivers-table"))
CRITERIA, DRIVERS = SCRIPT["read_quality"](QUALITY)
PROOFS = sorted({proof for driver in DRIVERS for proofs in driver.proofs.values() for proof in proofs})


@cache
def functions_of(file: Path) -> set[str]:
    """Names of the test functions that pytest collects from a file."""
    tree = ast.parse(file.read_text("utf-8"))
    return {
        node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_driver_of_the_catalogue_is_on_the_scale() -> None:
    assert {driver.protocol for driver in DRIVERS} >= set(PROTOCOLS)


@pytest.mark.parametrize("proof", PROOFS)
def test_every_proof_exists(proof: str) -> None:
    name, _, test = proof.partition("::")
    file = ROOT / name
    assert file.is_file(), f"{name} is not there"
    if test:
        assert file.name.startswith("test_")
        assert test in functions_of(file), f"{name} has no {test}"


@pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.protocol)
def test_the_level_that_a_driver_claims_is_the_one_that_its_proofs_reach(driver: Any) -> None:
    assert driver.level == SCRIPT["level_of"](driver, CRITERIA)


@pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.protocol)
def test_what_does_not_apply_says_why(driver: Any) -> None:
    assert all(len(reason) > 20 for reason in driver.exempt.values())


def test_criteria_are_of_known_levels_and_have_names_of_their_own() -> None:
    assert [criterion.level for criterion in CRITERIA] == sorted(
        (criterion.level for criterion in CRITERIA), key=SCRIPT["LEVELS"].index
    )
    assert len({criterion.name for criterion in CRITERIA}) == len(CRITERIA)


def test_one_missing_proof_takes_the_level_and_all_above_it() -> None:
    [modbus] = [driver for driver in DRIVERS if driver.protocol == "modbus"]
    for criterion, level in (("rules", "gold"), ("search", "bronze"), ("golden", "unrated")):
        proofs = {name: tests for name, tests in modbus.proofs.items() if name != criterion}
        lesser = SCRIPT["Rated"]("modbus", "platinum", proofs, modbus.exempt)
        assert SCRIPT["level_of"](lesser, CRITERIA) == level
    with pytest.raises(ValueError, match="serach is no criterion"):
        SCRIPT["read_quality"](
            QUALITY.replace('search = [\n  "tests/drivers/modbus', 'serach = [\n  "tests/drivers/modbus')
        )


def test_the_table_in_the_documentation_is_that_of_the_file() -> None:
    text = (ROOT / "docs" / "drivers.md").read_text("utf-8")
    assert SCRIPT["with_table"](text, QUALITY) == text, "run scripts/drivers-table"
