"""What the commands of `hesper deliver` share: whose readings, which period, and tables."""

from collections.abc import Iterable

import psycopg
from rich.console import Console
from rich.table import Table

from metering.periods.calendar import PeriodError, names
from store.billing.measured import utility_codes
from store.postgres.errors import StoreError


class DeliveryError(StoreError):
    """What was asked for cannot be done."""


def show_table(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """A table for people; None is an empty cell."""
    table = Table(*headings)
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    Console().print(table, markup=False)


def utility_code(connection: psycopg.Connection, wanted: str | None) -> str:
    """The utility that is meant: the one that was named, or the only one. Raises DeliveryError."""
    codes = utility_codes(connection)
    if wanted is None and len(codes) == 1:
        return codes[0]
    if wanted not in codes:
        raise DeliveryError(
            f"no utility has the code {wanted!r}" if wanted else "there is not just one utility",
            advice=f"name one with --utility: {', '.join(codes)}",
        )
    return wanted


def period_name(text: str) -> str:
    """A period as it was typed. Raises DeliveryError for what is none."""
    try:
        return next(names(text, text))
    except PeriodError as error:
        raise DeliveryError(str(error)) from None
