"""M-Bus at 2400 Bd: how much of a line's time is readouts, and what a search costs beside the cheapest tree.

T_min of a readout by primary address is 5*11/B + g + 11*N/B: request, the meter's own reaction time, answer.
A silent or a crowded mask of a search costs 17*11/B + 330/B + 0.050, one that meets a single meter the
selection (17*11/B + g + 11/B) and a readout.

"The cheapest tree" is that of a master which cannot know the ids: it begins with the mask of all, splits
every crowd at the next digit of one order of the eight digits, and asks for each of the fifteen that a digit
can be (F is the wildcard). The limit takes the best of all orders, in hindsight. Hesper's search shares what
it learns between the branches, so it can be cheaper than that. The last measurement is what no master can do:
to choose for every crowd the digit that tells its meters apart best, knowing them all.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import permutations

from bench.measurement import Measurement
from drivers.bus import VirtualBus
from drivers.driver import Found, SearchScope, Target
from drivers.line import SerialSettings
from drivers.mbus.codec import vif
from drivers.mbus.codec.encode import record
from drivers.mbus.codec.header import Header
from drivers.mbus.codec.telegram import encode_telegram
from drivers.mbus.master import MBusDriver
from drivers.mbus.virtual import VirtualMBusMeter
from drivers.simulated import SimulatedLine
from gateway.clock.kernel import ClockReference, trusted_clock
from gateway.line.polled_meter import PolledMeter
from gateway.line.poller import LinePoller
from gateway.schedule import Every
from telemetry.readout import Readout

SETTINGS = SerialSettings(2400, 8, "E", 1)
BAUD = SETTINGS.baud
LATEST = 330 / BAUD + 0.050  # a meter of the standard has begun its answer by then

METERS, DEAD = 60, 5
SEARCHED = 40
BUSES = 12  # searches that are averaged: one alone is luck
HOUR = 3600.0
BEGAN = datetime(2026, 11, 1, tzinfo=UTC)

DIGITS = "0123456789ABCDE"


@dataclass(frozen=True, slots=True)
class Placed:
    """A virtual meter and what the formulas ask for: reaction time in s, size of the answer in bytes."""

    serial: str
    reaction: float
    size: int
    virtual: VirtualMBusMeter

    @property
    def readout(self) -> float:
        """T_min by primary address."""
        return 5 * 11 / BAUD + self.reaction + 11 * self.size / BAUD

    @property
    def alone(self) -> float:
        """T_min by secondary address, selection and readout: what a mask costs that it alone answers."""
        return 17 * 11 / BAUD + self.reaction + 11 / BAUD + self.readout


def meters(count: int, rng: random.Random) -> list[Placed]:
    """Meters with random ids and reaction times within the standard, whose answers have 87 bytes."""
    records = record(vif.ENERGY, Decimal(37351), "kW.h") * 11
    placed = []
    for n, number in enumerate(rng.sample(range(10**8), count)):
        serial, reaction = f"{number:08d}", rng.uniform(11 / BAUD, LATEST)
        telegram = encode_telegram(1 + n, Header(serial, "KAM", 8, 0x04), records)
        virtual = VirtualMBusMeter(1 + n, [telegram], reaction=reaction)
        placed.append(Placed(serial, reaction, len(telegram), virtual))
    return placed


def measure() -> Iterator[Measurement]:
    """All figures of this protocol."""
    name, unit = f"{METERS} M-Bus meters at {SETTINGS}", "s of readouts / s"
    yield Measurement(name, _utilisation(), unit, 1.0, ">= 0.97")
    dead = _utilisation(dead=DEAD)
    yield Measurement(f"{name}, {DEAD} of them dead, over an hour", dead, unit, 1.0, ">= 0.90")
    yield Measurement(f"{name}, by secondary address", _utilisation(secondary=True), unit, 1.0)
    yield from _searches()


def _utilisation(*, dead: int = 0, secondary: bool = False) -> float:
    """Sum of T_min over successful readouts / elapsed, of a gateway's poller that always has a meter due."""
    placed = meters(METERS, random.Random(1))
    for meter in placed[:dead]:
        meter.virtual.alive = False
    line = SimulatedLine(VirtualBus([meter.virtual for meter in placed]), SETTINGS)

    def clock() -> datetime:
        return BEGAN + timedelta(seconds=line.now())

    spent = {f"KAM-{meter.serial}": meter.alone if secondary else meter.readout for meter in placed}
    useful = 0.0

    def keep(readouts: Sequence[Readout], *_: object, **__: object) -> None:
        nonlocal useful
        useful += sum(spent[readout.meter] for readout in readouts)

    schedule = Every(timedelta(seconds=10), UTC)  # a round takes 30 s, so that somebody is always due
    polled = [
        PolledMeter(
            Target(meter.serial if secondary else str(1 + n), meter=f"KAM-{meter.serial}"), schedule, "bench"
        )
        for n, meter in enumerate(placed)
    ]
    poller = LinePoller(
        "bench",
        polled,
        line,
        MBusDriver(line, clock),
        keep,
        clock=clock,
        reference=ClockReference(trusted_clock),
        rng=random.Random(2),
    )
    line.wait(schedule.period.total_seconds())
    begun = line.now()
    while line.now() - begun < HOUR:
        line.wait(poller.poll())
    return useful / (line.now() - begun)


def _searches() -> Iterator[Measurement]:
    """Wildcard searches, each of a bus of its own, and the trees for the same buses."""
    took = ordered = chosen = 0.0
    for seed in range(BUSES):
        placed = meters(SEARCHED, random.Random(seed))
        line = SimulatedLine(VirtualBus([meter.virtual for meter in placed]), SETTINGS)
        driver = MBusDriver(line, lambda: BEGAN)
        events = list(driver.search(SearchScope(addresses=("secondary",))))
        found = {event.meter for event in events if isinstance(event, Found)}
        if found != {f"KAM-{meter.serial}" for meter in placed}:
            raise AssertionError(f"bus {seed}: {len(found)} of {SEARCHED} meters were found")
        took += line.now()
        ordered += _best_order(placed)
        chosen += _best_choices(placed)
    name = f"wildcard search of {SEARCHED} random secondary ids at {SETTINGS}, mean of {BUSES}"
    yield Measurement(f"{name}, beside the cheapest tree", took / BUSES, "s", ordered / BUSES, "<= 1.10")
    yield Measurement(f"{name}, beside a tree that knows the ids", took / BUSES, "s", chosen / BUSES)


MASK = 17 * 11 / BAUD + LATEST


def _best_order(placed: Sequence[Placed]) -> float:
    """Seconds of the cheapest tree that splits all its crowds in one order of the digits.

    Four digits tell any of these buses' meters apart but for a rare pair, which further ones do in turn.
    """

    def cost(group: Sequence[Placed], order: Sequence[int]) -> float:
        if not group:
            return MASK
        if len(group) == 1:
            return group[0].alone
        position, *rest = order
        parts = ([one for one in group if one.serial[position] == digit] for digit in DIGITS)
        return MASK + sum(cost(part, rest) for part in parts)

    orders = ((*first, *(n for n in range(8) if n not in first)) for first in permutations(range(8), 4))
    return min(cost(placed, order) for order in orders)


def _best_choices(placed: Sequence[Placed]) -> float:
    """Seconds of the tree that splits each crowd at the digit that costs least, by dynamic programming."""
    by_serial = {one.serial: one for one in placed}

    @cache
    def cost(group: frozenset[str]) -> float:
        if len(group) == 1:
            return by_serial[min(group)].alone
        return MASK + min(map(parts, [group] * 8, range(8)))

    def parts(group: frozenset[str], position: int) -> float:
        shares = {digit: frozenset(one for one in group if one[position] == digit) for digit in DIGITS}
        if max(map(len, shares.values())) == len(group):
            return float("inf")  # this digit tells nobody apart
        return sum(cost(share) if share else MASK for share in shares.values())

    return cost(frozenset(by_serial))
