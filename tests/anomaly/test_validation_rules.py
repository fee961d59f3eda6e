"""Can this reading be right? Each rule of the catalogue, on the smallest series that shows it."""

from dataclasses import replace

import numpy as np
import pytest

from anomaly.input.block import UNKNOWN
from anomaly.input.series import DAY, HOUR
from anomaly.judge import examine
from telemetry.findings import Severity
from telemetry.quality import Quality
from telemetry.status import Status
from telemetry.units import UnitError
from tests.support.blocks import NIGHT_REST, START, UNIT, Made, at, block, findings, register, shown, used

POWER = "1-0:1.8.0"
DAILY_WATER = used(register(), NIGHT_REST)


def test_a_quiet_register_gives_no_findings_and_no_marks() -> None:
    (judged,) = examine(block(DAILY_WATER)).judged
    assert not judged.findings
    assert not judged.marks
    assert judged.usable.all()


def test_gaps_less_than_a_day_apart_are_one_missing_event() -> None:
    keep = np.ones(len(DAILY_WATER.times), dtype=bool)
    keep[100:110] = keep[115:125] = keep[300:306] = False
    made = replace(
        DAILY_WATER,
        times=DAILY_WATER.times[keep],
        values=DAILY_WATER.values[keep],
        status=DAILY_WATER.status[keep],
    )
    first, second = findings(made, "missing")
    assert (first.started_at, first.ended_at) == (at(99), at(125))
    assert first.evidence == {
        "absent": 20,
        "gaps": 2,
        "longest_hours": 11,
        "scheduled_minutes": 60,
        "last_before": "2024-01-05T03:00:00Z",
        "next": "2024-01-06T05:00:00Z",
    }
    assert second.evidence["absent"] == 6


def test_silence_up_to_now_is_missing_and_open() -> None:
    made = block(DAILY_WATER, until=int(DAILY_WATER.times[-1]) + 2 * DAY)
    (finding,) = findings(made, "missing")
    assert (finding.ended_at, finding.severity) == (None, Severity.WARNING)
    assert finding.evidence["absent"] == 48


def test_nothing_is_missing_where_nothing_is_scheduled() -> None:
    unscheduled = replace(DAILY_WATER, register=register(interval=None))
    assert not findings(block(unscheduled, until=int(DAILY_WATER.times[-1]) + 9 * DAY), "missing")


def test_readings_at_another_distance_than_scheduled() -> None:
    (finding,) = findings(shown(register(), np.arange(100) * 5_000, every=HOUR // 2), "interval")
    assert (finding.evidence["scheduled_minutes"], finding.evidence["median_minutes"]) == (60, 30)


def test_a_kept_reading_of_the_months_beginning_and_two_by_hand_are_no_other_schedule() -> None:
    hourly = START + np.arange(55) * HOUR + 40_000_000
    kept, by_hand = hourly[50] - 40_000_000, hourly[54] + np.array([15, 30, 45]) * 1_000_000
    times = np.sort(np.concatenate((hourly, [kept], by_hand)))
    made = Made(register(), times, np.arange(len(times)) * 5_000, np.zeros(len(times), dtype=np.int64))
    assert not findings(made, "interval")


def test_more_than_qmax_lets_through_is_marked_but_stays_usable() -> None:
    hours = [*NIGHT_REST]
    hours[800] = 4_000.0  # 4 m3 in an hour through a meter for 2.5
    made = block(used(register(max_rate=2_500_000), hours))
    (finding,) = findings(made, "max_rate")
    assert finding.evidence["per_hour"] == "4"
    assert finding.evidence["possible_per_hour"] == "2.5"
    (judged,) = examine(made).judged
    (mark,) = [mark for mark in judged.marks if mark.rule == "max_rate"]
    assert (mark.index, mark.quality, mark.usable) == (801, Quality.QUESTIONABLE, True)
    assert judged.usable.all()


def test_day_far_above_the_past_says_what_was_learned() -> None:
    hours = [*NIGHT_REST]
    hours[60 * 24 + 8 : 60 * 24 + 20] = [100] * 12
    (finding,) = findings(used(register(), hours), "high_low.high")
    assert finding.evidence["usual_day"] == "0.144"
    assert finding.evidence["day_of_use"] == "1.248"
    assert finding.evidence["limit"] == "0.644"
    assert finding.evidence["learned_from_days"] == 56
    assert (finding.started_at, finding.ended_at) == (at(60 * 24), at(61 * 24))


def test_day_far_below_the_past() -> None:
    hours = [each * 10.0 for each in NIGHT_REST]
    hours[60 * 24 : 61 * 24] = [0] * 24
    (finding,) = findings(used(register(), hours), "high_low.low")
    assert finding.evidence["day_of_use"] == "0"
    assert finding.evidence["limit"] == "0.144"


def test_spike_is_far_above_the_third_highest_interval_and_all_of_the_past() -> None:
    hours = [*NIGHT_REST]
    hours[1000] = 250
    (finding,) = findings(used(register(), hours), "spike")
    assert (finding.started_at, finding.ended_at) == (at(1000), at(1001))
    assert finding.evidence["highest_per_hour"] == "0.25"
    assert finding.evidence["third_highest_per_hour"] == "0.008"
    assert finding.evidence["highest_of_past_per_hour"] == "0.008"


def test_busy_day_without_a_single_peak_is_no_spike() -> None:
    hours = [*NIGHT_REST]
    hours[1000:1004] = [250] * 4
    assert not findings(used(register(), hours), "spike")


@pytest.mark.parametrize(("length", "said"), [(5, False), (7, True)])
def test_no_use_for_a_week_is_told_before_the_register_counts_as_stuck(length: int, said: bool) -> None:
    made = used(register(), [*NIGHT_REST, *[0] * 24 * length])
    assert bool(findings(made, "zero")) is said
    assert not findings(made, "stuck")


@pytest.mark.parametrize("factor", [10, 1000])
def test_readings_in_another_unit_are_rejected_until_the_level_is_back(factor: int) -> None:
    made = used(register(), NIGHT_REST)
    made.values[500:540] *= factor
    (judged,) = examine(block(made)).judged
    (finding,) = [each for each in judged.findings if each.kind == "unit_or_multiplier"]
    assert finding.evidence["factor"] == factor
    assert (finding.first, finding.last, finding.ended_at) == (500, 539, at(540))
    assert not judged.usable[500:540].any()
    assert judged.usable[:500].all()
    assert judged.usable[540:].all()


def test_a_thousandth_of_the_value_is_named_so() -> None:
    made = used(register(), NIGHT_REST, start=400_000 * UNIT)
    made.values[600:] //= 1000
    (finding,) = findings(made, "unit_or_multiplier")
    assert (finding.evidence["factor"], finding.ended_at) == ("1/1000", None)


def test_a_factor_that_brings_a_reading_no_nearer_to_its_level_is_none() -> None:
    """A stuck register fell to a twentieth: ten times or a hundred times that is not what it showed."""
    times = np.array(
        [
            235368294,
            537440955,
            1259100516,
            1818093496,
            2637715140,
            3157888091,
            4549124487,
            6116361618,
            6666976444,
            8097257505,
            9736754401,
            11004107445,
            12553348693,
            12694757308,
            12770389432,
            13258808895,
            14906729143,
            16056014216,
            17288559602,
            17935147198,
            18416953752,
            19838559554,
            20938571846,
            22661524824,
            24253599803,
            25042168786,
            26610788664,
            27303746343,
            27735527607,
            28392134442,
            29668661063,
            29752645094,
            31200192249,
            31419222978,
            32279857571,
            33514571547,
            33608645681,
            35325764986,
            35758863210,
            37380743268,
            37827199582,
        ]
    )
    values = np.array(
        [
            52639121,
            52639121,
            52639121,
            52639121,
            52639121,
            2435977,
            3264055,
            4155928,
            4529615,
            4688276,
            5264945,
            6132486,
            6450228,
            6468562,
            7273853,
            7426472,
            8271498,
            8353021,
            8395048,
            9337694,
            9611129,
            10035002,
            10780815,
            11055900,
            11661059,
            12653419,
            0,
            0,
            0,
            0,
            0,
            16173669,
            16763363,
            17134965,
            18121031,
            19054437,
            19314798,
            19574045,
            20121986,
            20607734,
            21346334,
        ]
    )
    assert not findings(Made(register(), times, values, np.zeros_like(times)), "unit_or_multiplier")


def test_tariffs_that_do_not_add_up_to_the_total() -> None:
    use = np.full(24 * 20, 500.0)
    high, low = use.copy(), use.copy()
    low[24 * 10 : 24 * 12] = 100  # two days on which the second tariff lost what it counted
    made = block(
        used(register(POWER), use * 2),
        used(register("1-0:1.8.1"), high),
        used(register("1-0:1.8.2"), low),
    )
    (finding,) = findings(made, "sibling")
    assert (finding.started_at, finding.ended_at) == (at(240), at(288))
    assert finding.evidence["parts"] == "tariffs"
    assert finding.evidence["difference"] == "-19.2"
    judged = examine(made).judged[0]
    assert {mark.index for mark in judged.marks if mark.rule == "sibling"} == set(range(240, 288))


def test_phases_that_add_up_to_the_total_say_nothing() -> None:
    parts = [used(register(f"1-0:{c}.8.0"), np.full(24 * 20, 300.0)) for c in (21, 41, 61)]
    assert not findings(block(used(register(POWER), np.full(24 * 20, 900.0)), *parts), "sibling")


def test_registers_of_other_meters_are_no_siblings() -> None:
    total = used(register(POWER), np.full(24 * 20, 900.0))
    part = used(register("1-0:1.8.1", meter="KAM-2"), np.full(24 * 20, 100.0))
    assert not findings(block(total, part), "sibling")


def test_load_profile_must_sum_to_what_the_register_moved_by() -> None:
    energy = np.full(24 * 20, 500_000)
    energy[24 * 5 : 24 * 6] = 400_000
    profile = shown(register("1-0:1.29.0", unit="kW.h"), energy)
    (finding,) = findings(block(used(register(POWER), np.full(24 * 20, 500.0)), profile), "sum_check")
    assert finding.evidence["register"] == "1-0:1.29.0"
    assert finding.evidence["total"] == "12"
    assert finding.evidence["sum"] == "9.7"


@pytest.mark.parametrize(
    ("bit", "kind"),
    [
        (Status.PERMANENT_ERROR, "status.permanent_error"),
        (Status.TEMPORARY_ERROR, "status.temporary_error"),
        (Status.APPLICATION_ERROR, "status.application_error"),
        (Status.ABNORMAL, "status.abnormal"),
        (Status.POWER_LOW, "status.power_low"),
        (Status.TAMPER, "tamper"),
        (Status.UNSYNCHRONISED, "unsynchronised"),
    ],
)
def test_a_device_bit_is_one_finding_while_it_lasts(bit: Status, kind: str) -> None:
    status = np.zeros(200, dtype=np.int64)
    status[50:60] = status[65:70] = int(bit)
    (finding,) = findings(shown(register(), np.arange(200) * 5_000, status=status), kind)
    assert (finding.first, finding.last) == (50, 69)
    assert (finding.started_at, finding.ended_at) == (at(50), at(70))
    assert finding.evidence["readings"] == 15


def test_an_instant_that_was_corrected_is_not_unsynchronised_any_more() -> None:
    status = int(Status.UNSYNCHRONISED | Status.CLOCK_CORRECTED)
    assert not findings(shown(register(), np.arange(50) * 5_000, status=status), "unsynchronised")


def test_a_reading_from_the_future_is_rejected() -> None:
    made = shown(register(), np.arange(50) * 5_000)
    received = made.times + 60_000_000
    received[20] = made.times[20] - 2 * HOUR
    future = block(made, received=received)
    (finding,) = findings(future, "future")
    assert (finding.first, finding.evidence["seconds"], finding.evidence["limit_seconds"]) == (20, 7200, 300)
    assert np.flatnonzero(~examine(future).judged[0].usable).tolist() == [20]


def test_a_reading_that_arrives_after_more_than_a_year_is_too_old_unless_the_meter_kept_it() -> None:
    status = np.zeros(50, dtype=np.int64)
    status[30] = int(Status.HISTORICAL)
    made = shown(register(), np.arange(50) * 5_000, status=status)
    received = made.times.copy()
    received[[10, 30]] += 500 * DAY
    (finding,) = findings(block(made, received=received), "too_old")
    assert (finding.first, finding.last) == (10, 10)


def test_the_meters_clock_against_the_gateways() -> None:
    made = shown(register(), np.arange(50) * 5_000)
    clocks = np.full(50, UNKNOWN)
    clocks[10:20] = made.times[10:20] - 600_000_000
    (finding,) = findings(block(made, clocks=clocks), "clock_drift")
    assert (finding.first, finding.last, finding.evidence["seconds"]) == (10, 19, -600)


def test_readings_after_the_verification_ended_are_one_open_finding() -> None:
    made = shown(register(verified_until=at(30)), np.arange(50) * 5_000)
    (finding,) = findings(made, "verification_expired")
    assert (finding.started_at, finding.ended_at) == (at(30), None)
    assert finding.evidence == {"verified_until": "2024-01-02T06:00:00Z"}


def test_an_ended_verification_is_told_of_the_meters_billed_register_once() -> None:
    expired = {"verified_until": at(30)}
    made = [
        shown(register(**expired), np.arange(50) * 5_000),
        shown(register("8-1:1.0.0", billed=True, **expired), np.arange(50) * 5_000),
        shown(register(meter="KAM-2", **expired), np.arange(50) * 5_000),
        shown(register("8-1:1.0.0", meter="KAM-2", **expired), np.arange(50) * 5_000),
    ]
    judged = examine(block(*made)).judged
    said = [[each.kind for each in one.findings].count("verification_expired") for one in judged]
    assert said == [0, 1, 1, 0]


def test_a_standstill_that_is_stuck_is_not_told_as_no_use_as_well() -> None:
    made = used(register(), [*NIGHT_REST, *[0] * 24 * 30])
    assert len(findings(made, "stuck")) == 1
    assert not findings(made, "zero")


def test_use_between_two_contracts() -> None:
    contracts = ((START - DAY, at(240)), (at(480), None))
    (finding,) = findings(used(register(contracts=contracts), [5] * 600), "inactive_consumption")
    assert (finding.started_at, finding.ended_at) == (at(240), at(480))
    assert finding.evidence["used"] == "1.2"


def test_use_before_the_first_contract() -> None:
    (finding,) = findings(used(register(contracts=((at(48), None),)), [5] * 100), "inactive_consumption")
    assert finding.evidence["no_contract_since"] == "ever"
    assert finding.evidence["used"] == "0.24"


def test_rules_in_another_unit_are_converted_or_refused() -> None:
    in_litres = register(unit="L")
    hours = [*NIGHT_REST]
    hours[1000] = 250
    (finding,) = findings(used(in_litres, hours, unit=UNIT, start=400_000 * UNIT), "spike")
    assert finding.evidence["highest_per_hour"] == "250"
    with pytest.raises(UnitError):
        register(unit="kW.h")


def test_a_new_level_is_high_for_four_weeks_and_then_the_usual() -> None:
    hours = [*NIGHT_REST, *[each * 10 for each in NIGHT_REST]]
    (finding,) = findings(used(register(), hours), "high_low.high")
    assert (finding.started_at, finding.ended_at) == (at(70 * 24), at(98 * 24))
