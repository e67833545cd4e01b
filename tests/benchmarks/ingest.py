"""Ingest over HTTP: samples a second made durable, beside a handler that only reads the body.

`telerig serve` with an embedded PostgreSQL that syncs every commit to disk; wrk (in C, with one
thread) sends protobuf `Readings` of one device, each request with new numbers, so that none is a
duplicate: columns of signals that wander in steps of their sensors. Beside it, in turns and with
the same requests, uvicorn with the same options and a Starlette handler that reads the body and
answers 204. Latencies are those at full load, so they are queueing time for the greater part; one
more run with a single connection shows what an acknowledgement takes by itself. After each run it
is counted in the database that everything acknowledged is stored.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from server.store.embedded import EmbeddedPostgres
from server.wire.telemetry_pb2 import Readings
from tests.benchmarks.figures import Beside, Goal, Row
from tests.benchmarks.machine import cpu_s_of

SIZES = {20: 40_000, 200: 150_000, 1000: 500_000}  # samples a request: goal
SIGNALS = ("RPM", "SPEED", "COOLANT_TEMP", "THROTTLE_POS", "MAF", "INTAKE_TEMP", "ENGINE_LOAD",
           "TIMING_ADVANCE", "FUEL_LEVEL", "OIL_TEMP", "LAT", "LON", "ALT", "GPS_SPEED",
           "GPS_HEADING", "CONTROL_MODULE_VOLTAGE", "INTAKE_PRESSURE", "SHORT_FUEL_TRIM_1",
           "LONG_FUEL_TRIM_1", "AMBIANT_AIR_TEMP")  # fmt: skip
KEY = "benchmark-key-of-one-device"
CONNECTIONS = 64
RUN_S, QUICK_RUN_S, RUNS, WARM_UP_S = 6, 2, 5, 1
START_WAIT_S = 60.0

WRK = """
local file = io.open(os.getenv("BENCH_BODY"), "rb")
local body, size = file:read("*a"), tonumber(os.getenv("BENCH_SIZE"))
local seq = tonumber(os.getenv("BENCH_SEQ"))
wrk.method = "POST"
wrk.headers["X-API-Key"] = os.getenv("BENCH_KEY")
wrk.headers["Content-Type"] = "application/x-protobuf"
request = function()
  local number, rest = seq, {}
  seq = seq + size
  while number >= 128 do
    rest[#rest + 1] = string.char(number % 128 + 128)
    number = math.floor(number / 128)
  end
  rest[#rest + 1] = string.char(number)
  return wrk.format(nil, nil, nil, body .. "\\24" .. table.concat(rest))
end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('{"requests": %d, "us": %d, "p50": %d, "p99": %d, "errors": %d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""
BARE = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

async def take(request):
    await request.body()
    return Response(status_code=204)

app = Starlette(routes=[Route(path, take, methods=["GET", "POST"])
                        for path in ("/api/v1/ingest/batch", "/health")])
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), http="httptools", loop="uvloop",
            log_config=None, access_log=False, server_header=False, date_header=False)
"""
GATEWAY = """
[http]
port = {port}
[api]
device_keys = ["bench:{key}"]
[database]
url = "{url}"
[log]
level = "warning"
"""


@dataclass(frozen=True, slots=True)
class _Run:
    """What one run of wrk has found."""

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


def measure(quick: bool) -> list[Row]:
    """Measure each size of request in turns with the bare handler."""
    if shutil.which("wrk") is None:
        raise RuntimeError("expected the load generator wrk, found none: apt-get install wrk")
    run_s, runs = (QUICK_RUN_S, 1) if quick else (RUN_S, RUNS)
    with tempfile.TemporaryDirectory(prefix="bench-") as text, EmbeddedPostgres() as server:
        folder = Path(text)
        url = server.start()
        (folder / "ingest.lua").write_text(WRK, encoding="utf-8")
        with _gateway(folder, url) as gateway, _bare(folder) as bare:
            load = _Load(folder, url)
            rows: list[Row] = []
            for size, goal in SIZES.items():
                load.run(gateway, size, WARM_UP_S)
                load.run(bare, size, WARM_UP_S)
                ours, theirs = [], []
                for _ in range(runs):
                    ours.append(load.run(gateway, size, run_s))
                    theirs.append(load.run(bare, size, run_s))
                alone = [load.run(gateway, size, run_s / 3, connections=1) for _ in range(runs)]
                rows += _rows(size, goal, ours, theirs, alone)
            return rows


def _rows(
    size: int, goal: int, ours: list[_Run], theirs: list[_Run], alone: list[_Run]
) -> list[Row]:
    name = f"{size} a request"
    bare = statistics.median(run.rate for run in theirs)
    bare_us = statistics.median(run.cpu_us for run in theirs)
    return [
        Row(
            name,
            [run.rate for run in ours],
            "samples/s",
            Goal(least=goal),
            Beside("bare handler", bare),
        ),
        Row(
            f"{name}: CPU of the gateway",
            [run.cpu_us for run in ours],
            "us/request",
            beside=Beside("bare handler", bare_us),
        ),
        Row(f"{name}: acknowledged, p50", [run.p50_ms for run in ours], "ms"),
        Row(f"{name}: acknowledged, p99", [run.p99_ms for run in ours], "ms"),
        Row(f"{name}: one connection, p50", [run.p50_ms for run in alone], "ms"),
        Row(f"{name}: one connection, p99", [run.p99_ms for run in alone], "ms"),
    ]


class _Server:
    def __init__(self, pid: int, port: int, stores: bool) -> None:
        self.pid = pid
        self.url = f"http://127.0.0.1:{port}"
        self.stores = stores


class _Load:
    """Sends requests whose numbers go on from run to run."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self._folder = folder
        self._database_url = database_url
        self._seq = 1

    def run(
        self, server: _Server, size: int, seconds: float, connections: int = CONNECTIONS
    ) -> _Run:
        """Load a server for some seconds."""
        body = self._folder / f"{size}.bin"
        if not body.exists():
            body.write_bytes(_body(size))
        before = self._stored() if server.stores else 0
        cpu_s = cpu_s_of(server.pid)
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s"]
        command += ["-s", str(self._folder / "ingest.lua"), f"{server.url}/api/v1/ingest/batch"]
        environment = {
            "BENCH_BODY": str(body),
            "BENCH_SIZE": str(size),
            "BENCH_SEQ": str(self._seq),
            "BENCH_KEY": KEY,
        }
        output = subprocess.run(
            command, env=os.environ | environment, capture_output=True, text=True, check=True
        ).stdout
        found = json.loads(output.splitlines()[-1])
        cpu_s = cpu_s_of(server.pid) - cpu_s
        if found["errors"]:
            raise RuntimeError(f"expected no errors, found {found['errors']}: {output}")
        # Requests that wrk has made and not counted use numbers too.
        self._seq += (found["requests"] + 10 * connections) * size
        if server.stores:
            stored = self._stored() - before
            # One request of each connection may be stored and not counted.
            if not 0 <= stored - found["requests"] * size <= 2 * connections * size:
                raise RuntimeError(f"{found['requests']} requests acknowledged, {stored} stored")
        seconds = found["us"] / 1e6
        return _Run(
            found["requests"] * size / seconds,
            found["p50"] / 1e3,
            found["p99"] / 1e3,
            cpu_s / found["requests"] * 1e6,
        )

    def _stored(self) -> int:
        async def count() -> int:
            connection = await asyncpg.connect(self._database_url)
            try:
                query = "SELECT coalesce(sum(readings), 0)::bigint FROM device_boots"
                return int(await connection.fetchval(query))
            finally:
                await connection.close()

        return asyncio.run(count())


def _body(size: int) -> bytes:
    """Columns of 20 signals at 10 Hz, without the number, which wrk puts behind them."""
    chance = random.Random(1)
    message = Readings(boot=7)
    for signal in SIGNALS:
        step = 100
        values = array("d")
        for _ in range(size // len(SIGNALS)):
            step += chance.randint(-3, 3)
            values.append(abs(step) / 4)
        message.columns.add(
            signal=signal,
            first_time_ns=time.time_ns() - 100_000_000_000,
            step_ns=[100_000_000],
            values=struct.pack(f"<{len(values)}d", *values),
        )
    return message.SerializeToString()


@contextlib.contextmanager
def _gateway(folder: Path, url: str) -> Iterator[_Server]:
    port = _free_port()
    file = folder / "gateway.toml"
    file.write_text(GATEWAY.format(port=port, key=KEY, url=url), encoding="utf-8")
    telerig = str(Path(sys.executable).with_name("telerig"))
    with _served([telerig, "serve", "--config", str(file)], port) as pid:
        yield _Server(pid, port, True)


@contextlib.contextmanager
def _bare(folder: Path) -> Iterator[_Server]:
    port = _free_port()
    script = folder / "bare.py"
    script.write_text(BARE, encoding="utf-8")
    with _served([sys.executable, str(script), str(port)], port) as pid:
        yield _Server(pid, port, False)


@contextlib.contextmanager
def _served(command: list[str], port: int) -> Iterator[int]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        due_s = time.monotonic() + START_WAIT_S
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health").close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > due_s:
                    raise
                time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
