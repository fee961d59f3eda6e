"""The HTTP server of the app: uvicorn, with our log, and an end that open streams of events do not delay."""

import socket

import uvicorn
from fastapi import FastAPI

_GRACE = 5  # s for answers that are under way when the server is to end


class Server(uvicorn.Server):
    """Serves an app of `create_app` until it is told to end."""

    def __init__(self, app: FastAPI, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                log_config=None,  # uvicorn logs where we do
                log_level="warning",
                access_log=False,  # request lines would keep personal searches
                server_header=False,
                timeout_graceful_shutdown=_GRACE,
            )
        )
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams first: they would last for minutes."""
        self._app.state.services.streams.stop()
        await super().shutdown(sockets)
