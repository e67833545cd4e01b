"""What the capacity model is fed with and no other benchmark measures: the price of a row.

The gateway's own device log on a PostgreSQL that syncs every commit, in groups of 1 to 1,000 rows,
each of another device, 200 samples each (10 s of 20 signals at 1 Hz): time of a commit, CPU of the
gateway and of the database, bytes of the write-ahead log. Beside them the newest values of the
same devices. `sim/capacity/figures.toml` has what was found.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import asyncpg
import uvloop

from server.catalogue import all_signals
from server.clock import SystemClock
from server.ingest.link_readings import batch_of
from server.logs import configure_logs
from server.readings import Reading
from server.store.appends import Append, Piece
from server.store.connection import connect
from server.store.devicelog import DeviceLog
from server.store.embedded import EmbeddedPostgres
from server.store.latest import Latest
from server.store.migrate import migrate
from tests.benchmarks.figures import Row
from tests.benchmarks.machine import cpu_s_of

GROUPS = (1, 10, 100, 1000)
ROWS, QUICK_ROWS = 3000, 600
DEVICES = 1000
SAMPLES, SIGNAL_COUNT = 200, 20
BEGIN_NS = 1_780_000_000_000_000_000


@dataclass(frozen=True, slots=True)
class _Cost:
    """Of one commit: `ms`; of one row: the others."""

    ms: list[float]
    gateway_us: float
    database_us: float
    wal_bytes: float


def measure(quick: bool) -> list[Row]:
    """Commit the same rows in groups of different sizes."""
    configure_logs(level="warning")
    with (
        EmbeddedPostgres(durable=True) as server,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        url = server.start()
        assert server.pid is not None
        return runner.run(_measure(url, server.pid, QUICK_ROWS if quick else ROWS))


async def _measure(url: str, pid: int, rows: int) -> list[Row]:
    connection = await connect(url)
    await migrate(connection, SystemClock())
    pieces = _pieces(max(rows, DEVICES))
    found = [Row("body of a row, 200 samples", [len(pieces[0].body)], "bytes")]
    device_log = DeviceLog(url, clock=SystemClock())
    try:
        await _group(device_log, pieces, range(DEVICES), boot=1)  # makes the boots' rows
        for boot, size in enumerate(GROUPS, 2):
            await _group(device_log, pieces, range(DEVICES), boot=boot)
            count = min(rows, size * 200)
            cost = await _run(device_log, connection, pid, pieces, boot, size, count)
            name = f"{size} rows a commit"
            found += [
                Row(f"{name}: duration", cost.ms, "ms"),
                Row(f"{name}: CPU of the gateway", [cost.gateway_us], "us/row"),
                Row(f"{name}: CPU of PostgreSQL", [cost.database_us], "us/row"),
                Row(f"{name}: write-ahead log", [cost.wal_bytes], "bytes/row"),
            ]
    finally:
        await device_log.close()
    found += await _latest(url, connection, pid, pieces)
    await connection.close()
    return found


async def _run(
    device_log: DeviceLog,
    connection: asyncpg.Connection,
    pid: int,
    pieces: Sequence[Piece],
    boot: int,
    size: int,
    count: int,
) -> _Cost:
    before = await _spent(connection, pid)
    took_ms = []
    for first in range(DEVICES, DEVICES + count, size):
        begin_s = time.perf_counter()
        await _group(device_log, pieces, range(first, first + size), boot=boot)
        took_ms.append((time.perf_counter() - begin_s) * 1e3)
    after = await _spent(connection, pid)
    gateway_us, database_us, wal = (
        (end - begin) / len(took_ms) / size for begin, end in zip(before, after, strict=True)
    )
    return _Cost(took_ms, gateway_us * 1e6, database_us * 1e6, wal)


async def _group(
    device_log: DeviceLog, pieces: Sequence[Piece], numbers: range, *, boot: int
) -> None:
    appends = []
    for number in numbers:
        device, part = number % DEVICES, number // DEVICES
        piece = pieces[device]
        seq = part * SAMPLES + 1
        moved = Piece(
            seq, seq + SAMPLES - 1, piece.time_min_ns, piece.time_max_ns, piece.body,
            SAMPLES, SAMPLES, 0, piece.bytes_plain, piece.bytes_sent,
        )  # fmt: skip
        appends.append(device_log.append(Append(f"car-{device:05}", boot, [moved])))
    await asyncio.gather(*appends)


async def _latest(
    url: str, connection: asyncpg.Connection, pid: int, pieces: Sequence[Piece]
) -> list[Row]:
    """Write the newest values of all devices three times."""
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
        costs = []
        for turn in range(3):
            latest = Latest(pool, SystemClock(), 3600.0)
            for device in range(DEVICES):
                signals = [
                    Reading(signal, BEGIN_NS + turn * 10**9, 1.0, BEGIN_NS) for signal in _signals()
                ]
                latest.take_readings(f"car-{device:05}", 1, signals)
            before = await _spent(connection, pid)
            await latest.close()
            after = await _spent(connection, pid)
            costs.append([(e - b) / DEVICES / SIGNAL_COUNT for b, e in
                          zip(before, after, strict=True)])  # fmt: skip
    gateway, database, wal = (list(column) for column in zip(*costs, strict=True))
    return [
        Row("a newest value: CPU of the gateway", [s * 1e6 for s in gateway], "us"),
        Row("a newest value: CPU of PostgreSQL", [s * 1e6 for s in database], "us"),
        Row("a newest value: write-ahead log", wal, "bytes"),
    ]


async def _spent(connection: asyncpg.Connection, pid: int) -> tuple[float, float, float]:
    """CPU seconds of this process and of the database's, and the end of the log, in bytes."""
    wal = await connection.fetchval("SELECT (pg_current_wal_insert_lsn() - '0/0')::float8")
    return time.process_time(), sum(cpu_s_of(each) for each in _family(pid)), float(wal)


def _family(pid: int) -> list[int]:
    """A process and all below it."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def _signals() -> list[int]:
    return sorted(signal.id for signal in all_signals())[:SIGNAL_COUNT]


def _pieces(count: int) -> list[Piece]:
    """Signals that wander in the steps of their sensors, read together once a second."""
    random = Random(9)
    signals = _signals()
    variants = []
    for _ in range(20):
        values = {signal: random.uniform(20, 80) for signal in signals}
        readings = []
        for second in range(SAMPLES // SIGNAL_COUNT):
            for signal in signals:
                values[signal] += random.choice((-0.5, 0, 0, 0.5))
                value = round(values[signal] * 2) / 2
                readings.append(Reading(signal, BEGIN_NS + second * 10**9, value, BEGIN_NS))
        variants.append(batch_of(readings, BEGIN_NS).piece(BEGIN_NS))
    return [variants[number % len(variants)] for number in range(count)]


if __name__ == "__main__":
    for row in measure(quick=False):
        print(row.name, statistics.median(row.values), row.unit)
