"""A receiver for dialects: notes what is asked of it."""

from __future__ import annotations

from typing import Any


class NotedControls:
    """Can 10 Hz at most, and every message but GBS."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.intervals: dict[str, int] = {}
        self.baud = 9600
        self.rate_hz = 1.0

    def set_baud(self, baud: int) -> None:
        self.asked.append(("baud", baud))
        self.baud = baud

    def set_rate(self, rate_hz: float) -> bool:
        self.asked.append(("rate", rate_hz))
        if rate_hz <= 10.0:
            self.rate_hz = rate_hz
        return rate_hz <= 10.0

    def every(self, name: str) -> int | None:
        return self.intervals.get(name, 0) if name and name != "GBS" else None

    def set_every(self, name: str, epochs: int) -> bool:
        self.asked.append((name, epochs))
        self.intervals[name] = epochs
        return self.every(name) is not None

    def send_once(self, name: str) -> None:
        self.asked.append(("once", name))

    def set_output(self, *, nmea: bool, ubx: bool) -> None:
        self.asked.append(("output", nmea, ubx))

    def reset_sentences(self) -> None:
        self.asked.append(("reset",))

    def restart(self, kind: int) -> None:
        self.asked.append(("restart", kind))
