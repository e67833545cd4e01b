"""What ISO-TP endpoints agree on: sizes, frame kinds, options, how a message can end.

Source: ISO 15765-2:2016, clause 9 (protocol data units) and 9.7 (timing).
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sim.can.frame import CanFrame

MAX_MESSAGE_BYTES = 4095  # a 12 bit length; the 32 bit escape is refused with "overflow"
SINGLE_FRAME_BYTES = 7
FIRST_FRAME_BYTES = 6
CONSECUTIVE_FRAME_BYTES = 7

SINGLE, FIRST, CONSECUTIVE, FLOW_CONTROL = range(4)  # upper half of the first byte
CONTINUE, WAIT, OVERFLOW = range(3)  # flow status


class Outcome(enum.Enum):
    """How a transmission or a reception ended (the N_Result of the standard)."""

    OK = "ok"
    TIMEOUT_AS = "own frame not on the bus within N_As"
    TIMEOUT_AR = "own flow control not on the bus within N_Ar"
    TIMEOUT_BS = "no flow control within N_Bs"
    TIMEOUT_CR = "no consecutive frame within N_Cr"
    WRONG_SEQUENCE = "sequence number out of order"
    INVALID_FLOW_STATUS = "flow status 3-15"
    UNEXPECTED = "a new message began before the last one was complete"
    WAIT_OVERRUN = "too many wait frames"
    OVERFLOW = "message too long for the receiver"
    NOT_SENT = "the controller does not take the frame"
    REPLACED = "given up by its owner"


class FrameSender(Protocol):
    """What frames leave by: a node of the bus, or a socket of an interface."""

    def send(self, frame: CanFrame, on_sent: Callable[[float], None] | None = None, /) -> bool:
        """Queue `frame`; `on_sent(t_s)` is called when it has passed. False = not taken."""
        ...


OnMessage = Callable[[bytes, bool], None]
OnEnd = Callable[[Outcome], None]


@dataclass(frozen=True, slots=True)
class IsoTpOptions:
    """How an endpoint behaves.

    N_As, N_Ar, N_Bs and N_Cr are limits that it watches. N_Br and N_Cs are its own slowness, which
    the standard bounds: N_Br + N_Ar and N_Cs + N_As below 0.9 of the peer's N_Bs and N_Cr.

    Attributes:
        block_size: consecutive frames that it takes per flow control, 0 = all, 0-255.
        st_min: separation time that it asks for, as the raw byte (see `st_min_s`).
        padding: byte that fills frames to 8 (ISO 15765-4 requires 8; Ford pads with 0x00), or None.
        n_as_s: longest time until an own data frame has passed on the bus, seconds.
        n_ar_s: the same of an own flow control frame.
        n_bs_s: longest wait for a flow control frame, seconds.
        n_cr_s: longest wait for a consecutive frame, seconds.
        n_br_s: how long it takes before it sends flow control, seconds.
        n_cs_s: how long it takes before each consecutive frame, beside the separation time.
        wait_limit: wait frames in a row that are accepted from a peer before giving up.
        wait_frames: wait frames that it sends itself before each "continue" (N_WFTmax).
        wait_gap_s: seconds between own wait frames.
        receive_bytes: longest message that it accepts.
    """

    block_size: int = 0
    st_min: int = 0
    padding: int | None = 0x00
    n_as_s: float = 1.0
    n_ar_s: float = 1.0
    n_bs_s: float = 1.0
    n_cr_s: float = 1.0
    n_br_s: float = 0.0
    n_cs_s: float = 0.0
    wait_limit: int = 10
    wait_frames: int = 0
    wait_gap_s: float = 0.1
    receive_bytes: int = MAX_MESSAGE_BYTES

    def __post_init__(self) -> None:
        for name in ("block_size", "st_min"):
            value = getattr(self, name)
            if not 0 <= value <= 0xFF:
                raise ValueError(f"ISO-TP {name}: expected 0-255, got {value}")
        if self.padding is not None and not 0 <= self.padding <= 0xFF:
            raise ValueError(f"ISO-TP padding: expected 0-255 or None, got {self.padding}")
        for name in ("n_as_s", "n_ar_s", "n_bs_s", "n_cr_s", "n_br_s", "n_cs_s", "wait_gap_s"):
            value = getattr(self, name)
            if not value >= 0:
                raise ValueError(f"ISO-TP {name}: expected 0 s or more, got {value}")


def st_min_s(raw: int) -> float:
    """Return the separation time in seconds that the byte `raw` asks for.

    00-7F are milliseconds, F1-F9 are hundreds of microseconds; reserved values count as the longest
    time, 127 ms (ISO 15765-2, 9.6.5.5).
    """
    if raw <= 0x7F:
        return raw / 1000
    if 0xF1 <= raw <= 0xF9:
        return (raw - 0xF0) / 10_000
    return 0.127


def padded(data: bytes, padding: int | None) -> bytes:
    """Return a frame's data field, filled to 8 bytes unless `padding` is None."""
    return data if padding is None or len(data) == 8 else data.ljust(8, bytes((padding,)))


def pack_single(payload: bytes, padding: int | None) -> bytes:
    """Return the data field of a single frame around 1 to 7 bytes."""
    return padded(bytes((len(payload),)) + payload, padding)
