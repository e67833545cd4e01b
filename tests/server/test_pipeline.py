"""The pipeline: numbers, bounds, publishing, group commit, retries."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import asyncpg
import pytest
from structlog.testing import capture_logs

from server.clock import SystemClock
from server.pipeline import Pipeline
from server.readings import Reading, State
from server.store.body import decode_body
from server.store.hotlog import Batch


class MemoryStore:
    """Keeps batches; fails as often as it is told; can be held."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.tried: list[Batch] = []
        self.errors: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def append(self, batch: Batch) -> None:
        self.tried.append(batch)
        await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        self.batches.append(batch)

    @property
    def values(self) -> list[float]:
        return [r.value for batch in self.batches for r in decode_body(batch.body)]


class Stream:
    """Keeps what was published."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, float]] = []
        self.calls = 0
        self.upto: list[int] = []
        self.failures: list[str] = []

    def readings(self, seq_first: int, readings: Sequence[Reading]) -> None:
        self.calls += 1
        self.rows += [(seq, r.value) for seq, r in enumerate(readings, seq_first)]

    def stored(self, upto: int, time_ns: int) -> None:
        assert time_ns > 0
        self.upto.append(upto)

    def store_failing(self, reason: str) -> None:
        self.failures.append(reason)


def readings(*values: float) -> list[Reading]:
    """One RPM reading per value."""
    return [Reading(12, 1_000 + i, value, 2_000 + i) for i, value in enumerate(values)]


def make(**options: float) -> tuple[Pipeline, MemoryStore, Stream]:
    """A pipeline that was started, with short intervals."""
    store, stream = MemoryStore(), Stream()
    intervals = {"flush_s": 0.02, "publish_s": 0.002, **options}
    pipeline = Pipeline(store, stream, SystemClock(), **intervals)  # type: ignore[arg-type]
    pipeline.start()
    return pipeline, store, stream


async def until(condition: object, timeout_s: float = 30.0) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # type: ignore[operator]  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_every_reading_is_published_and_stored_once() -> None:
    """Readings of several threads get the numbers 1, 2, 3, … and go out in that order."""
    pipeline, store, stream = make()

    def feed(start: int) -> None:
        for value in range(start, start + 500):
            pipeline.offer(readings(float(value)))

    threads = [threading.Thread(target=feed, args=(n * 1000,)) for n in range(3)]
    for thread in threads:
        thread.start()
    await until(lambda: pipeline.counts.accepted == 1500)
    for thread in threads:
        thread.join()
    assert await pipeline.stop(5) == 0
    assert [seq for seq, _ in stream.rows] == list(range(1, 1501))
    assert store.values == [value for _, value in stream.rows]
    assert [b.seq_first for b in store.batches[1:]] == [b.seq_last + 1 for b in store.batches[:-1]]
    assert stream.upto == [b.seq_last for b in store.batches]
    assert pipeline.counts.stored == 1500


async def test_readings_are_published_before_they_are_stored() -> None:
    """The live stream does not wait for the commit."""
    pipeline, store, stream = make()
    store.gate.clear()
    pipeline.offer(readings(1.0))
    await until(lambda: store.tried)
    assert stream.rows == [(1, 1.0)]
    assert stream.upto == []
    store.gate.set()
    await pipeline.stop(5)
    assert stream.upto == [1]


async def test_one_commit_for_many_readings() -> None:
    """Readings of one flush interval are one batch and few publications."""
    pipeline, store, stream = make(flush_s=0.2, publish_s=0.05)
    for value in range(100):
        pipeline.offer(readings(float(value)))
    await until(lambda: store.batches)
    assert len(store.batches) == 1
    assert stream.calls == 1
    await pipeline.stop(5)


async def test_nothing_ticks_while_nothing_comes() -> None:
    """An idle pipeline has no timer, before the first reading and after the last commit."""
    loop = asyncio.get_running_loop()
    pipeline, store, _ = make()

    def timers() -> list[object]:
        return [t for t in loop._scheduled if not t.cancelled()]  # type: ignore[attr-defined]

    before = len(timers())
    await asyncio.sleep(0)
    assert len(timers()) == before
    pipeline.offer(readings(1.0))
    await asyncio.sleep(0)
    assert len(timers()) == before + 2
    await until(lambda: store.batches)
    await asyncio.sleep(0.03)
    assert len(timers()) == before
    await pipeline.stop(5)


async def test_a_full_queue_refuses_the_newest() -> None:
    """Beyond the bound readings are refused, counted, logged once, and have no number."""
    pipeline, store, stream = make(queue_readings=10)
    store.gate.clear()
    with capture_logs() as logs:
        pipeline.offer(readings(*map(float, range(8))))
        await until(lambda: store.tried)
        pipeline.offer(readings(*map(float, range(8, 13))))
        pipeline.offer(readings(99.0))
    assert pipeline.counts.refused == 4
    assert pipeline.counts.pending == 10
    assert [event["event"] for event in logs] == ["readings refused: queue full"]
    store.gate.set()
    await until(lambda: pipeline.counts.pending == 0)
    pipeline.offer(readings(20.0))
    assert await pipeline.stop(5) == 0
    assert store.values == [*map(float, range(10)), 20.0]
    assert stream.rows[-1] == (11, 20.0)


async def test_half_a_queue_is_flushed_at_once() -> None:
    """A fast source does not wait for the flush interval."""
    pipeline, _, _ = make(queue_readings=10, flush_s=3600)
    pipeline.offer(readings(*map(float, range(4))))
    pipeline.offer(readings(*map(float, range(5))))
    await until(lambda: pipeline.counts.stored == 9)
    await pipeline.stop(5)


@pytest.mark.parametrize(
    "error",
    [
        OSError("gone"),
        asyncpg.DiskFullError("could not extend file: No space left on device"),
        asyncpg.InterfaceError("connection is closed"),
        TimeoutError(),
    ],
)
async def test_a_failed_commit_is_tried_again_unchanged(error: Exception) -> None:
    """The same batch is written until it succeeds; failure and recovery are told."""
    pipeline, store, stream = make()
    store.errors = [error]
    pipeline.offer(readings(1.0))
    await until(lambda: pipeline.failing)
    pipeline.offer(readings(2.0))
    await until(lambda: pipeline.counts.pending == 0)
    assert store.tried[0] == store.tried[1]
    assert store.values == [1.0, 2.0]
    assert [bool(reason) for reason in stream.failures] == [True, False]
    assert pipeline.failing == ""
    assert pipeline.counts.commits_failed == 1
    await pipeline.stop(5)


async def test_stop_flushes_and_refuses() -> None:
    """A stop commits what was accepted, retries at once, and refuses what comes later."""
    pipeline, store, _ = make(flush_s=3600)
    store.errors = [OSError("gone")] * 2
    pipeline.offer(readings(1.0, 2.0))
    assert await pipeline.stop(5) == 0
    pipeline.offer(readings(3.0))
    assert store.values == [1.0, 2.0]
    assert pipeline.counts.refused == 1


async def test_stop_gives_up_in_time() -> None:
    """With the store away, a stop ends and gives the number that was not stored."""
    pipeline, store, _ = make()
    store.gate.clear()
    pipeline.offer(readings(1.0, 2.0))
    assert await pipeline.stop(0.05) == 2


async def test_malformed_readings_are_refused_one_by_one() -> None:
    """Numbers that no sensor can mean are refused, logged once, and harm nothing."""
    pipeline, store, _ = make()
    bad = [
        Reading(12, 1, float("nan"), 1),
        Reading(12, 1, float("inf"), 1),
        Reading(12, 1, "7", 1),  # type: ignore[arg-type]
        Reading(12, 1, None, 1),  # type: ignore[arg-type]
        Reading(12, 1, 7, 1),
        Reading(12, -1, 1.0, 1),
        Reading(12, 2**63, 1.0, 1),
        Reading(12, 1, 1.0, 1.5),  # type: ignore[arg-type]
        Reading(0, 1, 1.0, 1),
        Reading(12, 1, 1.0, 1, 9),  # type: ignore[arg-type]
    ]
    lost = Reading(12, 1, float("nan"), 1, State.LOST)
    with capture_logs() as logs:
        pipeline.offer([*bad, *readings(5.0), lost])
    assert await pipeline.stop(5) == 0
    assert pipeline.counts.malformed == len(bad)
    assert store.values[0] == 5.0
    assert len(store.values) == 2
    assert len(logs) == 1


def test_offers_after_the_loop_has_ended_are_harmless() -> None:
    """An abandoned thread may still offer readings when the gateway is gone."""

    async def run() -> Pipeline:
        pipeline, _, _ = make()
        await pipeline.stop(5)
        return pipeline

    pipeline = asyncio.run(run())
    pipeline.offer(readings(1.0))
    assert pipeline.counts.refused == 1
