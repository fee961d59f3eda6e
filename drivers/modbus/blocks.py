"""Which requests read a profile's registers: as few as possible, and what a meter refused is remembered."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from drivers.line import SerialSettings
from drivers.modbus.profile import Profile, Register
from drivers.modbus.protocol import MAX_REGISTERS
from drivers.modbus.timing import TURNAROUND, gap_limit, transaction_time

# A meter that is still starting may refuse what it has: a refusal is believed for this long.
_BELIEVED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Block:
    """Registers that one request reads, in the order of their addresses."""

    registers: tuple[Register, ...]

    @property
    def function(self) -> int:
        """3 (holding) or 4 (input)."""
        return self.registers[0].function

    @property
    def address(self) -> int:
        """First address of the request."""
        return self.registers[0].address

    @property
    def count(self) -> int:
        """Words that the request asks for."""
        return self.registers[-1].end - self.address

    def words_of(self, register: Register, words: tuple[int, ...]) -> list[int]:
        """The words of one of its registers within the answer."""
        return list(words[register.address - self.address : register.end - self.address])


def merge(registers: Iterable[Register], gap: int) -> list[Block]:
    """The fewest blocks of at most 125 words, with no more than `gap` unused words between two values."""
    blocks: list[list[Register]] = []
    for register in sorted(registers, key=lambda one: (one.function, one.address)):
        if blocks and _joins(blocks[-1], register, gap):
            blocks[-1].append(register)
        else:
            blocks.append([register])
    return [Block(tuple(block)) for block in blocks]


def plan(profile: Profile, settings: SerialSettings) -> list[Block]:
    """The requests that read a profile on a line of these settings, as cheap in wire time as merging gets."""
    return merge(profile.registers, gap_limit(settings, turnaround=TURNAROUND, pause=profile.pause))


def wire_time(blocks: Iterable[Block], settings: SerialSettings, pause: float) -> float:
    """Seconds that these requests and their answers take, each after `pause`, with the usual turnaround."""
    return sum(
        transaction_time(settings, block.count, turnaround=TURNAROUND, pause=pause) for block in blocks
    )


def _joins(block: list[Register], register: Register, gap: int) -> bool:
    return (
        register.function == block[0].function
        and register.address - block[-1].end <= gap
        and register.end - block[0].address <= MAX_REGISTERS
    )


def split(block: Block) -> list[Block]:
    """A refused block in smaller ones: at its gaps, or else in halves; none if it is a single register."""
    at_gaps = merge(block.registers, gap=0)
    if len(at_gaps) > 1:
        return at_gaps
    half = len(block.registers) // 2
    return [Block(block.registers[:half]), Block(block.registers[half:])] if half else []


class ReadPlan:
    """The requests for one meter, as far as its refusals have taught."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        self._untaught = tuple(blocks)
        self._blocks = list(self._untaught)
        self._taught: datetime | None = None

    def blocks(self, now: datetime) -> list[Block]:
        """What to ask for at this instant."""
        if self._taught is not None and now - self._taught > _BELIEVED:
            self._blocks = list(self._untaught)
            self._taught = None
        return list(self._blocks)

    def refused(self, block: Block, now: datetime) -> list[Block]:
        """Note a refusal; gives what to ask for instead, nothing where the meter lacks that register."""
        smaller = split(block)
        position = self._blocks.index(block)
        self._blocks[position : position + 1] = smaller
        self._taught = self._taught or now
        return smaller
