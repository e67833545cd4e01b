"""The bus of one process: for a gateway alone, and for several in one test."""

from __future__ import annotations

import asyncio

from server.instances.bus.base import Listeners


class Exchange:
    """What joins the buses of one process; each hears what the others publish."""

    def __init__(self) -> None:
        self.buses: list[LocalBus] = []


class LocalBus(Listeners):
    """Hands messages over in the event loop's next turn; loses nothing.

    Args:
        exchange: shared with the other buses; None: there are no others.
    """

    kind = "local"
    carries_bodies = True
    limit_bytes = 1 << 20

    def __init__(self, exchange: Exchange | None = None) -> None:
        super().__init__()
        self._exchange = exchange

    async def start(self) -> None:
        """Join the others."""
        if self._exchange is not None and self not in self._exchange.buses:
            self._exchange.buses.append(self)

    def publish(self, subject: str, data: bytes) -> None:
        """Hand it to the others, soon."""
        if self._exchange is None:
            return
        self.counts.sent += 1
        self.counts.sent_bytes += len(data)
        loop = asyncio.get_running_loop()
        for bus in self._exchange.buses:
            if bus is not self:
                loop.call_soon(bus._deliver, subject, data)

    async def close(self) -> None:
        """Leave the others."""
        if self._exchange is not None and self in self._exchange.buses:
            self._exchange.buses.remove(self)
        await self._end_repeating()
