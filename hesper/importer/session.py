"""Session of an import: register what the file speaks of, publish it, wait until all is stored."""

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.buffer.source import MAX_BATCH_BYTES, MAX_BATCH_READOUTS
from gateway.uplink.link import MqttSettings
from gateway.uplink.publisher import Publisher, PublisherLimits
from hesper.importer.source import ImportTally, RowSource
from hesper.importer.table import FileError, Survey, Table
from store.postgres.database import connect
from store.postgres.roles import Role
from store.registry import admit_meters, register_import
from telemetry.obis import Medium

GATEWAY = "import"
_PACE = PublisherLimits(window=64, tick=0.05, resend_after=5.0, resend_longest=60.0, reconnect_longest=5.0)
_TICK = 0.1  # seconds between looks at the progress


class ImportSessionError(ValueError):
    """The import cannot be published under this utility and gateway."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Destination of the readings. `gateway` is the code under which they are published."""

    database_url: str
    broker_host: str
    broker_port: int
    utility: str
    gateway: str = GATEWAY


def register(table: Table, survey: Survey, destination: Destination, medium: Medium | None) -> int:
    """Make sure of the utility, the import's gateway and the meters; how many meters were new.

    `medium` is that of new meters; None takes the one of the registers' OBIS codes. Raises FileError where
    that is not clear, and ImportSessionError where the gateway's code is taken.
    """
    medium = medium or table.columns.medium
    if medium is None:
        raise FileError("the registers are of several media, or of none: name the meters' with --medium")
    meters = [(meter, int(medium), at) for meter, at in survey.meters.items()]
    with connect(destination.database_url, application="hesper import", role=Role.ADMIN) as connection:
        try:
            register_import(connection, destination.utility, destination.gateway, time_zone=table.zone.key)
        except ValueError as error:
            raise ImportSessionError(str(error)) from error
        return admit_meters(connection, destination.utility, meters)


def publish(
    table: Table, survey: Survey, destination: Destination, progress: Callable[[ImportTally], None]
) -> ImportTally:
    """Send all rows, and return what became of them once all are acknowledged.

    `progress` is called some times a second. Raises FileError for a file that turns out to be damaged; what
    was sent until then is stored, and an import of the mended file adds the rest. Raises ImportSessionError
    where publishing ends early.
    """
    most_bytes = 150 + 80 * len(table.columns.registers)  # of a readout: its names and numbers are bounded
    size = max(1, min(MAX_BATCH_READOUTS, MAX_BATCH_BYTES // most_bytes))
    source = RowSource(table.readouts(), survey.epoch, size)
    to = destination
    settings = MqttSettings(to.broker_host, to.broker_port, to.utility, to.gateway, session_expiry=0)
    publisher = Publisher(
        settings,
        source,
        clock=lambda: datetime.now(UTC),
        version=importlib.metadata.version("hesper"),
        pace=_PACE,
    )
    publisher.start()
    try:
        while not source.finished.wait(_TICK):
            progress(source.tally)
            if not publisher.alive:
                raise ImportSessionError("the publisher ended before all was acknowledged; the log says why")
    finally:
        publisher.stop(flush=0.0)
    progress(source.tally)
    if source.failure is not None:
        raise source.failure
    return source.tally
