"""Sentences for anomalies: is this consumption right? (`anomaly/detectors/water.py`, `heat.py`,
`electricity.py`, `usage.py`, `balance.py`, and the health of `communication.py`)."""

from collections.abc import Mapping

from api.words.facts import Facts, Sentence, Told, either, given, known
from api.words.presentation import N_

_KWH, _M3, _CELSIUS, _KELVIN = "kW.h", "m3", "Cel", "K"
_HEAT = {
    "energy": _KWH,
    "volume": _M3,
    "cooling": _KELVIN,
    "flow_temperature": _CELSIUS,
    "return_temperature": _CELSIUS,
    "lost": _KWH,
}


def _lower(facts: Facts) -> bool:
    return str(facts.values["difference_a_day"]).startswith("-")


USE_SENTENCES: Mapping[str, Sentence] = {
    "leak": Told(
        N_(
            "Water or gas has run without a rest for %(hours)s: %(night_flow_per_hour)s an hour more than "
            "usual at night (usual: %(usual_night_flow_per_hour)s, at most %(highest_night_flow_per_hour)s). "
            "About %(lost)s were lost. Tell the residents: a toilet, a safety valve or a pipe."
        ),
        amounts="night_flow_per_hour usual_night_flow_per_hour highest_night_flow_per_hour lost",
    ),
    "burst": Told(
        N_(
            "Up to %(per_hour)s an hour over two hours (limit: %(limit_per_hour)s; the busiest days of the "
            "past %(learned_from_days)s reach %(busy_days_per_hour)s), %(ran)s from %(since)s to %(until)s. "
            "Call the place at once: a pipe may have burst."
        ),
        amounts="per_hour limit_per_hour busy_days_per_hour ran",
    ),
    "catch_up": either(
        known("usual_day"),
        Told(
            N_(
                "Silent for %(silent_hours)s, from %(since)s to %(until)s, while %(used)s were used: "
                "%(used_a_day)s a day, where %(usual_day)s are usual. It is billed; when in the silence it "
                "was used is not known."
            ),
            amounts="used used_a_day usual_day",
        ),
        Told(
            N_(
                "Silent for %(silent_hours)s, from %(since)s to %(until)s, while %(used)s were used: "
                "%(used_a_day)s a day. It is billed; when in the silence it was used is not known."
            ),
            amounts="used used_a_day",
        ),
    ),
    "level_shift": either(
        _lower,
        Told(
            N_(
                "%(day_since)s a day instead of the %(usual_day)s that were usual in the past "
                "%(learned_from_days)s, for %(days)s. Fewer people, or a meter that counts too little? "
                "Compare it with the neighbours and last year."
            ),
            amounts="day_since usual_day",
        ),
        Told(
            N_(
                "%(day_since)s a day instead of the %(usual_day)s that were usual in the past "
                "%(learned_from_days)s, for %(days)s. More people, another use, or a leak? Compare it with "
                "the neighbours and last year."
            ),
            amounts="day_since usual_day",
        ),
    ),
    "seasonal_outlier": Told(
        N_(
            "%(used)s in %(hours)s, where these hours of the week usually have %(normal)s; the oddest hour "
            "had %(worst_hour)s instead of %(worst_hour_normal)s. Something ran at an unusual time."
        ),
        amounts="used normal worst_hour worst_hour_normal",
    ),
    "heat.return_temperature": Told(
        N_(
            "The water came back at %(return_temperature)s on average, above the limit of %(limit)s, on "
            "days: %(days)s (flow %(flow_temperature)s, %(energy)s, %(volume)s). Too much water flows: look "
            "at the valves and the hydraulic balance."
        ),
        units=_HEAT | {"limit": _CELSIUS},
    ),
    "heat.small_difference": Told(
        N_(
            "The water was cooled by %(cooling)s only, below the limit of %(limit)s, for %(days)s: "
            "%(energy)s from %(volume)s. At such small differences a meter counts badly; look at valves, and "
            "at both sensors' seats."
        ),
        units=_HEAT | {"limit": _KELVIN},
    ),
    "heat.swapped_sensors": Told(
        N_(
            "The return is warmer than the flow (%(return_temperature)s, %(flow_temperature)s) for %(days)s, "
            "while %(volume)s ran: no heat is counted. The sensors are probably swapped; have the mounting "
            "inspected."
        ),
        units=_HEAT,
    ),
    "heat.energy_without_volume": Told(
        N_(
            "%(energy)s were counted for %(days)s although hardly any water ran (%(volume)s). The flow "
            "sensor or its cable has failed, or the register is another one's; have it inspected before it "
            "is billed."
        ),
        units=_HEAT,
    ),
    "heat.volume_without_energy": either(
        known("lost"),
        Told(
            N_(
                "%(volume)s ran for %(days)s and no heat was counted; by the usual cooling about %(lost)s "
                "are missing. A temperature sensor has failed or hangs loose; have it inspected."
            ),
            units=_HEAT,
        ),
        Told(
            N_(
                "%(volume)s ran for %(days)s and no heat was counted. A temperature sensor has failed or "
                "hangs loose; have it inspected."
            ),
            units=_HEAT,
        ),
    ),
    "heat.off_season": Told(
        N_(
            "%(energy)s were used on %(days)s of summer, when nobody heats. Hot water may be made from it; "
            "else look for a valve that does not close."
        ),
        units=_HEAT,
    ),
    "theft_like_drop": Told(
        N_(
            "Since %(days)s both nights and days are at a part of what they were: %(day_since)s a day "
            "instead of %(usual_day)s, at night %(night_since_per_hour)s an hour instead of "
            "%(usual_night_per_hour)s. About %(missing)s went past the meter, if nobody moved out. Have "
            "seals and wiring inspected."
        ),
        amounts="day_since usual_day night_since_per_hour usual_night_per_hour missing",
    ),
    "base_load_jump": Told(
        N_(
            "At night %(night_since_per_hour)s an hour instead of %(usual_night_per_hour)s for %(days)s, "
            "%(more)s more in all. Something runs that did not: a heater, a pump, a device that is broken. "
            "Tell the residents."
        ),
        amounts="night_since_per_hour usual_night_per_hour more",
    ),
    "phase_imbalance": Told(
        N_(
            "The phases carry %(share_l1)s, %(share_l2)s and %(share_l3)s of the load; more than %(limit)s "
            "on one is too much. A phase with nothing may have lost its fuse or its current transformer."
        )
    ),
    "negative_load": either(
        given("fed_in"),
        Told(
            N_(
                "%(fed_in)s were fed in on %(days)s, where nothing is generated as far as the registry "
                "knows. A current transformer is the wrong way round, or somebody has a plant: enter it."
            ),
            amounts="fed_in",
        ),
        Told(
            N_(
                "Power below zero up to %(until)s, down to %(lowest)s, in readings: %(readings)s. A current "
                "transformer is the wrong way round, or somebody has a plant that nobody told of: enter it."
            ),
            amounts="lowest",
        ),
    ),
    "balance.drift": Told(
        N_(
            "The house used %(house)s and its flats %(flats)s in %(days)s: %(difference_share)s are missing, "
            "where %(usual_share)s are usual. About %(lost)s were lost. Look for a leak before the flats, a "
            "tap without a meter, or a meter that counts too little."
        ),
        amounts="house flats lost",
    ),
    "balance.negative": Told(
        N_(
            "The flats used %(flats)s and the whole house only %(house)s in %(days)s. The house meter counts "
            "too little, or its multiplier is wrong; compare it with its plate before common needs are "
            "billed."
        ),
        amounts="house flats",
    ),
    "communication.missed_polls": Told(
        N_(
            "Up to %(worst)s of the polls got no answer (limit: %(limit)s). Look at the line, its power and "
            "the meter."
        ),
        shares="worst limit",
    ),
    "communication.crc_errors": Told(
        N_(
            "Up to %(worst)s of the answers arrived damaged (limit: %(limit)s). Look for a loose clamp, a "
            "cable that is too long, or a device with the same address."
        ),
        shares="worst limit",
    ),
    "communication.retries": Told(
        N_(
            "Up to %(worst)s of the exchanges had to be repeated (limit: %(limit)s). The line is close to "
            "failing: look at its wiring and its load."
        ),
        shares="worst limit",
    ),
    "communication.signal": Told(
        N_("The signal fell to %(worst)s dBm (limit: %(limit)s dBm). Move the antenna, or the gateway.")
    ),
    "communication.battery": Told(
        N_(
            "The battery fell to %(worst)s V (limit: %(limit)s V). Exchange it before the device falls "
            "silent."
        )
    ),
    "communication.temperature": Told(
        N_(
            "The gateway's processor reached %(worst)s °C (limit: %(limit)s °C). Give it air, or a cooler "
            "place."
        )
    ),
    "communication.disk": Told(
        N_(
            "The gateway's disk is full to %(worst)s (limit: %(limit)s). See why its readings are not taken "
            "over; when it is full it keeps no more."
        ),
        shares="worst limit",
    ),
    "communication.clock": Told(
        N_(
            "The gateway's clock is off by %(worst)s s (limit: %(limit)s s). See whether it reaches its time "
            "server."
        )
    ),
}
