"""The figures that older systems promised, one by one, on the gateway as it is installed.

A gateway with an embedded PostgreSQL that syncs each commit, 100 WebSocket clients that take all,
and devices that post: F01 (API), F05 (clients), F07 (live), F08 and F09 (rate), F11 (insert).
Measured elsewhere: F02 by `can_obd` and `elm327_paced`, F03 by `segments`, F04 by `memory_table`,
F10 and F12 by `fanout`.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import statistics
import struct
import tempfile
import time
from itertools import count
from pathlib import Path

import asyncpg

from server.clock import SystemClock
from server.store.appends import Append, Piece
from server.store.body import Column, encode_columns
from server.store.devicelog import DeviceLog
from server.store.embedded import EmbeddedPostgres
from server.store.migrate import migrate
from tests.benchmarks import fanout, ingest
from tests.benchmarks.figures import Goal, Row

CLIENTS = 100
RECORD_VALUES = 20
_boots = count(1)


def measure(quick: bool) -> list[Row]:
    """Measure them, with 100 clients connected."""
    runs, asks, seconds = (1, 100, 2.0) if quick else (3, 400, 6.0)
    found: dict[str, list[float]] = {}
    for _ in range(runs):
        with (
            tempfile.TemporaryDirectory() as name,
            EmbeddedPostgres(Path(name, "data")) as postgres,
        ):
            postgres.start()
            with fanout._serve(Path(name), postgres.create_database("promised")) as (port, _pid):
                reader = fanout._reader(port, CLIENTS)
                try:
                    time.sleep(1.0)
                    _note(found, "post", _times(port, asks, 1))
                    _note(found, "get", _times(port, asks, 0))
                    found.setdefault("rows", []).append(_rate(port, seconds, 1))
                    found.setdefault("records", []).append(_rate(port, seconds, RECORD_VALUES))
                finally:
                    reader.end()
                _note(found, "live", fanout._device_to_clients(port, asks)[:2], is_done=True)
            url = postgres.create_database("inserts")
            _note(found, "insert", asyncio.run(_inserts(url, asks)))
    return [
        Row(f"F01 POST of a reading, committed, {CLIENTS} clients, p50", found["post50"], "ms"),
        Row("F01 the same, p99", found["post99"], "ms", Goal(most=100)),
        Row("F01 GET /api/v1/health, p50", found["get50"], "ms"),
        Row("F01 the same, p99", found["get99"], "ms", Goal(most=100)),
        Row(f"F06, F07 POST to arrival at {CLIENTS} clients (F05), p50", found["live50"], "ms"),
        Row("F06, F07 the same, p99", found["live99"], "ms", Goal(most=200)),
        Row(
            f"F08 readings in posts of one by one device, {CLIENTS} clients",
            [rate * 60 for rate in found["rows"]],
            "rows/min",
            Goal(least=5000),
        ),
        Row(
            f"F09 records of {RECORD_VALUES} values, one a post, one device, {CLIENTS} clients",
            found["records"],
            "records/s",
            Goal(least=1000),
        ),
        Row("F11 a row into the database, committed, p50", found["insert50"], "ms", Goal(most=10)),
        Row("F11 the same, p99", found["insert99"], "ms"),
    ]


def _note(
    found: dict[str, list[float]], name: str, times_ms: list[float], *, is_done: bool = False
) -> None:
    p50, p99 = times_ms if is_done else _percentiles(times_ms)
    found.setdefault(f"{name}50", []).append(p50)
    found.setdefault(f"{name}99", []).append(p99)


def _percentiles(times_ms: list[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(times_ms, n=100)
    return cuts[49], cuts[98]


def _body(boot: int, seq: int, values: int) -> str:
    now_ns = time.time_ns()
    names = ingest.SIGNALS[:values]
    rows = [{"signal": name, "time_ns": now_ns, "value": 20.0 + seq % 50} for name in names]
    return json.dumps({"boot": boot, "seq": 1 + seq * values, "readings": rows})


def _times(port: int, asks: int, values: int) -> list[float]:
    """Milliseconds of one request after the other; without values: of a question."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    headers = {"X-API-Key": fanout.KEY, "Content-Type": "application/json"}
    boot = next(_boots) + 1000
    taken_ms = []
    for seq in range(asks):
        began_s = time.perf_counter()
        if values:
            body = _body(boot, seq, values)
            connection.request("POST", "/api/v1/ingest/batch", body, headers)
        else:
            connection.request("GET", "/api/v1/health")
        answer = connection.getresponse()
        text = answer.read()
        taken_ms.append((time.perf_counter() - began_s) * 1000)
        if answer.status != 200:
            raise RuntimeError(f"expected 200, got {answer.status}: {text!r}")
        time.sleep(0.005)
    return taken_ms


def _rate(port: int, seconds: float, values: int) -> float:
    """Posts a second of one device over eight connections."""

    async def run() -> float:
        numbers, boot, done = count(), next(_boots) + 1000, 0
        end_s = time.monotonic() + seconds

        async def post() -> None:
            nonlocal done
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            while time.monotonic() < end_s:
                body = _body(boot, next(numbers), values)
                writer.write(
                    (
                        "POST /api/v1/ingest/batch HTTP/1.1\r\nhost: 127.0.0.1\r\n"
                        f"x-api-key: {fanout.KEY}\r\ncontent-type: application/json\r\n"
                        f"content-length: {len(body)}\r\n\r\n{body}"
                    ).encode()
                )
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                if " 200 " not in head.partition("\r\n")[0]:
                    raise RuntimeError(head)
                await reader.readexactly(int(head.partition("content-length:")[2].split()[0]))
                done += 1
            writer.close()

        began_s = time.monotonic()
        await asyncio.gather(*(post() for _ in range(8)))
        return done / (time.monotonic() - began_s)

    return asyncio.run(run())


async def _inserts(url: str, rows: int) -> list[float]:
    """Milliseconds of one append after the other, each with its own commit."""
    connection = await asyncpg.connect(url)
    await migrate(connection, SystemClock())
    await connection.close()
    log = DeviceLog(url, clock=SystemClock())
    taken_ms = []
    try:
        for seq in range(1, rows + 1):
            now_ns = time.time_ns()
            column = Column(0, 12, now_ns, [0], struct.pack("<d", 800.0), 0)
            body = encode_columns(now_ns, [column])
            began_s = time.perf_counter()
            await log.append(
                Append("a", 7, [Piece(seq, seq, now_ns, now_ns, body, 1, 1, 0, 20, 20)])
            )
            taken_ms.append((time.perf_counter() - began_s) * 1000)
    finally:
        await log.close()
    return taken_ms
