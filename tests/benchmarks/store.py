"""Pipeline and store: readings a second made durable, beside a bare COPY of the same readings.

The gateway's own pipeline and hot log on a PostgreSQL that syncs every commit to disk. Readings are
offered in tens, as a link does, as fast as the queue takes them; time ends with the commit of the
last. Beside it, in turns and in the same process, what asyncpg's COPY makes durable: the same
readings as rows of a table without any index, already in memory as tuples, as many to a commit.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import asyncpg
import uvloop

from server.clock import SystemClock
from server.logs import configure_logs
from server.pipeline import MAX_BATCH_READINGS, Pipeline
from server.readings import Reading
from server.store.embedded import EmbeddedPostgres
from server.store.hotlog import Batch, HotLog
from tests.benchmarks.figures import Beside, Row

READINGS, QUICK_READINGS, RUNS = 500_000, 50_000, 5
OFFER = 10
SIGNALS = 20
QUEUE_READINGS = 100_000
COMMITS = 50
BLOCK = b"x" * 8192  # one page of PostgreSQL's log
TABLE_BYTES = "SELECT pg_total_relation_size($1::text::regclass)"
COPY_TABLE = (
    "CREATE TABLE copied (seq bigint, signal integer, time_ns bigint, value float8,"
    " received_ns bigint, state smallint)"
)


@dataclass(frozen=True, slots=True)
class _Stored:
    rate: float
    cpu_us: float
    bytes_each: float


def measure(quick: bool) -> list[Row]:
    """Store the same readings both ways, in turns."""
    configure_logs(level="warning")
    readings = _readings(QUICK_READINGS if quick else READINGS)
    with (
        EmbeddedPostgres(durable=True) as server,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(_measure(server.start(), readings, 1 if quick else RUNS))


async def _measure(url: str, readings: Sequence[Reading], runs: int) -> list[Row]:
    piped, copied = [], []
    for run in range(runs):
        piped.append(await _pipe(url, readings, boot=run + 1))
        copied.append(await _copy(url, readings))
    commit_ms, sync_ms = await _commits(url, readings[:OFFER])
    floor, copy_us = (
        statistics.median(each.rate for each in copied),
        statistics.median(each.cpu_us for each in copied),
    )
    return [
        Row(
            "pipeline and hot log",
            [each.rate for each in piped],
            "readings/s durable",
            beside=Beside("COPY", floor),
        ),
        Row(
            "its CPU in the gateway",
            [each.cpu_us for each in piped],
            "us/reading",
            beside=Beside("COPY", copy_us),
        ),
        Row(
            "on disk, indexes included",
            [each.bytes_each for each in piped],
            "bytes/reading",
            beside=Beside("COPY, no index", copied[0].bytes_each),
        ),
        Row("COPY alone", [each.rate for each in copied], "readings/s durable"),
        Row(
            f"a commit of {OFFER} readings",
            commit_ms,
            "ms",
            beside=Beside("write and fdatasync of 8 kB", statistics.median(sync_ms)),
        ),
    ]


class _Deaf:
    """Publishes to nobody, and tells when something more is stored."""

    def __init__(self) -> None:
        self._stored = asyncio.Event()

    async def progress(self) -> None:
        """Wait for the next commit."""
        self._stored.clear()
        await self._stored.wait()

    def readings(self, seq_first: int, readings: Sequence[Reading]) -> None:
        """Drop them."""

    def stored(self, upto: int, time_ns: int) -> None:
        """Wake whoever waits."""
        self._stored.set()

    def store_failing(self, reason: str) -> None:
        """Fail."""
        if reason:
            raise RuntimeError(f"expected commits to succeed: {reason}")


async def _pipe(url: str, readings: Sequence[Reading], boot: int) -> _Stored:
    clock, publisher = SystemClock(), _Deaf()
    hotlog = HotLog(url, device="bench", boot=boot, clock=clock)
    await hotlog.open()
    before = await _size(url, "hot")
    pipeline = Pipeline(hotlog, publisher, clock, queue_readings=QUEUE_READINGS, flush_s=0.05)
    pipeline.start()
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    for place in range(0, len(readings), OFFER):
        pipeline.offer(readings[place : place + OFFER])
        if place % MAX_BATCH_READINGS == 0:
            await asyncio.sleep(0)
            while pipeline.counts.pending > QUEUE_READINGS - 2 * MAX_BATCH_READINGS:
                await publisher.progress()
    while pipeline.counts.pending:
        await publisher.progress()
    wall_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
    await pipeline.stop(10.0)
    assert pipeline.counts.refused == 0
    await hotlog.close()
    return _of(len(readings), wall_s, cpu_s, await _size(url, "hot") - before)


async def _copy(url: str, readings: Sequence[Reading]) -> _Stored:
    rows = [
        (seq, r.signal, r.time_ns, r.value, r.received_ns, int(r.state))
        for seq, r in enumerate(readings, 1)
    ]
    connection = await asyncpg.connect(url)
    await connection.execute(COPY_TABLE)
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    for place in range(0, len(rows), MAX_BATCH_READINGS):
        batch = rows[place : place + MAX_BATCH_READINGS]
        await connection.copy_records_to_table("copied", records=batch)
    wall_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
    size = await _size(url, "copied")
    await connection.execute("DROP TABLE copied")
    await connection.close()
    return _of(len(rows), wall_s, cpu_s, size)


async def _commits(url: str, readings: Sequence[Reading]) -> tuple[list[float], list[float]]:
    """How long the smallest commits take, and what this disk needs for the same promise."""
    hotlog = HotLog(url, device="bench", boot=10_000, clock=SystemClock())
    await hotlog.open()
    commit_ms, sync_ms = [], []
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(BLOCK * COMMITS)  # PostgreSQL's log is laid out beforehand too
        os.fsync(file.fileno())
        file.seek(0)
        for number in range(COMMITS):
            batch = Batch.of(1 + number * len(readings), readings)
            start_s = time.perf_counter()
            await hotlog.append(batch)
            between_s = time.perf_counter()
            file.write(BLOCK)
            os.fdatasync(file.fileno())
            commit_ms.append((between_s - start_s) * 1e3)
            sync_ms.append((time.perf_counter() - between_s) * 1e3)
    await hotlog.close()
    return commit_ms, sync_ms


async def _size(url: str, table: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval(TABLE_BYTES, table))
    finally:
        await connection.close()


def _of(count: int, wall_s: float, cpu_s: float, size_bytes: int) -> _Stored:
    return _Stored(count / wall_s, cpu_s / count * 1e6, size_bytes / count)


def _readings(count: int) -> list[Reading]:
    """Twenty signals, ten times a second each, that wander in steps of their sensors."""
    start_ns = 1_760_000_000_000_000_000
    random = Random(1)
    steps = [1000] * SIGNALS
    readings = []
    for number in range(count):
        signal = number % SIGNALS
        steps[signal] += random.randint(-3, 3)
        time_ns = start_ns + number * 5_000_000 + random.randrange(1_000_000)
        received_ns = time_ns + random.randrange(8_000_000, 20_000_000)
        readings.append(Reading(1 + signal, time_ns, steps[signal] / 4, received_ns))
    return readings
