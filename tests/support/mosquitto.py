"""Debian's Mosquitto in a process of the test, with a configuration of the test."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
_START_SECONDS = 15.0


@contextmanager
def mosquitto(port: int, configuration: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Runs while the block does; its log goes to `<configuration>.log`."""
    if MOSQUITTO is None:
        pytest.skip("needs mosquitto (apt-get install mosquitto)")
    with configuration.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen([MOSQUITTO, "-c", str(configuration)], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _listens(port):
            assert process.poll() is None, configuration.with_suffix(".log").read_text()
            assert time.monotonic() < deadline, "mosquitto does not listen"
            time.sleep(0.02)
        yield process
    finally:
        process.terminate()
        process.wait(15)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
