"""How long programs and people wait for the API: wrk against it, on 100,000 registers, beside its SQL alone.

    python -m bench.api [--registers 100000] [--seconds 10] [--connections 4] [--call NAME]
    python -m bench.api --crowd 200 [...]      from 4 connections up to so many, and /health meanwhile

The rows of `bench.queries`, with findings, service points and a closed month added, on the embedded
PostgreSQL. The API runs as a process of its own, without its limits of requests a second; wrk asks it over so
many connections, of other meters every time. The limit is the same SQL alone: the statements of each request,
recorded in process and sent anew as hesper_api from as many threads, with nothing around them. wrk is
Debian's package of that name (`apt-get install wrk`).
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil
from starlette.exceptions import StarletteDeprecationWarning

from api.web.app import create_app
from api.web.server import Server
from api.web.settings import ApiSettings
from bench.api_calls import Call, calls, fill_more, signed_in
from bench.fresh_store import fresh_store
from bench.measurement import Measurement, show
from bench.queries import fill
from bench.recording import Statement, recorded
from store.postgres.database import connect
from store.postgres.roles import Role

with warnings.catch_warnings():  # starlette's test client wants httpx2, which the rest of us does not need
    warnings.simplefilter("ignore", StarletteDeprecationWarning)
    from fastapi.testclient import TestClient

UNLIMITED = 10**9  # requests a second
SECRET = b"b" * 32
WANTED_MS = 50
WANTED_HEALTH_MS = 100
SHARES = (50, 95, 99)

_SCRIPT = """
local paths = {}
for path in io.lines("%s") do paths[#paths + 1] = path end
local place = 0
request = function()
  place = place %% #paths + 1
  return wrk.format("GET", paths[place])
end
done = function(summary, latency, requests)
  local bad = summary.errors
  io.write(string.format(
    '{"p50": %%f, "p95": %%f, "p99": %%f, "requests": %%d, "microseconds": %%d, "bad": %%d}',
    latency:percentile(50), latency:percentile(95), latency:percentile(99), summary.requests,
    summary.duration, bad.status + bad.connect + bad.read + bad.timeout))
end
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """Milliseconds by share, requests a second, and milliseconds of processor time that each costs.

    The last is of the API's process, or of the one that sends the statements: the database's is in neither.
    """

    by_share: dict[int, float]
    a_second: float
    processor: float


@contextmanager
def served(url: str) -> Iterator[tuple[str, psutil.Process]]:
    """The API as a process of its own, and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "bench.api", "--serve", str(port)]
    process = subprocess.Popen(command, env=os.environ | {"DATABASE_URL": url})
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(300):
            try:
                httpx.get(f"{address}/health")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield address, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def serve(port: int) -> None:
    """What that process does."""
    Server(create_app(_settings(os.environ["DATABASE_URL"])), "127.0.0.1", port).run()


def _settings(url: str) -> ApiSettings:
    return ApiSettings(
        url,
        SECRET,
        secure_cookies=False,
        address_rate=UNLIMITED,
        address_burst=UNLIMITED,
        caller_rate=UNLIMITED,
        caller_burst=UNLIMITED,
    )


def asked(
    api: tuple[str, psutil.Process], call: Call, headers: dict[str, str], options: argparse.Namespace
) -> Figures:
    """What wrk measures, for longer where nothing came in time. RuntimeError where an answer was no 2xx."""
    with TemporaryDirectory(prefix="hesper-bench-") as folder:
        paths, script = Path(folder) / "paths", Path(folder) / "ask.lua"
        paths.write_text("\n".join(call.paths), encoding="utf-8")
        script.write_text(_SCRIPT % paths, encoding="utf-8")
        command = ["wrk", f"-t{min(2, options.connections)}", f"-c{options.connections}"]
        command += ["--timeout", "60s", "-s", str(script)]
        for name, value in headers.items():
            command += ["-H", f"{name}: {value}"]
        address, process = api
        for seconds in (options.seconds, 10 * options.seconds, 60):
            before = process.cpu_times()
            asking = [*command, f"-d{seconds}s", address]
            told = subprocess.run(asking, check=True, capture_output=True, text=True).stdout
            figures = json.loads(told[told.index("{") :])
            if figures["requests"]:
                break
    after = process.cpu_times()
    if figures["bad"] or not figures["requests"]:
        raise RuntimeError(f"{call.name}: {figures['requests']} answers, {figures['bad']} of them errors")
    return Figures(
        {share: figures[f"p{share}"] / 1_000 for share in SHARES},
        figures["requests"] / figures["microseconds"] * 1_000_000,
        (after.user + after.system - before.user - before.system) / figures["requests"] * 1_000,
    )


def statements(call: Call, headers: dict[str, str], client: Any) -> list[list[Statement]]:
    """The statements of each address of a call, in order."""
    listed = []
    for path in call.paths:
        client.get(path, headers=headers)  # what is done once a process, and what psycopg prepares
        with recorded() as sent:
            answer = client.get(path, headers=headers)
        assert answer.status_code == 200, (path, answer.status_code)
        listed.append(sent)
    return listed


def alone(url: str, listed: list[list[Statement]], options: argparse.Namespace) -> Figures:
    """The same statements, a transaction for each request, from as many threads as wrk has connections."""
    spent: list[float] = []
    ends = time.perf_counter() + options.seconds

    def work(first: int) -> None:
        with connect(url, role=Role.API) as connection:
            place, mine = first, list[float]()
            while (begun := time.perf_counter()) < ends:
                for query, parameters in listed[place % len(listed)]:
                    cursor = connection.execute(query, parameters)
                    if cursor.description:
                        cursor.fetchall()
                connection.commit()
                mine.append((time.perf_counter() - begun) * 1_000)
                place += 1
            spent.extend(mine)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(options.connections)]
    processor = time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent.sort()
    return Figures(
        {share: spent[min(len(spent) - 1, len(spent) * share // 100)] for share in SHARES},
        len(spent) / options.seconds,
        (time.process_time() - processor) / len(spent) * 1_000,
    )


def measure(url: str, api_url: str, options: argparse.Namespace, now: datetime) -> Iterator[Measurement]:
    """Each call beside its SQL alone."""
    headers = signed_in(url)
    with (
        served(api_url) as api_process,
        TestClient(create_app(_settings(api_url)), base_url="http://127.0.0.1") as client,
    ):
        warm = argparse.Namespace(**vars(options) | {"seconds": min(2, options.seconds)})
        for call in calls(options.registers, now):
            if options.call and options.call not in call.name:
                continue
            sql = alone(api_url, statements(call, headers, client), options)
            asked(api_process, call, headers, warm)
            api = asked(api_process, call, headers, options)
            for share in SHARES:
                yield Measurement(f"{call.name}, p{share}", api.by_share[share], "ms", sql.by_share[share])
            yield Measurement(f"{call.name}, throughput", api.a_second, "requests/s", sql.a_second)
            yield Measurement(f"{call.name}, processor time", api.processor, "ms", sql.processor)
            yield Measurement(
                f"{call.name}, p95 beside what is wanted", api.by_share[95], "ms", WANTED_MS, "<= 1"
            )


def measure_crowd(
    url: str, api_url: str, options: argparse.Namespace, now: datetime
) -> Iterator[Measurement]:
    """Throughput of a crowd beside the best at any number of connections; the slowest `/health` meanwhile."""
    headers = signed_in(url)
    with served(api_url) as api_process:
        for call in calls(options.registers, now):
            if options.call not in call.name:
                continue
            best, crowd = 0.0, 0.0
            for connections in (4, 16, 64, options.crowd):
                given = argparse.Namespace(**vars(options) | {"connections": connections})
                with _health_asked(api_process[0]) as waits:
                    crowd = asked(api_process, call, headers, given).a_second
                best = max(best, crowd)
            name = f"{call.name}, {options.crowd} connections"
            yield Measurement(f"{name}, throughput", crowd, "requests/s", best, ">= 0.9")
            yield Measurement(f"{name}, slowest /health", max(waits), "ms", WANTED_HEALTH_MS, "<= 1")


@contextmanager
def _health_asked(address: str) -> Iterator[list[float]]:
    """`/health` ten times a second; milliseconds that each answer took."""
    waits, ended = list[float](), threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=address, timeout=60) as client:
            while not ended.wait(0.1):
                began = time.perf_counter()
                client.get("/health").raise_for_status()
                waits.append((time.perf_counter() - began) * 1_000)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield waits
    finally:
        ended.set()
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--registers", type=int, default=100_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--per-day", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--crowd", type=int, help="So many connections at once, instead of --connections.")
    parser.add_argument("--call", default="", help="Only those whose name has this in it.")
    parser.add_argument("--serve", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: `apt-get install wrk` (Debian), `brew install wrk` (macOS)")
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    with fresh_store({"shared_buffers": "512MB"}) as server:
        with connect(server.url) as connection:
            fill(connection, options.registers, options.days, options.per_day, now)
            fill_more(connection, options.registers)
        print(f"{options.registers} registers, {options.connections} connections, {options.seconds} s each")
        figures = measure_crowd if options.crowd else measure
        show(figures(server.url, server.url_of(login=Role.API.value), options, now))


if __name__ == "__main__":
    main()
