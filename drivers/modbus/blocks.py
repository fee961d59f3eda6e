"""Blocks of registers, one a request: as few as possible, and what a meter refused is remembered."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from drivers.line import SerialSettings
from drivers.modbus.framing import MAX_REGISTERS
from drivers.modbus.profile import ModbusProfile, WordSpan
from drivers.modbus.timing import TURNAROUND, transaction_time

# A meter that is still starting may refuse what it has: a refusal is believed for this long.
_BELIEVED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class RegisterBlock:
    """Runs of words that one request reads, in the order of their addresses."""

    spans: tuple[WordSpan, ...]

    @property
    def function(self) -> int:
        return self.spans[0].function

    @property
    def address(self) -> int:
        return self.spans[0].address

    @property
    def end(self) -> int:
        return max(span.end for span in self.spans)

    @property
    def count(self) -> int:
        return self.end - self.address


def cheapest(spans: Iterable[WordSpan], cost: Callable[[int], float]) -> list[RegisterBlock]:
    """The blocks of at most 125 words that read all spans at the least cost.

    `cost` is that of one request for so many words, and grows with them. Exact: of all ways to share the
    spans out, a cheapest one cuts them in the order of their addresses, and every such cut is weighed.
    """
    rows = _sorted(spans)
    best: list[tuple[float, int]] = [(0.0, 0)]  # of the first n rows: cost, and where their last block begins
    for last, row in enumerate(rows):
        options: list[tuple[float, int]] = []
        end = row.end
        for first in range(last, -1, -1):
            end = max(end, rows[first].end)
            if rows[first].function != row.function or end - rows[first].address > MAX_REGISTERS:
                break
            options.append((best[first][0] + cost(end - rows[first].address), first))
        best.append(min(options))
    blocks: list[RegisterBlock] = []
    end = len(rows)
    while end:
        first = best[end][1]
        blocks.append(RegisterBlock(tuple(rows[first:end])))
        end = first
    return blocks[::-1]


def plan(profile: ModbusProfile, settings: SerialSettings) -> list[RegisterBlock]:
    """The requests that read a profile in the least wire time on a line of these settings."""
    return cheapest(profile.spans(), lambda words: _request_time(words, settings, profile.pause))


def wire_time(blocks: Iterable[RegisterBlock], settings: SerialSettings, pause: float) -> float:
    """Seconds that these requests and their answers take, each after `pause`, with the usual turnaround."""
    return sum(_request_time(block.count, settings, pause) for block in blocks)


def _request_time(words: int, settings: SerialSettings, pause: float) -> float:
    return transaction_time(settings, words, turnaround=TURNAROUND, pause=pause)


def split(block: RegisterBlock) -> list[RegisterBlock]:
    """A refused block in smaller ones: at its gaps, or else in halves; none if it is a single span."""
    at_gaps = without_gaps(block.spans)
    if len(at_gaps) > 1:
        return at_gaps
    half = len(block.spans) // 2
    return [RegisterBlock(block.spans[:half]), RegisterBlock(block.spans[half:])] if half else []


def without_gaps(spans: Iterable[WordSpan]) -> list[RegisterBlock]:
    """The blocks that ask for no unused word, as many as there are runs of words."""
    runs: list[list[WordSpan]] = []
    for span in _sorted(spans):
        if runs and span.address <= max(one.end for one in runs[-1]):
            runs[-1].append(span)
        else:
            runs.append([span])
    return [RegisterBlock(tuple(run)) for run in runs]


def _sorted(spans: Iterable[WordSpan]) -> list[WordSpan]:
    return sorted(spans, key=lambda one: (one.function, one.address))


class ReadPlan:
    """The requests for one meter, as far as its refusals have taught."""

    def __init__(self, blocks: Iterable[RegisterBlock]) -> None:
        self._untaught = tuple(blocks)
        self._blocks = list(self._untaught)
        self._taught: datetime | None = None

    def blocks(self, now: datetime) -> list[RegisterBlock]:
        if self._taught is not None and now - self._taught > _BELIEVED:
            self._blocks = list(self._untaught)
            self._taught = None
        return list(self._blocks)

    def refused(self, block: RegisterBlock, now: datetime) -> list[RegisterBlock]:
        """Note a refusal; gives what to ask for instead, nothing where the meter lacks that register."""
        smaller = split(block)
        position = self._blocks.index(block)
        self._blocks[position : position + 1] = smaller
        self._taught = self._taught or now
        return smaller
