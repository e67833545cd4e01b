"""A frame written out bit by bit, as it stands on the wire: needed only where something goes wrong.

The length alone comes faster from `sim.can.bit_length`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from sim.can.bit_length import STUFF_RUN, TAIL_BITS, frame_crc
from sim.can.frame import CanFrame

DOMINANT = 0
RECESSIVE = 1
END_BITS = TAIL_BITS - 1 - 1  # after the ACK slot: ACK delimiter and end of frame


@dataclass(frozen=True, slots=True)
class WireBits:
    """The levels of a frame, one byte a bit, 0 dominant and 1 recessive.

    Attributes:
        levels: start of frame to end of frame; the ACK slot as the transmitter sends it, recessive.
        stuff_places: indices of the stuff bits.
        arbitration_bits: bits up to and with the last one that decides the arbitration.
    """

    levels: bytes
    stuff_places: tuple[int, ...]
    arbitration_bits: int

    @property
    def crc_delimiter(self) -> int:
        """Index of the CRC delimiter."""
        return len(self.levels) - TAIL_BITS

    @property
    def ack_slot(self) -> int:
        """Index of the ACK slot."""
        return self.crc_delimiter + 1

    def run_before(self, index: int, level: int) -> int:
        """Return how many bits of `level` in a row end right before `index`."""
        head = self.levels[:index]
        return len(head) - len(head.rstrip(bytes((level,))))


@lru_cache(maxsize=256)
def wire_bits(frame: CanFrame) -> WireBits:
    """Return `frame` as its transmitter sends it."""
    plain, arbitration = _plain(frame)
    levels = bytearray()
    places = []
    arbitration_bits = run = 0
    for index, level in enumerate(plain):
        run = run + 1 if levels and levels[-1] == level else 1
        levels.append(level)
        if index + 1 == arbitration:
            arbitration_bits = len(levels)
        if run == STUFF_RUN:
            places.append(len(levels))
            levels.append(1 - level)
            run = 1
    levels += bytes((RECESSIVE,)) * TAIL_BITS
    return WireBits(bytes(levels), tuple(places), arbitration_bits)


def _plain(frame: CanFrame) -> tuple[list[int], int]:
    """Start of frame to CRC without stuff bits, and how many of them arbitrate."""
    remote = int(frame.is_remote)
    identifier = frame.arbitration_id
    if frame.is_extended:
        text = f"0{identifier >> 18:011b}11{identifier & 0x3FFFF:018b}{remote}"
        arbitration = len(text)
        text += "00"
    else:
        text = f"0{identifier:011b}{remote}"
        arbitration = len(text)
        text += "00"  # IDE and r0
    text += f"{frame.dlc:04b}"
    text += "".join(f"{byte:08b}" for byte in frame.data)
    text += f"{frame_crc(frame):015b}"
    return [int(digit) for digit in text], arbitration
