"""Airtime as money: it comes in at the rate that is allowed, and each frame is paid in advance.

The region's duty cycle counts an hour; the radio refuses above it. This bucket holds the share that
the uplink takes for itself, and no more than a few minutes of it, so that no hour has too much. On
a busy channel less comes in, as for the firmware's own background senders: all of it up to 25 % of
channel utilisation, nothing from 40 % on (where only alarms go); in between in proportion.
"""

from __future__ import annotations

from collections import deque

OWN_SHARE = 0.8
"""Of the region's duty cycle; the rest is for relaying and for messages of people."""
MOST_DUTY_PCT = 10.0
"""Where the region allows more: others are on the channel too."""
POLITE_PCT = 25.0
BUSY_PCT = 40.0
UTILISATION_S = 60.0
"""The time over which a radio measures the utilisation of its channel."""
DEPTH_S = 300.0
"""Most that is saved up: the income of this time."""


def own_duty_pct(region_pct: float, wanted_pct: float | None) -> float:
    """Give the percent of time that the uplink may be on the air."""
    if wanted_pct is None:
        return min(region_pct * OWN_SHARE, MOST_DUTY_PCT)
    return min(region_pct, wanted_pct)


class Budget:
    """A bucket of seconds on the air.

    Args:
        duty_pct: percent of time that comes in.
        frame_s: airtime of the longest frame; the bucket holds two at least.

    Attributes:
        saved_s: what there is; below 0 after an alarm.
    """

    def __init__(self, duty_pct: float, frame_s: float) -> None:
        self.saved_s = 0.0
        self.is_paused = False
        self._counted_s: float | None = None
        self._paused_until_s = 0.0
        self.set(duty_pct, frame_s)
        self.saved_s = self.depth_s / 2

    def set(self, duty_pct: float, frame_s: float) -> None:
        """Take other limits; what is saved stays, as far as it fits."""
        self.rate = duty_pct / 100.0
        self.frame_s = frame_s
        self.depth_s = max(self.rate * DEPTH_S, 2.0 * frame_s)
        self.saved_s = min(self.saved_s, self.depth_s)

    def income(self, utilisation_pct: float) -> float:
        """Give the seconds on the air that come in each second."""
        return self.rate * politeness(utilisation_pct)

    def count(self, now_s: float, utilisation_pct: float) -> None:
        """Take in what has come since the last call."""
        if self._counted_s is not None and now_s > self._counted_s:
            gained_s = (now_s - self._counted_s) * self.income(utilisation_pct)
            self.saved_s = min(self.depth_s, self.saved_s + gained_s)
        self._counted_s = now_s
        self.is_paused = now_s < self._paused_until_s

    def allows(self, airtime_s: float, *, is_urgent: bool = False) -> bool:
        """Tell whether a frame may go; an urgent one may take a frame's airtime on credit."""
        if self.is_paused:
            return False
        return self.saved_s + (self.frame_s if is_urgent else 0.0) >= airtime_s

    def pay(self, airtime_s: float) -> None:
        """Take a frame's airtime out."""
        self.saved_s -= airtime_s

    def pay_back(self, airtime_s: float) -> None:
        """Put it back: the frame did not go."""
        self.saved_s = min(self.depth_s, self.saved_s + airtime_s)

    def pause(self, until_s: float) -> None:
        """Send nothing until then, and have nothing saved: the radio's own limit is reached."""
        self._paused_until_s = until_s
        self.is_paused = True
        self.saved_s = min(self.saved_s, self.frame_s)


class OwnAirtime:
    """What this vehicle has put on the air in the last minute; its radio counts it as busy too.

    Without it a burst of its own (a profile after the start) would make a vehicle polite to itself.
    """

    def __init__(self) -> None:
        self._sent: deque[tuple[float, float]] = deque()

    def sent(self, now_s: float, airtime_s: float) -> None:
        """Note a frame."""
        self._sent.append((now_s, airtime_s))

    def others_pct(self, now_s: float, channel_pct: float) -> float:
        """Give the percent of time for which others keep the channel busy."""
        while self._sent and self._sent[0][0] < now_s - UTILISATION_S:
            self._sent.popleft()
        own_s = sum(airtime_s for _, airtime_s in self._sent)
        return max(0.0, channel_pct - 100.0 * own_s / UTILISATION_S)


def politeness(utilisation_pct: float) -> float:
    """Give the part of the income that a busy channel leaves."""
    part = (BUSY_PCT - utilisation_pct) / (BUSY_PCT - POLITE_PCT)
    return min(1.0, max(0.0, part))
