"""A classical CAN frame as it stands on the bus."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CanFrame:
    """One data or remote frame.

    Attributes:
        arbitration_id: 11 bit (0-0x7FF), or 29 bit (0-0x1FFFFFFF) when `is_extended`.
        data: 0-8 bytes; empty for a remote frame.
        is_extended: True for a 29 bit identifier.
        is_remote: True for a remote transmission request.
    """

    arbitration_id: int
    data: bytes = b""
    is_extended: bool = False
    is_remote: bool = False

    def __post_init__(self) -> None:
        limit = 0x1FFFFFFF if self.is_extended else 0x7FF
        if not 0 <= self.arbitration_id <= limit:
            raise ValueError(f"arbitration id: expected 0-{limit:#x}, got {self.arbitration_id:#x}")
        if len(self.data) > 8:
            raise ValueError(f"CAN data: expected at most 8 bytes, got {len(self.data)}")
