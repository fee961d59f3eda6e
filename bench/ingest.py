"""How many readings a second one ingester takes: gateways -> broker -> ingester -> committed rows.

    python -m bench.ingest [--readings N] [--raw BYTES] [--small] [--broker mosquitto] [--outage SECONDS]

Everything on this machine: a process that plays four gateways, the broker, `hesper ingest run`, and the
embedded PostgreSQL with fsync. The limits are measured in the same run, on the same table, before and after:
a bare loop of sorted `unnest ... on conflict do nothing` of ready arrays, committed every 20,000 rows, and
binary COPY. CPU is that of each process per wall-clock second, 1 being a core.

`--raw`: size of the telegram that comes with each readout (default 0; what the limits do not have).
`--small`: messages of five readouts instead of 500. `--validate`: with a validator at work. `--outage`: the
database is stopped for so long in the middle.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import psycopg

from bench.fresh_store import fresh_store
from bench.gateways import CODES, GATEWAYS, QUARTER_HOUR, START, UTILITY, Load
from bench.insert_readings import BATCH, Columns, copy_rows
from bench.measurement import Measurement, show
from hesper.ports import Ports
from metering.registry.entries import GatewayEntry, MeterEntry, RegisterEntry, Registry, UtilityEntry
from store.postgres.database import connect
from store.postgres.embedded import EmbeddedPostgres
from store.readings.raw import insert
from store.registry import apply
from telemetry.obis import Medium

REGISTERS = 4
WINDOW = 64  # 16 batches on their way for each of four gateways, as gateway.publisher.Pace has it
WANTED = ">= 0.6"


def register(connection: psycopg.Connection, load: Load) -> list[int]:
    """The utility of the bench; ids of its registers, by gateway and meter."""
    registers = [RegisterEntry(code) for code in CODES[: load.registers]]
    meters = [
        MeterEntry(load.meter(gateway, number), Medium.COLD_WATER, gateway=f"g{gateway}", registers=registers)
        for gateway in range(GATEWAYS)
        for number in range(load.meters)
    ]
    gateways = [GatewayEntry(f"g{number}") for number in range(GATEWAYS)]
    apply(connection, Registry([UtilityEntry(UTILITY, "Bench", "UTC", gateways=gateways, meters=meters)]))
    connection.commit()
    return [number for (number,) in connection.execute("select id from registers order by id").fetchall()]


def arrays(load: Load, registers: list[int]) -> Iterator[Columns]:
    """What the messages of `load` hold, as ready arrays of about 20,000 rows, in the order of arrival."""
    a_message = load.meters * load.registers
    ids = np.array(registers, np.int32).reshape(GATEWAYS, a_message)
    together = max(1, BATCH // a_message)
    for first in range(load.first, load.first + load.messages, together):
        numbers = np.arange(first, min(first + together, load.first + load.messages))
        instants = np.repeat(START + numbers // GATEWAYS * QUARTER_HOUR, a_message) * 1_000
        values = instants // 1_000_000
        yield ids[numbers % GATEWAYS].ravel(), instants, values, np.zeros(len(values), np.int16)


def rate(connection: psycopg.Connection, load: Load, registers: list[int], *, copied: bool = False) -> float:
    """Rows a second of the bare insert loop, or of binary COPY, into an empty table."""
    empty(connection)
    begun = time.perf_counter()
    for columns in arrays(load, registers):
        if copied:
            copy_rows(connection, columns, "readings")
        else:
            insert(connection, *columns)
        connection.commit()
    return load.readings / (time.perf_counter() - begun)


def empty(connection: psycopg.Connection) -> None:
    """As before the first reading."""
    connection.commit()
    connection.execute("truncate readings, telegrams, validation_queue")
    connection.commit()
    connection.autocommit = True
    connection.execute("checkpoint")
    connection.autocommit = False


@contextmanager
def child(*command: str, environment: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """A process of ours that ends with the block."""
    process = subprocess.Popen(
        command,
        env=os.environ | (environment or {}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def broker(kind: str, folder: Path) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """(port, process) of a broker of that kind."""
    port = Ports().free(0)  # claimed while this process lives
    if kind == "mosquitto":
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        assert program, "mosquitto is not installed"
        config = folder / "mosquitto.conf"
        limits = "max_inflight_messages 0\nmax_queued_messages 100000\n"
        config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n{limits}user root\n")
        command = [program, "-c", str(config)]
    else:
        command = [sys.executable, "-m", "hesper.broker", str(port), str(folder)]
    with child(*command) as process:
        address = ("127.0.0.1", port)
        until(lambda: any(c.laddr == address for c in psutil.Process(process.pid).net_connections("tcp")))
        yield port, process


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for a condition of the system around us."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def cpu(pid: int) -> float:
    """CPU seconds of a process and its children."""
    process = psutil.Process(pid)
    family = [process, *process.children(recursive=True)]
    total = 0.0
    for member in family:
        times = member.cpu_times()
        total += times.user + times.system
    return total


class Bench:
    """The system under load."""

    def __init__(self, arguments: argparse.Namespace, folder: Path, server: EmbeddedPostgres) -> None:
        self._arguments = arguments
        self._folder = folder
        self._server = server

    def run(self, load: Load, connection: psycopg.Connection) -> Iterator[Measurement]:
        """All figures."""
        registers = register(connection, load)
        before = rate(connection, load, registers)
        copy_limit = rate(connection, load, registers, copied=True)
        empty(connection)
        with self._system() as (port, pids):
            new, used = self._send(load, port, pids)
            again, _ = self._send(load, port, pids)
            count = connection.execute("select count(*) from readings").fetchone()
            assert count == (load.readings,), count
            connection.rollback()
        limit = (before + rate(connection, load, registers)) / 2
        yield Measurement("new readings, bare insert loop as limit", new, "readings/s", limit, WANTED)
        yield Measurement("new readings, binary COPY as limit", new, "readings/s", copy_limit)
        yield Measurement("repeated readings, new ones as limit", again, "readings/s", new, ">= 1")
        for name, seconds in used.items():
            yield Measurement(f"CPU of {name}", seconds, "cores", float(os.cpu_count() or 1))

    def outage(self, load: Load, connection: psycopg.Connection) -> Iterator[Measurement]:
        """What the ingester takes while the database is away, and how long it then needs."""
        register(connection, load)
        connection.close()
        window = load.messages  # the gateways of a whole city do not wait for each other
        with self._system() as (port, pids), self._gateways(load, port, window) as gateways:
            calm = memory(pids["ingester"])
            said(gateways, "")
            time.sleep(1.0)
            self._server.stop()
            time.sleep(self._arguments.outage)
            self._server.start()
            back = time.monotonic()
            assert gateways.stdout is not None
            assert json.loads(gateways.stdout.readline())["seconds"] > self._arguments.outage
            caught_up = time.monotonic() - back
            yield Measurement("peak memory of the ingester", memory(pids["ingester"]), "MB", calm)
        with connect(self._server.url) as fresh:
            count = fresh.execute("select count(*) from readings").fetchone()
            assert count == (load.readings,), count
        yield Measurement("time to catch up", caught_up, "s", self._arguments.outage)

    @contextmanager
    def _system(self) -> Iterator[tuple[int, dict[str, int]]]:
        """(the broker's port, process ids by name)"""
        kind = self._arguments.broker
        with broker(kind, self._folder) as (port, broker_process):
            command = [sys.executable, "-m", "hesper", "ingest", "run", "--name", "bench"]
            command += ["--receive-maximum", str(self._arguments.receive_maximum)]
            command += ["--session-expiry", "300" if kind == "mosquitto" else "0"]
            environment = {"DATABASE_URL": self._server.url, "HESPER_BROKER": f"mqtt://127.0.0.1:{port}"}
            with child(*command, environment=environment) as ingester:
                until(lambda: _connected(ingester.pid, port))
                time.sleep(0.5)  # until its subscriptions stand
                assert self._server.pid is not None
                pids = {"broker": broker_process.pid, "ingester": ingester.pid, "database": self._server.pid}
                if not self._arguments.validate:
                    yield port, pids
                    return
                validate = (sys.executable, "-m", "hesper", "validate", "run")
                with child(*validate, environment=environment) as validator:
                    yield port, pids | {"validator": validator.pid}

    @contextmanager
    def _gateways(self, load: Load, port: int, window: int) -> Iterator[subprocess.Popen[str]]:
        figures = (load.first, load.messages, load.meters, load.registers, load.raw)
        with child(sys.executable, "-m", "bench.gateways", *map(str, (port, *figures, window))) as gateways:
            assert gateways.stdout is not None
            assert gateways.stdout.readline() == "ready\n"
            yield gateways

    def _send(self, load: Load, port: int, pids: dict[str, int]) -> tuple[float, dict[str, float]]:
        """(readings a second, cores that each process used)"""
        with self._gateways(load, port, WINDOW * 500 // load.meters) as gateways:
            all_of_them = pids | {"gateways": gateways.pid}
            before = {name: cpu(pid) for name, pid in all_of_them.items()}
            said(gateways, "")
            assert gateways.stdout is not None
            seconds = json.loads(gateways.stdout.readline())["seconds"]
            used = {name: (cpu(pid) - before[name]) / seconds for name, pid in all_of_them.items()}
        return load.readings / seconds, used


def said(process: subprocess.Popen[str], line: str) -> None:
    """Tell a child a line."""
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def memory(pid: int) -> float:
    """The most memory that a process has had so far, in MB (VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1_000
    raise LookupError("the kernel does not tell")


def _connected(pid: int, port: int) -> bool:
    return any(c.raddr and c.raddr.port == port for c in psutil.Process(pid).net_connections("tcp"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.ingest", description=__doc__.partition("\n")[0])
    parser.add_argument("--readings", type=int, default=1_000_000)
    parser.add_argument("--raw", type=int, default=0)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--broker", choices=("embedded", "mosquitto"), default="embedded")
    parser.add_argument("--receive-maximum", type=int, default=500)
    parser.add_argument("--validate", action="store_true")
    parser.add_argument("--outage", type=float, default=0.0)
    arguments = parser.parse_args()
    meters = 5 if arguments.small else 500
    load = Load(0, arguments.readings // (meters * REGISTERS), meters, REGISTERS, arguments.raw)
    with fresh_store() as server, connect(server.url) as connection:
        bench = Bench(arguments, server.folder.parent, server)
        run = bench.outage if arguments.outage else bench.run
        show(run(load, connection))


if __name__ == "__main__":
    main()
