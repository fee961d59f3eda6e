"""`hesper explain`: a billing reading and all that stands behind it, down to the bytes that a meter sent."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import typer

from drivers.errors import DecodeError
from hesper.billing_trace import Chain, chain_of, read_telegram, steps
from hesper.commands.store_url import DatabaseUrl, DataFolder, administration
from metering.billing.canonical_hash import decimal, instant
from metering.billing.evidence import BoundaryEvidence, InstallationEvidence, ReadingEvidence
from store.billing.trace import EditBehind, MarkBehind, TelegramBehind, utility_of_billing_reading
from telemetry.quality import Quality


def explain(
    reading: Annotated[int, typer.Argument(metavar="ID", min=1, help="The billing reading; its cursor.")],
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Explain a billed figure: each step tried, marks, edits, meters, versions, telegrams decoded.

        hesper explain 4711

    Exit code: 0, or 1 where there is none with this id, or its hash is another than when it was issued.
    """
    with administration(database_url, data) as connection:
        utility_id = utility_of_billing_reading(connection, reading)
        chain = None if utility_id is None else chain_of(connection, utility_id, reading)
    if chain is None:
        typer.echo(
            f"no billing reading has the id {reading}; `/v1/billing/PERIOD` lists those of a period", err=True
        )
        raise typer.Exit(1)
    if as_json:
        typer.echo(json.dumps(as_document(chain), ensure_ascii=False, indent=2))
    else:
        for line in lines(chain):
            typer.echo(line)
    if not chain.trace.issued.intact:
        raise typer.Exit(1)


def as_document(chain: Chain) -> dict[str, Any]:
    """The whole chain as JSON."""
    trace = chain.trace
    return {
        "id": trace.row.id,
        "content": json.loads(trace.issued.canonical()),
        "content_hash": trace.row.content_hash.hex(),
        "intact": trace.issued.intact,
        "versions": [
            {
                "version": each.version,
                "consumption": decimal(each.consumption),
                "run": each.run,
                "author": each.author,
                "closed_at": instant(each.closed_at),
            }
            for each in trace.versions
        ],
        "steps": [
            {
                "meter": part.meter,
                "end": name,
                "steps": [
                    {"method": method, "outcome": outcome} for method, outcome in steps(found, chain.ladder)
                ],
            }
            for part in trace.evidence.installations
            for name, found in (("start", part.start), ("end", part.end))
        ],
        "marks": [_plain(asdict(mark)) for mark in chain.marks],
        "edits": [_plain(asdict(edit)) for edit in chain.edits],
        "installations": [_plain(asdict(row)) for row in chain.installations.values()],
        "rests_on": [_plain(asdict(row)) for row in chain.rests_on],
        "telegrams": [
            _telegram(behind, chain.trace.row.obis, reading)
            for part in trace.evidence.installations
            for reading in part.readings
            if (behind := chain.telegram(part, reading)) is not None
        ],
    }


_VALUES = {"value", "consumption", "start_value", "end_value"}  # micro-units


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row as JSON has it: instants and values as texts."""
    told: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, datetime):
            told[name] = instant(value)
        elif name in _VALUES and value is not None:
            told[name] = decimal(value)
        elif name in ("start_values", "end_values"):
            told[name] = {obis: decimal(micro) for obis, micro in value.items()}
        else:
            told[name] = f"{value:f}" if isinstance(value, Decimal) else value
    return told


def _telegram(behind: TelegramBehind, obis: str, reading: ReadingEvidence) -> dict[str, Any]:
    told: dict[str, Any] = {
        "meter": behind.meter,
        "at": instant(behind.measured_at),
        "received_at": instant(behind.received_at),
        "gateway": behind.gateway,
        "epoch": behind.epoch,
        "batch": behind.batch,
        "raw": behind.raw.hex(),
    }
    try:
        found = read_telegram(behind.raw, obis, reading.value)
    except DecodeError as error:
        return told | {"undecoded": str(error)}
    return told | {"decoded": asdict(found.explanation), "profile": found.profile}


def lines(chain: Chain) -> Iterator[str]:
    """The same for people."""
    trace, row = chain.trace, chain.trace.row
    yield f"{row.service_point}  {row.obis}  {row.period}  version {row.version}"
    yield f"{decimal(row.consumption)} {row.unit}, {Quality(row.quality).label}"
    if trace.issued.true_up is not None:
        yield f"and {decimal(trace.issued.true_up)} {row.unit} to settle earlier estimates"
    yield f"closed by {trace.version.author} on {instant(trace.version.closed_at)}, run {trace.version.run}"
    yield f"rules: {trace.evidence.rules or 'built in'}"
    state = "as it was issued" if trace.issued.intact else "ALTERED since it was issued"
    yield f"hash {row.content_hash.hex()}: {state}"
    for each in trace.versions:
        if each.id != row.id:
            yield f"version {each.version}: {decimal(each.consumption)} {row.unit}, by {each.author}"
    for part in trace.evidence.installations:
        yield from _part(part, chain)


def _part(part: InstallationEvidence, chain: Chain) -> Iterator[str]:
    yield ""
    yield f"meter {part.meter}, installation {part.installation}, register {part.register}"
    installed = chain.installations.get(part.installation)
    if installed is not None:
        until = instant(installed.valid_to) if installed.valid_to else "now"
        yield f"  installed here from {instant(installed.valid_from)} to {until}"
        for name, values in (("in", installed.start_values), ("out", installed.end_values)):
            if chain.trace.row.obis in values:
                yield f"  noted when it was put {name}: {decimal(values[chain.trace.row.obis])}"
    yield f"  used {part.consumption}: (end - start + {part.rollovers} roll-overs) x {part.multiplier}"
    for name, found in (("start", part.start), ("end", part.end)):
        yield from _boundary(name, found, part, chain)
    if part.carried is not None:
        now = part.carried.found_now
        yield f"  start carried from {part.carried.period}; it would be {now.reason or now.value} now"
    if part.settled is not None:
        yield "  settled: " + ", ".join(
            f"{name.replace('_', ' ')} {value}" for name, value in msgspec.to_builtins(part.settled).items()
        )
    for rule, count in part.marks.items():
        yield f"  {count} readings were marked {rule} when it was closed"
    for mark in chain.marks_of(part):
        yield _mark(mark)
    for edit in chain.edits_of(part):
        yield _edit(edit)
    for event in part.events or ():
        yield f"  {event.rule} at {instant(event.at)}"
    for finding in part.findings:
        yield f"  finding {finding.kind} since {instant(finding.since)}"


def _mark(mark: MarkBehind) -> str:
    value = "gone" if mark.value is None else decimal(mark.value)
    use = "" if mark.usable else ", not used"
    shown = json.dumps(mark.evidence, ensure_ascii=False, sort_keys=True)
    return (
        f"  mark {mark.rule} by {mark.author} on the reading {value} at {instant(mark.measured_at)}: "
        f"{Quality(mark.quality).label}{use}; {shown}"
    )


def _edit(edit: EditBehind) -> str:
    value = "" if edit.value is None else f" {decimal(edit.value)}"
    undone = "" if edit.undoes is None else f", which undoes edit {edit.undoes}"
    if not edit.needs_approval:
        second = "no second person was needed"
    elif edit.approved_by is None or edit.approved_at is None:
        second = "waits for a second person"
    else:
        second = f"approved by {edit.approved_by} on {instant(edit.approved_at)}"
    return (
        f"  edit {edit.id}: {edit.action}{value} at {instant(edit.measured_at)}{undone}, by {edit.author} on "
        f"{instant(edit.created_at)}: {edit.reason} ({second})"
    )


def _boundary(name: str, found: BoundaryEvidence, part: InstallationEvidence, chain: Chain) -> Iterator[str]:
    yield f"  {name} {instant(found.instant)}: {found.value} by {found.method}"
    for method, outcome in steps(found, chain.ladder):
        taken = outcome.startswith("taken")
        yield f"    {'' if taken else 'not '}by {method}: {outcome}"
    if found.basis is not None:
        yield f"    computed from {json.dumps(msgspec.to_builtins(found.basis), ensure_ascii=False)}"
        for row in chain.rests_on:
            yield (
                f"    rests on {row.period}: {decimal(row.consumption)} from {decimal(row.start_value)} to "
                f"{decimal(row.end_value)}, version {row.version} (`hesper explain {row.id}`)"
            )
    for reading in found.readings or ():
        status = f", {', '.join(reading.status_labels)}" if reading.status_labels else ""
        yield f"    reading {reading.value} at {instant(reading.at)}{status}"
        behind = chain.telegram(part, reading)
        if behind is None:
            yield "      no telegram: imported, entered, or no longer kept"
            continue
        told = _telegram(behind, chain.trace.row.obis, reading)
        yield f"      telegram by gateway {behind.gateway}, batch {behind.batch} of {behind.epoch}"
        yield f"      {behind.raw.hex()}"
        if "undecoded" in told:
            yield f"      not decoded: {told['undecoded']}"
            continue
        if told["profile"]:
            yield f"      read by the profile {told['profile']}"
        for record in told["decoded"]["records"]:
            if record["obis"]:
                storage = f" (storage {record['storage']})" if record["storage"] else ""
                yield f"      {record['obis']} {record['value']} {record['unit'] or ''}{storage}"
