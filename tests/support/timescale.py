"""A real TimescaleDB for tests, as WebAssembly under node (tests/timescale/server.mjs).

`make test` installs it; without node 18 or the installed package the tests are skipped with the reason.
"""

import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import IO

_FOLDER = Path(__file__).resolve().parents[1] / "timescale"
_PACKAGE = _FOLDER / "node_modules" / "@unni-craftsman" / "pglite"
_OLDEST_NODE = 18


def missing() -> str | None:
    """Why the server cannot run here, or None."""
    node = shutil.which("node")
    if node is None:
        return "needs node"
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.removeprefix("v").split(".")[0]) < _OLDEST_NODE:
        return f"needs node {_OLDEST_NODE} or newer, this is {version.strip()}"
    if not _PACKAGE.is_dir():
        return "needs `npm ci` in tests/timescale"
    return None


class Timescale:
    """A context manager around one server with an empty database in memory."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._input: IO[bytes] | None = None
        self.url = ""

    def __enter__(self) -> "Timescale":
        process = subprocess.Popen(
            ["node", "server.mjs"], cwd=_FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        self._process, self._input = process, process.stdin
        port = process.stdout.readline().strip()  # printed when it is ready; empty when it has ended
        if not port:
            self.__exit__(None, None, None)
            raise RuntimeError("the TimescaleDB for tests ended at its start; its message is above")
        self.url = f"postgresql://hesper@127.0.0.1:{int(port)}/hesper"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is None:
            return
        assert self._input is not None
        assert self._process.stdout is not None
        self._input.close()  # which ends it
        self._process.wait()
        self._process.stdout.close()
        self._process = None
