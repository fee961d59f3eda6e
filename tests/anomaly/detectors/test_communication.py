"""Lines, meters and gateways: counters and gauges become findings that do not flap."""

import numpy as np
import pytest

from anomaly.detectors.communication import LIMITS, health, increments
from telemetry.findings import Severity

HOURS = 60


def steady(value: float) -> np.ndarray:
    return np.full((1, HOURS), value)


def test_a_meter_that_misses_a_third_of_its_polls() -> None:
    missed = steady(0.0)
    missed[0, 20:30] = 4
    (finding,) = health({"missed": missed, "polls": steady(12.0)})
    assert (finding.kind, finding.first, finding.end) == ("communication.missed_polls", 20, 30)
    assert finding.evidence == {"worst": "0.3333", "limit": "0.2", "well_again_at": "0.05", "periods": 10}


def test_a_line_that_was_asked_nothing_is_not_judged() -> None:
    assert not health({"crc_errors": steady(0.0), "exchanges": steady(0.0)})


def test_a_figure_that_swings_around_its_limit_is_one_finding() -> None:
    cpu = steady(60.0)
    cpu[0, 20:40] = [82, 84, 86, 78] * 5
    (finding,) = health({"cpu_celsius": cpu})
    assert (finding.first, finding.end) == (20, 40)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("crc_errors", 0.0, 3.0),
        ("retries", 0.0, 9.0),
        ("signal_dbm", -80.0, -110.0),
        ("battery_volts", 3.6, 2.8),
        ("cpu_celsius", 50.0, 85.0),
        ("disk_used", 0.3, 0.95),
        ("clock_drift", 1.0, -90.0),
    ],
)
def test_each_figure_of_a_gateway(name: str, good: float, bad: float) -> None:
    figures = {name: steady(good), "exchanges": steady(30.0)}
    assert not health(figures)
    figures[name][0, 50:] = bad
    (finding,) = health(figures)
    assert (finding.kind, finding.first, finding.end) == (LIMITS[name].kind, 50, None)


def test_a_full_disk_is_an_alarm() -> None:
    (finding,) = health({"disk_used": steady(0.97)})
    assert finding.severity is Severity.ALARM


def test_hours_without_news_neither_open_nor_close() -> None:
    cpu = steady(60.0)
    cpu[0, 20:30] = 90.0
    cpu[0, 30:50] = np.nan
    (finding,) = health({"cpu_celsius": cpu})
    assert (finding.first, finding.end) == (20, 50)


def test_a_counter_that_began_anew_counts_from_its_beginning() -> None:
    assert increments(np.array([[5, 9, 2, 4]])).tolist() == [[4.0, 2.0, 2.0]]
