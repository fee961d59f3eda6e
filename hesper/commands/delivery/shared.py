"""Parts that commands of deliveries share: the period, tables, and the count of a stream."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.table import Table

from metering.delivery.format import Format
from metering.periods.calendar import PeriodError, names
from store.postgres.errors import StoreError

T = TypeVar("T")


class DeliveryError(StoreError):
    """A request that cannot be fulfilled."""


class CountingIterator(Iterator[T]):
    """Iterator that counts what it gives, by `size`."""

    def __init__(self, rows: Iterable[T], size: Callable[[T], int] = lambda _: 1) -> None:
        self._rows, self._size = iter(rows), size
        self.count = 0

    def __next__(self) -> T:
        row = next(self._rows)
        self.count += self._size(row)
        return row


def install_advice(wanted: Format) -> str:
    """Advice for a format whose Python package is not installed."""
    return f'{wanted.title} needs a Python package: install "hesper[{wanted.extra}]", or use another format'


def show_table(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """A table for people; None is an empty cell."""
    table = Table(*headings)
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    Console().print(table, markup=False)


def period_name(text: str) -> str:
    """A period as it was typed. Raises DeliveryError for what is none."""
    try:
        return next(names(text, text))
    except PeriodError as error:
        raise DeliveryError(str(error)) from None
