"""Which frames a controller takes off the bus."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sim.can.frame import MAX_EXTENDED_ID, MAX_STANDARD_ID


@dataclass(frozen=True, slots=True)
class Acceptance:
    """An identifier and the mask of its bits that count, as SocketCAN and python-can have them.

    Attributes:
        id: identifier to compare with, 0-0x1FFFFFFF.
        mask: 1 = the bit must be equal; 0 takes every identifier, 0-0x1FFFFFFF.
        is_extended: True takes 29 bit frames only, False 11 bit frames only, None both.
    """

    id: int
    mask: int
    is_extended: bool | None = None

    def __post_init__(self) -> None:
        limit = MAX_STANDARD_ID if self.is_extended is False else MAX_EXTENDED_ID
        if not 0 <= self.id <= limit:
            raise ValueError(f"acceptance id: expected 0-{limit:#x}, got {self.id:#x}")
        if not 0 <= self.mask <= MAX_EXTENDED_ID:
            raise ValueError(
                f"acceptance mask: expected 0-{MAX_EXTENDED_ID:#x}, got {self.mask:#x}"
            )

    def accepts(self, arbitration_id: int, is_extended: bool) -> bool:
        """Return True if a frame with this identifier passes."""
        if self.is_extended is not None and self.is_extended is not is_extended:
            return False
        return (arbitration_id ^ self.id) & self.mask == 0


def accepts_any(filters: Iterable[Acceptance], arbitration_id: int, is_extended: bool) -> bool:
    """Return True if one of `filters` lets the identifier pass: no filter, no frame."""
    return any(one.accepts(arbitration_id, is_extended) for one in filters)
