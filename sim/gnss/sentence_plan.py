"""Which messages go with which epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from sim.gnss.errors import GnssError
from sim.gnss.profiles import ReceiverProfile

MOST_KEPT = 64  # epochs remembered; odd periods set by command may repeat after thousands


class MessagePlan:
    """Every how many epochs each message is sent, always in the chip's order.

    Args:
        order: every message that the chip has, in the order of an epoch.
        every: epochs from one message to the next of its kind; what is not listed is off.
    """

    def __init__(self, order: Sequence[str], every: Mapping[str, int]) -> None:
        self._order = order
        self._every = dict(every)
        self._kept: dict[int, tuple[str, ...]] = {}
        self._cycle = 1
        self.active = False
        self._change()

    def due(self, count: int) -> tuple[str, ...]:
        """Return the messages of epoch `count` (0, 1, ...)."""
        phase = count % self._cycle
        names = self._kept.get(phase)
        if names is None:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            every = self._every
            names = self._kept[phase] = tuple(
                name for name in self._order if every.get(name, 0) and phase % every[name] == 0
            )
        return names

    def every(self, name: str) -> int | None:
        """Epochs from one message to the next, 0 for never; None when the chip has it not."""
        return self._every.get(name, 0) if name in self._order else None

    def set_every(self, name: str, epochs: int) -> bool:
        """Send a message every so many epochs, 0 for never; False when the chip has it not."""
        if name not in self._order:
            return False
        self._every[name] = epochs
        self._change()
        return True

    def _change(self) -> None:
        self._kept.clear()
        used = [epochs for epochs in self._every.values() if epochs]
        self._cycle = math.lcm(*used)
        self.active = bool(used)


class SentencePlan(MessagePlan):
    """The NMEA sentences of a chip.

    Args:
        profile: the chip; what it cannot send is refused with GnssError.
        names: what to send instead of the chip's own choice, each at the chip's own interval.
    """

    def __init__(self, profile: ReceiverProfile, names: Sequence[str] | None) -> None:
        self._profile = profile
        every = profile.every
        if names is not None:
            unknown = [name for name in names if name not in profile.order]
            if unknown or not names:
                raise GnssError(
                    f"sentences of GNSS profile {profile.name}: expected some of "
                    f"{', '.join(profile.order)}, got {', '.join(unknown) or 'none'}"
                )
            every = {name: every.get(name, 1) for name in names}
        super().__init__(profile.order, every)

    def reset(self) -> None:
        """Send what the chip sends out of the box."""
        self._every = dict(self._profile.every)
        self._change()
