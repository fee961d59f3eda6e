"""Findings as a person reads them: a title, the evidence as a sentence with advice, and what was lost.

The sentences carry the numbers of the evidence, exactly. A kind that has none here is shown with its
evidence as it was written. `N_` marks a text of a table that is translated where it is used.
"""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from api.words.facts import Facts
from api.words.language import Language
from api.words.presentation import N_, in_words
from api.words.rule_sentences import RULE_SENTENCES
from api.words.step_sentences import STEP_SENTENCES
from api.words.use_sentences import USE_SENTENCES

_SENTENCES = {**STEP_SENTENCES, **RULE_SENTENCES, **USE_SENTENCES}

_TITLES = {
    "negative_step.glitch": N_("Glitch"),
    "negative_step.jitter": N_("Small steps back"),
    "negative_step.rollover": N_("Register rolled over"),
    "negative_step.reset": N_("Register reset"),
    "negative_step.swap_suspect": N_("Exchange suspected"),
    "reverse_flow": N_("Reverse flow"),
    "stuck": N_("Register stuck"),
    "zero": N_("Nothing used for long"),
    "missing": N_("Readings missing"),
    "interval": N_("Another schedule"),
    "future": N_("Readings from the future"),
    "too_old": N_("Readings that came very late"),
    "unsynchronised": N_("Clock not synchronised"),
    "clock_drift": N_("Meter's clock off"),
    "status.permanent_error": N_("Meter reports a permanent error"),
    "status.temporary_error": N_("Meter reported a temporary error"),
    "status.application_error": N_("Meter could not answer"),
    "status.abnormal": N_("Meter reports an abnormal state"),
    "status.power_low": N_("Battery low"),
    "tamper": N_("Tampering reported"),
    "verification_expired": N_("Verification expired"),
    "max_rate": N_("Impossible rate"),
    "high_low.high": N_("Unusually high use"),
    "high_low.low": N_("Unusually low use"),
    "spike": N_("Spike"),
    "unit_or_multiplier": N_("Wrong unit or multiplier"),
    "sibling": N_("Parts do not add up"),
    "sum_check": N_("Load profile and register differ"),
    "inactive_consumption": N_("Use without a contract"),
    "leak": N_("Leak"),
    "burst": N_("Burst pipe"),
    "catch_up": N_("Used during a silence"),
    "level_shift": N_("Another level of use"),
    "seasonal_outlier": N_("Unusual hours"),
    "heat.return_temperature": N_("Return too warm"),
    "heat.small_difference": N_("Small temperature difference"),
    "heat.swapped_sensors": N_("Sensors swapped"),
    "heat.energy_without_volume": N_("Heat without flow"),
    "heat.volume_without_energy": N_("Flow without heat"),
    "heat.off_season": N_("Heating in summer"),
    "theft_like_drop": N_("Drop as if past the meter"),
    "base_load_jump": N_("Base load jumped"),
    "phase_imbalance": N_("Phases out of balance"),
    "negative_load": N_("Energy fed in"),
    "balance.drift": N_("Building loses more than usual"),
    "balance.negative": N_("Flats use more than the house"),
    "communication.missed_polls": N_("Polls missed"),
    "communication.crc_errors": N_("Damaged answers"),
    "communication.retries": N_("Many repetitions"),
    "communication.signal": N_("Weak signal"),
    "communication.battery": N_("Device's battery low"),
    "communication.temperature": N_("Gateway too hot"),
    "communication.disk": N_("Gateway's disk full"),
    "communication.clock": N_("Gateway's clock off"),
}

# Which evidence says what was lost, and in which unit where it is not the register's.
_LOSSES: Mapping[str, tuple[str, str | None]] = {
    "leak": ("lost", None),
    "theft_like_drop": ("missing", None),
    "heat.volume_without_energy": ("lost", "kW.h"),
    "balance.drift": ("lost", None),
}


def titled_kinds() -> tuple[str, ...]:
    """Every kind that has a title of its own."""
    return tuple(_TITLES)


def finding_title(kind: str, language: Language) -> str:
    """'negative_step.reset' -> 'Register reset'; the name in words for a kind that is not listed."""
    title = _TITLES.get(kind)
    return language.gettext(title) if title else in_words(kind)


def explain(
    kind: str, evidence: Mapping[str, object], unit: str, zone: ZoneInfo, language: Language
) -> str | None:
    """The evidence as a sentence; None where there is none for this kind or its evidence is incomplete.

    `unit` is the register's UCUM code; instants are told by the clocks of `zone`.
    """
    sentence = _SENTENCES.get(kind)
    if sentence is None:
        return None
    try:
        return sentence(Facts(evidence, unit, zone, language))
    except KeyError:
        return None


def estimated_loss(
    kind: str, evidence: Mapping[str, object], unit: str, zone: ZoneInfo, language: Language
) -> str | None:
    """About how much was lost or went past the meter, with its unit; None where nobody can say."""
    name, own = _LOSSES.get(kind, ("", None))
    facts = Facts(evidence, unit, zone, language)
    if name not in evidence or not facts.known(name):
        return None
    return facts.amount(name, own)
