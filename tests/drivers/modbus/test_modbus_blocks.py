"""Requests are planned in the least wire time that any way of sharing the registers out could take."""

from collections.abc import Iterator, Sequence

from hypothesis import given
from hypothesis import strategies as st

from drivers.line import SerialSettings
from drivers.modbus.blocks import RegisterBlock, cheapest, split
from drivers.modbus.framing import MAX_REGISTERS
from drivers.modbus.profile import Exponent, WordSpan
from drivers.modbus.timing import transaction_time


class Run:
    """Some words, as a register of any encoding takes them."""

    def __init__(self, function: int, address: int, words: int) -> None:
        self.function, self.address, self.end = function, address, address + words


@st.composite
def maps(draw: st.DrawFn) -> list[WordSpan]:
    """Up to five runs of words, apart by gaps that are worth reading along or not."""
    address, spans = draw(st.integers(0, 50)), []
    for _ in range(draw(st.integers(1, 5))):
        words = draw(st.integers(1, 4))
        spans.append(Run(draw(st.sampled_from([3, 4])), address, words))
        address += words + draw(st.one_of(st.integers(0, 12), st.integers(0, 130)))
    return draw(st.permutations(spans))


def partitions(spans: Sequence[WordSpan]) -> Iterator[list[list[WordSpan]]]:
    """Every way to share spans out to requests."""
    if not spans:
        yield []
        return
    first, rest = spans[0], spans[1:]
    for others in partitions(rest):
        yield [[first], *others]
        for position, group in enumerate(others):
            yield [*others[:position], [first, *group], *others[position + 1 :]]


@given(maps(), st.sampled_from([300, 2400, 9600, 19200, 115200]), st.sampled_from([0.0, 0.1]))
def test_no_way_of_sharing_registers_out_takes_less_wire_time(
    spans: list[WordSpan], baud: int, pause: float
) -> None:
    settings = SerialSettings(baud, 8, "E", 1)

    def cost(words: int) -> float:
        return transaction_time(settings, words, turnaround=0.02, pause=pause)

    def total(partition: list[list[WordSpan]]) -> float:
        time = 0.0
        for group in partition:
            words = max(one.end for one in group) - min(one.address for one in group)
            if len({one.function for one in group}) > 1 or words > MAX_REGISTERS:
                return float("inf")
            time += cost(words)
        return time

    planned = cheapest(spans, cost)
    assert sum(cost(block.count) for block in planned) <= min(map(total, partitions(spans))) + 1e-9
    assert sorted(map(id, (one for block in planned for one in block.spans))) == sorted(map(id, spans))


@given(maps())
def test_a_refused_request_is_split_until_nothing_can_be(spans: list[WordSpan]) -> None:
    waiting = cheapest(spans, lambda words: 1000 + words)
    alone: list[WordSpan] = []
    while waiting:
        block = waiting.pop()
        smaller = split(block)
        if not smaller:
            alone.extend(block.spans)
        assert all(len(one.spans) < len(block.spans) for one in smaller)
        waiting.extend(smaller)
    assert sorted(map(id, alone)) == sorted(map(id, spans))


def test_a_refused_request_is_split_at_its_gaps_first() -> None:
    ones = [Exponent(3, address) for address in (0, 1, 2, 7)]
    assert split(RegisterBlock(tuple(ones))) == [
        RegisterBlock(tuple(ones[:3])),
        RegisterBlock(tuple(ones[3:])),
    ]
    assert split(RegisterBlock(tuple(ones[:3]))) == [
        RegisterBlock(tuple(ones[:1])),
        RegisterBlock(tuple(ones[1:3])),
    ]
    assert split(RegisterBlock(tuple(ones[3:]))) == []
