"""An import as people see it: a bar while it runs, a table at its end; and as JSON."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table as RichTable

from hesper.importer.source import ImportTally

_SHOWN_ERRORS = 20
_SILENCE = 10.0  # seconds without an acknowledgement after which the bar says what it waits for


@contextmanager
def progress_bar(rows: int, console: Console) -> Iterator[Callable[[ImportTally], None]]:
    """A bar over `rows` rows of the file; inside, call what it gives with the tally so far."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} rows/s"),
        TimeRemainingColumn(),
    )
    started = last = time.monotonic()
    done = 0
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("importing", total=rows, rate="0")

        def show(tally: ImportTally) -> None:
            nonlocal done, last
            now, before = time.monotonic(), done
            done = tally.acknowledged + tally.unreadable
            if done != before:
                last = now
            waiting = now - last > _SILENCE and done < rows
            bar.update(
                task,
                completed=done,
                rate=f"{done / (now - started):,.0f}" if now > started else "0",
                description="waiting for an ingester" if waiting else "importing",
            )

        yield show


def as_json(tally: ImportTally, meters: int, new_meters: int) -> dict[str, Any]:
    """The summary for programs. `row_errors` holds the first thousand; `unreadable` counts all."""
    return {
        "rows": tally.rows,
        "meters": meters,
        "new_meters": new_meters,
        "readings": tally.readings,
        "stored": tally.stored,
        "already_there": tally.known,
        "conflicts": tally.conflicts,
        "quarantined": tally.quarantined,
        "unreadable": tally.unreadable,
        "row_errors": [asdict(error) for error in tally.row_errors],
    }


def summary(tally: ImportTally, meters: int, new_meters: int) -> RichTable:
    """Summary of an import, row errors with their lines."""
    table = RichTable(show_header=False, box=None, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column()

    def line(name: str, count: int, remark: str = "") -> None:
        table.add_row(name, f"{count:,}", remark)

    line("rows", tally.rows)
    line("meters", meters, f"{new_meters} of them new")
    line("readings stored", tally.stored)
    line("already there", tally.known)
    line("quarantined", tally.conflicts + sum(tally.quarantined.values()))
    if tally.conflicts:
        line("  conflict", tally.conflicts, "another value is stored for that meter and instant")
    for reason, readouts in sorted(tally.quarantined.items()):
        line(f"  {reason}", readouts)
    line("rows not readable", tally.unreadable)
    for error in tally.row_errors[:_SHOWN_ERRORS]:
        table.add_row("", f"line {error.line}", error.reason)
    if tally.unreadable > _SHOWN_ERRORS:
        table.add_row("", "", f"and {tally.unreadable - _SHOWN_ERRORS:,} more (--json lists them)")
    return table
