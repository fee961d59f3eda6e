"""A small HTTP endpoint of a process: `/metrics` for Prometheus, `/health/live` and `/ready` for probes."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_REQUEST_SECONDS = 5.0  # after which a client that says nothing is let go


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers of the endpoint. `live` and `ready` give what is wrong, "" where nothing is."""

    metrics: Callable[[], bytes]
    live: Callable[[], str]
    ready: Callable[[], str]


class Endpoint:
    """Context manager: answers on `host:port` inside; `port` 0 takes a free one. Raises OSError."""

    def __init__(self, host: str, port: int, answers: Answers) -> None:
        self._server = ThreadingHTTPServer((host, port), _handler(answers))
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="endpoint")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(answers: Answers) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _REQUEST_SECONDS

        def do_GET(self) -> None:
            match self.path.partition("?")[0]:
                case "/metrics":
                    self._answer(HTTPStatus.OK, answers.metrics())
                case "/health/live":
                    self._say(answers.live())
                case "/health/ready":
                    self._say(answers.ready())
                case _:
                    self._answer(HTTPStatus.NOT_FOUND, b"/metrics, /health/live or /health/ready\n")

        def _say(self, problem: str) -> None:
            status = HTTPStatus.SERVICE_UNAVAILABLE if problem else HTTPStatus.OK
            self._answer(status, f"{problem or 'ok'}\n".encode())

        def _answer(self, status: HTTPStatus, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", _TEXT)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Probes come every few seconds and are not worth a line."""

    return Handler
