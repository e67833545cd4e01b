"""The store: batches that are not written, or twice, or too late; segments that lose some."""

from __future__ import annotations

import itertools
import struct
from array import array
from collections.abc import Sequence
from typing import Any

import msgspec

from server.errors import StoreError
from server.pipeline import Pipeline
from server.readings import Reading
from server.store import compactor, segment_table
from server.store.compactor import Compactor
from server.store.hotlog import HotLog
from server.store.segment import Encoder

from .patching import around


def batch_not_stored() -> None:
    """One batch in ten is published and acknowledged, and never written."""
    numbers = itertools.count(1)

    @around(HotLog, "append")
    async def append(original: Any, hotlog: HotLog, batch: Any) -> None:
        if next(numbers) % 10:
            await original(hotlog, batch)


def one_batch_not_stored() -> None:
    """One single batch is published and acknowledged, and never written."""
    numbers = itertools.count(1)

    @around(HotLog, "append")
    async def append(original: Any, hotlog: HotLog, batch: Any) -> None:
        if next(numbers) != 20:
            await original(hotlog, batch)


def last_batch_not_stored() -> None:
    """A stop leaves what waits for its commit, and says that all is well."""

    @around(Pipeline, "stop")
    async def stop(original: Any, pipeline: Any, timeout_s: float) -> int:
        pipeline._closed = True
        pipeline._publish()
        pipeline._flusher.cancel()
        pipeline._stored = pipeline._accepted
        return 0


def batch_stored_twice() -> None:
    """One batch in ten is written again under another key."""
    numbers = itertools.count(1)

    @around(HotLog, "append")
    async def append(original: Any, hotlog: HotLog, batch: Any) -> None:
        await original(hotlog, batch)
        if next(numbers) % 10 == 0:
            hotlog.boot += 1
            await original(hotlog, batch)
            hotlog.boot -= 1


def retry_stored_twice() -> None:
    """A commit whose answer was lost is tried again under another key."""
    numbers = itertools.count(1)

    @around(HotLog, "append")
    async def append(original: Any, hotlog: HotLog, batch: Any) -> None:
        await original(hotlog, batch)
        if next(numbers) == 20:
            hotlog.boot += 1
            raise StoreError("made up: the answer to a commit was lost")


def values_halved_in_width() -> None:
    """The store keeps values as 32-bit floats."""

    @around(Pipeline, "offer")
    def offer(original: Any, pipeline: Pipeline, readings: Sequence[Reading]) -> None:
        narrow = struct.Struct("f")
        original(
            pipeline,
            [
                msgspec.structs.replace(r, value=narrow.unpack(narrow.pack(r.value))[0])
                for r in readings
            ],
        )


def commits_late() -> None:
    """A commit waits ten times as long as configured."""

    @around(Pipeline, "__init__")
    def init(original: Any, *args: Any, flush_s: float, **more: Any) -> None:
        original(*args, flush_s=10 * flush_s, **more)


def never_compacted() -> None:
    """The compactor hears of no commit."""
    Compactor.committed = lambda compactor, size_bytes: None  # type: ignore[method-assign]


def late_part_replaces_segment() -> None:
    """What a window has already is forgotten when more of it comes."""

    @around(compactor, "merged")
    def merged(original: Any, columns: Any, others: Any) -> Any:
        return list(others)


def late_part_doubles_segment() -> None:
    """A segment that was put into a new one stays."""

    @around(segment_table, "remove")
    async def remove(original: Any, *args: Any) -> None:
        return None


def last_window_not_compacted() -> None:
    """Of a cycle the last window of its last device gets lost, once."""
    numbers = itertools.count(1)

    @around(Compactor, "_windows")
    async def windows(original: Any, *args: Any) -> Any:
        found = [window async for window in original(*args)]
        if next(numbers) == 5:
            found.pop()
        for window in found:
            yield window


def segment_values_halved_in_width() -> None:
    """Segments keep values as 32-bit floats."""

    @around(Encoder, "values")
    def values(original: Any, encoder: Encoder, signal: int, exact: Any, states: bytes) -> bytes:
        narrow = array("d", array("f", exact))
        encoded: bytes = original(encoder, signal, narrow, states)
        return encoded
