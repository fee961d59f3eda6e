"""Register of a value that a meter reports, by its code and unit; one that is new is added."""

from typing import Any

from psycopg import Connection

from ingest.receive.directory import MeterRoutes, RegisterRoute
from ingest.receive.quarantine import QuarantineReason
from telemetry.obis import Obis, ObisError
from telemetry.units import UnitError, unit

MAX_REGISTERS = 1_000  # of one meter; more is not a meter


class UnusableValueError(Exception):
    """A value that has no register; `reason` says of which kind the cause is."""

    def __init__(self, reason: QuarantineReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def register_of(
    connection: Connection[Any], meter: MeterRoutes, code: str, given: str | None
) -> tuple[RegisterRoute, str]:
    """The register of a code, and the unit of the message's value. Raises UnusableValueError."""
    try:
        usual = Obis.parse(code).unit
        source = given or usual
        if source is None:
            detail = f"{code} has no usual unit and the message names none"
            raise UnusableValueError(QuarantineReason.UNIT, detail)
        if unit(source).dimension != unit(usual or source).dimension:
            detail = f"{code} is measured in {usual}, not in {source}"
            raise UnusableValueError(QuarantineReason.UNIT, detail)
        register = meter.registers.get(code)
        if register is None:
            if len(meter.registers) >= MAX_REGISTERS:
                detail = f"the meter has {MAX_REGISTERS} registers already"
                raise UnusableValueError(QuarantineReason.OBIS, detail)
            register = meter.add(connection, code, source)
    except ObisError as error:
        raise UnusableValueError(QuarantineReason.OBIS, str(error)) from None
    except UnitError as error:
        raise UnusableValueError(QuarantineReason.UNIT, str(error)) from None
    return register, source
