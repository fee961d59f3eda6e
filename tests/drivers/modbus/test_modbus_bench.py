"""The bench of the line runs on virtual time, so that its figures are a test as well."""

from bench.line.modbus import measure


def test_the_bench_of_the_line_reaches_what_was_promised() -> None:
    figures = {one.name: one for one in measure()}
    promised = [one for one in figures.values() if one.wanted]
    assert [one.reached for one in promised] == [True]
    pairs = figures["SDM630, 48 values, one register pair a request"]
    assert promised[0].value * 5 < pairs.value
