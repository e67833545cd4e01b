"""Puts readings into the store as the gateway does."""

from __future__ import annotations

from collections.abc import Sequence

from server.clock import SystemClock
from server.readings import Reading, State
from server.store.compactor import Compactor
from server.store.hotlog import Batch, HotLog

RPM, SPEED, LAT = 12, 13, 1001
MS = 10**6
S = 10**9


async def store(
    url: str, device: str, boot: int, readings: Sequence[Reading], size: int = 7, first: int = 1
) -> None:
    """Write readings of a device in batches, in their order."""
    log = HotLog(url, device=device, boot=boot, clock=SystemClock())
    await log.open()
    for place in range(0, len(readings), size):
        await log.append(Batch.of(first + place, readings[place : place + size]))
    await log.close()


def reading(signal: int, time_ns: int, value: float, state: State = State.MEASURED) -> Reading:
    """Make a reading."""
    return Reading(signal, time_ns, value, time_ns + 5, state)


async def seal(url: str) -> None:
    """Move what is in the hot log into segments, and empty it."""
    compactor = Compactor(url, SystemClock())
    await compactor.run_once(all_of_it=True)
    await compactor.run_once()
    assert not compactor.failing
