"""Options by which the installer's commands name a line: a wrong word is answered with the right ones."""

import os
from contextlib import suppress

import typer

from drivers.line import SerialSettings
from drivers.protocol import PROTOCOLS
from telemetry.topics import TopicError, check_segment

_TRANSPORTS = ("rtu", "tcp")
_LOCALTIME = "/etc/localtime"


def check_protocol(name: str) -> str:
    """One of the catalogue's. Raises typer.BadParameter."""
    if name not in PROTOCOLS:
        raise typer.BadParameter(f"{name!r} is no protocol; known: {', '.join(PROTOCOLS)}")
    return name


def check_transport(name: str | None) -> str | None:
    """A way of Modbus, or none named. Raises typer.BadParameter."""
    if name not in (None, *_TRANSPORTS):
        raise typer.BadParameter(f"{name!r} is no transport; known: {', '.join(_TRANSPORTS)}")
    return name


def check_name(name: str) -> str:
    """A utility or gateway, as topics can hold it. Raises typer.BadParameter."""
    try:
        return check_segment(name)
    except TopicError as error:
        raise typer.BadParameter(str(error)) from None


def parse_settings(text: str) -> SerialSettings:
    """Speed and frame. Raises typer.BadParameter."""
    try:
        return SerialSettings.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def local_time_zone() -> str:
    """The name of this machine's zone, UTC where it has none."""
    with suppress(OSError):
        _, found, name = os.path.realpath(_LOCALTIME).partition("/zoneinfo/")
        if found:
            return name
    return "UTC"
