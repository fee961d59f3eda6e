"""The health message: what a gateway says of itself once a minute."""

import platform
import shutil
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import psutil

from gateway.buffer.buffer import Buffer
from gateway.line.poller import LinePoller
from telemetry.wire import Health, to_milliseconds

_CPU_SENSORS = ("cpu_thermal", "coretemp", "k10temp")  # Raspberry Pi; Intel; AMD


def health_of(
    buffer: Buffer,
    pollers: Sequence[LinePoller],
    *,
    at: datetime,
    version: str,
    config_version: str,
    synchronised: bool,
) -> Health:
    """The state at this moment. Begins a new period of the lines' utilisation. Raises BufferFailedError."""
    backlog = buffer.backlog()
    disk = _disk(buffer.path.parent)
    return Health(
        at=to_milliseconds(at),
        version=version,
        epoch=buffer.epoch,
        clock_synchronised=synchronised,
        buffered_readouts=backlog.readouts,
        held_readouts=backlog.held,
        buffer_full=backlog.full,
        oldest_unacknowledged=None if backlog.oldest is None else to_milliseconds(backlog.oldest),
        disk_free_bytes=disk.free if disk else None,
        disk_total_bytes=disk.total if disk else None,
        memory_bytes=psutil.Process().memory_info().rss,
        memory_total_bytes=psutil.virtual_memory().total,
        cpu_celsius=_cpu_celsius(),
        versions=_versions(version),
        config_version=config_version,
        lines=[poller.line_health() for poller in pollers],
        meters=[meter for poller in pollers for meter in poller.meter_health()],
    )


def _disk(folder: Path) -> "shutil._ntuple_diskusage | None":
    try:
        return shutil.disk_usage(folder)
    except OSError:  # an unplugged disk is worth a message without its size
        return None


def _versions(hesper: str) -> dict[str, str]:
    """Of what a fault may hang on; each within the contract's 64 characters."""
    versions = {
        "hesper": hesper,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "os": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    return {name: text[:64] for name, text in versions.items()}


def _cpu_celsius() -> float | None:
    sensors = psutil.sensors_temperatures() if hasattr(psutil, "sensors_temperatures") else {}
    for name in _CPU_SENSORS:
        if sensors.get(name):
            return round(float(sensors[name][0].current), 1)
    return None
