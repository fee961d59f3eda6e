"""What others do, on the same copies: a fixed threshold, and scikit-learn's IsolationForest, both on daily
features.

Neither says what happened, so any event of theirs that overlaps a fault counts as having found it.
"""

import importlib
import importlib.util
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from anomaly.input.series import DAY, HOUR
from bench.events import Event

FloatArray = npt.NDArray[np.float64]
INSTALL = "pip install --group bench"  # dependency groups of pyproject.toml (PEP 735), pip 25.1 or newer
FEATURES = ("use", "highest step", "lowest step", "longest silence", "hours without use")
_FIXED = (2.0e6, 0.5e6, -1.0, 48.0, 25.0)  # m3 a day, m3 a step, any step back, two days of silence
_CONTAMINATION = 0.01


def features(times: npt.NDArray[np.int64], values: npt.NDArray[np.int64]) -> tuple[int, FloatArray]:
    """The first day (since 1970) and the features of each day with readings, shape (days, 5); NaN rows
    between."""
    steps, gaps = np.diff(values).astype(np.float64), np.diff(times) / HOUR
    day = times[1:] // DAY - times[1] // DAY
    table = np.full((int(day[-1]) + 1, len(FEATURES)), np.nan)
    begins = np.flatnonzero(np.diff(day, prepend=-1))
    table[day[begins], 0] = np.add.reduceat(steps, begins)
    table[day[begins], 1] = np.maximum.reduceat(steps, begins)
    table[day[begins], 2] = np.minimum.reduceat(steps, begins)
    table[day[begins], 3] = np.maximum.reduceat(gaps, begins)
    table[day[begins], 4] = np.add.reduceat((steps == 0).astype(np.float64), begins)
    return int(times[1] // DAY), table


def fixed_threshold(times: npt.NDArray[np.int64], values: npt.NDArray[np.int64]) -> list[Event]:
    """A day above any of the limits, no hour without use for two days, or no use for a week."""
    first, table = features(times, values)
    with np.errstate(invalid="ignore"):
        use, high, low, silent, dry = table.T
        odd = (use > _FIXED[0]) | (high > _FIXED[1]) | (low < _FIXED[2]) | (silent > _FIXED[3])
        odd |= _in_a_row(dry == 0, 2) | _in_a_row(use == 0, 7)
    return _events(first, odd)


def isolation_forest() -> Callable[[npt.NDArray[np.int64], npt.NDArray[np.int64]], list[Event]] | None:
    """The detector, or None where scikit-learn is not installed."""
    if importlib.util.find_spec("sklearn") is None:
        return None
    forests = importlib.import_module("sklearn.ensemble")

    def detect(times: npt.NDArray[np.int64], values: npt.NDArray[np.int64]) -> list[Event]:
        first, table = features(times, values)
        known = ~np.isnan(table).any(axis=1)
        forest = forests.IsolationForest(n_estimators=50, contamination=_CONTAMINATION, random_state=0)
        odd = np.zeros(len(table), dtype=np.bool_)
        odd[known] = forest.fit_predict(table[known]) < 0
        return _events(first, odd)

    return detect


def _in_a_row(days: npt.NDArray[np.bool_], length: int) -> npt.NDArray[np.bool_]:
    """Days that end a run of at least `length`."""
    sums = np.convolve(days.astype(np.int64), np.ones(length, dtype=np.int64))[: len(days)]
    return np.asarray(sums == length)


def _events(first: int, odd: npt.NDArray[np.bool_]) -> list[Event]:
    """Odd days, those at most a day apart together."""
    days = np.flatnonzero(odd)
    if not len(days):
        return []
    runs = np.split(days, np.flatnonzero(np.diff(days) > 2) + 1)
    return [Event("odd", (first + int(run[0])) * DAY, (first + int(run[-1]) + 1) * DAY) for run in runs]
