"""The CAN bus: frames left out, instants of one's own."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import msgspec

from server.can.decoder import Decoder
from server.can.frame import CanFrame
from server.readings import Reading

from .patching import around


def can_frames_left_out() -> None:
    """The CAN link decodes all frames of a batch but its first one, in each seventh batch."""
    batches = itertools.count(1)

    @around(Decoder, "decode")
    def decode(original: Any, decoder: Decoder, frames: Sequence[CanFrame]) -> list[Reading]:
        readings: list[Reading] = original(decoder, frames[next(batches) % 7 == 0 :])
        return readings


def can_time_of_reading() -> None:
    """The CAN link gives its readings the instant at which it read them, not that of the bus."""

    @around(Decoder, "decode")
    def decode(original: Any, decoder: Decoder, frames: Sequence[CanFrame]) -> list[Reading]:
        late = [msgspec.structs.replace(frame, time_ns=frame.received_ns) for frame in frames]
        readings: list[Reading] = original(decoder, late)
        return readings
