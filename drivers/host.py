"""Host of a virtual meter behind a real TCP port or a real pty, in a thread: for tests and the demo.

    with TcpMeterHost(meter) as host:
        line = open_line(host.spec, SerialSettings())

The host answers as slowly as the meter says (`Transmission.delay`), and can be as awkward as real wiring.
"""

import os
import select
import socket
import termios
import threading
import time
import tty
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from drivers.bus import garbled
from drivers.line import PushingMeter, SerialSettings, VirtualMeter

_READ = 4096


@dataclass(frozen=True, slots=True)
class Wiring:
    """Wiring between meter and master. Delays are multiplied by `time_scale` (0 answers at once).

    `piece` cuts answers into pieces of that many bytes, `piece_gap` seconds apart; `echo` returns what the
    master sent, as some converters do; `stray` goes in front of every answer.
    """

    time_scale: float = 1.0
    piece: int | None = None
    piece_gap: float = 0.002
    echo: bool = False
    stray: bytes = b""


PLAIN = Wiring()
_SETTINGS = SerialSettings()


class MeterHost(AbstractContextManager["MeterHost"], ABC):
    """A thread that lets the meter hear and speak. Use as a context manager, or `start` and `stop`."""

    spec: str  # what `open_line` takes to reach this host

    def __init__(self, meter: VirtualMeter, settings: SerialSettings, wiring: Wiring) -> None:
        self.meter = meter
        self.settings = settings
        self.wiring = wiring
        self._stopping = threading.Event()
        self._waker, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._run, name=f"meter host {self.spec}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread and give the port back. Safe to call twice."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        os.write(self._wake, b"\0")
        if self._thread.ident is not None:
            self._thread.join()
        os.close(self._waker)
        os.close(self._wake)
        self._release()

    def __enter__(self) -> "MeterHost":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    def _run(self) -> None:
        """The thread."""

    @abstractmethod
    def _release(self) -> None:
        """Close what `__init__` opened."""

    @abstractmethod
    def _line_settings(self) -> SerialSettings:
        """Speed and frame of the line at this moment."""

    def _answer(self, data: bytes, put: Callable[[bytes], None], *, on_wire: float = 0.0) -> None:
        """Let the meter hear the bytes, and put on the wire what it says, when it says it.

        `on_wire`: seconds until the last bit would have arrived on a real wire.
        """
        heard = time.monotonic() + on_wire
        if self.wiring.echo:
            put(data)
        for transmission in self.meter.hear(data, self._line_settings()):
            self._pause(heard + transmission.delay * self.wiring.time_scale - time.monotonic())
            sent = self.wiring.stray + transmission.data
            if transmission.settings and transmission.settings.baud != self._line_settings().baud:
                sent = garbled(sent)
            size = self.wiring.piece or len(sent)
            for first in range(0, len(sent), size or 1):
                if first:
                    self._pause(self.wiring.piece_gap)
                put(sent[first : first + size])

    def _pause(self, seconds: float) -> None:
        """Wait, but not longer than the host runs."""
        if seconds > 0:
            self._stopping.wait(seconds)

    def _wait_for(self, file: int | socket.socket, put: Callable[[bytes], None] | None = None) -> bool:
        """True when there is something to read, False when the host is to stop.

        Meanwhile a meter that speaks by itself does so through `put`.
        """
        period = self.meter.period if put is not None and isinstance(self.meter, PushingMeter) else None
        while True:
            ready, _, _ = select.select([file, self._waker], [], [], period)
            if ready:
                return self._waker not in ready
            if put is not None and isinstance(self.meter, PushingMeter):
                put(self.meter.push(self._line_settings()).data)


class TcpMeterHost(MeterHost):
    """Listens on 127.0.0.1 (port 0: a free one). Serves one client after the other, as serial servers do."""

    def __init__(
        self,
        meter: VirtualMeter,
        settings: SerialSettings = _SETTINGS,
        wiring: Wiring = PLAIN,
        *,
        port: int = 0,
    ) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self.spec = f"tcp://127.0.0.1:{self.port}"
        super().__init__(meter, settings, wiring)

    def _run(self) -> None:
        while self._wait_for(self._listener):
            try:
                client, _ = self._listener.accept()
                with client:
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._serve(client)
            except OSError:
                continue  # the client is gone: wait for the next one

    def _serve(self, client: socket.socket) -> None:
        while self._wait_for(client, client.sendall):
            data = client.recv(_READ)
            if not data:
                return
            self._answer(data, client.sendall)

    def _line_settings(self) -> SerialSettings:
        return self.settings  # a serial server's own: no master changes them

    def _release(self) -> None:
        self._listener.close()


class PtyMeterHost(MeterHost):
    """One end of a pty pair; `spec` is the path of the other.

    A pty has a speed but no character frame: the meter hears at the speed that the master has set, with
    the frame of `settings`, and what it says at another speed arrives garbled.
    """

    def __init__(
        self, meter: VirtualMeter, settings: SerialSettings = _SETTINGS, wiring: Wiring = PLAIN
    ) -> None:
        self._master, self._slave = os.openpty()  # the slave stays open: no hang-up between two masters
        tty.setraw(self._slave)
        self.spec = os.ttyname(self._slave)
        super().__init__(meter, settings, wiring)

    def _run(self) -> None:
        while self._wait_for(self._master, self._write):
            data = os.read(self._master, _READ)
            # a pty delivers at once; the master stays at its speed until the last bit would have left
            on_wire = len(data) * self._line_settings().character_time
            self._answer(data, self._write, on_wire=on_wire)

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._master, data) :]

    def _line_settings(self) -> SerialSettings:
        baud = _BAUDS.get(termios.tcgetattr(self._master)[5], self.settings.baud)
        return replace(self.settings, baud=baud)

    def _release(self) -> None:
        os.close(self._master)
        os.close(self._slave)


_BAUDS = {
    getattr(termios, f"B{baud}"): baud
    for baud in (300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400)
}
