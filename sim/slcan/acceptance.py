"""The acceptance filter of the SJA1000, which `W`, `M` and `m` set.

Source: Philips SJA1000 data sheet (2000-01-04), 6.4.15: acceptance code registers ACR0-3, mask
registers AMR0-3; a mask bit of 1 means that the bit does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sim.can.frame import CanFrame

ALL_BITS = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class AcceptanceFilter:
    """Four registers each of code and mask, read as one filter or as two.

    Attributes:
        code: ACR0 to ACR3, ACR0 highest; as the digits of `M` stand.
        mask: AMR0 to AMR3 in the same order.
        single: True for one filter of 32 bits, False for two of 16.
    """

    code: int = 0
    mask: int = ALL_BITS
    single: bool = False

    @property
    def takes_all(self) -> bool:
        """True if no frame can fail."""
        return self.mask == ALL_BITS

    def with_mode(self, single: bool) -> AcceptanceFilter:
        """Give the same registers, read as one filter or as two."""
        return replace(self, single=single)

    def accepts(self, frame: CanFrame) -> bool:
        """Return True if the frame passes."""
        views = _single(frame) if self.single else _dual(frame)
        care = ~self.mask
        code = self.code
        return any(not (word ^ code) & care & relevant for word, relevant in views)


View = tuple[int, int]  # the frame as it is laid against the registers, and which bits it fills


def _single(frame: CanFrame) -> tuple[View, ...]:
    if frame.is_extended:
        return ((frame.arbitration_id << 3 | frame.is_remote << 2, 0xFFFF_FFFC),)
    word = frame.arbitration_id << 21 | frame.is_remote << 20
    relevant = 0xFFF0_0000
    data = frame.data
    if data:
        word |= data[0] << 8
        relevant |= 0xFF00
        if len(data) > 1:
            word |= data[1]
            relevant |= 0x00FF
    return ((word, relevant),)


def _dual(frame: CanFrame) -> tuple[View, ...]:
    if frame.is_extended:
        upper = frame.arbitration_id >> 13
        return ((upper << 16, 0xFFFF_0000), (upper, 0x0000_FFFF))
    head = frame.arbitration_id << 5 | frame.is_remote << 4
    first, relevant = head << 16, 0xFFF0_0000
    if frame.data:
        # The first filter also looks at data byte 1: its halves lie in AxR1 and AxR3.
        byte = frame.data[0]
        first |= (byte & 0xF0) << 12 | byte & 0x0F
        relevant |= 0x000F_000F
    return ((first, relevant), (head, 0x0000_FFF0))
