"""From the names in a configuration to lines and drivers: the one place that knows them all."""

from importlib import import_module
from urllib.parse import urlsplit

from drivers.driver import Clock, Driver
from drivers.errors import LineError
from drivers.line import Line, SerialSettings
from drivers.serial_line import SerialLine
from drivers.tcp_line import TcpLine

# protocol -> module and class, imported when first asked for: a gateway loads only what it speaks
_DRIVERS = {
    "dlms": ("drivers.dlms.master", "DlmsDriver"),
    "mbus": ("drivers.mbus.master", "MBusDriver"),
    "modbus": ("drivers.modbus.master", "ModbusDriver"),
    "optical": ("drivers.optical.master", "OpticalDriver"),
    "sml": ("drivers.sml.master", "SmlDriver"),
}
PROTOCOLS = tuple(_DRIVERS)

_DEFAULT_SETTINGS = {
    "dlms": SerialSettings(9600, 8, "N", 1),
    "mbus": SerialSettings(2400, 8, "E", 1),
    "modbus": SerialSettings(9600, 8, "N", 1),
    "optical": SerialSettings(300, 7, "E", 1),
    "sml": SerialSettings(9600, 8, "N", 1),
}


def open_line(spec: str, settings: SerialSettings) -> Line:
    """The line of '/dev/ttyUSB0' or 'tcp://host:port'. It opens itself when first used.

    Raises LineError for a text that names no line.
    """
    if spec.startswith("/"):
        return SerialLine(spec, settings)
    try:
        parts = urlsplit(spec)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if spec.startswith("tcp://") and host and port:
        return TcpLine(host, port, settings)
    raise LineError(
        f"{spec!r} names no line",
        advice="write the path of a serial port (/dev/serial/by-id/...), or tcp://host:port",
    )


def open_driver(protocol: str, line: Line, clock: Clock, **options: object) -> Driver:
    """The driver of one of `PROTOCOLS` on a line; `options` go to its constructor.

    Raises ValueError for a protocol that is not known.
    """
    module, name = _DRIVERS[_known(protocol)]
    driver: type[Driver] = getattr(import_module(module), name)
    return driver(line, clock, **options)


def default_settings(protocol: str) -> SerialSettings:
    """The serial settings most meters of a protocol leave the factory with. Raises ValueError."""
    return _DEFAULT_SETTINGS[_known(protocol)]


def _known(protocol: str) -> str:
    if protocol not in _DRIVERS:
        raise ValueError(f"unknown protocol {protocol!r}; known: {', '.join(PROTOCOLS)}")
    return protocol
