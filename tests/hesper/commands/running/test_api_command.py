"""`hesper api run`: refuses to be unsafe, serves, and stops when told."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from hesper.cli import build


def test_plain_http_is_for_loopback_only(tmp_path: Path) -> None:
    given = ["api", "run", "--database-url", "postgresql://x", "--data", str(tmp_path), "--plain-http"]
    refused = CliRunner().invoke(build(["api"]), [*given, "--host", "0.0.0.0"])
    assert refused.exit_code == 2
    assert "put a proxy with TLS in front" in refused.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.e2e
def test_it_serves_until_told_to_stop(database: str, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "hesper", "api", "run", "--port", str(port), "--plain-http"],
        env=os.environ | {"DATABASE_URL": database, "HESPER_DATA": str(tmp_path)},
        stderr=subprocess.PIPE,
    )
    try:
        transport = httpx.HTTPTransport(retries=10)  # until it listens, with growing pauses
        with httpx.Client(transport=transport, base_url=f"http://127.0.0.1:{port}") as client:
            assert client.get("/health").json()["database"] == "ok"
            cookie = client.get("/sign-in").headers["set-cookie"]
            assert "Secure" not in cookie
            assert "HttpOnly" in cookie
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    assert database.encode() not in said
    assert (tmp_path / "session-secret").stat().st_mode & 0o777 == 0o600
