"""Rule about times without a contract: what was used in them."""

import numpy as np

from anomaly.input.series import iso
from anomaly.rule import Rule
from anomaly.workspace import Hit, Study, exact
from telemetry.findings import Severity

INACTIVE_CONSUMPTION = "inactive_consumption"


def inactive_consumption(study: Study) -> list[Hit]:
    """What registers moved by while nobody had a contract for them: one finding for each such time."""
    hits = []
    steps = study.steps
    for row, register in enumerate(study.block.registers):
        if register.contracts is None:
            continue
        first, last = np.searchsorted(steps.row, [row, row + 1])
        begin, end = steps.begin[first:last], steps.end[first:last]
        moved = np.where(steps.whole[first:last], steps.moved[first:last], 0)
        for since, until in _without(register.contracts):
            inside = np.flatnonzero(
                (begin >= since) & (moved > 0) & ((until is None) | (end <= (until or 0)))
            )
            if not len(inside):
                continue
            started = int(begin[inside[0]])
            evidence: dict[str, str | int] = {
                "used": exact(moved[inside].sum()),
                "no_contract_since": "ever" if since == _EVER else iso(since),
                "last_used_at": iso(int(end[inside[-1]])),
            }
            readings = int(steps.first[first + inside[0]]), int(steps.last[first + inside[-1]])
            hits.append(
                study.hit(row, INACTIVE_CONSUMPTION, Severity.WARNING, readings, (started, until), evidence)
            )
    return hits


_EVER = int(np.iinfo(np.int64).min)


def _without(contracts: tuple[tuple[int, int | None], ...]) -> list[tuple[int, int | None]]:
    """The spans between contracts, those before the first and after the last included."""
    gaps: list[tuple[int, int | None]] = []
    free: int | None = _EVER
    for start, end in sorted(contracts, key=lambda span: span[0]):
        if free is not None and start > free:
            gaps.append((free, start))
        free = None if end is None or free is None else max(free, end)
    if free is not None:
        gaps.append((free, None))
    return gaps


RULES = (
    Rule(
        INACTIVE_CONSUMPTION,
        "used while nobody had a contract",
        (Severity.WARNING,),
        "used no_contract_since last_used_at",
    ),
)
DETECTORS = (inactive_consumption,)
