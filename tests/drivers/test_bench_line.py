"""The benches of lines run on virtual time, so that what they promise is a test as well."""

from importlib import import_module

import pytest

from bench.line import modbus
from bench.measurement import Measurement


@pytest.mark.parametrize("protocol", ["modbus", "optical"])
def test_the_bench_of_a_line_reaches_what_was_promised(protocol: str) -> None:
    measured: list[Measurement] = list(import_module(f"bench.line.{protocol}").measure())
    assert any(one.wanted for one in measured)
    assert [one.as_json() for one in measured if one.reached is False] == []


def test_planned_requests_take_a_fifth_of_one_register_pair_a_request() -> None:
    figures = {one.name: one.value for one in modbus.measure()}
    assert (
        5 * figures["SDM630, 48 values, a scheduled readout"]
        < figures["SDM630, 48 values, one register pair a request"]
    )
