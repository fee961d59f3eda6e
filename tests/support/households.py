"""A year of 46 real water meters (../shared/data/daiad-water), as arrays and as the rows of a store.

`litres` become m3 in micro-units. The rows of a meter stand in the order in which they were taken, which
tells the two passes of the repeated hour in October apart.
"""

import csv
import gzip
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from psycopg import Connection

from hesper.importer.wall_clock import WallClock
from store.postgres.arrays import from_microseconds, microseconds
from store.readings.raw import insert, mark_for_validation
from store.registry.admission import add_register, admit_meters, register_import
from telemetry.obis import Medium

UTILITY = "households"
ZONE = ZoneInfo("Europe/Madrid")
VOLUME = "8-0:1.0.0"
_MICRO_PER_LITRE = 1_000


@dataclass(frozen=True, slots=True)
class Household:
    """`times`: microseconds since 1970; `values`: micro-m3; both int64, in the order of the file."""

    meter: str
    times: npt.NDArray[np.int64]
    values: npt.NDArray[np.int64]


def households(shared_data: Path) -> list[Household]:
    """All 46 meters, in the order of the file."""
    clock = WallClock(ZONE)
    rows: dict[str, list[tuple[int, int]]] = {}
    with gzip.open(shared_data / "daiad-water" / "readings.csv.gz", "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            at = clock.instant(row["meter"], datetime.fromisoformat(row["local_time"]))
            value = int(Decimal(row["litres"])) * _MICRO_PER_LITRE
            rows.setdefault(row["meter"], []).append((microseconds(at), value))
    return [
        Household(meter, *np.array(readings, dtype=np.int64).T.copy()) for meter, readings in rows.items()
    ]


def store_households(connection: Connection, meters: list[Household]) -> dict[str, int]:
    """Register and store them all, committed, waiting for validation; register ids by meter."""
    register_import(connection, UTILITY, "test-import", time_zone=ZONE.key)
    codes = {home.meter: f"DAI-{home.meter.upper()}" for home in meters}
    admit_meters(
        connection,
        UTILITY,
        [(codes[home.meter], Medium.COLD_WATER, from_microseconds(home.times.min())) for home in meters],
    )
    registers = {}
    for home in meters:
        row = connection.execute("select id from meters where code = %s", (codes[home.meter],)).fetchone()
        assert row is not None
        registers[home.meter] = add_register(connection, row[0], VOLUME, "m3").register_id
        ids = np.full(len(home.times), registers[home.meter], dtype=np.int32)
        insert(connection, ids, home.times, home.values, np.zeros(len(ids), dtype=np.int16))
        mark_for_validation(connection, ids, home.times)
    connection.commit()
    return registers
