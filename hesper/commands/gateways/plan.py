"""`hesper gateway plan`: whether every schedule of a configuration fits on its line."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from drivers.catalogue import open_driver, open_line
from drivers.driver import Clock
from drivers.errors import DriverError
from gateway.config.document import GatewayConfig, LineConfig
from gateway.line.plan import ROOMY, LinePlan, PlannedMeter, plan_line
from gateway.schedule import parse_schedule
from hesper.commands.console import JSON_HELP, echo_json, load_or_exit, show_table


def plan(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The gateway's configuration, TOML.")],
    meters: Annotated[bool, typer.Option("--meters", help="Show every meter, not only its line.")] = False,
    json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Compute how much of each line's time its readouts take, and whether every schedule is kept.

    Exit code 0 if all are, midnight's rush included, else 1. No port is opened and nothing is sent.
    """
    plans = plans_of(load_or_exit(file), lambda: datetime.now(UTC))
    if json:
        echo_json({"fits": all(one.fits for one in plans), "lines": [_as_json(one) for one in plans]})
    else:
        _show(plans, with_meters=meters)
    raise typer.Exit(0 if all(one.fits for one in plans) else 1)


def plans_of(config: GatewayConfig, clock: Clock) -> list[LinePlan]:
    """The plan of each line, for the hours after the coming midnight."""
    midnight = parse_schedule("midnight", config.time_zone).next_after(clock())
    return [plan_line(line.name, list(_meters(config, line, clock)), midnight) for line in config.line]


def _meters(config: GatewayConfig, line: LineConfig, clock: Clock) -> Iterator[PlannedMeter]:
    driver = open_driver(
        line.protocol, open_line(line.port, line.serial_settings), clock, **line.driver_options
    )
    for meter in line.meter:
        schedule = config.schedule(line, meter)
        try:
            seconds = driver.readout_time(config.target(meter))
        except DriverError as error:
            yield PlannedMeter(meter.label, None, schedule, str(error))
        else:
            listens = driver.only_listens(config.target(meter))
            yield PlannedMeter(meter.label, seconds, schedule, listens=listens)


def _as_json(plan: LinePlan) -> dict[str, object]:
    return {
        "name": plan.name,
        "fits": plan.fits,
        "tight": plan.tight,
        "utilisation": round(plan.utilisation, 4),
        "midnight_seconds": None if plan.rush is None else round(plan.rush, 3),
        "skipped": [{"meter": one.label, "slot": one.slot.isoformat()} for one in plan.skipped],
        "meters": [
            {
                "meter": one.label,
                "schedule": str(one.schedule),
                "seconds": None if one.seconds is None else round(one.seconds, 4),
                "share": round(one.share, 6),
                "listens": one.listens,
                "unknown": one.why or None,
            }
            for one in plan.meters
        ],
    }


def _show(plans: list[LinePlan], *, with_meters: bool) -> None:
    show_table(
        ("line", "meters", "one round", "used", "midnight done after", "fits"),
        [
            (
                plan.name,
                str(len(plan.meters)),
                _seconds(sum(one.seconds or 0.0 for one in plan.meters)),
                f"{plan.utilisation:.1%}",
                "never" if plan.rush is None else _seconds(plan.rush),
                "yes" if plan.fits else "no",
            )
            for plan in plans
        ],
        right=("meters", "one round", "used", "midnight done after"),
    )
    if with_meters:
        show_table(
            ("line", "meter", "schedule", "wire time", "share"),
            [
                (plan.name, one.label, str(one.schedule), _seconds(one.seconds), f"{one.share:.2%}")
                for plan in plans
                for one in plan.meters
            ],
            right=("wire time", "share"),
        )
    for plan in plans:
        for remark in _remarks(plan):
            typer.echo(f"{plan.name}: {remark}")


def _remarks(plan: LinePlan) -> Iterator[str]:
    if plan.unknown:
        one = plan.unknown[0]
        yield f"the wire time of {len(plan.unknown)} of its meters is not known and not counted ({one.why})"
    if plan.skipped:
        meters = {one.label for one in plan.skipped}
        first = plan.skipped[0]
        yield f"{first.label} would miss its slot at {first.slot:%H:%M:%S} UTC" + (
            f", and so would {len(meters) - 1} other meters" if len(meters) > 1 else ""
        )
    if listening := [one.label for one in plan.meters if one.listens]:
        yield f"{', '.join(listening)} sends when it wants; the longest wait for it is counted"
    if plan.fits and plan.tight:
        yield f"little is left for retries and meters that are gone; stay below {ROOMY:.0%}"
    if not plan.fits:
        yield "poll less often, raise the line's speed, or move meters to another line"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    return f"{seconds:.2f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
