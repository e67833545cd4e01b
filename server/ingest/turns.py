"""Whose turn it is to be read, and who is told to come again: an overload must not feed itself.

To read what a device sent (to decode an uplink, to check columns) is most of what it costs. Were
all that wait read at once, or in turns a few rows at a time, an overload would make all of them
late together: every device would give up, send the same again, and the gateway would work for
answers that nobody waits for. So the first that came is read first, and who would be answered too
late is told so at once, before anything is done.

How late that is follows from how many are under way and how quickly they have been done lately
(Little's law), whatever they wait for: a turn, the decoder, or the database.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Iterator

from server.clock import Clock
from server.errors import StoreFull

LONGEST_WAIT_S = 5.0
"""Boards give an answer 10 s, the way there and back included."""
ALWAYS_TAKEN = 64
"""So many may be under way however long they take: a database that stands still is no overload."""
FIRST_GUESS_S = 0.01
TURNS_TOGETHER = 16
"""Turns after which the event loop sees to what has come meanwhile; some milliseconds."""
_MEMORY_S = 1.0  # over which the time between two ends is averaged


class Turns:
    """The door to the gateway for what devices send, and the queue behind it.

    Args:
        clock: for durations.

    Attributes:
        under_way: messages that were let in and are not answered yet.
        refused: messages that were told to come again.
    """

    def __init__(self, clock: Clock) -> None:
        self.under_way = 0
        self.refused = 0
        self._clock = clock
        self._one_at_a_time = asyncio.Semaphore(1)
        self._taken = 0
        # Of the last while: how many were done, in how much time in which some were under way. They
        # end in groups, with the commit that they shared, so that time counts and not their number.
        self._ended = 1.0
        self._busy_s = FIRST_GUESS_S
        self._ended_s = 0.0

    @contextlib.contextmanager
    def let_in(self) -> Iterator[None]:
        """Count a message as under way, or refuse it.

        Raises:
            StoreFull: its answer would come too late.
        """
        mean_s = self._busy_s / self._ended
        if self.under_way >= ALWAYS_TAKEN and self.under_way * mean_s > LONGEST_WAIT_S:
            self.refused += 1
            raise StoreFull(
                f"{self.under_way} messages are under way, one is done each {mean_s * 1000:.1f} ms",
                one_device=False,
                again_s=round(LONGEST_WAIT_S),
            )
        if not self.under_way:
            self._ended_s = self._clock.monotonic_s()
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1
            now_s = self._clock.monotonic_s()
            lasted_s, self._ended_s = now_s - self._ended_s, now_s
            kept = math.exp(-lasted_s / _MEMORY_S)
            self._ended = self._ended * kept + 1.0
            self._busy_s = self._busy_s * kept + lasted_s

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Hold the turn: who came first gets it first.

        It is handed on after some turns only once the loop has seen to its connections: else all
        that have come would be read before anybody is told that it is too late.
        """
        async with self._one_at_a_time:
            yield
            self._taken += 1
            if self._taken % TURNS_TOGETHER == 0:
                await asyncio.sleep(0)
