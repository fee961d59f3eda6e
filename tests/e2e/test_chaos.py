"""Everything on a reading's way dies at random, hangs, or is put back from an image of its card, and a clone
of a gateway runs beside it under its name: nothing is lost, and nothing counted twice.

HESPER_CHAOS_KILLS=500 HESPER_CHAOS_SEED=7 pytest tests/e2e/test_chaos.py   # longer, and otherwise
"""

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP

import psycopg
import pytest

from metering.registry.entries import GatewayEntry, MeterEntry, Registry, UtilityEntry
from store.postgres.database import connect
from store.postgres.embedded import EmbeddedPostgres
from store.postgres.migrate import migrate
from store.registry import apply
from telemetry.obis import Medium
from tests.e2e.conftest import wait_until
from tests.support.broker import Broker
from tests.support.cutter import Cutter
from tests.support.lasting_gateway import METERS, PER_STEP, UTILITY, Reading, meter, readings, steps_of

KILLS = int(os.environ.get("HESPER_CHAOS_KILLS", "30"))
SEED = int(os.environ.get("HESPER_CHAOS_SEED", "20261124"))
GATEWAYS = ("g1", "g2")
INGESTERS = ("i1", "i2")
CUT_AFTER = (1_000, 60_000)  # bytes of a connection's life: a batch has some thousands
PAUSE = (0.1, 0.9)  # seconds between two deaths, and from the last of them to the return
CLONE = "clone of g1"
CLONES_FIRST_STEP = 100_000  # what a clone reads is not what the original does
TOGETHER = 4  # that are dead at a time, at the most
SETTLING = 90.0

pytestmark = pytest.mark.e2e


@dataclass(slots=True)
class System:
    """Every part as a process of this test, behind a proxy that cuts connections."""

    folder: Path
    server: EmbeddedPostgres
    broker: Broker
    cutter: Cutter
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    read: dict[str, int] = field(default_factory=dict)  # steps of cards that were swapped
    hung: subprocess.Popen[bytes] | None = None

    def start(self, name: str) -> None:
        """A gateway or ingester, with its log in the folder."""
        if name in (*GATEWAYS, CLONE):
            place = self.folder / name
            place.mkdir(exist_ok=True)
            command = [
                "-m",
                "tests.support.lasting_gateway",
                str(place),
                str(self.cutter.port),
                name.removeprefix("clone of "),
                str(SEED),
            ]
        else:
            address = f"mqtt://127.0.0.1:{self.cutter.port}"
            command = [
                "-m",
                "hesper",
                "ingest",
                "run",
                "--database-url",
                self.server.url,
                "--broker",
                address,
            ]
            command += ["--name", name, "--session-expiry", "0", "--metrics-port", "0"]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def kill(self, name: str) -> None:
        """SIGKILL, as a power cut would."""
        match name:
            case "broker":
                self.broker.kill()
            case "database":
                pid = self.server.pid
                assert pid is not None
                os.kill(pid, SIGKILL)
                self.server.stop()
            case "network":
                self.cutter.cut()
            case "hung":
                self.hung = self.processes[INGESTERS[0]]
                self.hung.send_signal(SIGSTOP)
            case _:
                self.processes[name].kill()
                self.processes[name].wait(30)
                if name in GATEWAYS:
                    self.swap_card(self.folder / name)

    def swap_card(self, card: Path) -> None:
        """Every second time the gateway comes back with its card as it was at the death before.

        It then reads again, step by step, what it has read since.
        """
        image = card.with_name(f"{card.name}.image")
        if image.exists():
            self.read[card.name] = max(self.read.get(card.name, 0), steps_of(card))
            shutil.rmtree(card)
            image.rename(card)
        else:
            shutil.copytree(card, image)

    def clone(self) -> int:
        """Begin a copy of the first gateway, dead just now, under its name; the first step of its own."""
        shutil.copytree(self.folder / GATEWAYS[0], self.folder / CLONE)
        first = CLONES_FIRST_STEP + steps_of(self.folder / CLONE)
        (self.folder / CLONE / "steps").write_text(str(first + 1))
        self.start(CLONE)
        return first

    def bring_back(self, name: str) -> None:
        """What was killed, begun again."""
        match name:
            case "broker":
                self.broker.start()
            case "database":
                self.server.start()
            case "network":
                pass
            case "hung":
                if self.hung is not None:
                    self.hung.send_signal(SIGCONT)
            case _:
                self.start(name)

    def end(self) -> None:
        """All processes, at the end of the test."""
        for process in self.processes.values():
            process.kill()
            process.wait(30)


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    with ExitStack() as stack:
        server = stack.enter_context(EmbeddedPostgres(tmp_path / "postgres"))
        with connect(server.url) as connection:
            migrate(connection)
            gateways = [GatewayEntry(name) for name in GATEWAYS]
            meters = [
                MeterEntry(meter(name, number), Medium.COLD_WATER, gateway=name)
                for name in GATEWAYS
                for number in range(METERS)
            ]
            apply(
                connection,
                Registry([UtilityEntry(UTILITY, "Chaos", "UTC", gateways=gateways, meters=meters)]),
            )
        broker = stack.enter_context(Broker())
        cutter = stack.enter_context(Cutter(broker.port, SEED, CUT_AFTER))
        running = System(tmp_path, server, broker, cutter)
        stack.callback(running.end)
        yield running


def test_every_generated_reading_is_stored_exactly_once_whatever_dies(system: System) -> None:
    chance = random.Random(SEED)
    for name in (*INGESTERS, *GATEWAYS):
        system.start(name)
    wait_until(lambda: stored(system) > 0, 30, "readings arrive")
    victims = ("broker", "database", "network", "hung", *INGESTERS, *GATEWAYS)
    system.kill(GATEWAYS[0])
    clones_first = system.clone()
    system.bring_back(GATEWAYS[0])
    order = [*victims, *chance.choices(victims, k=max(0, KILLS - len(victims)))]
    chance.shuffle(order)  # each of them dies for sure, the rest as it comes
    dead: list[str] = []
    for number, name in enumerate(order):
        time.sleep(chance.uniform(*PAUSE))
        if name in dead:
            dead.remove(name)
            system.bring_back(name)
        system.kill(name)
        dead.append(name)
        # several are dead at a time: what one has in hand must not depend on another's being there
        if len(dead) == TOGETHER or chance.random() < 0.3 or number == len(order) - 1:
            time.sleep(chance.uniform(*PAUSE))
            chance.shuffle(dead)
            while dead:
                system.bring_back(dead.pop())
    assert len(order) >= 20
    assert system.cutter.cuts >= 5, "connections were cut in the middle of messages"
    system.cutter.gentle()
    system.kill("broker")  # whatever state it was left in
    system.bring_back("broker")
    for name, read in system.read.items():
        wait_until(lambda: steps_of(system.folder / name) > read, SETTLING, f"{name} has read all again")  # noqa: B023 - called in this turn
    for name in (*GATEWAYS, CLONE):
        (system.folder / name / "stop").touch()
    for name in (*GATEWAYS, CLONE):
        wait_until(ended(system.processes[name]), SETTLING, f"everything of {name} is acknowledged")
    expected: list[Reading] = []
    missed = 0
    for name in GATEWAYS:
        steps = steps_of(system.folder / name)
        expected += readings(name, SEED, steps)
        missed += steps
        assert steps * PER_STEP > 500, "there was load"
    clones = steps_of(system.folder / CLONE)
    assert clones - clones_first > 10, "the clone could send"
    expected += readings(GATEWAYS[0], SEED, clones, clones_first)
    missed += clones - clones_first
    with connect(system.server.url) as connection:
        assert sorted(all_of(connection)) == sorted(expected)
        assert connection.execute("select count(*) from quarantine").fetchone() == (0,)
        telegrams = connection.execute("select count(*) from telegrams").fetchone()
        misses = connection.execute("select count(*) from missed_polls").fetchone()
    assert telegrams == (len(expected) // 2,)
    assert misses == (missed,)


def stored(system: System) -> int:
    with connect(system.server.url) as connection:
        row = connection.execute("select count(*) from readings").fetchone()
    assert row is not None
    return int(row[0])


def ended(process: subprocess.Popen[bytes]) -> Callable[[], bool]:
    return lambda: process.poll() == 0


def all_of(connection: psycopg.Connection) -> list[Reading]:
    return connection.execute(
        """
        select m.code, g.obis, extract(epoch from r.measured_at)::bigint, r.value
        from readings r join registers g on g.id = r.register_id join meters m on m.id = g.meter_id
        """
    ).fetchall()
