"""How the bus is, out of what the interface says of errors (classes of linux/can/error.h)."""

from __future__ import annotations

from collections import Counter

from server.can.frame import CanFrame

LOST_ARBITRATION = 0x02
CONTROLLER = 0x04
PROTOCOL = 0x08
NO_ACKNOWLEDGEMENT = 0x20
BUS_OFF = 0x40
BUS_ERROR = 0x80
RESTARTED = 0x100

# Byte 1 of the data of class CONTROLLER.
RX_OVERFLOW = 0x03
WARNING = 0x0C
PASSIVE = 0x30
ACTIVE = 0x40

QUIET_S = 3.0
"""So long without any word of an error, and with frames, and the bus is fine again."""


class BusHealth:
    """Counts errors and says what is wrong, in words.

    Args:
        counters: `error_frames`, `bus_errors`, `no_acknowledgements`, `bus_off`, `error_passive`,
            `overflows`, `restarts`.
    """

    def __init__(self, counters: Counter[str]) -> None:
        self._counters = counters
        self._reason = ""
        self._rank = 0
        self._error_s = 0.0

    def take(self, frame: CanFrame, now_s: float) -> None:
        """Take an error frame."""
        counters, kind = self._counters, frame.id
        counters["error_frames"] += 1
        self._error_s = now_s
        detail = frame.data[1] if len(frame.data) > 1 else 0
        if kind & (BUS_ERROR | PROTOCOL):
            counters["bus_errors"] += 1
            self._say(1, "errors on the bus (wrong bit rate? termination?)")
        if kind & NO_ACKNOWLEDGEMENT:
            counters["no_acknowledgements"] += 1
            self._say(1, "nobody acknowledges (alone on the bus? wrong bit rate?)")
        if kind & CONTROLLER:
            self._take_controller(detail)
        if kind & BUS_OFF:
            if self._rank < 4:
                counters["bus_off"] += 1
            self._say(4, "bus-off: the interface has left the bus")
        if kind & RESTARTED:
            counters["restarts"] += 1
            self._clear()

    def _take_controller(self, detail: int) -> None:
        counters = self._counters
        if detail & RX_OVERFLOW:
            counters["overflows"] += 1
            self._say(1, "the interface loses frames: it is not read in time")
        if detail & PASSIVE:
            if self._rank < 3:
                counters["error_passive"] += 1
            self._say(3, "error passive: the interface sees many errors on the bus")
        elif detail & WARNING:
            self._say(2, "error warning: the interface sees errors on the bus")
        elif detail & ACTIVE:
            self._clear()
        elif not detail:  # socketcand tells the class alone
            self._say(2, "controller problems: the interface sees errors on the bus")

    def reason(self, now_s: float, frame_s: float) -> str:
        """Say what is wrong; empty: nothing.

        Args:
            now_s: monotonic time.
            frame_s: when the last frame came.
        """
        if self._rank and frame_s > self._error_s and now_s - self._error_s > QUIET_S:
            self._clear()
        return self._reason

    def _say(self, rank: int, reason: str) -> None:
        if rank >= self._rank:
            self._rank, self._reason = rank, reason

    def _clear(self) -> None:
        self._rank, self._reason = 0, ""
