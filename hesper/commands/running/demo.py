"""`hesper demo`."""

import json
import signal
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from hesper.central import API_PORT, BusyError, CentralProcess
from hesper.clock import process_clock
from hesper.demo.building import HISTORY_MONTHS
from hesper.demo.run import LIVE_SCHEDULE, QUICK_SCHEDULE, Demo, DemoError, Summary
from hesper.supervise import StartError
from store.postgres.database import StoreError


def demo(
    *,
    once: Annotated[bool, typer.Option("--once", help="Go the whole way once, sum up, and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --once: the summary as JSON.")] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder that keeps everything; default ./hesper-demo, with --once one thrown away."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Which building; counts at the first start of a folder.")] = 1,
    months: Annotated[
        int, typer.Option(min=3, help="Full months of history at the first start; fewer take less time.")
    ] = HISTORY_MONTHS,
    port: Annotated[int, typer.Option(help="Of the pages; if the default is taken, a free one.")] = API_PORT,
) -> None:
    """A virtual building of 24 flats, its gateway, and the whole central side, on this machine.

    A hundred meters speak M-Bus, Modbus and IEC 62056-21; thirteen months of their history arrive by MQTT,
    then live polls. Nothing else is needed, nothing leaves this machine. Ctrl-C ends every process.
    """
    console = Console(stderr=as_json)
    with ExitStack() as stack:
        stack.enter_context(_terminated_as_interrupted())
        if data is None:
            data = Path(stack.enter_context(_thrown_away())) if once else Path("hesper-demo")
        try:
            start = partial(Demo, data, seed=seed, months=months, clock=process_clock())
            if once:
                _once(start, console, as_json)
            else:
                _live(start, port, console)
        except (DemoError, BusyError, StartError, StoreError) as error:
            console.print(str(error), style="red", markup=False)
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            console.print("ended; the folder keeps what there is")
            raise typer.Exit(130 if once else 0) from None


def _once(start: Callable[..., Demo], console: Console, as_json: bool) -> None:
    with _Steps(console) as steps:
        roles = set(CentralProcess) - {CentralProcess.API}
        running = start(report=steps, api_port=API_PORT, roles=roles, schedule=QUICK_SCHEDULE)
        with running.course():
            summary = running.summary(running.close_months(1))
    if as_json:
        typer.echo(json.dumps(asdict(summary)))
    else:
        console.print(_table(summary))
    missing = summary.complaints()
    if missing:
        raise DemoError("; ".join(missing))


def _live(start: Callable[..., Demo], port: int, console: Console) -> None:
    with ExitStack() as stack:
        steps = stack.enter_context(_Steps(console))
        running = start(report=steps, api_port=port, roles=set(CentralProcess), schedule=LIVE_SCHEDULE)
        stack.enter_context(running.course())
        summary = running.summary(running.close_months())
        steps.stop()
        console.print(_table(summary))
        console.print(f"\n[bold]Hesper lives.[/]\n  open  [bold]{running.central.api_url}[/]", soft_wrap=True)
        console.print(f"  key   [bold]{running.key}[/]\n", soft_wrap=True)
        console.print("Every meter is read every 15 seconds. Faults were planted: see whether you find them.")
        console.print(f"All is kept in {running.folder}", soft_wrap=True)
        console.print("Ctrl-C ends every process.")
        threading.Event().wait()


class _Steps:
    """One progress bar a step."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<52}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "_Steps":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Leave the bars as they are."""
        self._progress.stop()

    def __call__(self, step: str, done: int, total: int) -> None:
        if step not in self._tasks:
            self._tasks[step] = self._progress.add_task(step, total=total)
        self._progress.update(self._tasks[step], completed=done, total=total)


def _table(summary: Summary) -> Table:
    table = Table(show_header=False, title="The way of a reading, once")
    table.add_column()
    table.add_column(justify="right")
    table.add_row("meters read", f"{summary.meters_read} of {summary.meters}")
    table.add_row("readings stored", f"{summary.readings_stored:,}")
    table.add_row("in quarantine", f"{summary.quarantined:,}")
    table.add_row("findings", f"{summary.findings:,}")
    table.add_row(f"billing readings of {summary.period}", f"{summary.billing_readings:,}")
    table.add_row(f"exceptions of {summary.period}", f"{summary.exceptions:,}")
    table.add_row("seconds", f"{summary.seconds:.1f}")
    return table


def _thrown_away() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="hesper-demo-", ignore_cleanup_errors=True)


class _terminated_as_interrupted:  # noqa: N801 - reads as a statement where it is used
    """SIGTERM ends the demo as Ctrl-C does: in order. Also where a shell started it with SIGINT ignored."""

    def __enter__(self) -> None:
        self._before = {
            number: signal.signal(number, signal.default_int_handler)
            for number in (signal.SIGINT, signal.SIGTERM)
        }

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
