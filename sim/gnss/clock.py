"""What time it is by the receiver: that of the sky, but for what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sim.gnss.fields import NS_PER_S, S_PER_DAY

NS_PER_DAY = S_PER_DAY * NS_PER_S
ROLLOVER_NS = 1024 * 7 * NS_PER_DAY
"""The navigation message of GPS L1 C/A counts weeks with 10 bits (IS-GPS-200): a firmware that
takes them for others than they are is wrong by so much."""

Undo = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Said:
    """What the receiver calls an instant.

    Attributes:
        time_ns: UTC nanoseconds since 1970, as POSIX counts them; in a leap second those of the
            second before it.
        is_leap: it is within a leap second: 23:59:60.
        leaps: leap seconds that the receiver has counted and the world has not.
    """

    time_ns: int
    is_leap: bool = False
    leaps: int = 0


class ReceiverClock:
    """The sum of all that is wrong with a receiver's time; each wrong can be undone."""

    def __init__(self) -> None:
        self._jumps: list[int] = []
        self._drifts: list[tuple[int, float]] = []
        self._midnights: list[int] = []
        self._rollovers = 0

    def shift_ns(self, utc_ns: int) -> int:
        """Return by how much its seconds are ahead of UTC: its epochs move by that."""
        if not self._jumps and not self._drifts:
            return 0
        drift_ns = sum(ppm * 1e-6 * (utc_ns - since_ns) for since_ns, ppm in self._drifts)
        return sum(self._jumps) + round(drift_ns)

    def said(self, time_ns: int) -> Said:
        """Return what it calls the instant that its seconds, counted on, make `time_ns`."""
        if not self._midnights and not self._rollovers:
            return Said(time_ns)
        time_ns -= self._rollovers * ROLLOVER_NS
        leaps = 0
        for midnight_ns in self._midnights:
            beyond_ns = time_ns + self._rollovers * ROLLOVER_NS - midnight_ns
            if 0 <= beyond_ns < NS_PER_S:
                return Said(time_ns - NS_PER_S * (leaps + 1), is_leap=True, leaps=leaps)
            leaps += beyond_ns >= 0
        return Said(time_ns - NS_PER_S * leaps, leaps=leaps)

    def jump(self, by_s: float) -> Undo:
        """Let it be so much ahead."""
        by_ns = round(by_s * NS_PER_S)
        self._jumps.append(by_ns)
        return lambda: self._jumps.remove(by_ns)

    def drift(self, utc_ns: int, ppm: float) -> Undo:
        """Let it run so much too fast from `utc_ns` on; undone, it is right again."""
        drift = (utc_ns, ppm)
        self._drifts.append(drift)
        return lambda: self._drifts.remove(drift)

    def insert_leap_second(self, utc_ns: int) -> Undo:
        """Let it count a leap second at the next midnight; undone, it has counted none."""
        midnight_ns = -(-utc_ns // NS_PER_DAY) * NS_PER_DAY
        self._midnights.append(midnight_ns)
        return lambda: self._midnights.remove(midnight_ns)

    def roll_over(self) -> Undo:
        """Let it take the week for the one 1024 weeks before."""
        self._rollovers += 1

        def undo() -> None:
            self._rollovers -= 1

        return undo
