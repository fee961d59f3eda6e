"""HTTP server of the app: uvicorn, with our log, limits for whoever is slow, and an end that open streams of
events do not delay.

A connection costs an open file whether it says anything or not. So a request's head and body have to come in
time, and where all places are taken, the connection that has been silent for longest makes room.
"""

import asyncio
import resource
import socket

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_GRACE = 5  # s for answers that are under way when the server is to end
_REQUEST_SECONDS = 20  # in which a request has to be here, head and body
_IDLE_SECONDS = 15  # for which a connection may wait for its next request
_MOST_HEAD_BYTES = 32 * 1024
_OWN_FILES = 100  # the database, log, templates and our own files are open too
_BACKLOG = 2048


class GuardedProtocol(HttpToolsProtocol):
    """Connection of a client who has to send what he has to send in time."""

    places = 1000  # connections at a time
    gone = False  # whoever asked
    silent_since: float | None = None  # by the loop's clock; None: we are the ones who take time
    _limit: asyncio.TimerHandle | None = None
    _head_bytes = 0  # of a head that is not whole

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin the time for the first request; where no place is left, the longest silent one is taken."""
        super().connection_made(transport)
        self.silent_since = self.loop.time()
        self._expect()
        if len(self.connections) > self.places:
            silent = [
                (one.silent_since, id(one), one)
                for one in self.connections
                if isinstance(one, GuardedProtocol) and one.silent_since is not None
            ]
            min(silent)[2].transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the time too, and let nobody work for who has gone."""
        self.gone = True
        self._arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, unless it is a head without end."""
        self._head_bytes += len(data)
        if self._limit is None:
            self._expect()
        super().data_received(data)
        if self._head_bytes > _MOST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_message_begin(self) -> None:
        """A request of this connection begins: as `request.state.client` it finds its way to the workers."""
        super().on_message_begin()
        self.scope["state"]["client"] = self

    def on_body(self, body: bytes) -> None:
        """No more of the head: the app limits the size of bodies."""
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole: from here on, we are the ones who take time."""
        self._head_bytes = 0
        self.silent_since = None
        self._arrived()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """It is the client's turn again, unless another request has come already."""
        super().on_response_complete()
        if self.timeout_keep_alive_task is not None:
            self.silent_since = self.loop.time()

    def _expect(self) -> None:
        self._limit = self.loop.call_later(_REQUEST_SECONDS, self._too_slow)

    def _arrived(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _too_slow(self) -> None:
        self._limit = None
        if self.silent_since is not None:  # else something stray came behind a request that is being answered
            self.transport.abort()


class Server(uvicorn.Server):
    """Serves an app of `create_app` until it is told to end."""

    def __init__(self, app: FastAPI, host: str = "127.0.0.1", port: int = 0) -> None:
        GuardedProtocol.places = _places()
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                http=GuardedProtocol,
                loop="auto",
                ws="none",
                lifespan="on",
                backlog=_BACKLOG,
                timeout_keep_alive=_IDLE_SECONDS,
                log_config=None,  # uvicorn logs where we do
                log_level="error",  # what strangers send amiss is no warning to us
                access_log=False,  # request lines would keep personal searches
                server_header=False,
                timeout_graceful_shutdown=_GRACE,
            )
        )
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams first, which would last for minutes, and what waits for a worker."""
        self._app.state.services.streams.stop()
        self._app.state.services.workers.stop()
        await super().shutdown(sockets)


def _places() -> int:
    """Connections for which there are files, once this process may open as many as it is allowed to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    except (OSError, ValueError):
        pass  # then with what there is
    return max(soft - _OWN_FILES, soft // 2)
