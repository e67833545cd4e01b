"""What a command from the host can see and change on a receiver."""

from __future__ import annotations

from typing import Protocol

HOT, WARM, COLD = 0, 1, 2
"""Kinds of restart, indices of `ReceiverProfile.first_fix_s`."""

MIN_BAUD, MAX_BAUD = 4800, 921_600


class Controls(Protocol):
    """The receiver as its dialect sees it. Messages are named RMC, GGA, NAV-PVT, ..."""

    @property
    def baud(self) -> int:
        """Rate of the line."""

    @property
    def rate_hz(self) -> float:
        """Navigation epochs per second."""

    def set_baud(self, baud: int) -> None:
        """Change the rate of the line from the next byte on."""

    def set_rate(self, rate_hz: float) -> bool:
        """Change the navigation rate from the next epoch on; False when the chip can't."""

    def every(self, name: str) -> int | None:
        """Epochs from one message to the next of its kind, 0: off; None: the chip has it not."""

    def set_every(self, name: str, epochs: int) -> bool:
        """Send a message every so many epochs, 0 for never; False when the chip has it not."""

    def send_once(self, name: str) -> None:
        """Send a binary message with the next epoch, whatever its interval."""

    def set_output(self, *, nmea: bool, ubx: bool) -> None:
        """Let the protocols through to the line, or not."""

    def reset_sentences(self) -> None:
        """Send what the chip sends out of the box."""

    def restart(self, kind: int) -> None:
        """Start again as after HOT, WARM or COLD."""


def plausible_baud(baud: int) -> bool:
    """True for a rate that these chips have."""
    return MIN_BAUD <= baud <= MAX_BAUD


def number(fields: tuple[str, ...], index: int, default: int = -1, base: int = 10) -> int:
    """Return the field of a sentence as an integer; `default` where it is absent or no number."""
    try:
        text = fields[index]
        return int(text, base) if len(text) <= MAX_DIGITS else default
    except (IndexError, ValueError):
        return default


MAX_DIGITS = 9  # no parameter of these commands is longer
