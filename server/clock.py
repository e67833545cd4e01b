"""The clock as an argument: wall time for timestamps, monotonic time for durations."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What the gateway asks of a clock."""

    def now_ns(self) -> int:
        """UTC nanoseconds since 1970."""

    def monotonic_s(self) -> float:
        """Seconds since an arbitrary instant; never goes back."""


class SystemClock:
    """The process's own clock.

    The functions are looked up in module `time` at each call, never bound at import: the rig
    replaces them there.
    """

    def now_ns(self) -> int:
        """UTC nanoseconds since 1970."""
        return time.time_ns()

    def monotonic_s(self) -> float:
        """Seconds since an arbitrary instant; never goes back."""
        return time.monotonic()
