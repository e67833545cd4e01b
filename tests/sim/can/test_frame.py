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


@pytest.mark.parametrize(
    ("data", "is_remote", "requested_bytes", "text"),
    [
        (b"\x01", True, 0, "remote frame: expected no data, got 1 bytes"),
        (b"", True, 9, "requested bytes: expected 0-8, got 9"),
        (b"", False, 1, "requested bytes: expected 0 in a data frame, got 1"),
    ],
)
def test_remote_frames_hold_a_length_and_no_data(
    data: bytes, is_remote: bool, requested_bytes: int, text: str
) -> None:
    """A remote frame asks for bytes and has none; a data frame asks for none."""
    with pytest.raises(ValueError, match=text):
        CanFrame(0x123, data, is_remote=is_remote, requested_bytes=requested_bytes)


def test_length_code_is_that_of_the_data_or_of_the_request() -> None:
    """The length code counts the data, or what a remote frame asks for."""
    assert CanFrame(0x123, b"\x01\x02").dlc == 2
    assert CanFrame(0x123, is_remote=True, requested_bytes=8).dlc == 8
