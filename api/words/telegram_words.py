"""Words of decoded telegrams: what M-Bus (EN 13757-3) calls quantities, media and functions.

Drivers decode into English words, which are the keys; `tests/api/words/test_telegram_words.py` holds that all
of the driver's tables are here.
"""

import re

from api.words.language import Language
from api.words.vocabulary import register_part

QUANTITIES = (
    *("access code, developer", "access code, operator", "access code, system operator", "access code, user"),
    *("access number", "actuality duration", "any quantity", "apparent energy", "apparent power"),
    *("averaging duration", "battery change", "battery operating time", "baud rate", "bus address"),
    *("cold or warm temperature limit", "control signal", "credit", "cumulation counter"),
    *("cumulation of maximum power", "current", "customer", "customer location", "date", "date and time"),
    *("day of week", "daylight saving", "debit", "descriptor of tariff and subunit", "digital input"),
    *("digital output", "dimensionless", "duration of tariff", "duration since last cumulation"),
    *("duration since last readout", "energy", "enhanced identification", "error flags", "error mask"),
    *("external temperature", "fabrication number", "firmware version", "first cyclic storage number"),
    *("flow temperature", "frequency", "hardware version", "heat cost allocation"),
    *("last cyclic storage number", "listening window", "manufacturer", "manufacturer specific"),
    *("manufacturer's container", "mass", "mass flow", "medium", "model or version", "number of stops"),
    *("on time", "operating time", "operator specific", "parameter activation state", "parameter set"),
    *("password", "period of tariff", "phase angle, voltage to current", "phase angle, voltage to voltage"),
    *("power", "pressure", "radio container", "reactive energy", "reactive power", "reception level"),
    *("relative humidity", "remaining battery life", "remote control", "reset counter"),
    *("response delay in bit times", "retries", "return temperature", "second of the time point"),
    *("security key", "size of storage block", "software version", "special supplier information"),
    *("start of tariff", "storage interval", "temperature difference", "time of day change"),
    *("transmission period", "voltage", "volume", "volume flow", "week number"),
)
NOTES = (
    *("positive contributions only", "negative contributions only", "phase L1", "phase L2", "phase L3"),
    *("future value", "lower limit", "upper limit", "leakage", "overflow", "uncorrected unit"),
    *("value during lower limit exceed", "value during upper limit exceed", "non-metric unit", "neutral"),
    *("between L1 and L2", "between L2 and L3", "between L3 and L1", "quadrant 1", "quadrant 2"),
    *("quadrant 3", "quadrant 4", "difference of import and export", "absolute value of both directions"),
    *("no data available", "data overflow", "data underflow", "data error"),
)
MEDIA = (
    *("other", "oil", "electricity", "gas", "heat (outlet)", "steam", "warm water", "water"),
    *("heat cost allocator", "compressed air", "cooling (outlet)", "cooling (inlet)", "heat (inlet)"),
    *("heat and cooling", "bus, system", "unknown", "calorific value", "hot water", "cold water"),
    *("hot and cold water", "pressure", "A/D converter", "smoke detector", "room sensor", "gas detector"),
    *("breaker", "valve", "customer unit", "waste water", "garbage", "carbon dioxide"),
    *("communication controller", "unidirectional repeater", "bidirectional repeater"),
    *("radio converter, system side", "radio converter, meter side"),
)
FUNCTIONS = ("maximum", "minimum", "during error state", "more records follow")
STATUS = ("fatal error",)
WORDS = (*QUANTITIES, *NOTES, *MEDIA, *FUNCTIONS, *STATUS)

_NOTED = re.compile(r"(?P<quantity>.+?) \((?P<notes>.+)\)")


def quantity_name(quantity: str, language: Language) -> str:
    """'volume (negative contributions only)' in the language; a register's name where it is one."""
    noted = _NOTED.fullmatch(quantity)
    if noted is None:
        return _word(quantity, language)
    notes = ", ".join(_word(note, language) for note in noted["notes"].split(", "))
    return f"{_word(noted['quantity'], language)} ({notes})"


def _word(text: str, language: Language) -> str:
    if text in WORDS:
        return language.gettext(text)
    return ", ".join(register_part(part, language) for part in text.split(", "))
