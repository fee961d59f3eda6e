"""The list of formats: what it holds is offered, documented and tested; a forgotten half is named here."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hesper.cli import build
from metering.delivery import formats
from metering.delivery.formats import BILLING_WRITERS, DIALECTS, FORMATS, READINGS_WRITERS
from metering.delivery.outgoing import OutgoingReading
from tests.metering.delivery.formats.samples import ISSUE, row, written

ROOT = Path(__file__).parents[3]
MODULES = sorted(path.stem for path in Path(formats.__path__[0]).glob("[!_]*.py"))


def test_every_module_of_the_folder_declares_a_format() -> None:
    declared = [import_module(f"metering.delivery.formats.{module}").FORMAT for module in MODULES]
    assert declared == list(FORMATS.values())


@pytest.mark.parametrize("module", MODULES)
def test_every_format_has_its_own_test(module: str) -> None:
    assert (Path(__file__).parent / "formats" / f"test_{module}.py").exists()


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_carries_something_and_is_documented(name: str) -> None:
    declared = FORMATS[name]
    assert declared.billing or declared.readings
    rows = (ROOT / "docs" / "integrate-billing.md").read_text(encoding="utf-8").splitlines()
    (described,) = [line for line in rows if line.startswith(f"| `{name}` |")]
    carried = {"billing readings": declared.billing, "readings": declared.readings}
    assert described.split("|")[2].strip() == ", ".join(what for what, writer in carried.items() if writer)
    assert all(f"`--dialect {dialect}`" in described for dialect in list(declared.dialects)[1:])
    assert declared.title in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("command", "names"),
    [
        (("deliver", "file"), [*BILLING_WRITERS, *(each for some in DIALECTS.values() for each in some)]),
        (("export",), READINGS_WRITERS),
    ],
)
def test_the_help_of_a_command_names_every_format(command: tuple[str, ...], names: list[str]) -> None:
    words = [*command, "--help"]
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(build(words), words).output
    assert [name for name in names if name not in shown] == []


@pytest.mark.parametrize("name", BILLING_WRITERS)
def test_the_same_readings_give_the_same_bytes(name: str) -> None:
    assert written(name) == written(name)
    assert written(name, []) == written(name, [])
    assert written(name) != written(name, [])


@pytest.mark.parametrize("name", BILLING_WRITERS)
def test_the_first_dialect_of_a_format_is_how_it_is_written_by_default(name: str) -> None:
    for dialect in DIALECTS.get(name, ())[:1]:
        assert written(name, dialect=dialect) == written(name)


@pytest.mark.parametrize("name", BILLING_WRITERS)
def test_a_file_is_written_while_its_readings_come(name: str) -> None:
    came, many = 0, 45_000 if FORMATS[name].binary else 300
    one = row("flat", "8-0:1.0.0", "m3", "1")

    def readings() -> Iterator[OutgoingReading]:
        nonlocal came
        for came in range(many):
            yield replace(one, service_point=f"flat-{came:05d}")

    came_by_piece = [came for piece in BILLING_WRITERS[name](ISSUE, readings()) if piece]
    assert len(set(came_by_piece)) >= 3
    assert came_by_piece[0] < many / 2


@pytest.mark.parametrize(
    "module", ["metering.delivery.formats", "api.web.app", "hesper.commands.delivery.deliver"]
)
def test_packages_of_extras_are_imported_only_to_write(module: str) -> None:
    script = f"import sys, {module}; print('pyarrow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "False\n"
