"""A telegram as text, whatever its protocol: what drivers make of it and what commands and pages show."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExplainedRecord:
    """Record as text. `value` is a plain decimal, an ISO 8601 local time, a text, or hex bytes of
    the manufacturer; None where the meter sends no valid value. `obis` names the register that takes it.

    `storage`, `tariff` and `subunit` are those of M-Bus; `storage` is also the number of a closed period.
    """

    quantity: str
    unit: str | None
    value: str | None
    obis: str | None
    function: str = "instantaneous"
    storage: int = 0
    tariff: int = 0
    subunit: int = 0


@dataclass(frozen=True, slots=True)
class Explanation:
    """A telegram as text. `status` lists what the meter says of itself, lower case; empty: all is well."""

    protocol: str
    meter: str | None
    manufacturer: str | None
    medium: str | None
    status: list[str]
    records: list[ExplainedRecord]
