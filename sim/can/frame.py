"""A classical CAN frame as it stands on the bus."""

from __future__ import annotations

from dataclasses import dataclass

MAX_STANDARD_ID = 0x7FF
MAX_EXTENDED_ID = 0x1FFFFFFF
MAX_DATA_BYTES = 8


@dataclass(frozen=True, slots=True)
class CanFrame:
    """One data or remote frame.

    Attributes:
        arbitration_id: 11 bit (0-0x7FF), or 29 bit (0-0x1FFFFFFF) when `is_extended`.
        data: 0-8 bytes; empty for a remote frame.
        is_extended: True for a 29 bit identifier.
        is_remote: True for a remote transmission request.
        requested_bytes: data length code of a remote frame, 0-8; 0 for a data frame.
    """

    arbitration_id: int
    data: bytes = b""
    is_extended: bool = False
    is_remote: bool = False
    requested_bytes: int = 0

    def __post_init__(self) -> None:
        limit = MAX_EXTENDED_ID if self.is_extended else MAX_STANDARD_ID
        if not 0 <= self.arbitration_id <= limit:
            raise ValueError(f"arbitration id: expected 0-{limit:#x}, got {self.arbitration_id:#x}")
        if len(self.data) > MAX_DATA_BYTES:
            raise ValueError(f"CAN data: expected at most 8 bytes, got {len(self.data)}")
        if self.is_remote:
            if self.data:
                raise ValueError(f"remote frame: expected no data, got {len(self.data)} bytes")
            if not 0 <= self.requested_bytes <= MAX_DATA_BYTES:
                raise ValueError(f"requested bytes: expected 0-8, got {self.requested_bytes}")
        elif self.requested_bytes:
            raise ValueError(
                f"requested bytes: expected 0 in a data frame, got {self.requested_bytes}"
            )

    @property
    def dlc(self) -> int:
        """The data length code, 0-8: of a remote frame the bytes that it asks for."""
        return self.requested_bytes if self.is_remote else len(self.data)
