"""What the detectors find, event by event: faults planted into a year of real water meters, and into the
demo's building.

    python -m bench.anomaly [tuned|reported]

Prints for each fault: planted events, recall, precision, false alarms per meter-month, and the hours from
the fault's beginning until it would have been said (the series judged as it stood then). Parameters were
chosen on the `tuned` half of the meters; without an argument the other half is reported. A finding on the
unmodified series is a false alarm too, unless somebody looked at it and found it real: `bench/known.py`
lists those with the reason. Two baselines run on the same copies: a fixed threshold, and scikit-learn's
IsolationForest on daily features. Needs ../shared/data beside the checkout for the water meters.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from anomaly.catalogue import parameters_of
from anomaly.input.block import Block, Register
from anomaly.input.series import HOUR, Finding, Judgement
from anomaly.judge import examine
from bench import building
from bench.baselines import INSTALL, fixed_threshold, isolation_forest
from bench.events import MONTH, Event, Score, Trial, first_said, score
from bench.known import real_events
from bench.planted import FAULTS, Fault, Int64Array, Planted
from telemetry.findings import Severity
from telemetry.obis import Obis
from tests.support.households import Household, households

SHARED_DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
ZONE = ZoneInfo("Europe/Madrid")
SEED = 20260101
COPIES = 3  # of each meter and fault
Q4 = 3_125_000  # micro-m3 an hour: the overload flow of a household's Q3 2.5 meter
ALL_KINDS = {kind for fault in FAULTS for kind in fault.kinds}
_RULES = parameters_of(Obis.parse("8-0:1.0.0"))
_HEAD = f"{'':24}{'planted':>8}{'recall':>8}{'precision':>10}{'false/month':>12}{'delay h':>9}"


def judged(
    readings: Sequence[tuple[Int64Array, Int64Array]], until: int | None = None
) -> tuple[Judgement, ...]:
    """Every copy as a register of one block."""
    registers = [
        Register(str(i), Obis.parse("8-0:1.0.0"), unit="m3", max_rate=Q4, interval=HOUR, parameters=_RULES)
        for i in range(len(readings))
    ]
    rows = np.repeat(np.arange(len(readings)), [len(times) for times, _ in readings])
    times, values = (np.concatenate(columns) for columns in zip(*readings, strict=True))
    return examine(Block.of(registers, rows, times, values, until=until, zone=ZONE)).judged


def events(judgement: Judgement, kinds: Sequence[str]) -> list[Event]:
    """Findings of some kinds."""
    return [Event(f.kind, f.started_at, f.ended_at) for f in judgement.findings if f.kind in kinds]


def copies(fault: Fault, number: int, homes: Sequence[Household]) -> Iterator[tuple[Household, Planted]]:
    """Each household several times, with the fault at another place; one that is read too seldom not at all.

    Nor where the same is known to have happened: what is found there anyway says nothing.
    """
    for which, home in enumerate(homes):
        for copy in range(COPIES):
            random = np.random.default_rng([SEED, number, which, copy])
            other = homes[(which + 1 + int(random.integers(0, len(homes) - 1))) % len(homes)]
            try:
                planted = fault.plant(random, home.times, home.values, other.times, other.values)
            except ValueError:
                break
            known = real_events(home.meter, fault.kinds, home.times)
            if not any(event.overlaps(planted.start, planted.end) for event in known):
                yield home, planted


def water(homes: Sequence[Household]) -> Iterator[str]:
    """The table of faults in real meters, and that of the baselines, to whom anything real counts as true."""
    forest = isolation_forest()
    others: list[str] = []
    for number, fault in enumerate(FAULTS):
        made = list(copies(fault, number, homes))
        trials = [
            Trial(
                planted.start,
                planted.end,
                float(np.ptp(planted.times)) / MONTH,
                real_events(home.meter, fault.kinds, home.times),
            )
            for home, planted in made
        ]
        others_know = [
            replace(trial, known=real_events(home.meter, ALL_KINDS, home.times))
            for trial, (home, _) in zip(trials, made, strict=True)
        ]
        readings = [(planted.times, planted.values) for _, planted in made]
        said = [events(judgement, fault.kinds) for judgement in judged(readings)]

        def as_it_stood(
            which: Sequence[int],
            until: Sequence[int],
            readings: list[tuple[Int64Array, Int64Array]] = readings,
            kinds: Sequence[str] = fault.kinds,
        ) -> list[list[Event]]:
            known = [
                (times[times <= instant], values[times <= instant])
                for (times, values), instant in (
                    (readings[i], at) for i, at in zip(which, until, strict=True)
                )
            ]
            return [events(judgement, kinds) for judgement in judged(known)]

        yield row(fault.name, score(trials, said, first_said(trials, as_it_stood)), fault.hard)
        for name, baseline in (("fixed threshold", fixed_threshold), ("IsolationForest", forest)):
            if baseline is not None:
                scored = score(others_know, [baseline(*each) for each in readings])
                others.append(row(f"{fault.name}, {name}", scored))
    yield ""
    yield "baselines, any event of theirs counts (delay: a day at the least)"
    yield from others
    if forest is None:
        yield f"IsolationForest: scikit-learn is not installed; {INSTALL}"


def row(name: str, scored: Score, hard: bool | None = None) -> str:
    """One line of a table. `hard`: recall of 0.9 at 0.05 false alarms a month was promised."""
    reached = scored.recall >= 0.9 and scored.false_alarms_per_month <= 0.05
    verdict = {None: "", False: "  soft", True: "  reached" if reached else "  NOT REACHED"}[hard]
    return (
        f"{name:24}{scored.planted:8}{scored.recall:8.2f}{scored.precision:10.2f}"
        f"{scored.false_alarms_per_month:12.3f}{scored.median_delay:9.0f}{verdict}"
    )


def unmodified(homes: Sequence[Household]) -> Iterator[str]:
    """What is found in the meters as they are, and how much of it is known to be real."""
    months = sum(float(np.ptp(home.times)) for home in homes) / MONTH
    began = time.perf_counter()
    all_judged = judged([(home.times, home.values) for home in homes])
    seconds = time.perf_counter() - began
    readings = sum(len(home.times) for home in homes)
    yield f"unmodified: {len(homes)} meters, {months:.0f} months, {readings} readings in {seconds:.2f} s"
    for kind in sorted({finding.kind for judgement in all_judged for finding in judgement.findings}):
        said, real = _known(homes, all_judged, partial(_is_of, kind))
        yield f"  {kind:28}{said:6} findings, {said / months:.3f} a month, {real} known real"
    said, real = _known(homes, all_judged, lambda finding: finding.severity is not Severity.INFO)
    yield f"  warnings and alarms         {said:6} findings, {said / months:.3f} a month, {real} known real"


def _is_of(kind: str, finding: Finding) -> bool:
    return finding.kind == kind


def _known(
    homes: Sequence[Household], judged_: Sequence[Judgement], wanted: Callable[[Finding], bool]
) -> tuple[int, int]:
    """How many findings are wanted, and how many of them are known to be real."""
    said = real = 0
    for home, judgement in zip(homes, judged_, strict=True):
        for finding in filter(wanted, judgement.findings):
            event = Event(finding.kind, finding.started_at, finding.ended_at)
            known = real_events(home.meter, (finding.kind,), home.times)
            said += 1
            real += any(event.overlaps(each.start, each.end or event.start) for each in known)
    return said, real


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.anomaly", description=__doc__.partition("\n")[0])
    parser.add_argument("half", nargs="?", choices=("reported", "tuned"), default="reported")
    parser.add_argument("--meters", type=int, help="No more of each kind: 2 are enough to see that it runs.")
    arguments = parser.parse_args()
    half = arguments.half
    if SHARED_DATA.is_dir():
        homes = households(SHARED_DATA)[half == "reported" :: 2][: arguments.meters]
        for line in unmodified(homes):
            print(line, flush=True)
        print(f"\n{'water, ' + half + ' half':24}{_HEAD[24:]}", flush=True)
        for line in water(homes):
            print(line, flush=True)
    else:
        print(f"no {SHARED_DATA}: the real water meters are left out")
    print(f"\n{'building, ' + half + ' half':24}{_HEAD[24:]}", flush=True)
    for name, scored, hard in building.scores(half == "reported", arguments.meters):
        print(row(name, scored, hard), flush=True)


if __name__ == "__main__":
    main()
