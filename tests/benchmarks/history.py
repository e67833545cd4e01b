"""History: one hour of one signal, its peaks, and the figures of all, beside rows with a B-tree.

A session of an hour: sixteen signals ten times a second each, written through the hot log and
compacted by the gateway's own compactor. Beside it, in the same database and process, the same
readings as rows of a table with a B-tree over (session, signal, time), asked in SQL for the same
thing. Times are from the question to the values in Python; the whole answer of the API as JSON
stands in rows of its own.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any

import asyncpg
import msgspec
import uvloop

from server.clock import SystemClock
from server.history.series import read_series
from server.history.statistics import read_statistics
from server.history.wanted import Wanted
from server.logs import configure_logs
from server.readings import Reading
from server.sessions.drive import read_drive
from server.store.compactor import Compactor
from server.store.connection import connect
from server.store.embedded import EmbeddedPostgres
from server.store.hotlog import Batch, HotLog
from tests.benchmarks.figures import Beside, Goal, Row

HOUR_S, QUICK_S, RUNS = 3600, 600, 15
POINTS = 2_000
START_NS = 1_760_000_000_000_000_000
BATCH = 1_000
# id, resolution, rate in Hz: the signals of a car on the road, and one that is ten times as fast.
SIGNALS: Sequence[tuple[int, float, int]] = (
    *((number, 1.0, 10) for number in (5, 11, 13, 15, 51, 70, 92)),
    *((number, 100 / 255, 10) for number in (4, 17, 47, 69, 73)),
    (12, 0.25, 10),
    (16, 0.01, 10),
    (66, 0.001, 10),
    (14, 0.5, 10),
)
FAST = (94, 0.05, 100)
RPM = 12
_TABLE = """
    CREATE TABLE rows (session_id integer, signal_id integer, time_ns bigint, value float8)
"""
_BTREE = "CREATE INDEX rows_btree ON rows (session_id, signal_id, time_ns)"
_ONE = "SELECT time_ns, value FROM rows WHERE session_id = 1 AND signal_id = $1 ORDER BY time_ns"
_PEAKS = """
    SELECT width_bucket(time_ns, $2, $3, $4) AS bucket, min(value), max(value) FROM rows
    WHERE session_id = 1 AND signal_id = $1 GROUP BY bucket ORDER BY bucket
"""
_FIGURES = """
    SELECT signal_id, count(*), min(value), max(value), avg(value) FROM rows
    WHERE session_id = 1 GROUP BY signal_id ORDER BY signal_id
"""


def measure(quick: bool) -> list[Row]:
    """Store an hour, and ask."""
    configure_logs(level="warning")
    with (
        EmbeddedPostgres(durable=True) as server,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(_measure(server.start(), QUICK_S if quick else HOUR_S))


async def _measure(url: str, length_s: int) -> list[Row]:
    readings = _readings(length_s)
    await _store(url, readings)
    connection = await connect(url)
    await _store_rows(connection, readings)
    end_ns = START_NS + length_s * 10**9
    try:
        hot = await _hot(connection)
        whole = Wanted("bench")
        rpm = Wanted("bench", signals=frozenset({RPM}))
        fast = Wanted("bench", signals=frozenset({FAST[0]}))
        encode = msgspec.json.Encoder().encode

        async def answer(wanted: Wanted, points: int | None) -> None:
            encode(await read_series(connection, wanted, points))

        async def times(ask: Callable[[], Awaitable[Any]]) -> list[float]:
            return await _times(ask)

        one = await times(lambda: read_series(connection, rpm))
        peer_one = await times(lambda: connection.fetch(_ONE, RPM))
        peaks = await times(lambda: read_series(connection, rpm, POINTS))
        peer_peaks = await times(
            lambda: connection.fetch(_PEAKS, RPM, START_NS, end_ns, POINTS // 2)
        )
        figures = await times(lambda: read_statistics(connection, whole))
        peer_figures = await times(lambda: connection.fetch(_FIGURES))
        # A session cuts through segments at both ends: these are read.
        part = Wanted("bench", START_NS + 100 * 10**9, end_ns - 100 * 10**9)
        cut = await times(lambda: read_statistics(connection, part))
        rows = [
            _row("one signal, every reading", one, 50, peer_one),
            _row("the same as JSON", await times(lambda: answer(rpm, None)), 50),
            _row(f"its peaks in {POINTS} points", peaks, 20, peer_peaks),
            _row("the same as JSON", await times(lambda: answer(rpm, POINTS)), 20),
            _row("figures of all signals", figures, 100, peer_figures),
            _row("of a part that cuts through segments", cut, 100),
            _row("way, fuel, times and tops", await times(lambda: read_drive(connection, whole))),
            _row("one signal of 100 Hz", await times(lambda: read_series(connection, fast))),
            _row("its peaks", await times(lambda: read_series(connection, fast, POINTS))),
        ]
        size = await _size(connection, "segments") / len(readings)
        peer_size = await _size(connection, "rows") / len(readings)
        beside = Beside("rows and B-tree", peer_size)
        rows.append(Row("on disk", [size], "bytes/reading", Goal(most=1.5), beside))
        rows.append(Row("rows left in the hot log", [hot], "rows"))
        return rows
    finally:
        await connection.close()


def _row(
    name: str,
    found_ms: list[float],
    most_ms: float | None = None,
    peer_ms: list[float] | None = None,
) -> Row:
    goal = None if most_ms is None else Goal(most=most_ms)
    peer = None if peer_ms is None else Beside("rows and B-tree", statistics.median(peer_ms))
    return Row(name, found_ms, "ms", goal, peer)


async def _times(ask: Callable[[], Awaitable[Any]]) -> list[float]:
    await ask()
    found = []
    for _ in range(RUNS):
        begin_s = time.perf_counter()
        await ask()
        found.append((time.perf_counter() - begin_s) * 1e3)
    return found


async def _store(url: str, readings: Sequence[Reading]) -> None:
    log = HotLog(url, device="bench", boot=1, clock=SystemClock())
    await log.open()
    for place in range(0, len(readings), BATCH):
        await log.append(Batch.of(1 + place, readings[place : place + BATCH]))
    await log.close()
    compactor = Compactor(url, SystemClock())
    await compactor.run_once(all_of_it=True)
    await compactor.run_once()


async def _store_rows(connection: asyncpg.Connection, readings: Sequence[Reading]) -> None:
    await connection.execute(_TABLE)
    await connection.copy_records_to_table(
        "rows", records=((1, each.signal, each.time_ns, each.value) for each in readings)
    )
    await connection.execute(_BTREE)
    await connection.execute("VACUUM ANALYZE")


async def _hot(connection: asyncpg.Connection) -> float:
    return float(await connection.fetchval("SELECT count(*) FROM hot_live"))


async def _size(connection: asyncpg.Connection, table: str) -> float:
    tables = "SELECT relid FROM pg_partition_tree($1::text::regclass)"
    if table == "rows":
        tables = "SELECT $1::text::regclass AS relid"
    found = await connection.fetchval(
        f"SELECT sum(pg_total_relation_size(relid)) FROM ({tables}) AS tables", table
    )
    return float(found)


def _readings(length_s: int) -> list[Reading]:
    """Signals that wander in steps of their sensors, at instants that tremble by milliseconds."""
    random = Random(1)
    made = []
    for signal, resolution, rate_hz in (*SIGNALS, FAST):
        steps = 1000
        period_ns = 10**9 // rate_hz
        for number in range(length_s * rate_hz):
            steps = max(0, steps + random.randint(-3, 3))
            time_ns = START_NS + number * period_ns + random.randrange(3) * 1_000_000
            made.append(Reading(signal, time_ns, steps * resolution, time_ns + 5_000_000))
    made.sort(key=lambda each: each.time_ns)
    return made
