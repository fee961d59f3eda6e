"""A serial port: UART of the gateway, USB converter, M-Bus level converter, optical head."""

import errno
import os
import select

import serial

from drivers.line import RealTimeLine, SerialSettings

_READ = 4096
_PTY = "/dev/pts/"  # a pty (virtual meter, tunnel) has a speed but no frame, and refuses to be asked for one
_REMEDIES = {
    errno.ENOENT: "is the converter plugged in? Name it by /dev/serial/by-id/..., which survives replugging",
    errno.EACCES: "let this user open serial ports: add it to the group 'dialout' and log in again",
    errno.EAGAIN: "another program holds the port; find it with: fuser -v <device>",
    errno.EBUSY: "another program holds the port; find it with: fuser -v <device>",
    errno.EIO: "the converter was unplugged or lost its supply",
    errno.ENXIO: "the device exists but no hardware answers behind it; is it the right port?",
    errno.ENOTTY: "this is not a serial port",
}


class SerialLine(RealTimeLine):
    """Serial port, `device` such as '/dev/serial/by-id/...'. Opened exclusively with the first exchange."""

    remedies = _REMEDIES

    def __init__(self, device: str, settings: SerialSettings) -> None:
        self.name = device
        self.settings = settings
        self._port: serial.Serial | None = None

    def send(self, data: bytes) -> None:
        """Write, drain, and wait until the last bit has left: USB converters report "drained" too early."""
        port = self._open()
        begun = self.now()
        with self.guarded("send"):
            port.write(data)
            port.flush()
        self.wait(begun + len(data) * self.settings.character_time - self.now())

    def receive(self, timeout: float) -> bytes:
        port = self._open()
        with self.guarded("receive"):
            ready, _, _ = select.select([port], [], [], max(timeout, 0.0))
            return port.read(_READ) if ready else b""

    def discard(self) -> None:
        if self._port is not None:
            with self.guarded("clear the input"):
                self._port.reset_input_buffer()

    def configure(self, settings: SerialSettings) -> None:
        """See `Line.configure`. Call it only after `send` has returned: nothing may be left to transmit."""
        if self._port is not None and settings != self.settings:
            with self.guarded(f"switch to {settings}"):
                self._port.apply_settings(self._port_settings(settings))
        self.settings = settings

    def close(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            port.close()

    def _open(self) -> serial.Serial:
        if self._port is None:
            with self.guarded("open"):
                self._port = serial.Serial(self.name, exclusive=True, timeout=0, write_timeout=10)
                self._port.apply_settings(self._port_settings(self.settings))
        return self._port

    def _port_settings(self, settings: SerialSettings) -> dict[str, object]:
        if os.path.realpath(self.name).startswith(_PTY):
            return {"baudrate": settings.baud}
        return {
            "baudrate": settings.baud,
            "bytesize": settings.bits,
            "parity": settings.parity,
            "stopbits": settings.stop,
        }
