"""Sentences for the rules of validation: can this reading be right? (`anomaly/detectors/schedule.py`,
`device.py`, `rates.py`, `compare.py`, `periods.py`)."""

from collections.abc import Mapping

from api.words.facts import Facts, Sentence, Told, either, known
from api.words.presentation import N_


def _no_contract_ever(facts: Facts) -> bool:
    return str(facts.values["no_contract_since"]) == "ever"


def _of_tariffs(facts: Facts) -> bool:
    return str(facts.values["parts"]) == "tariffs"


RULE_SENTENCES: Mapping[str, Sentence] = {
    "missing": either(
        known("next"),
        Told(
            N_(
                "Between %(last_before)s and %(next)s readings are missing: %(absent)s in all, "
                "%(longest_hours)s at a stretch, where one is due every %(scheduled_minutes)s. A month can "
                "be billed if there are readings near both of its ends; the gateway's log says why it got no "
                "answer."
            )
        ),
        Told(
            N_(
                "No reading since %(last_before)s: %(absent)s are missing so far, one is due every "
                "%(scheduled_minutes)s. See whether the gateway is online, and whether the meter answers on "
                "its line."
            )
        ),
    ),
    "interval": Told(
        N_(
            "From %(since)s to %(until)s readings came every %(median_minutes)s instead of every "
            "%(scheduled_minutes)s. If that is meant, enter the new schedule; else look at the gateway's "
            "configuration."
        )
    ),
    "future": Told(
        N_(
            "Readings from %(since)s on are dated up to %(seconds)s after their arrival (allowed: "
            "%(limit_seconds)s), %(readings)s in all. They are never billed. Set the clock of the gateway or "
            "the meter."
        )
    ),
    "too_old": Told(
        N_(
            "Readings from %(since)s to %(until)s arrived up to %(seconds)s after their date (allowed: "
            "%(limit_seconds)s), %(readings)s in all. Find out where they were kept for so long before they "
            "are billed."
        )
    ),
    "unsynchronised": Told(
        N_(
            "Readings from %(since)s to %(until)s were taken while the gateway's clock was not synchronised, "
            "%(readings)s in all: their instants may be wrong. See whether the gateway reaches its time "
            "server."
        )
    ),
    "clock_drift": Told(
        N_(
            "The meter's clock was off by up to %(seconds)s (allowed: %(limit_seconds)s) from %(since)s to "
            "%(until)s. Set it: the values that a meter keeps for the first of a month are by its own clock."
        )
    ),
    "status.permanent_error": Told(
        N_(
            "The meter reports a permanent error, from %(since)s to %(until)s in readings: %(readings)s. "
            "Have it inspected; its figures count as questionable."
        )
    ),
    "status.temporary_error": Told(
        N_(
            "The meter reported a temporary error from %(since)s to %(until)s, in readings: %(readings)s. "
            "Often air in the pipe or a sensor's cable; have it inspected if it comes back."
        )
    ),
    "status.application_error": Told(
        N_(
            "The meter could not answer properly from %(since)s to %(until)s, in readings: %(readings)s. "
            "Read it anew; if it lasts, its firmware or settings are wrong."
        )
    ),
    "status.abnormal": Told(
        N_(
            "The meter calls its state abnormal from %(since)s to %(until)s, in readings: %(readings)s. What "
            "it means by that is in its manual: leakage, dry running and wrong mounting are usual."
        )
    ),
    "status.power_low": Told(
        N_(
            "The meter's battery is low from %(since)s to %(until)s, in readings: %(readings)s. Plan the "
            "exchange of the battery or the meter before it falls silent."
        )
    ),
    "tamper": Told(
        N_(
            "The meter reports tampering from %(since)s to %(until)s, in readings: %(readings)s. Send "
            "somebody to look at its seals; note what was found here."
        )
    ),
    "verification_expired": Told(
        N_(
            "The meter's verification ended %(verified_until)s. Where rules demand a verified meter, "
            "readings since then are not billed. Have it verified or exchanged, and enter the new date."
        )
    ),
    "max_rate": Told(
        N_(
            "%(per_hour)s an hour is more than the meter can let through (%(possible_per_hour)s an hour): "
            "%(moved)s from %(since)s to %(until)s. Compare it with the meter; a wrong multiplier or a "
            "glitch is likely."
        ),
        amounts="per_hour possible_per_hour moved",
    ),
    "high_low.high": Told(
        N_(
            "Up to %(day_of_use)s a day, above the limit of %(limit)s; %(usual_day)s would have been a busy "
            "day of the past %(learned_from_days)s. It lasted for %(days)s. Ask whether so much was used "
            "before it is billed."
        ),
        amounts="day_of_use limit usual_day",
    ),
    "high_low.low": Told(
        N_(
            "Down to %(day_of_use)s a day, below the limit of %(limit)s; %(usual_day)s would have been a "
            "quiet day of the past %(learned_from_days)s. It lasted for %(days)s. Is the place empty, or is "
            "something not counted?"
        ),
        amounts="day_of_use limit usual_day",
    ),
    "spike": Told(
        N_(
            "%(highest_per_hour)s an hour, where the third highest of the day was %(third_highest_per_hour)s "
            "and the highest of the past %(learned_from_days)s %(highest_of_past_per_hour)s. Compare it with "
            "the hours beside it."
        ),
        amounts="highest_per_hour third_highest_per_hour highest_of_past_per_hour",
    ),
    "unit_or_multiplier": Told(
        N_(
            "The values changed by the factor %(factor)s, from %(before)s (%(before_at)s) to %(after)s "
            "(%(after_at)s), for readings: %(readings)s. They are never billed. Compare unit and multiplier "
            "with the meter's plate."
        ),
        amounts="before after",
    ),
    "sibling": either(
        _of_tariffs,
        Told(
            N_(
                "The tariffs add up to %(sum)s, the total register says %(total)s: %(difference)s apart in "
                "%(days)s (allowed: %(allowed_share)s). See whether all tariffs are read, and at the same "
                "time."
            ),
            amounts="sum total difference",
        ),
        Told(
            N_(
                "The three phases add up to %(sum)s, the total register says %(total)s: %(difference)s apart "
                "in %(days)s (allowed: %(allowed_share)s). See whether all phases are read, and at the same "
                "time."
            ),
            amounts="sum total difference",
        ),
    ),
    "sum_check": Told(
        N_(
            "The periods of %(register)s add up to %(sum)s, the register itself moved by %(total)s: "
            "%(difference)s apart in %(days)s (allowed: %(allowed_share)s). Bill by the register, and look "
            "at the load profile."
        ),
        amounts="sum total difference",
    ),
    "inactive_consumption": either(
        _no_contract_ever,
        Told(
            N_(
                "%(used)s were used although nobody ever had a contract here, the last %(last_used_at)s. "
                "Find out who lives there, and enter the contract."
            ),
            amounts="used",
        ),
        Told(
            N_(
                "%(used)s were used without a contract since %(no_contract_since)s, the last "
                "%(last_used_at)s. Find out who lives there, and enter the contract."
            ),
            amounts="used",
        ),
    ),
}
