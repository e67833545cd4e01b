"""What can destroy a transmission: the vocabulary of `CanBus.faults` and `CanBus.error_taps`."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from sim.can.frame import CanFrame


class ErrorKind(enum.Enum):
    """The five errors of ISO 11898-1, 12.1.3."""

    BIT = "bit"  # the transmitter reads another level than it sends
    STUFF = "stuff"  # six equal bits where five are the most
    CRC = "crc"  # the receivers compute another CRC: none acknowledges
    FORM = "form"  # a dominant bit where the frame's form wants a recessive one
    ACK = "ack"  # nobody acknowledges


@dataclass(frozen=True, slots=True)
class Disturbance:
    """An error at a chosen place of the frame.

    Attributes:
        kind: what is found.
        after_bits: bits of the frame, stuff bits counted, that have passed when it is found; None
            takes the place that is usual for the kind (`sim.can.error_frame.usual_place`).
    """

    kind: ErrorKind
    after_bits: int | None = None


BusFault = Callable[[float, str, CanFrame], "ErrorKind | Disturbance | None"]
"""Asked as fault(t_s, sender, frame) once for each attempt; None lets it pass."""

ErrorTap = Callable[[float, str, ErrorKind, CanFrame], None]
"""Called as tap(t_s, sender, kind, frame) at the instant at which the error is found."""
