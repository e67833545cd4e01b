"""What a frame may be."""

from __future__ import annotations

import pytest

from sim.can.frame import CanFrame


@pytest.mark.parametrize(
    ("arbitration_id", "is_extended"), [(-1, False), (0x800, False), (0x2000_0000, True)]
)
def test_identifier_out_of_range_is_refused(arbitration_id: int, is_extended: bool) -> None:
    """An identifier must fit into 11 or 29 bits."""
    with pytest.raises(ValueError, match="arbitration id: expected 0-"):
        CanFrame(arbitration_id, is_extended=is_extended)


def test_too_many_bytes_are_refused() -> None:
    """A classical frame has at most eight bytes."""
    with pytest.raises(ValueError, match="at most 8 bytes, got 9"):
        CanFrame(0x123, bytes(9))
