"""Quality of a reading: the codes of ESPI QualityOfReading (NAESB REQ.21, Green Button)."""

from enum import IntEnum


class Quality(IntEnum):
    """Quality of a value; the numbers go to billing systems as they are."""

    VALID = 0
    EDITED = 7
    ESTIMATED = 8  # from a reference period, or the normative consumption
    INTERPOLATED = 9
    QUESTIONABLE = 10
    DERIVED = 11
    MIXED = 13
    RAW = 14
    VALIDATED = 17
    VERIFIED = 18

    @property
    def label(self) -> str:
        """Lower-case word for screens and files: 'interpolated'."""
        return self.name.lower()
