"""Frames as slcan writes them: t, T, r, R, identifier, length, data, and a time stamp or none."""

from __future__ import annotations

import re
from binascii import hexlify, unhexlify
from functools import lru_cache

from sim.can.frame import CanFrame

CR = b"\r"
TIMESTAMP_PERIOD_MS = 60_000  # "0x0000 to 0xEA5F": one minute

# Strict on purpose: int(b"+1_0", 16) would be taken by Python and by no adapter.
_FRAME = re.compile(
    rb"(?:([tr])([0-7][0-9A-Fa-f]{2})|([TR])([01][0-9A-Fa-f]{7}))([0-8])((?:[0-9A-Fa-f]{2}){0,8})"
)
_REMOTE = b"rR"


@lru_cache(maxsize=8192)
def _head(arbitration_id: int, is_extended: bool, is_remote: bool, dlc: int) -> bytes:
    letter = "r" if is_remote else "t"
    if is_extended:
        return f"{letter.upper()}{arbitration_id:08X}{dlc}".encode()
    return f"{letter}{arbitration_id:03X}{dlc}".encode()


def encode(frame: CanFrame) -> bytes:
    """Return the frame's text without its end: `t7E8803410C1AF8000000`."""
    head = _head(frame.arbitration_id, frame.is_extended, frame.is_remote, frame.dlc)
    return head + hexlify(frame.data).upper()


def timestamp(elapsed_s: float) -> bytes:
    """Return the four digits of an instant, in milliseconds since the clock's start."""
    # The tolerance keeps 0.007 s on 7 ms although 0.007 * 1000 is 7.000000000000001 or 6.99…
    return b"%04X" % (int(elapsed_s * 1000 + 1e-6) % TIMESTAMP_PERIOD_MS)


@lru_cache(maxsize=4096)
def decode(line: bytes) -> CanFrame | None:
    """Return the frame of a transmit command without its CR; None if it is none.

    The number of data digits must be that of the length, identifiers must fit 11 or 29 bits.
    """
    match = _FRAME.fullmatch(line)
    if match is None:
        return None
    kind, standard_id, extended_kind, extended_id, length, digits = match.groups()
    is_extended = kind is None
    is_remote = (extended_kind if is_extended else kind) in _REMOTE
    dlc = length[0] - 0x30
    if len(digits) != (0 if is_remote else 2 * dlc):
        return None
    arbitration_id = int(extended_id if is_extended else standard_id, 16)
    if is_remote:
        return CanFrame(arbitration_id, b"", is_extended, True, dlc)
    return CanFrame(arbitration_id, unhexlify(digits), is_extended)
