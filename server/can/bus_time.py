"""When a frame was on the bus, by the gateway's clock.

An interface stamps frames with a clock of its own: the server's (socketcand), the kernel's
(socketcan), milliseconds since it was switched on (slcan), anything (others). The gateway knows one
thing for sure: no frame is received before it was on the bus. So

    delay = received - stamp        is the difference of the clocks plus the time under way,

and the smallest delay of the last 10 to 20 s is the best guess of the difference of the clocks:
some frame was fast.

* Where it lies within `TRUST_NS` the clocks agree, and the stamp counts as it is. Where it is below
  zero, stamps are moved back by it, so that none is ahead.
* A delay of up to `BACKLOG_NS` may also be frames that have waited, at the start above all: the
  stamp counts until a whole window has shown no faster frame.
* Otherwise the clock is another one: stamps are moved by the difference (`stamps_mapped` counts
  them, and the log tells it once), and stay so while the interface is open.
"""

from __future__ import annotations

import structlog

log = structlog.get_logger("telerig.can")

TRUST_NS = 100_000_000
"""Clocks that differ by so little count as one: the rest is the way of the frame."""
BACKLOG_NS = 2_000_000_000
"""Frames may have waited for so long when they are read for the first time."""
WINDOW_NS = 10_000_000_000
"""Clocks drift: 100 ppm are 1 ms in this time."""


class BusTime:
    """Maps the stamps of one interface, for as long as it is open.

    Args:
        name: of the interface, for the log.

    Attributes:
        is_mapped: whether its clock is another one than the gateway's.
    """

    def __init__(self, name: str) -> None:
        self.is_mapped = False
        self._name = name
        self._window_end_ns = 0
        self._least_ns: int | None = None  # of this window
        self._before_ns: int | None = None  # of the window before

    def offset_ns(self, newest_stamp_ns: int, received_ns: int) -> int:
        """Give what to add to the stamps of frames that were read together just now.

        Args:
            newest_stamp_ns: the latest of them, which has waited least.
            received_ns: when they were read.
        """
        delay_ns = received_ns - newest_stamp_ns
        if received_ns >= self._window_end_ns:
            self._before_ns, self._least_ns = self._least_ns, None
            self._window_end_ns = received_ns + WINDOW_NS
        if self._least_ns is None or delay_ns < self._least_ns:
            self._least_ns = delay_ns
        least_ns = self._least_ns
        if self._before_ns is not None and self._before_ns < least_ns:
            least_ns = self._before_ns
        if not self.is_mapped and not self._is_ours(least_ns):
            self.is_mapped = True
            log.info("clock of the interface differs", port=self._name, by_s=least_ns / 1e9)
        return least_ns if self.is_mapped else min(0, least_ns)

    def _is_ours(self, least_ns: int) -> bool:
        whole_window = self._before_ns is not None
        return -TRUST_NS <= least_ns <= (TRUST_NS if whole_window else BACKLOG_NS)
