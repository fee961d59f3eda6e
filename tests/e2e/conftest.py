"""Whole-system fixtures: a central side in a folder, and processes that the test ends."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from hesper.central import Central, CentralProcess

HERE = [CentralProcess.DATABASE, CentralProcess.BROKER, CentralProcess.INGEST]


@pytest.fixture
def central(tmp_path: Path) -> Iterator[Central]:
    """Database, broker and ingester, supervised, in a folder of the test."""
    with Central(tmp_path / "central", roles=HERE) as running:
        yield running


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts `hesper ARGUMENTS` with more environment; what still runs at the end is ended."""
    children: list[subprocess.Popen[bytes]] = []

    def run(
        arguments: Sequence[str], environment: dict[str, str] | None = None, output: int | None = None
    ) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            [sys.executable, "-m", "hesper", *arguments],
            env=os.environ | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
        )
        children.append(child)
        return child

    yield run
    for child in children:
        if child.poll() is None:
            child.terminate()
        child.wait(30)
        if child.stdout is not None:
            child.stdout.close()


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Returns when the condition holds; fails the test after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not after {seconds:.0f} s"
        time.sleep(0.05)


def assert_planted_only(found: Mapping[str, int]) -> None:
    """A demo's findings by kind: the faults of hesper/demo/building.py, and what follows from them."""
    planted = {  # two meters that were silent, and a dead one
        "negative_step.glitch": 1,
        "negative_step.reset": 1,
        "negative_step.rollover": 1,
        "stuck": 1,
        "missing": 3,
        "leak": 1,
        "verification_expired": 1,
    }
    follows = {"level_shift", "catch_up"}  # the stuck meter's use, and what silent meters caught up
    assert {kind: count for kind, count in found.items() if kind not in follows} == planted
