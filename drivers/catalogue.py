"""Lines and drivers by their names in a configuration."""

from urllib.parse import urlsplit

from drivers.driver import Clock, Driver
from drivers.errors import LineError
from drivers.line import Line, SerialSettings
from drivers.protocol import protocol_named
from drivers.serial_line import SerialLine
from drivers.tcp_line import TcpLine


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
    """The driver of one of `drivers.protocol.PROTOCOLS` on a line; `options` go to its constructor.

    Raises ValueError for a protocol that is not known.
    """
    return protocol_named(protocol).driver()(line, clock, **options)
