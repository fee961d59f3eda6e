"""The health message: what a gateway says of itself once a minute."""

import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own

from gateway.buffer import Buffer
from gateway.poller import LinePoller
from telemetry.wire import Health, to_milliseconds

_CPU_SENSORS = ("cpu_thermal", "coretemp", "k10temp")  # Raspberry Pi; Intel; AMD


def health_of(
    buffer: Buffer, pollers: Sequence[LinePoller], *, at: datetime, version: str, synchronised: bool
) -> Health:
    """The state at this moment. Begins a new period of the lines' utilisation. Raises BufferFailedError."""
    backlog = buffer.backlog()
    return Health(
        at=to_milliseconds(at),
        version=version,
        epoch=buffer.epoch,
        clock_synchronised=synchronised,
        buffered_readouts=backlog.readouts,
        oldest_unacknowledged=None if backlog.oldest is None else to_milliseconds(backlog.oldest),
        disk_free_bytes=_disk_free(buffer.path.parent),
        memory_bytes=psutil.Process().memory_info().rss,
        cpu_celsius=_cpu_celsius(),
        lines=[poller.line_health() for poller in pollers],
        meters=[meter for poller in pollers for meter in poller.meter_health()],
    )


def _disk_free(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:  # an unplugged disk is worth a message without its size
        return None


def _cpu_celsius() -> float | None:
    sensors = psutil.sensors_temperatures() if hasattr(psutil, "sensors_temperatures") else {}
    for name in _CPU_SENSORS:
        if sensors.get(name):
            return round(float(sensors[name][0].current), 1)
    return None
