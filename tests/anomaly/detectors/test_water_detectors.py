"""Leak, burst, reverse flow and catch-up: what opens a finding, what ends it, and what is lost."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np

from anomaly.catalogue import parameters_of
from anomaly.detectors.water import LeakParameters
from anomaly.input.series import DAY, HOUR, BoolArray
from anomaly.judge import examine
from telemetry.findings import Severity
from telemetry.micro import from_micro
from telemetry.obis import Obis
from tests.support.blocks import (
    LITRE,
    NIGHT_REST,
    START,
    UNIT,
    Made,
    at,
    block,
    findings,
    register,
    shown,
    used,
)

Q4 = 3_125_000  # micro-m3 an hour: the overload flow of a Q3 2.5 meter


def with_leak(first: int, last: int, litres: float, hours: list[int] = NIGHT_REST) -> list[float]:
    """Runs from the beginning of hour `first` to that of hour `last`."""
    return [each + (litres if first <= hour < last else 0) for hour, each in enumerate(hours)]


def test_no_hour_without_flow_for_three_days_is_a_leak() -> None:
    (finding,) = findings(used(register(), with_leak(40 * 24 + 3, 50 * 24, 2)), "leak")
    assert finding.started_at == at(40 * 24 + 3)
    assert finding.ended_at == at(50 * 24)
    assert finding.severity is Severity.WARNING
    assert finding.evidence == {
        "night_flow_per_hour": "0.002",
        "usual_night_flow_per_hour": "0",
        "highest_night_flow_per_hour": "0.002",
        "hours": 237,
        "lost": "0.474",
    }


def test_two_wet_days_are_no_leak() -> None:
    assert not findings(used(register(), with_leak(40 * 24, 41 * 24 + 12, 2)), "leak")


def test_readings_once_a_day_cannot_tell_a_leak() -> None:
    made = shown(register(interval=DAY), np.arange(100) * 150 * LITRE, every=DAY)
    assert not findings(made, "leak")
    later = replace(made, times=made.times + 14 * HOUR)  # the middle between two readings lies in the night
    assert not findings(later, "leak")


def test_a_large_leak_is_told_after_one_day() -> None:
    (finding,) = findings(used(register(), with_leak(69 * 24, 70 * 24, 50)), "leak")
    assert finding.severity is Severity.ALARM
    assert finding.ended_at is None


def test_one_dry_night_does_not_end_a_leak_and_two_do() -> None:
    hours = with_leak(30 * 24, 50 * 24, 3)
    hours[40 * 24 : 40 * 24 + 6] = [0] * 6
    (finding,) = findings(used(register(), hours), "leak")
    assert (finding.started_at, finding.ended_at) == (
        at(29 * 24 + 6),
        at(50 * 24),
    )  # dry until 6 the day before
    hours[41 * 24 : 41 * 24 + 6] = [0] * 6
    first, second = findings(used(register(), hours), "leak")
    assert (first.ended_at, second.started_at) == (at(40 * 24), at(41 * 24 + 6))


def test_a_house_that_never_rests_is_measured_against_its_own_nights() -> None:
    house = register(parameters=parameters_of(Obis.parse("8-0:1.0.0"), house=True))
    busy = [40 + each for each in NIGHT_REST]
    assert not findings(used(house, busy), "leak")
    (finding,) = findings(used(house, with_leak(50 * 24, 65 * 24, 60, busy)), "leak")
    assert finding.evidence["usual_night_flow_per_hour"] == "0.04"
    assert finding.evidence["night_flow_per_hour"] == "0.06"
    assert finding.evidence["lost"] == "22.68"


def test_a_house_whose_flats_are_metered_leaves_their_leaks_to_them() -> None:
    house = register(parameters=parameters_of(Obis.parse("8-0:1.0.0"), house=True, submetered=True))
    assert not findings(used(house, with_leak(50 * 24, 65 * 24, 60)), "leak")


def test_nights_are_local() -> None:
    """The same use shifted by five hours, in a place five hours away, gives the same finding shifted."""
    house = register(parameters=parameters_of(Obis.parse("8-0:1.0.0")).having(LeakParameters(rests=False)))
    hours = with_leak(50 * 24, 65 * 24, 30)
    (here,) = findings(used(house, hours), "leak")
    there = block(used(house, [0] * 5 + hours), zone=ZoneInfo("America/Bogota"))
    (finding,) = findings(there, "leak")
    assert finding.started_at - here.started_at == 5 * HOUR


def test_two_hours_far_above_busy_days_are_a_burst() -> None:
    (finding,) = findings(used(register(max_rate=Q4), with_leak(50 * 24 + 9, 50 * 24 + 14, 800)), "burst")
    assert (finding.started_at, finding.ended_at) == (at(50 * 24 + 8), at(50 * 24 + 15))
    assert finding.evidence["per_hour"] == "0.808"
    assert finding.evidence["busy_days_per_hour"] == "0.008"
    assert finding.evidence["limit_per_hour"] == "0.4"
    assert finding.evidence["ran"] == "4.056"


def test_a_burst_that_still_runs_is_open() -> None:
    (finding,) = findings(
        used(register(max_rate=Q4), with_leak(len(NIGHT_REST) - 3, len(NIGHT_REST), 800)), "burst"
    )
    assert finding.ended_at is None


def test_a_burst_is_no_other_registers_level() -> None:
    quiet = [0.2 * each for each in NIGHT_REST]
    made = used(register(max_rate=Q4), with_leak(50 * 24 + 9, 50 * 24 + 14, 1500, quiet))
    assert findings(made, "burst")
    assert not findings(made, "negative_step.swap_suspect")


def backward(litres: float, hours: int) -> Made:
    steps = [float(each) for each in NIGHT_REST]
    steps[1000 : 1000 + hours] = [-litres] * hours
    return used(register(), steps)


def test_a_register_that_runs_backward_is_reverse_flow_and_nothing_else() -> None:
    (judged,) = examine(block(backward(30, 6))).judged
    (finding,) = judged.findings
    assert finding.kind == "reverse_flow"
    assert (finding.started_at, finding.ended_at) == (at(1000), at(1006))
    assert finding.evidence["ran_back"] == "0.18"
    assert [mark.index for mark in judged.marks] == list(range(1001, 1007))
    assert judged.usable.all()


def test_two_steps_back_are_no_reverse_flow() -> None:
    assert not findings(backward(30, 2), "reverse_flow")


def test_three_old_values_before_the_level_goes_on_are_a_glitch() -> None:
    made = used(register(), NIGHT_REST)
    made.values[1000:1003] -= np.array([100, 200, 300]) * LITRE
    assert not findings(made, "reverse_flow")
    assert len(findings(made, "negative_step.glitch")) == 1


def silent(hours: list[float], first: int, last: int) -> Made:
    made = used(register(), hours)
    keep = np.ones(len(made.times), dtype=bool)
    keep[first:last] = False
    return _part(made, keep)


def test_catch_up_after_a_silence_is_compared_with_usual_days() -> None:
    (finding,) = findings(silent([*map(float, NIGHT_REST)], 50 * 24, 60 * 24), "catch_up")
    assert (finding.started_at, finding.ended_at) == (at(50 * 24 - 1), at(60 * 24))
    assert finding.severity is Severity.INFO
    assert finding.evidence["used"] == "1.448"
    assert finding.evidence["usual_day"] == "0.144"


def test_catch_up_out_of_line_is_a_warning() -> None:
    (finding,) = findings(silent(with_leak(50 * 24, 60 * 24, 50), 50 * 24, 60 * 24), "catch_up")
    assert finding.severity is Severity.WARNING
    assert finding.evidence["used_a_day"] == "1.339"


def test_values_of_each_month_that_a_meter_kept_are_no_silence() -> None:
    """Of a register without a schedule that is read now by the hour; one that falls silent then is told."""
    made = used(register(interval=None), NIGHT_REST * 3)
    times = START + np.concatenate((np.arange(0, 90, 30) * 24, np.arange(90 * 24, 200 * 24))) * HOUR
    kept = np.isin(made.times, times)
    assert not findings(_part(made, kept), "catch_up")
    kept[190 * 24 : 194 * 24] = False
    (finding,) = findings(_part(made, kept), "catch_up")
    assert (finding.started_at, finding.ended_at) == (at(190 * 24 - 1), at(194 * 24))


def _part(made: Made, kept: BoolArray) -> Made:
    return replace(made, times=made.times[kept], values=made.values[kept], status=made.status[kept])


def test_silence_in_which_nothing_was_used_is_no_catch_up() -> None:
    hours = [*map(float, NIGHT_REST)]
    hours[49 * 24 : 60 * 24] = [0.0] * 24 * 11
    assert not findings(silent(hours, 50 * 24, 60 * 24), "catch_up")


def test_a_finding_keeps_its_beginning_while_the_leak_goes_on() -> None:
    """Judged day after day, an event is one finding with one beginning, open until its end is known."""
    hours = with_leak(40 * 24, 50 * 24, 5)
    seen = []
    for day in range(41, 60):
        seen += [
            (day, each.started_at, each.ended_at)
            for each in findings(used(register(), hours[: day * 24]), "leak")
        ]
    assert {start for _, start, _ in seen} == {at(39 * 24 + 6)}
    assert [end for day, _, end in seen if day <= 50] == [None] * len([day for day, *_ in seen if day <= 50])
    assert seen[-1][2] == at(50 * 24)
    assert [day for day, *_ in seen] == list(range(43, 60))


def test_what_follows_a_reverse_flow_is_told_in_the_values_that_were_read() -> None:
    made = backward(30, 6)
    made.values[1200] = 0
    (finding,) = findings(made, "negative_step.glitch")
    assert finding.evidence["before"] == str(from_micro(int(made.values[1199])))


def test_a_register_may_roll_over_after_it_ran_backward() -> None:
    made = backward(30, 6)
    capacity = 10 * UNIT
    made.values[:] = (made.values - made.values[1300]) % capacity  # passes 0 at the 1300th reading
    made = replace(made, register=register(capacity=capacity))
    assert len(findings(made, "reverse_flow")) == 1
    (finding,) = findings(made, "negative_step.rollover")
    assert finding.evidence["after"] == "0"
    assert not findings(made, "negative_step.reset")
