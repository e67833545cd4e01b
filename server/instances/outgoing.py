"""What a gateway has committed and tells the others: gathered for a moment, by shard."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from server.instances.bus.base import Bus
from server.instances.told import Told, packed

OUTGOING_BYTES = 1024 * 1024
"""More than this does not wait for the tick."""


class Outgoing:
    """Gathers turns, and publishes them on the bus.

    Args:
        bus: to the others.
        wait_s: what is told within this time goes out together; after a pause it goes at once.
    """

    def __init__(self, bus: Bus, wait_s: float) -> None:
        self._bus = bus
        self._wait_s = wait_s
        self._waiting: dict[int, list[Told]] = {}
        self._bytes = 0
        self._tick: asyncio.Handle | None = None
        self._ticked_s = -1.0

    def send(self, shard: int, turn: Told) -> None:
        """Tell of a turn soon."""
        told = turn if self._bus.carries_bodies else turn.reference()
        self._waiting.setdefault(shard, []).append(told)
        self._bytes += told.size_bytes
        if self._bytes > OUTGOING_BYTES:
            self.publish()
        elif self._tick is None:
            loop = asyncio.get_running_loop()
            wait_s = self._ticked_s + self._wait_s - loop.time()
            # After a pause at once, but for what else is committed in this turn of the loop.
            self._tick = (
                loop.call_later(wait_s, self.publish)
                if wait_s > 0
                else loop.call_soon(self.publish)
            )

    def publish(self) -> None:
        """Tell what waits, now."""
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        self._ticked_s = asyncio.get_running_loop().time()
        outgoing, self._waiting = self._waiting, {}
        self._bytes = 0
        limit_bytes, carries_bodies = self._bus.limit_bytes, self._bus.carries_bodies
        for shard, waiting in outgoing.items():
            turns: Iterable[Told] = waiting
            if not carries_bodies:
                # The newest of a boot stands for those before it.
                turns = {turn.key: turn for turn in waiting}.values()
            for message in packed(turns, limit_bytes, carries_bodies):
                self._bus.publish(f"live.{shard}", message)
