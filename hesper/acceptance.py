"""An unknown meter becomes a known one: its details from what it sent, then all that waited is replayed.

The manufacturer and serial are in the meter id that it gave, the medium and registers in its OBIS codes, the
gateway in the topic of its messages. For an M-Bus meter the telegram tells its version.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import msgspec
from psycopg import Connection

from drivers.errors import DecodeError
from drivers.mbus.codec.telegram import ApplicationError, decode
from ingest.receive.replay import replay
from metering.registry.checks import RegistryError
from metering.registry.entries import MeterEntry, RegisterEntry, Registry, UtilityEntry
from store.quarantine import QuarantineRow
from store.registry import apply
from store.registry.strangers import waiting_of
from telemetry.obis import Medium, Obis, ObisError
from telemetry.topics import Topic
from telemetry.wire import Batch, WireReadout
from telemetry.wire import decode as decode_message

_ABSTRACT = {None, Medium.ABSTRACT}


@dataclass(frozen=True, slots=True)
class Accepted:
    """Numbers of readings and readouts that are stored now, and of readouts that wait still."""

    readouts: int
    stored: int
    waiting: int


def propose(
    connection: Connection[Any],
    utility: str,
    meter: str,
    *,
    model: str | None = None,
    site: str | None = None,
) -> MeterEntry:
    """The meter as its waiting readouts show it; `model` where a person knows better.

    Raises RegistryError where none wait, or none tells the medium.
    """
    some = next(waiting_of(connection, utility, meter), [])
    if not some:
        raise RegistryError(
            f"meter {meter}", "nothing of it waits in quarantine", "`hesper registry unknown` lists who waits"
        )
    codes: Counter[str] = Counter()
    units: dict[str, str] = {}
    raw = b""
    for entry in some:
        for readout in _readouts(entry):
            codes.update(readout.values.keys())
            units |= readout.units
            raw = readout.raw or raw
    registers = [RegisterEntry(code, units.get(code)) for code in sorted(codes) if _usable(code, units)]
    media = Counter(medium for one in registers if (medium := Obis.parse(one.obis).medium) not in _ABSTRACT)
    if not media:
        raise RegistryError(
            f"meter {meter}",
            "its registers do not tell its medium",
            "register it with `hesper registry apply`",
        )
    (medium, _), *_ = media.most_common(1)
    assert medium is not None
    gateway = Topic.parse(some[-1].topic).gateway
    return MeterEntry(
        meter, medium, _version(raw) if model is None else model, gateway, site, registers=registers
    )


def accept(connection: Connection[Any], utility: UtilityEntry, meter: MeterEntry, now: int) -> Accepted:
    """Register the meter, and take what waited of it as if it came now (milliseconds); commits.

    `utility` names the utility alone. What is refused again, now for another reason, waits for a person.
    """
    apply(connection, Registry([msgspec.structs.replace(utility, meters=[meter])]))
    connection.commit()
    readouts = stored = 0
    for entries in waiting_of(connection, utility.code, meter.code):
        outcomes = replay(connection, entries, now)
        readouts += len(entries)
        stored += sum(outcome.stored for outcome in outcomes if outcome is not None)
    row = connection.execute(
        "select count(*)::int from quarantine q join utilities u on u.id = q.utility_id "
        "where u.code = %s and q.meter = %s and q.state = 'waiting'",
        (utility.code, meter.code),
    ).fetchone()
    assert row is not None
    return Accepted(readouts, stored, row[0])


def _readouts(entry: QuarantineRow) -> list[WireReadout]:
    return [
        readout for readout in decode_message(entry.payload, Batch).readouts if readout.meter == entry.meter
    ]


def _usable(code: str, units: dict[str, str]) -> bool:
    try:
        return units.get(code) is not None or Obis.parse(code).unit is not None
    except ObisError:
        return False


def _version(raw: bytes) -> str:
    try:
        answer = decode(raw)
    except DecodeError:
        return ""
    if isinstance(answer, ApplicationError) or answer.header.version is None:
        return ""
    return f"version {answer.header.version:02X}"
