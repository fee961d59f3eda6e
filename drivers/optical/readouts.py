"""Readouts from a meter's data sets: whose they are, the present, and what was kept earlier."""

import re
from collections.abc import Sequence
from datetime import datetime

from drivers.driver import IdentityError, Target, UnnamedError
from drivers.optical.codec.dataset import DataSet
from drivers.optical.codec.registers import clock, registers
from drivers.optical.codec.telegram import Identification
from telemetry.meter_id import possible_meter_id, same_meter
from telemetry.readout import Readout
from telemetry.status import Status

# medium, maker, block and number of a meter, as Germany's are labelled and tell
_DIN_43863_5 = re.compile(r"0*[1-9](?P<maker>[A-Z]{3})\d{2}(?P<number>\d{8})")


def to_readouts(
    identification: Identification, sets: Sequence[DataSet], target: Target, at: datetime, raw: bytes
) -> list[Readout]:
    """The present at `at`, then closed periods, oldest first. Raises IdentityError, DriverError."""
    read = registers(sets, target.time_zone)
    meter = meter_of(identification, read.serials, target)
    status = Status.PERMANENT_ERROR if read.fatal_error else Status(0)
    return [
        Readout(meter, at, read.present, status, raw, clock(sets, target.time_zone, at)),
        *(
            Readout(meter, end, values, Status.HISTORICAL, raw)
            for end, values in sorted(read.historical.items())
            if end <= at
        ),
    ]


def meter_of(identification: Identification, serials: Sequence[str], target: Target) -> str:
    """The meter's id, compared with the expected one. Raises IdentityError, DriverError."""
    named = [*serials, *_numbers(identification, serials), *([target.address] if target.address else [])]
    found = [one for serial in named if (one := meter_id_of(identification, serial))]
    if target.meter is None:
        if found:
            return found[0]
        maker = identification.manufacturer
        raise UnnamedError(f"a {maker} meter without a serial number in its readout", maker.upper())
    if any(same_meter(one, target.meter) for one in found):
        return target.meter
    if found or not target.meter.startswith(identification.manufacturer.upper()):
        raise IdentityError(target.meter, found[0] if found else f"a {identification.manufacturer} meter")
    return target.meter


def _numbers(identification: Identification, serials: Sequence[str]) -> list[str]:
    """The maker's numbers in identification numbers of DIN 43863-5, such as 12345678 in 1LGZ0012345678."""
    found = [match for serial in serials if (match := _DIN_43863_5.fullmatch(serial.replace(" ", "")))]
    return [match["number"] for match in found if match["maker"] == identification.manufacturer.upper()]


def meter_id_of(identification: Identification, serial: str) -> str | None:
    """The meter id with that serial number, None for what is no serial number."""
    return possible_meter_id(identification.manufacturer, serial.replace(" ", ""))
