"""Common building needs: what a house meter counted beyond the meters behind it, by medium and period.

A house is a site with a billed point of its own and points of the same medium at the sites below it. What
is between them is light on the stairs, heat of the cellar, leaks, and reading at different times; less than
nothing means that something is wrong, and it is shown as such, not shared among anybody.
"""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class CommonNeeds:
    """Register of a house and of the points behind it. Micro-units of `unit`, true-ups included.

    `missing`: points of the medium behind it that were not billed for the period; `estimated`: whose end was.
    """

    site: str
    obis: str
    unit: str
    house: int
    flats: int
    points: int
    estimated: int
    missing: int

    @property
    def amount(self) -> int:
        """What the house used beyond its flats."""
        return self.house - self.flats

    @property
    def share(self) -> Fraction | None:
        """Its part of what the house used; None where that is nothing."""
        return Fraction(self.amount, self.house) if self.house else None

    @property
    def negative(self) -> bool:
        """Whether the flats are said to have used more than the house."""
        return self.amount < 0
