"""Whose turn it is to be decoded, and who is told to come again: an overload must not feed itself.

Decoding is by far the most of what an uplink costs. Were all that wait decoded in turns, a few rows
at a time, an overload would make all of them late together: every device would give up, send the
same again, and the gateway would work for answers that nobody waits for. So the first that came is
decoded first, and who would be answered too late is told so at once, before anything is done.

How late that is follows from how many are under way and how quickly they have been done lately
(Little's law), whatever they wait for: the decoder, the database, or a turn.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from server.clock import Clock
from server.errors import StoreFull

LONGEST_WAIT_S = 5.0
"""Boards give an answer 10 s, the way there and back included."""
ALWAYS_TAKEN = 64
"""So many may be under way however long they take: a database that stands still is no overload."""
FIRST_GUESS_S = 0.01
_MEMORY = 64.0  # uplinks over which the time between two ends is averaged


class Decoding:
    """The queue before the decoder, and the door before the queue.

    Args:
        clock: for durations.

    Attributes:
        under_way: uplinks that were let in and are not answered yet.
        refused: uplinks that were told to come again.
        one_at_a_time: held around the decoding of an uplink; who came first gets it first.
    """

    def __init__(self, clock: Clock) -> None:
        self.under_way = 0
        self.refused = 0
        self.one_at_a_time = asyncio.Semaphore(1)
        self._clock = clock
        self._mean_s = FIRST_GUESS_S  # between the ends of two uplinks
        self._ended_s = 0.0

    @contextlib.contextmanager
    def let_in(self) -> Iterator[None]:
        """Count an uplink as under way, or refuse it.

        Raises:
            StoreFull: its answer would come too late.
        """
        if self.under_way >= ALWAYS_TAKEN and self.under_way * self._mean_s > LONGEST_WAIT_S:
            self.refused += 1
            raise StoreFull(
                f"{self.under_way} uplinks are under way, one is done each "
                f"{self._mean_s * 1000:.0f} ms",
                one_device=False,
            )
        if not self.under_way:
            self._ended_s = self._clock.monotonic_s()
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1
            now_s = self._clock.monotonic_s()
            self._mean_s += (now_s - self._ended_s - self._mean_s) / _MEMORY
            self._ended_s = now_s
