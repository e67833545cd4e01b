"""A clock for tests."""

from __future__ import annotations


class HandClock:
    """A clock that a test moves; both of its times are `now_s`."""

    def __init__(self, now_s: float = 1_800_000_000.0) -> None:
        self.now_s = now_s

    def now_ns(self) -> int:
        return round(self.now_s * 1e9)

    def monotonic_s(self) -> float:
        return self.now_s
