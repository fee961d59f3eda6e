"""`hesper explain`: a billing reading and all that stands behind it, down to the bytes that a meter sent."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any

import typer

from api.evidence import BoundaryEvidence, InstallationEvidence
from api.trace import Trace, trace_of
from drivers.errors import DecodeError
from hesper.commands.store_url import DatabaseUrl, DataFolder, administration
from hesper.decode import explain as decoded
from store.content import decimal, instant
from store.queries.trace import BehindRow, utility_of_billing_reading
from telemetry.quality import Quality


def explain(
    reading: Annotated[int, typer.Argument(metavar="ID", min=1, help="The billing reading; its cursor.")],
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Explain a billed figure: boundaries, each step tried, marks, meters, versions, telegrams decoded.

        hesper explain 4711

    Exit code: 0, or 1 where there is none with this id, or its hash is another than when it was issued.
    """
    with administration(database_url, data) as connection:
        utility_id = utility_of_billing_reading(connection, reading)
        trace = None if utility_id is None else trace_of(connection, utility_id, reading)
    if trace is None:
        typer.echo(
            f"no billing reading has the id {reading}; `/v1/billing/PERIOD` lists those of a period", err=True
        )
        raise typer.Exit(1)
    if as_json:
        typer.echo(json.dumps(as_document(trace), ensure_ascii=False, indent=2))
    else:
        for line in lines(trace):
            typer.echo(line)
    if not trace.issued.intact:
        raise typer.Exit(1)


def as_document(trace: Trace) -> dict[str, Any]:
    """The whole chain as JSON."""
    return {
        "id": trace.row.id,
        "content": json.loads(trace.issued.content.canonical()),
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
        "telegrams": [_telegram(behind) for _, behind in sorted(trace.telegrams.items())],
    }


def _telegram(behind: BehindRow) -> dict[str, Any]:
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
        return told | {"decoded": asdict(decoded(behind.raw))}
    except DecodeError as error:
        return told | {"undecoded": str(error)}


def lines(trace: Trace) -> Iterator[str]:
    """The same for people."""
    row = trace.row
    yield f"{row.service_point}  {row.obis}  {row.period}  version {row.version}"
    yield f"{decimal(row.consumption)} {row.unit}, {Quality(row.quality).label}"
    if trace.issued.content.true_up is not None:
        yield f"and {decimal(trace.issued.content.true_up)} {row.unit} to settle earlier estimates"
    yield f"closed by {trace.version.author} on {instant(trace.version.closed_at)}, run {trace.version.run}"
    yield f"rules: {trace.evidence.rules or 'built in'}"
    state = "as it was issued" if trace.issued.intact else "ALTERED since it was issued"
    yield f"hash {row.content_hash.hex()}: {state}"
    for each in trace.versions:
        if each.id != row.id:
            yield f"version {each.version}: {decimal(each.consumption)} {row.unit}, by {each.author}"
    for part in trace.evidence.installations:
        yield from _part(part, trace)


def _part(part: InstallationEvidence, trace: Trace) -> Iterator[str]:
    yield ""
    yield f"meter {part.meter}, installation {part.installation}, register {part.register_id}"
    yield f"  used {part.consumption}: (end - start + {part.rollovers} roll-overs) x {part.multiplier}"
    for name, found in (("start", part.start), ("end", part.end)):
        yield from _boundary(name, found, part, trace)
    if part.carried is not None:
        now = part.carried.found_now
        yield f"  start carried from {part.carried.period}; it would be {now.value or now.reason} now"
    if part.settled is not None:
        yield "  settled: " + ", ".join(
            f"{name.replace('_', ' ')} {value}" for name, value in part.settled.items()
        )
    for rule, count in part.marks.items():
        yield f"  {count} readings marked {rule}"
    for event in part.events:
        yield f"  {event.rule} at {instant(event.at)}"
    for finding in part.findings:
        yield f"  finding {finding.kind} since {instant(finding.since)}"


def _boundary(name: str, found: BoundaryEvidence, part: InstallationEvidence, trace: Trace) -> Iterator[str]:
    yield f"  {name} {instant(found.instant)}: {found.value} by {found.method}"
    for why in found.passed_over:
        yield f"    not by {why}"
    if found.basis is not None:
        yield f"    computed from {json.dumps(found.basis, ensure_ascii=False)}"
    for reading in found.readings:
        status = f", {', '.join(reading.status_labels)}" if reading.status_labels else ""
        yield f"    reading {reading.value} at {instant(reading.at)}{status}"
        behind = trace.telegrams.get((part.meter, reading.at))
        if behind is None:
            yield "      no telegram: imported, entered, or no longer kept"
            continue
        told = _telegram(behind)
        yield f"      telegram by gateway {behind.gateway}, batch {behind.batch} of {behind.epoch}"
        yield f"      {behind.raw.hex()}"
        if "undecoded" in told:
            yield f"      not a telegram of M-Bus: {told['undecoded']}"
            continue
        for record in told["decoded"]["records"]:
            if record["obis"]:
                storage = f" (storage {record['storage']})" if record["storage"] else ""
                yield f"      {record['obis']} {record['value']} {record['unit'] or ''}{storage}"
