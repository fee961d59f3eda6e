"""Common building needs: what a house meter counted beyond the meters behind it, by medium and period.

A house is a site with a billed point of its own and points of the same medium at the sites below it. What
is between them is light on the stairs, heat of the cellar, leaks, and reading at different times; less than
nothing means that something is wrong, and it is shown as such, not shared among anybody.
"""

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from psycopg import Connection

from metering.billing.method import Method
from store.billing.common_needs import HouseRow, houses


@dataclass(frozen=True, slots=True)
class CommonNeeds:
    """`amount` in micro-units; `share` of what the house used, None where that is nothing."""

    row: HouseRow
    amount: int
    share: Fraction | None

    @property
    def negative(self) -> bool:
        """Whether the flats are said to have used more than the house."""
        return self.amount < 0

    @property
    def complete(self) -> bool:
        """Whether every point behind the house was billed; else the rest holds their consumption, too."""
        return self.row.missing == 0


def common_needs(
    connection: Connection, utility_id: int, period: str, starts_at: datetime
) -> list[CommonNeeds]:
    """Of each house and register that was issued for a period, by site."""
    estimates = [method.value for method in Method if method.is_estimate]
    return [
        CommonNeeds(
            row, row.house - row.flats, Fraction(row.house - row.flats, row.house) if row.house else None
        )
        for row in houses(connection, utility_id, period, starts_at, estimates)
    ]
