"""Status bits of a readout, protocol-neutral: what the meter or the gateway said beside the values."""

from enum import IntFlag


class Status(IntFlag):
    """Stored as smallint with every reading. A bit is a statement, never a judgement: validation judges."""

    POWER_LOW = 1 << 0  # battery or supply low
    PERMANENT_ERROR = 1 << 1  # the meter reports a lasting fault
    TEMPORARY_ERROR = 1 << 2  # the meter reports a passing fault
    APPLICATION_ERROR = 1 << 3  # M-Bus application status 2: any application error
    ABNORMAL = 1 << 4  # M-Bus application status 3: abnormal condition, e.g. leak or reverse flow
    HISTORICAL = 1 << 5  # a value that the meter itself kept at this instant (set day, billing profile)
    UNSYNCHRONISED = 1 << 6  # the gateway's clock had no reference when this was read
    CLOCK_CORRECTED = 1 << 7  # read while unsynchronised; the instant was corrected afterwards
    MANUAL = 1 << 8  # typed in by a person
    IMPORTED = 1 << 9  # from a file of another system
    TAMPER = 1 << 10  # cover, magnet or neutral tamper reported by the meter

    def labels(self) -> list[str]:
        """Names of the bits that are set, lower case, lowest first."""
        return [bit.name.lower().replace("_", " ") for bit in Status if bit in self and bit.name]
