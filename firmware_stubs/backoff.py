"""Pauses after failures: each twice as long as the last, to a limit, spread by chance."""

from firmware_stubs.hal import Hal


class Backoff:
    """How long to wait before the next try."""

    def __init__(self, hal: Hal, first_ms: int, most_ms: int) -> None:
        self._hal = hal
        self._first_ms = first_ms
        self._most_ms = most_ms
        self._pause_ms = first_ms
        self._until_ms = 0

    def failed(self, now_ms: int, at_least_ms: int = 0) -> None:
        """Take note of a failure; wait half to all of the pause, so that fleets do not march."""
        pause_ms = max(self._pause_ms, at_least_ms)
        chance = int.from_bytes(self._hal.random(2), "big")
        self._until_ms = now_ms + pause_ms // 2 + pause_ms * chance // 131072
        self._pause_ms = min(self._pause_ms * 2, self._most_ms)

    def worked(self) -> None:
        """Take note of a success."""
        self._pause_ms = self._first_ms
        self._until_ms = 0

    def over(self, now_ms: int) -> bool:
        """Tell whether it is time to try."""
        return now_ms >= self._until_ms

    def wait_ms(self, now_ms: int) -> int:
        """Give the milliseconds until it is time to try."""
        return max(0, self._until_ms - now_ms)
