"""Downloads: readings a second, bytes a reading, and memory that does not grow with the session.

A gateway with a session of 16 signals at 10 Hz; each export is read to its end over HTTP. The
memory is the highest of the export process; beside it that of the same export of a session an
eighth as long. The gateway's own memory is told as what it grows by.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import resource
import time
from array import array
from pathlib import Path

import httpx2

from server.catalogue import by_name
from server.gateway import Gateway
from server.ingest.batch import Batch, Checker
from server.logs import configure_logs
from server.store.body import Column, little_endian
from server.store.embedded import EmbeddedPostgres
from tests.benchmarks.figures import Beside, Goal, Row
from tests.server.running import QUICK, gateway_config, running

HOURS, QUICK_HOURS, SHORT_SHARE = 8, 1, 8
RATE_HZ = 10
CHUNK_S = 120
START_NS = 1_767_323_045_000_000_000
SIGNALS = (
    *("RPM", "SPEED", "COOLANT_TEMP", "INTAKE_TEMP", "MAF", "THROTTLE_POS", "ENGINE_LOAD"),
    *("TIMING_ADVANCE", "FUEL_LEVEL", "OIL_TEMP", "BOOST", "CONTROL_MODULE_VOLTAGE"),
    *("LAT", "LON", "ALT", "GPS_SPEED"),
)
FILES = (
    "signals.csv",
    "signals.csv?compress=zstd",
    "signals.json",
    "signals.parquet",
    "frames.csv?period_ms=100",
    "frames.parquet?period_ms=100",
    "track.gpx",
    "track.kml",
)
MEMORY_MB = 160.0
"""pyarrow alone takes 90."""


def measure(quick: bool) -> list[Row]:
    """Measure all formats."""
    configure_logs(format="console", level="error")
    with EmbeddedPostgres(durable=False) as postgres:
        postgres.start()
        url = postgres.create_database("bench_export")
        return asyncio.run(_measure(url, (QUICK_HOURS if quick else HOURS) * 3600))


async def _measure(url: str, seconds: int) -> list[Row]:
    rows: list[Row] = []
    async with running(gateway_config(url, QUICK)) as gateway:
        short = await _drive(gateway, "short", seconds // SHORT_SHARE)
        readings = await _drive(gateway, "long", seconds)
        for file in FILES:
            _, _, short_mb = await _download(gateway, "short", file)
            before_mb = _rss_mb()
            took_s, size_bytes, most_mb = await _download(gateway, "long", file)
            grown_mb = _rss_mb() - before_mb
            of = readings if not file.startswith("track") else readings // len(SIGNALS)
            unit = "readings/s" if of == readings else "positions/s"
            rows += [
                Row(f"{file}", [of / took_s], unit),
                Row(f"{file}: size", [size_bytes / of], "B/" + unit.partition("s/")[0]),
                Row(
                    f"{file}: process, {readings} readings",
                    [most_mb],
                    "MB",
                    Goal(most=MEMORY_MB),
                    Beside(f"{short} readings", short_mb),
                ),
                Row(f"{file}: gateway grows by", [grown_mb], "MB"),
            ]
    return rows


async def _drive(gateway: Gateway, device: str, seconds: int) -> int:
    """Store a drive; give its readings."""
    found, _ = await gateway.registry.register(device)
    seq = 1
    for begin in range(0, seconds, CHUNK_S):
        checker = Checker(gateway.clock.now_ns())
        place = 0
        for number, name in enumerate(SIGNALS):
            signal = by_name(name)
            size = min(CHUNK_S, seconds - begin) * RATE_HZ
            middle = 12.0 if name == "BOOST" else min(60.0, (signal.minimum + signal.maximum) / 2)
            steps = [
                round(40 * math.sin((begin + i / RATE_HZ) / (20 + number))) for i in range(size)
            ]
            values = array("d", [middle + step * signal.resolution for step in steps])
            first_ns = START_NS + begin * 10**9
            sent = Column(place, signal.id, first_ns, [10**9 // RATE_HZ], little_endian(values))
            checker.column(sent, signal, name)
            place += size
        batch = Batch(1, seq, place, "", checker.good, checker.problems, 1)
        answer = await gateway.ingest.store(found, batch)
        assert answer.accepted == place, answer
        seq += place
    return seq - 1


async def _download(gateway: Gateway, device: str, file: str) -> tuple[float, int, float]:
    """Give seconds, bytes, and the most memory of the export process in MB."""
    url = f"{gateway.url}/api/v1/export/devices/{device}/{file}"
    watching = asyncio.create_task(_watch(gateway))
    began_s = time.perf_counter()
    size_bytes = 0
    async with httpx2.AsyncClient(timeout=600) as client, client.stream("GET", url) as answer:
        assert answer.status_code == 200
        async for chunk in answer.aiter_raw():
            size_bytes += len(chunk)
    took_s = time.perf_counter() - began_s
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    return took_s, size_bytes, _most_mb.pop()


_most_mb: list[float] = []


async def _watch(gateway: Gateway) -> None:
    most = 0.0
    try:
        while True:
            for process in list(gateway.exports._processes):
                most = max(most, _highest_mb(process.pid))
            await asyncio.sleep(0.02)
    finally:
        _most_mb.append(most)


def _highest_mb(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(found[0].split()[1]) / 1024 if found else 0.0


def _rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20
