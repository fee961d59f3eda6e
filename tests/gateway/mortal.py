"""Appends, numbers and acknowledges in child processes, each killed at a random instant.

    python -m tests.gateway.mortal PATH LIVES SEED

Writes one JSON object: what `append` confirmed, and every content that a batch number was handed out with.
"""

import json
import os
import random
import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.buffer.buffer import Buffer
from telemetry.readout import Quantity, Readout
from telemetry.status import Status
from tests.telemetry.read_back import read_back

BEGIN = datetime(2026, 11, 22, 10, tzinfo=UTC)


def main(path: Path, lives: int, seed: int) -> None:
    """Kill `lives` children; tell what they said."""
    chance = random.Random(seed)
    confirmed: list[int] = []
    contents: dict[int, set[str]] = {}
    for life in range(lives):
        receive, send = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(receive)
            live(path, life * 100_000, send)
        os.close(send)
        with os.fdopen(receive, "rb") as said:
            first = said.readline()
            time.sleep(chance.uniform(0.0, 0.03))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            for line in [first, *said]:
                if line.endswith(b"\n"):
                    word, number, content = line.decode().rstrip("\n").split(" ", 2)
                    if word == "appended":
                        confirmed.append(int(number))
                    else:
                        contents.setdefault(int(number), set()).add(content)
    json.dump({"confirmed": confirmed, "contents": {n: sorted(c) for n, c in contents.items()}}, sys.stdout)


def live(path: Path, number: int, said: int) -> None:
    """Until killed."""
    buffer = Buffer(path, lambda: datetime.now(UTC), max_age=0.0)
    while True:
        at = BEGIN + timedelta(seconds=number)
        status = Status.HISTORICAL if number % 3 == 0 else Status(0)
        buffer.append(
            [Readout("KAM-06855817", at, {"8-0:1.0.0": Quantity(number * 1_000_000, "m3")}, status)]
        )
        os.write(said, f"appended {number} \n".encode())
        for batch in buffer.next_batches(2):
            volumes = [read_back(wire).values["8-0:1.0.0"].micro // 1_000_000 for wire in batch.readouts]
            os.write(said, f"numbered {batch.batch} {volumes}\n".encode())
            if batch.batch % 2:
                buffer.acknowledge(buffer.epoch, {batch.batch: None})
        buffer.note_alive(at)
        number += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
