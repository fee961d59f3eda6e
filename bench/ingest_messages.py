"""How many readings a second one ingester takes, from message bytes to commit, beside the bare insert.

    python -m bench.ingest_messages [registers of a meter] [micro-batches]

Messages of 500 readouts, micro-batches of 20,000 readings, the embedded PostgreSQL with fsync. Prints the
rates for new readings (the first micro-batch also adds the registers) and for the same messages again. The
limit is `store.readings.insert` of as many ready arrays, in the same database (bench.insert_readings).
"""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.insert_readings import BATCH, rate, store
from ingest.decode import decode_readings
from ingest.directory import Directory
from ingest.writer import store_readings
from store.database import connect
from store.embedded import EmbeddedPostgres
from store.migrate import migrate
from store.registry import GatewayEntry, MeterEntry, Registry, UtilityEntry, apply
from telemetry.obis import Medium
from telemetry.wire import Batch, WireReadout, encode

METERS = 500
MICRO_BATCH = 20_000
QUARTER_HOUR = 900_000
START = 1_772_452_800_000
TOPIC = "hesper/v1/bench/house/readings"


def messages(registers: int, count: int) -> list[bytes]:
    """One message a quarter hour, with all meters."""
    codes = [f"8-{channel}:1.0.0" for channel in range(registers)]
    return [
        encode(
            Batch(
                "bench",
                number + 1,
                START,
                [
                    WireReadout(
                        f"KAM-{meter:08}",
                        START + number * QUARTER_HOUR,
                        dict.fromkeys(codes, meter + number / 1000),
                    )
                    for meter in range(METERS)
                ],
            )
        )
        for number in range(count)
    ]


def main() -> None:
    registers = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    micro_batches = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    together = MICRO_BATCH // (METERS * registers)
    payloads = messages(registers, micro_batches * together)
    meters = [MeterEntry(f"KAM-{number:08}", Medium.COLD_WATER) for number in range(METERS)]
    utility = UtilityEntry("bench", "Bench", "UTC", gateways=[GatewayEntry("house")], meters=meters)
    with (
        TemporaryDirectory() as folder,
        EmbeddedPostgres(Path(folder) / "postgres") as server,
        connect(server.url) as connection,
    ):
        migrate(connection)
        apply(connection, Registry([utility]))
        connection.commit()
        limit = rate(connection, micro_batches * MICRO_BATCH // BATCH, store)
        print(f"limit: bare insert {limit:10,.0f} readings/s")
        connection.execute("truncate readings, validation_queue")
        connection.commit()
        directory = Directory()
        latest = START + len(payloads) * QUARTER_HOUR
        for name in ("new", "repeated"):
            began = time.perf_counter()
            for first in range(0, len(payloads), together):
                taken = [decode_readings(TOPIC, each) for each in payloads[first : first + together]]
                store_readings(connection, directory, taken, latest)
            seconds = time.perf_counter() - began
            reached = len(payloads) * METERS * registers / seconds
            print(f"messages, {name:8} {reached:10,.0f} readings/s   ratio {reached / limit:.2f}")


if __name__ == "__main__":
    main()
