"""Ports of our own servers: chosen before they listen, and not chosen by another Hesper meanwhile.

Between the choice and the moment in which the server listens, a second central side would choose the same
port, and its messages would go to the first one's broker. So a choice is claimed for as long as its process
lives, by a name in Linux's abstract socket namespace: nothing to clean up, nothing left behind by a kill.
"""

import socket
from contextlib import suppress

from hesper.supervise import StartError

_ATTEMPTS = 20


class Ports:
    """The ports that one central side has chosen; `close` gives them up."""

    def __init__(self) -> None:
        self._claims: list[socket.socket] = []

    def free(self, preferred: int, insisted: int | None = None, host: str = "127.0.0.1") -> int:
        """`preferred` (0: any) if nobody listens there or claims it, else any free port.

        Raises StartError where one was insisted on.
        """
        if port := self._take(host, preferred):
            return port
        if insisted is not None:
            raise StartError(f"port {preferred} of {host} is taken; name another one")
        for _ in range(_ATTEMPTS):
            if port := self._take(host, 0):
                return port
        raise StartError(f"{host} has no free port")

    def close(self) -> None:
        """Give the claims up. Safe to call twice."""
        while self._claims:
            self._claims.pop().close()

    def _take(self, host: str, port: int) -> int | None:
        """The port, claimed, or None where it is another's."""
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            found = int(probe.getsockname()[1])
            claim = socket.socket(socket.AF_UNIX)
            try:
                claim.bind(f"\0hesper-port-{found}")
            except OSError:
                claim.close()
                raise
            self._claims.append(claim)
            return found
        return None
