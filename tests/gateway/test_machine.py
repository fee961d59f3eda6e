"""Names of the machine and of its run."""

import pytest

from gateway import machine


def test_a_boot_has_one_name_and_an_unknown_one_none_that_another_process_would_find(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert machine.boot_id() == machine.boot_id()
    monkeypatch.setattr(machine, "_BOOT_ID", machine.Path("/nonexistent"))
    assert machine.boot_id() != machine.boot_id()


def test_a_machine_has_one_name_which_tells_no_serial_number(monkeypatch: pytest.MonkeyPatch) -> None:
    told = machine.machine_id()
    assert told == machine.machine_id()
    for path in machine._MACHINE:
        if path.exists():
            assert path.read_text().strip() not in told
    monkeypatch.setattr(machine, "_MACHINE", (machine.Path("/nonexistent"),))
    assert machine.machine_id() == ""
