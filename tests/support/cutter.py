"""A TCP proxy that cuts connections in the middle of a message, for tests of what survives that.

with Cutter(broker_port, seed=1, bytes_between=(2_000, 200_000)) as cutter:
    connect("127.0.0.1", cutter.port)
    cutter.cut()        # all connections, now
    cutter.gentle()     # from now on none any more
"""

import contextlib
import random
import select
import socket
import struct
import threading
from types import TracebackType
from typing import Self

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: what is on its way is thrown away, as a dead router does
_PIECE = 1_400  # bytes that are passed on at once: about a packet


class Cutter:
    """Each connection lives for a random number of bytes, counted in both directions."""

    def __init__(self, target: int, seed: int, bytes_between: tuple[int, int]) -> None:
        self.cuts = 0
        self._target = target
        self._random = random.Random(seed)
        self._between = bytes_between
        self._gentle = False
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._begin(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self.cut()
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def gentle(self) -> None:
        """Cut nothing any more."""
        self._gentle = True

    def cut(self) -> None:
        """Reset all connections now."""
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _begin(self, work: object, *arguments: object) -> None:
        assert callable(work)
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ending.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = self._listener.accept()
                self._begin(self._relay, client)

    def _relay(self, client: socket.socket) -> None:
        with client:
            try:
                server = socket.create_connection(("127.0.0.1", self._target), timeout=2)
            except OSError:
                return
            with server:
                pair = {client: server, server: client}
                with self._lock:
                    self._open |= pair.keys()
                    allowance = self._random.randint(*self._between)
                with contextlib.suppress(OSError):
                    self._pass_on(pair, allowance)
                with self._lock:
                    self._open -= pair.keys()
                for connection in pair:
                    with contextlib.suppress(OSError):
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def _pass_on(self, pair: dict[socket.socket, socket.socket], allowance: int) -> None:
        for connection in pair:
            connection.settimeout(5)
        while not self._ending.is_set():
            for readable in select.select(list(pair), [], [], 0.1)[0]:
                piece = readable.recv(_PIECE)
                if not piece:
                    return
                if not self._gentle and len(piece) >= allowance:
                    pair[readable].sendall(piece[:allowance])
                    self.cuts += 1
                    return
                pair[readable].sendall(piece)
                allowance -= len(piece)
