"""An IP network between two ends: loss, latency, a partition, a narrow way, all as TCP sees them.

What TCP carries is never lost but late: a lost segment is sent again after the retransmission
timeout, which doubles each time (RFC 6298), and what was sent behind it waits for it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

SEGMENT_BYTES = 1460  # Ethernet's 1500, less the headers of IP and TCP
LINUX_RTO_S = 0.2  # tcp(7): TCP_RTO_MIN; a path of some ms has it
LWIP_RTO_S = 1.5  # ESP-IDF: CONFIG_LWIP_TCP_RTO_TIME
MOST_RTO_S = 120.0

Undo = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Impairment:
    """One thing that is wrong with the way; the defaults are a good one.

    Attributes:
        rng: of what it draws.
        loss: probability that a segment gets lost.
        latency_s, jitter_s: of each way, and at most so much more.
        rate_bytes_per_s: that it carries; 0: any.
        is_cut: nothing passes.
    """

    rng: random.Random
    loss: float = 0.0
    latency_s: float = 0.0
    jitter_s: float = 0.0
    rate_bytes_per_s: float = 0.0
    is_cut: bool = False

    def loses(self, size_bytes: int) -> bool:
        """Draw whether one of the segments of `size_bytes` gets lost."""
        segments = -(-max(1, size_bytes) // SEGMENT_BYTES)
        return self.is_cut or self.rng.random() >= (1.0 - self.loss) ** segments

    def delay_s(self, size_bytes: int) -> float:
        """Return how much later than on a good way `size_bytes` are there."""
        delay_s = self.latency_s
        if self.jitter_s:
            delay_s += self.jitter_s * self.rng.random()
        if self.rate_bytes_per_s:
            delay_s += size_bytes / self.rate_bytes_per_s
        return delay_s


@dataclass(slots=True)
class KeepAlive:
    """How a client's TCP finds out that its peer is gone (tcp(7)); the defaults are Linux's.

    Attributes:
        is_on: SO_KEEPALIVE.
        idle_s, interval_s: from the last byte to the first probe, and from probe to probe.
        probes: that may stay without an answer.
    """

    is_on: bool = False
    idle_s: float = 7200.0
    interval_s: float = 75.0
    probes: int = 9

    @property
    def gives_up_s(self) -> float:
        """How long after the last byte it breaks the connection; never: infinite."""
        return self.idle_s + self.probes * self.interval_s if self.is_on else math.inf

    def next_probe_s(self, last_byte_s: float, not_before_s: float) -> float:
        """Return the first instant from `not_before_s` on at which it asks; infinite: never."""
        if not self.is_on:
            return math.inf
        late_s = not_before_s - last_byte_s - self.idle_s
        return (
            last_byte_s
            + self.idle_s
            + max(0, math.ceil(late_s / self.interval_s)) * (self.interval_s)
        )


class Way:
    """Between the boards' access point and their gateway: the sum of its impairments."""

    def __init__(self) -> None:
        self._impairments: list[Impairment] = []

    @property
    def is_good(self) -> bool:
        """True while nothing is wrong with it."""
        return not self._impairments

    def impair(self, impairment: Impairment) -> Undo:
        """Make it worse, until that is undone."""
        self._impairments.append(impairment)

        def undo() -> None:
            kept = [other for other in self._impairments if other is not impairment]
            self._impairments[:] = kept

        return undo

    def loses(self, size_bytes: int) -> bool:
        """Draw whether one of the segments of `size_bytes` gets lost."""
        return any(impairment.loses(size_bytes) for impairment in self._impairments)

    def delay_s(self, size_bytes: int) -> float:
        """Return how much later than on a good way `size_bytes` are there."""
        return sum(impairment.delay_s(size_bytes) for impairment in self._impairments)


def retransmissions_s(
    loses: Callable[[], bool], rto_s: float = LINUX_RTO_S, lossy_for_s: float = math.inf
) -> float:
    """Return how long TCP takes to get a segment through, beyond the way itself.

    Args:
        loses: draws whether it gets lost this time.
        rto_s: the first retransmission timeout.
        lossy_for_s: what is sent later than this gets through.
    """
    waited_s = 0.0
    while waited_s <= lossy_for_s and loses():
        waited_s += rto_s
        rto_s = min(2.0 * rto_s, MOST_RTO_S)
    return waited_s


def next_retransmission_s(sent_s: float, not_before_s: float, rto_s: float = LINUX_RTO_S) -> float:
    """Return the first instant from `not_before_s` on at which TCP sends again what it sent."""
    at_s = sent_s
    while at_s < not_before_s:
        at_s += rto_s
        rto_s = min(2.0 * rto_s, MOST_RTO_S)
    return at_s
