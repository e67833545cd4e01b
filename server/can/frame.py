"""A CAN frame as the gateway sees it, and which frames somebody wants."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

EXTENDED = 0x8000_0000
"""Of a `can_id`: 29 bits."""
REMOTE = 0x4000_0000
"""Of a `can_id`: a remote frame, which has no data."""
ERROR = 0x2000_0000
"""Of a `can_id`: no frame of the bus, but the interface's word that something is wrong there."""
ID_MASK = 0x1FFF_FFFF
_KNOWN_IDS = 4096  # answers that are kept; 29 bits of noise must not fill the memory


class CanFrame(msgspec.Struct, frozen=True, gc=False):
    """One frame, received or to be sent.

    Attributes:
        can_id: 11 or 29 bits, with the flags EXTENDED, REMOTE and ERROR, as SocketCAN has them.
        data: 0 to 8 bytes (64 of CAN FD).
        time_ns: instant on the bus, UTC nanoseconds by the gateway's clock, never ahead of it.
        received_ns: instant at which the gateway had it.
    """

    can_id: int
    data: bytes
    time_ns: int = 0
    received_ns: int = 0

    @property
    def id(self) -> int:
        """The identifier without flags."""
        return self.can_id & ID_MASK

    @property
    def is_extended(self) -> bool:
        """Whether the identifier has 29 bits."""
        return bool(self.can_id & EXTENDED)

    @property
    def is_remote(self) -> bool:
        """Whether it asks for data and has none."""
        return bool(self.can_id & REMOTE)

    @property
    def is_error(self) -> bool:
        """Whether it is the interface's word about an error; `server.can.health` reads it."""
        return bool(self.can_id & ERROR)


class Acceptance(msgspec.Struct, frozen=True):
    """Identifiers that are wanted: those that equal `id` in the bits of `mask`."""

    id: int
    mask: int = ID_MASK
    is_extended: bool = False


class Wanted:
    """Which frames pass; the answer for an identifier is worked out once.

    Args:
        acceptances: one of which must match; None: everything passes. Frames of kind ERROR always
            do.
    """

    def __init__(self, acceptances: Iterable[Acceptance] | None = None) -> None:
        self.acceptances = None if acceptances is None else tuple(acceptances)
        self._known: dict[int, bool] = {}

    def __contains__(self, can_id: int) -> bool:
        known = self._known.get(can_id)
        if known is None:
            if len(self._known) >= _KNOWN_IDS:
                self._known.clear()
            known = self._known[can_id] = self._matches(can_id)
        return known

    def _matches(self, can_id: int) -> bool:
        if self.acceptances is None or can_id & ERROR:
            return True
        is_extended = bool(can_id & EXTENDED)
        return any(
            is_extended == acceptance.is_extended
            and not (can_id ^ acceptance.id) & acceptance.mask & ID_MASK
            for acceptance in self.acceptances
        )


def shown_id(can_id: int) -> str:
    """Give an identifier as people write it: 7E8, or 18DAF110 of 29 bits."""
    width = 8 if can_id & EXTENDED else 3
    return f"{can_id & ID_MASK:0{width}X}"
