"""Every rule and detector by name, and what it means for the readings that it names. README.md describes
each."""

from anomaly.boundary import negative_step, stuck
from anomaly.detectors import (
    balance,
    communication,
    compare,
    device,
    electricity,
    heat,
    periods,
    rates,
    reverse_flow,
    schedule,
    usage,
    water,
)
from telemetry.findings import Verdict

# Those of negative_step and reverse_flow put their marks themselves, on some of their readings only.
VERDICTS = {
    negative_step.GLITCH: Verdict.REJECT,
    negative_step.JITTER: Verdict.INFO,
    negative_step.ROLLOVER: Verdict.INFO,
    negative_step.RESET: Verdict.QUESTIONABLE,
    negative_step.SWAP_SUSPECT: Verdict.QUESTIONABLE,
    reverse_flow.KIND: Verdict.QUESTIONABLE,
    schedule.MISSING: Verdict.INFO,
    schedule.INTERVAL: Verdict.INFO,
    device.FUTURE: Verdict.REJECT,
    device.TOO_OLD: Verdict.QUESTIONABLE,
    device.UNSYNCHRONISED: Verdict.QUESTIONABLE,
    device.CLOCK_DRIFT: Verdict.INFO,
    "status.permanent_error": Verdict.QUESTIONABLE,
    "status.temporary_error": Verdict.QUESTIONABLE,
    "status.application_error": Verdict.QUESTIONABLE,
    "status.abnormal": Verdict.INFO,
    "status.power_low": Verdict.INFO,
    device.TAMPER: Verdict.QUESTIONABLE,
    device.VERIFICATION_EXPIRED: Verdict.INFO,
    rates.MAX_RATE: Verdict.QUESTIONABLE,
    rates.HIGH: Verdict.INFO,
    rates.LOW: Verdict.INFO,
    rates.SPIKE: Verdict.INFO,
    rates.UNIT: Verdict.REJECT,
    stuck.ZERO: Verdict.INFO,
    stuck.KIND: Verdict.INFO,
    compare.SIBLING: Verdict.QUESTIONABLE,
    compare.SUM_CHECK: Verdict.QUESTIONABLE,
    periods.INACTIVE_CONSUMPTION: Verdict.INFO,
    water.LEAK: Verdict.INFO,
    water.BURST: Verdict.INFO,
    water.CATCH_UP: Verdict.INFO,
    usage.LEVEL_SHIFT: Verdict.INFO,
    usage.SEASONAL_OUTLIER: Verdict.INFO,
    heat.RETURN_TEMPERATURE: Verdict.INFO,
    heat.SMALL_DIFFERENCE: Verdict.INFO,
    heat.SWAPPED_SENSORS: Verdict.INFO,
    heat.NO_VOLUME: Verdict.INFO,
    heat.NO_ENERGY: Verdict.INFO,
    heat.OFF_SEASON: Verdict.INFO,
    electricity.THEFT_LIKE: Verdict.INFO,
    electricity.BASE_LOAD: Verdict.INFO,
    electricity.PHASE_IMBALANCE: Verdict.INFO,
    electricity.NEGATIVE_LOAD: Verdict.INFO,
}
REGISTER_KINDS = tuple(VERDICTS)  # what `judge_block` may say
OTHER_KINDS = (balance.DRIFT, balance.NEGATIVE, *communication.KINDS)  # said of buildings, lines and gateways
