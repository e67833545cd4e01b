"""Which sentences go with which epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sim.gnss.errors import GnssError
from sim.gnss.profiles import ReceiverProfile

MOST_KEPT = 64  # epochs remembered; odd periods set by command may repeat after thousands


class SentencePlan:
    """Every how many epochs each sentence is sent, always in the chip's order.

    Args:
        profile: the chip; what it cannot send is refused with GnssError.
        names: what to send instead of the chip's own choice, each at the chip's own interval.
    """

    def __init__(self, profile: ReceiverProfile, names: Sequence[str] | None) -> None:
        self._profile = profile
        self._every = dict(profile.every)
        if names is not None:
            unknown = [name for name in names if name not in profile.order]
            if unknown or not names:
                raise GnssError(
                    f"sentences of GNSS profile {profile.name}: expected some of "
                    f"{', '.join(profile.order)}, got {', '.join(unknown) or 'none'}"
                )
            self._every = {name: profile.every.get(name, 1) for name in names}
        self._kept: dict[int, tuple[str, ...]] = {}
        self._cycle = 1
        self._change()

    def due(self, count: int) -> tuple[str, ...]:
        """Return the sentences of epoch `count` (0, 1, ...)."""
        phase = count % self._cycle
        names = self._kept.get(phase)
        if names is None:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            every = self._every
            names = self._kept[phase] = tuple(
                name
                for name in self._profile.order
                if every.get(name, 0) and phase % every[name] == 0
            )
        return names

    def set_every(self, name: str, epochs: int) -> bool:
        """Send a sentence every so many epochs, 0 for never; False when the chip has it not."""
        if name not in self._profile.order:
            return False
        self._every[name] = epochs
        self._change()
        return True

    def reset(self) -> None:
        """Send what the chip sends out of the box."""
        self._every = dict(self._profile.every)
        self._change()

    def _change(self) -> None:
        self._kept.clear()
        self._cycle = math.lcm(*(epochs for epochs in self._every.values() if epochs))
