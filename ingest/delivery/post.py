"""One attempt: a POST over a connection to an address that was checked, within a time that is bounded.

No redirect is followed, no proxy of the environment is used, and of an answer only the head matters.
"""

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass

from ingest.delivery.address import AddressError, Resolve, checked_addresses, parse, resolve

CONNECT_SECONDS = 5.0
_MOST_DIGITS = 6  # of the seconds in Retry-After
ATTEMPT_SECONDS = 15.0  # for all of an attempt; Standard Webhooks advises 15 to 30


class AttemptError(Exception):
    """No answer could be had; the message says why."""


@dataclass(frozen=True, slots=True)
class PostAnswer:
    """Answer of a destination."""

    status: int
    retry_after: int | None = None  # seconds that it asks to be left alone

    @property
    def taken(self) -> bool:
        """True where the destination has the message."""
        return 200 <= self.status < 300


class Post:
    """Sender of bodies. `look_up` and `trust` are the system's, unless a test brings its own."""

    def __init__(
        self,
        *,
        look_up: Resolve = resolve,
        trust: ssl.SSLContext | None = None,
        seconds: float = ATTEMPT_SECONDS,
    ) -> None:
        self._look_up = look_up
        self._trust = trust
        self._seconds = seconds

    def __call__(
        self, url: str, headers: Mapping[str, str], body: bytes, *, allow_private: bool
    ) -> PostAnswer:
        """Raises AddressError where nothing may be sent, AttemptError where no answer came."""
        target = parse(url, allow_private=allow_private)
        try:
            addresses = checked_addresses(target, self._look_up, allow_private=allow_private)
            with (
                _connected(addresses, target.port) as plain,
                _ended_after(self._seconds, plain),
                closing(http.client.HTTPConnection(target.host, target.port)) as connection,
            ):
                connection.sock = self._secured(plain, target.host) if target.secure else plain
                connection.request("POST", target.path, body, dict(headers))
                return _answer(connection.getresponse())
        except AddressError:
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:  # the last: no name for DNS or TLS
            raise AttemptError(_reason(error)) from error

    def _secured(self, plain: socket.socket, host: str) -> ssl.SSLSocket:
        context = self._trust or ssl.create_default_context()
        return context.wrap_socket(plain, server_hostname=host)


def _connected(addresses: list[str], port: int) -> socket.socket:
    """A connection to the first of the addresses that takes one. Raises OSError."""
    for address in addresses[:-1]:
        try:
            return socket.create_connection((address, port), CONNECT_SECONDS)
        except OSError:
            continue
    return socket.create_connection((addresses[-1], port), CONNECT_SECONDS)


@contextmanager
def _ended_after(seconds: float, connection: socket.socket) -> Iterator[None]:
    """Ends the connection after so long, whatever comes: a byte now and then would pass every timeout of a
    single read. It works on a descriptor of its own, since TLS takes the socket over. Raises TimeoutError."""
    with connection.dup() as guard:
        over = threading.Event()

        def hang_up() -> None:
            over.set()
            with suppress(OSError):  # the other side was quicker
                guard.shutdown(socket.SHUT_RDWR)

        deadline = threading.Timer(seconds, hang_up)
        deadline.daemon = True
        deadline.start()
        try:
            yield
            if over.is_set():  # half a head reads like a whole one
                raise TimeoutError(f"no whole answer within {seconds:g} s")
        finally:
            deadline.cancel()
            deadline.join()


def _answer(response: http.client.HTTPResponse) -> PostAnswer:
    asked = response.getheader("Retry-After", "")
    sane = asked.isascii() and asked.isdigit() and len(asked) <= _MOST_DIGITS
    return PostAnswer(response.status, int(asked) if sane else None)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
