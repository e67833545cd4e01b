"""How busy the channel is and how much a radio has sent, counted as the firmware counts.

Source: firmware src/airtime.h and airtime.cpp. Six buckets of 10 s and sixty of one minute are
keyed by uptime; a whole packet counts for the bucket in which it ended.
"""

from __future__ import annotations

import simpy

CHANNEL_BUCKETS = 6
CHANNEL_BUCKET_S = 10
TX_BUCKETS = 60
TX_BUCKET_S = 60
MOST_CHANNEL_PCT = 40.0  # above it background senders hold back
POLITE_CHANNEL_PCT = 25.0
POLITE_DUTY_SHARE = 0.5


class _Ring:
    """Sums over the last `count` buckets of `bucket_s` seconds of uptime, in milliseconds."""

    __slots__ = ("_bucket", "_bucket_s", "buckets", "total")

    def __init__(self, count: int, bucket_s: int) -> None:
        self.buckets = [0] * count
        self.total = 0
        self._bucket_s = bucket_s
        self._bucket = 0

    def turn(self, uptime_s: float) -> int:
        """Empty the buckets that were crossed; give the index of the present one."""
        bucket = int(uptime_s) // self._bucket_s
        count = len(self.buckets)
        if bucket != self._bucket:
            for crossed in range(max(self._bucket + 1, bucket - count + 1), bucket + 1):
                self.total -= self.buckets[crossed % count]
                self.buckets[crossed % count] = 0
            self._bucket = bucket
        return bucket % count

    def add(self, uptime_s: float, airtime_ms: int) -> None:
        """Count a packet that ended now."""
        self.buckets[self.turn(uptime_s)] += airtime_ms
        self.total += airtime_ms


class Airtime:
    """The account of one radio since it booted."""

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env
        self.reboot()

    def reboot(self) -> None:
        """Begin anew: the firmware keeps nothing of this over a reboot."""
        self._boot_s = self._env.now
        self._channel = _Ring(CHANNEL_BUCKETS, CHANNEL_BUCKET_S)
        self._sent = _Ring(TX_BUCKETS, TX_BUCKET_S)
        self.sent_ms = 0  # since boot
        self.received_ms = 0

    @property
    def uptime_s(self) -> float:
        """Seconds since boot."""
        return float(self._env.now - self._boot_s)

    def log_sent(self, airtime_ms: int) -> None:
        """Count a transmission of this radio that is over."""
        self.sent_ms += airtime_ms
        uptime_s = self.uptime_s
        self._sent.add(uptime_s, airtime_ms)
        self._channel.add(uptime_s, airtime_ms)

    def log_received(self, airtime_ms: int) -> None:
        """Count a reception that is over, good or bad."""
        self.received_ms += airtime_ms
        self._channel.add(self.uptime_s, airtime_ms)

    def channel_utilisation_pct(self) -> float:
        """Give the share of the last minute in which something was heard or sent."""
        self._channel.turn(self.uptime_s)
        return self._channel.total / (CHANNEL_BUCKETS * CHANNEL_BUCKET_S * 10)

    def tx_utilisation_pct(self) -> float:
        """Give the share of the last hour in which this radio sent."""
        self._sent.turn(self.uptime_s)
        return self._sent.total / (TX_BUCKETS * TX_BUCKET_S * 10)

    def silent_minutes(self, duty_cycle_pct: float) -> int:
        """Give the minutes until a packet may be sent again, with the firmware's error.

        The firmware walks its ring by index as if that were an age; the text to the client says so
        many minutes, the check itself is right.
        """
        left_pct = self.tx_utilisation_pct()
        for index in range(TX_BUCKETS - 1, -1, -1):
            left_pct -= self._sent.buckets[index] / (TX_BUCKETS * TX_BUCKET_S * 10)
            if left_pct < duty_cycle_pct:
                return TX_BUCKETS - 1 - index
        return TX_BUCKETS

    def allows_background(self, duty_cycle_pct: float, *, polite: bool = True) -> bool:
        """True if a sender of beacons and telemetry does not hold back."""
        limit_pct = POLITE_CHANNEL_PCT if polite else MOST_CHANNEL_PCT
        if self.channel_utilisation_pct() >= limit_pct:
            return False
        return duty_cycle_pct >= 100 or (
            self.tx_utilisation_pct() < duty_cycle_pct * POLITE_DUTY_SHARE
        )
