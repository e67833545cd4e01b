"""How busy the bus was: bits of frames, of errors, and of nothing, over a window of time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.can.frame import CanFrame

if TYPE_CHECKING:
    from sim.can.bus import CanBus

BusTap = Callable[[float, str, CanFrame], None]
"""Called as tap(t_s, sender, frame) at the end of each frame, before the nodes get it."""


@dataclass(frozen=True, slots=True)
class BusLoad:
    """What a window of time held. A frame belongs to the window in which it ends.

    Attributes:
        window_s: length, seconds.
        frames: frames that passed.
        errors: error frames.
        busy_pct: share of frames, 0-100 %; intermissions are not counted, so that a saturated bus
            has about 97.
        error_pct: share of destroyed frames and error frames, 0-100 %.
    """

    window_s: float
    frames: int
    errors: int
    busy_pct: float
    error_pct: float


class LoadMeter:
    """Measures window after window: each `take` ends one and begins the next.

    Args:
        bus: what to measure; the first window begins now.
    """

    def __init__(self, bus: CanBus) -> None:
        self._bus = bus
        self._mark = self._now()

    def take(self) -> BusLoad:
        """Return the load since the last call, or since the meter was made."""
        before, self._mark = self._mark, self._now()
        time_s, frames, errors, busy, error = (
            now - then for now, then in zip(self._mark, before, strict=True)
        )
        bits = time_s * self._bus.bitrate_bps
        share = 100.0 / bits if bits > 0 else 0.0
        return BusLoad(time_s, int(frames), int(errors), busy * share, error * share)

    def _now(self) -> tuple[float, int, int, int, int]:
        bus = self._bus
        return bus.env.now, bus.frame_count, bus.error_count, bus.busy_bits, bus.error_bits
