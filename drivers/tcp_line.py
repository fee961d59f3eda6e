"""A TCP socket: a serial server that passes bytes through (raw TCP), or a meter with a network port."""

import errno
import select
import socket

from drivers.line import RealTimeLine, SerialSettings

_READ = 4096
_CONNECT_TIMEOUT = 5.0  # seconds
_UNACKNOWLEDGED = 10_000  # milliseconds until a peer that vanished (power cut) is a lost connection

# For a peer with no serial line behind it (Modbus TCP): a character takes a microsecond.
NO_WIRE = SerialSettings(baud=9_999_999)
_REMEDIES = {
    errno.ECONNREFUSED: "the host is there but nothing listens on this port; check the serial server's port",
    errno.EHOSTUNREACH: "no way to this host; check its address, the network and the serial server's supply",
    errno.ENETUNREACH: "no way to this host; check its address, the network and the serial server's supply",
    errno.ECONNRESET: "the serial server ended the connection; does another master hold its only one?",
    errno.EPIPE: "the serial server ended the connection; does another master hold its only one?",
}


class TcpLine(RealTimeLine):
    """Connects with the first `send` or `receive`, and again with the next one after a loss.

    `settings` are those of the wire behind a serial server: they pace the line (`send` returns when the
    last bit has left there), for the server itself must be set in its own configuration.
    """

    can_switch = False
    remedies = _REMEDIES

    def __init__(self, host: str, port: int, settings: SerialSettings = NO_WIRE) -> None:
        self.name = f"tcp://{f'[{host}]' if ':' in host else host}:{port}"
        self.settings = settings
        self._address = (host, port)
        self._socket: socket.socket | None = None

    def send(self, data: bytes) -> None:
        """Send, then wait the time that the bytes take on the wire behind the server."""
        connection = self._connected()
        if self._ended_meanwhile(connection):
            self.close()
            connection = self._connected()
        begun = self.now()
        with self.guarded("send"):
            connection.sendall(data)
        self.wait(begun + len(data) * self.settings.character_time - self.now())

    def receive(self, timeout: float) -> bytes:
        """See `Line.receive`. A connection that the peer has ended is a LineError, not silence."""
        connection = self._connected()
        with self.guarded("receive"):
            ready, _, _ = select.select([connection], [], [], max(timeout, 0.0))
            if not ready:
                return b""
            if data := connection.recv(_READ):
                return data
            raise ConnectionResetError(errno.ECONNRESET, "the peer closed the connection")

    def discard(self) -> None:
        """See `Line.discard`. A connection that has ended is noticed and given up, to be made anew."""
        while self._socket is not None:
            with self.guarded("clear the input"):
                ready, _, _ = select.select([self._socket], [], [], 0)
                if not ready:
                    return
                if not self._socket.recv(_READ):
                    self.close()

    def configure(self, settings: SerialSettings) -> None:
        """Change the pacing only: the wire behind the server keeps its own settings."""
        self.settings = settings

    def close(self) -> None:
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()

    def _connected(self) -> socket.socket:
        if self._socket is None:
            with self.guarded("connect"):
                self._socket = socket.create_connection(self._address, _CONNECT_TIMEOUT)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED)
        return self._socket

    def _ended_meanwhile(self, connection: socket.socket) -> bool:
        """Whether the peer has closed (or reset) an idle connection since it was last used."""
        try:
            ready, _, _ = select.select([connection], [], [], 0)
            return bool(ready) and not connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True
