"""How often somebody may do something: token buckets, by name, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict

from server.clock import Clock

NAMES_LIMIT = 10_000
"""Names that are remembered; the one that was longest idle is forgotten, and starts full."""


class Rate:
    """One token bucket for each name.

    Args:
        per_s: tokens that come back in a second; 0: no limit at all.
        burst: tokens of a full bucket.
        clock: monotonic time.
    """

    def __init__(self, per_s: float, burst: float, clock: Clock) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, name: str) -> float:
        """Give how long to wait for a token; 0 where there is one."""
        if self._per_s <= 0:
            return 0.0
        return max(0.0, (1 - self._tokens(name)) / self._per_s)

    def take(self, name: str) -> float:
        """Take a token; give 0, or how long to wait where there is none."""
        wait_s = self.wait_s(name)
        if wait_s == 0 and self._per_s > 0:
            self._buckets[name] = (self._tokens(name) - 1, self._clock.monotonic_s())
            self._buckets.move_to_end(name)
            if len(self._buckets) > NAMES_LIMIT:
                self._buckets.popitem(last=False)
        return wait_s

    def give_back(self, name: str) -> None:
        """Undo a `take` that gave 0: it turned out to be none of those that are counted."""
        if name in self._buckets:
            tokens = min(self._burst, self._tokens(name) + 1)
            self._buckets[name] = (tokens, self._clock.monotonic_s())

    def _tokens(self, name: str) -> float:
        tokens, since_s = self._buckets.get(name, (self._burst, 0.0))
        return min(self._burst, tokens + (self._clock.monotonic_s() - since_s) * self._per_s)
