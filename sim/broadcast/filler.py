"""Frames that carry nothing: they fill the bus to a wanted load."""

from __future__ import annotations

import simpy

from sim.can.bit_length import INTERFRAME_BITS, bit_length
from sim.can.bus import CanBus
from sim.can.frame import CanFrame

LOW_PRIORITY_IDS = tuple(range(0x7F0, 0x7F8))  # behind diagnostics, which end at 0x7EF
HIGH_PRIORITY_IDS = tuple(range(0x008))
PATTERN = b"\x5a\xa5\x3c\xc3"  # after the number of the frame, hardly any stuff bits
TICK_S = 0.001
MOST_BEHIND_S = 0.01  # after a jam: what was missed longer ago is not made up for


class Filler:
    """Fills `bus` to `load_pct` of its time, whatever else is on it, intermission counted in.

    Each frame carries its number in its first four bytes, so that a receiver can tell what it lost.
    The load is kept by looking at the bus every `TICK_S`; at 100 % a frame waits at any time.

    Args:
        env: the world's clock.
        bus: to be filled.
        load_pct: of the bus's time, above 0 and up to 100; other traffic counts in.
        highest_priority: ids 0x000 and up, before everything else, instead of 0x7F0 and up.
        until_s: the instant at which it ends; None never ends.

    Attributes:
        sent_frames: how many have passed the bus.
    """

    def __init__(
        self,
        env: simpy.Environment,
        bus: CanBus,
        load_pct: float = 100.0,
        *,
        highest_priority: bool = False,
        until_s: float | None = None,
    ) -> None:
        if not 0.0 < load_pct <= 100.0:
            raise ValueError(f"bus load: expected above 0 and up to 100 %, got {load_pct} %")
        self.sent_frames = 0
        self._env = env
        self._bus = bus
        self._load = load_pct / 100.0
        self._ids = HIGH_PRIORITY_IDS if highest_priority else LOW_PRIORITY_IDS
        self._until_s = float("inf") if until_s is None else until_s
        self._node = bus.attach("filler", _ignore, ())
        self._number = 0
        self._waiting_bits = 0
        self._wanted_bits = 0.0
        self._seen_bits = self._bus_bits()
        self._tick_later()

    def stop(self) -> None:
        """Send no more, and leave the bus; twice does no harm."""
        self._until_s = min(self._until_s, self._env.now)
        if self._node.attached:
            self._node.detach()

    def _tick_later(self) -> None:
        event = self._env.timeout(TICK_S)
        event.callbacks.append(self._tick)

    def _tick(self, event: simpy.Event) -> None:
        if self._env.now >= self._until_s:
            return
        bits_per_s = self._load * self._bus.bitrate_bps
        seen_bits = self._bus_bits()
        self._wanted_bits += bits_per_s * TICK_S - (seen_bits - self._seen_bits)
        self._wanted_bits = min(self._wanted_bits, bits_per_s * MOST_BEHIND_S)
        self._seen_bits = seen_bits
        if self._load >= 1.0:
            if not self._node.pending_frames:
                self._send()
        else:
            while self._waiting_bits < self._wanted_bits and self._send():
                pass
        self._tick_later()

    def _bus_bits(self) -> int:
        bus = self._bus
        return bus.busy_bits + bus.error_bits + INTERFRAME_BITS * bus.frame_count

    def _send(self) -> bool:
        number = self._number
        data = (number & 0xFFFFFFFF).to_bytes(4, "big") + PATTERN
        frame = CanFrame(self._ids[number % len(self._ids)], data)
        bits = bit_length(frame) + INTERFRAME_BITS

        def on_sent(t_s: float) -> None:
            self.sent_frames += 1
            self._waiting_bits -= bits
            if self._load >= 1.0 and t_s < self._until_s:
                self._send()

        def on_lost(t_s: float) -> None:
            self._waiting_bits -= bits

        if not self._node.send(frame, on_sent, on_lost):
            return False
        self._number = number + 1
        self._waiting_bits += bits
        return True


def _ignore(frame: CanFrame, t_s: float) -> None:
    """The filler reads nothing."""
