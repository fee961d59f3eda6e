"""Steps of the ladder: the ways in which the value of a register at a boundary may be found."""

from enum import StrEnum

from telemetry.quality import Quality


class Method(StrEnum):
    """Way in which a boundary value was found, in the order in which rules usually try them."""

    INSTALLATION = "installation"
    SET_DAY = "set_day"
    READING = "reading"
    INTERPOLATION = "interpolation"
    HANDED_IN = "handed_in"
    AVERAGE = "average"
    NORMATIVE = "normative"

    @property
    def quality(self) -> Quality:
        """ESPI quality of a value found this way."""
        if self is Method.INTERPOLATION:
            return Quality.INTERPOLATED
        return Quality.ESTIMATED if self.is_estimate else Quality.VALID

    @property
    def is_estimate(self) -> bool:
        """Whether the value rests on no reading near the boundary, and is settled when one comes."""
        return self in ESTIMATES


ESTIMATES = (Method.AVERAGE, Method.NORMATIVE)
BUILT_IN = (Method.INSTALLATION, Method.SET_DAY, Method.READING, Method.INTERPOLATION)
"""The steps without a rule set: what was measured, and nothing else."""
