"""Ingest while the hot log is compacted: samples a second, single posts, and what they become.

`telerig serve` with an embedded PostgreSQL that syncs every commit; wrk sends protobuf `Readings`
of one device whose numbers and instants go on from request to request, so that the compactor,
which works every two seconds here, makes segments as of a real stream. What was acknowledged is
counted in the hot log and in segments afterwards: each reading is there, once. Beside the rate:
what the same gateway does without the compactor. Then 500 such requests a second, paced, and 1,000
posts a second of one reading each, with and without it. The client of the paced runs is Python, and
shares the cores.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from server.store.embedded import EmbeddedPostgres
from server.wire.telemetry_pb2 import Readings
from tests.benchmarks import ingest
from tests.benchmarks.figures import Beside, Goal, Row
from tests.benchmarks.machine import cpu_s_of

SAMPLES = 1000
STEP_NS = 100_000_000
RUN_S, QUICK_RUN_S = 40, 8
CONNECTIONS = 32
SINGLE_RATE, PACED_RATE, PACED_CONNECTIONS = 1000, 500, 16
SETTLE_S = 15
COMPACTING = "[store]\ncompact_after_s = 2\n"
WRK = """
local file = io.open(os.getenv("BENCH_BODY"), "rb")
local body, size = file:read("*a"), tonumber(os.getenv("BENCH_SIZE"))
local seq, step = tonumber(os.getenv("BENCH_SEQ")), tonumber(os.getenv("BENCH_STEP_NS")) * 1ULL
local time = tonumber(os.getenv("BENCH_S")) * 1000000000ULL
wrk.method = "POST"
wrk.headers["X-API-Key"] = os.getenv("BENCH_KEY")
wrk.headers["Content-Type"] = "application/x-protobuf"
local parts, begin, mark = {}, 1, os.getenv("BENCH_MARK")
local old = mark:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end)
while true do
  local first, last = body:find(old, begin, true)
  if not first then break end
  parts[#parts + 1] = body:sub(begin, first - 1)
  begin = last + 1
end
parts[#parts + 1] = body:sub(begin)
local function varint(number)
  local bytes = {}
  while number >= 128ULL do
    bytes[#bytes + 1] = string.char(tonumber(number % 128ULL) + 128)
    number = number / 128ULL
  end
  bytes[#bytes + 1] = string.char(tonumber(number))
  return table.concat(bytes)
end
request = function()
  local text = table.concat(parts, varint(time)) .. "\\24" .. varint(seq * 1ULL)
  seq = seq + size
  time = time + step
  return wrk.format(nil, nil, nil, text)
end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('{"requests": %d, "us": %d, "p50": %d, "p99": %d, "errors": %d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True, slots=True)
class _Run:
    rate: float
    p99_ms: float
    cpu_us: float
    rss_mb: float
    compacted: int
    stored: int


def measure(quick: bool) -> list[Row]:
    """Measure with and without the compactor."""
    if shutil.which("wrk") is None:
        raise RuntimeError("expected the load generator wrk, found none: apt-get install wrk")
    run_s = QUICK_RUN_S if quick else RUN_S
    found = {}
    singles, paced = {}, {}
    for name, text in (("without", "[store]\ncompact_after_s = 3600\n"), ("with", COMPACTING)):
        text += "compact_bytes = 1000000000000\n" if name == "without" else ""
        with tempfile.TemporaryDirectory(prefix="bench-") as folder, EmbeddedPostgres() as server:
            url = server.start()
            plain = ingest.GATEWAY
            ingest.GATEWAY = plain + text
            try:
                with ingest._gateway(Path(folder), url) as gateway:
                    found[name] = _load(Path(folder), url, gateway, run_s)
                    paced[name] = asyncio.run(_paced(gateway.url, run_s))
                    time.sleep(SETTLE_S)
                    singles[name] = asyncio.run(_singles(gateway.url, run_s))
            finally:
                ingest.GATEWAY = plain
    ours, plain_run = found["with"], found["without"]
    return [
        Row(
            f"{SAMPLES} a request, while it is compacted",
            [ours.rate],
            "samples/s",
            Goal(least=500_000),
            Beside("not compacted", plain_run.rate),
        ),
        Row(
            "acknowledged, p99, at full load",
            [ours.p99_ms],
            "ms",
            beside=Beside("not compacted", plain_run.p99_ms),
        ),
        Row(
            "CPU of the gateway",
            [ours.cpu_us],
            "us/sample",
            beside=Beside("not compacted", plain_run.cpu_us),
        ),
        Row("compacted of what was sent", [ours.compacted / ours.stored * 100], "%"),
        Row("gateway at the end", [ours.rss_mb], "MB"),
        *(
            Row(
                f"{PACED_RATE} requests/s of {SAMPLES}, {name} compactor, {part}",
                [paced[name][place]],
                unit,
                goal,
            )
            for name in ("without", "with")
            for place, part, unit, goal in (
                (0, "done", "requests/s", Goal(least=0.98 * PACED_RATE)),
                (1, "p50", "ms", None),
                (2, "p99", "ms", None),
            )
        ),
        *(
            Row(
                f"{SINGLE_RATE} single posts/s, {name} compactor, {part}",
                [singles[name][place]],
                unit,
                goal,
            )
            for name in ("without", "with")
            for place, part, unit, goal in (
                (0, "done", "posts/s", Goal(least=0.98 * SINGLE_RATE)),
                (1, "p50", "ms", None),
                (2, "p99", "ms", Goal(most=50)),
            )
        ),
    ]


def _load(folder: Path, url: str, gateway: ingest._Server, seconds: float) -> _Run:
    body = folder / "body.bin"
    body.write_bytes(ingest._body(SAMPLES))
    message = Readings.FromString(body.read_bytes())
    first_ns = message.columns[0].first_time_ns
    for column in message.columns:
        column.first_time_ns = first_ns
    body.write_bytes(message.SerializeToString())
    (folder / "load.lua").write_text(WRK, encoding="utf-8")
    span_ns = SAMPLES // len(ingest.SIGNALS) * STEP_NS
    environment = {
        "BENCH_BODY": str(body),
        "BENCH_SIZE": str(SAMPLES),
        "BENCH_SEQ": "1",
        "BENCH_KEY": ingest.KEY,
        "BENCH_STEP_NS": str(span_ns),
        # As many requests as may come lie in the past.
        "BENCH_S": str(int(time.time()) - 20_000_000),
        "BENCH_MARK": _varint(first_ns).hex(),
    }
    cpu_s = cpu_s_of(gateway.pid)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{round(seconds)}s"]
    command += ["-s", str(folder / "load.lua"), f"{gateway.url}/api/v1/ingest/batch"]
    output = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=True
    ).stdout
    result = json.loads(output.splitlines()[-1])
    cpu_s = cpu_s_of(gateway.pid) - cpu_s
    if result["errors"]:
        raise RuntimeError(f"expected no errors, found {result['errors']}: {output}")
    sent = result["requests"] * SAMPLES
    acknowledged, stored, compacted = asyncio.run(_count(url))
    if not sent <= stored == acknowledged:
        raise RuntimeError(f"{sent} sent, {acknowledged} acknowledged, {stored} stored")
    return _Run(
        sent / result["us"] * 1e6,
        result["p99"] / 1e3,
        cpu_s / sent * 1e6,
        ingest_rss_mb(gateway.pid),
        compacted,
        stored,
    )


def ingest_rss_mb(pid: int) -> float:
    """Give the resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"expected the memory of process {pid}, found none")


COUNT = """
    SELECT (SELECT coalesce(sum(readings), 0)::bigint FROM device_boots),
           (SELECT coalesce(sum(seq_last - seq_first + 1), 0)::bigint FROM hot_live),
           (SELECT coalesce(sum(samples), 0)::bigint FROM segments)
"""


async def _count(url: str) -> tuple[int, int, int]:
    connection = await asyncpg.connect(url)
    try:
        row = await connection.fetchrow(COUNT)
        assert row is not None
        return row[0], row[1] + row[2], row[2]
    finally:
        await connection.close()


async def _singles(url: str, seconds: float) -> tuple[float, float, float]:
    """Post one reading at a time, paced; give posts a second, and their p50 and p99."""

    def request(number: int) -> bytes:
        body = json.dumps(
            {"boot": 9, "seq": number + 1, "signal": "RPM", "time_ns": time.time_ns(),
             "value": number % 1000}
        ).encode()  # fmt: skip
        return _request("/api/v1/ingest", "application/json", body)

    return await _pace(url, SINGLE_RATE, seconds, request)


async def _paced(url: str, seconds: float) -> tuple[float, float, float]:
    """Post batches, paced; give requests a second, and their p50 and p99."""
    message = Readings.FromString(ingest._body(SAMPLES))
    message.boot = 8
    first_ns = message.columns[0].first_time_ns
    for column in message.columns:
        column.first_time_ns = first_ns
    parts = message.SerializeToString().split(_varint(first_ns))
    span_ns = SAMPLES // len(ingest.SIGNALS) * STEP_NS
    begin_ns = (int(time.time()) - 10_000_000) * 1_000_000_000

    def request(number: int) -> bytes:
        body = _varint(begin_ns + number * span_ns).join(parts)
        body += b"\x18" + _varint(number * SAMPLES + 1)
        return _request("/api/v1/ingest/batch", "application/x-protobuf", body)

    return await _pace(url, PACED_RATE, seconds, request)


def _request(path: str, kind: str, body: bytes) -> bytes:
    return (
        b"POST %b HTTP/1.1\r\nHost: bench\r\nX-API-Key: %b\r\nContent-Type: %b\r\n"
        b"Content-Length: %d\r\n\r\n%b"
        % (path.encode(), ingest.KEY.encode(), kind.encode(), len(body), body)
    )


async def _pace(
    url: str, rate: int, seconds: float, request: Callable[[int], bytes]
) -> tuple[float, float, float]:
    host, _, port = url.removeprefix("http://").partition(":")
    taken_ms: list[float] = []
    count = round(rate * seconds)
    begin_s = time.perf_counter() + 0.1
    numbers = iter(range(count))

    async def post() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        for number in numbers:
            due_s = begin_s + number / rate
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            writer.write(request(number))
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"expected 200, found {head[:40]!r}")
            # From when it was due: who waits for a free connection waits as well.
            taken_ms.append((time.perf_counter() - due_s) * 1e3)
        writer.close()

    await asyncio.gather(*(post() for _ in range(PACED_CONNECTIONS)))
    wall_s = time.perf_counter() - begin_s
    cuts = statistics.quantiles(taken_ms, n=100)
    return count / wall_s, cuts[49], cuts[98]


def _varint(number: int) -> bytes:
    found = bytearray()
    while number >= 128:
        found.append(number % 128 + 128)
        number //= 128
    return bytes((*found, number))
