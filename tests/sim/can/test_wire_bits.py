"""Frames written out bit by bit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sim.can.bit_length import bit_length
from sim.can.frame import CanFrame
from sim.can.wire_bits import DOMINANT, RECESSIVE, wire_bits

frames = st.one_of(
    st.builds(CanFrame, st.integers(0, 0x7FF), st.binary(max_size=8)),
    st.builds(CanFrame, st.integers(0, 0x1FFFFFFF), st.binary(max_size=8), st.just(True)),
    st.builds(
        CanFrame,
        st.integers(0, 0x7FF),
        st.just(b""),
        st.just(False),
        st.just(True),
        st.integers(0, 8),
    ),
)


@given(frames)
def test_as_long_as_the_length_says(frame: CanFrame) -> None:
    """The bits written out are as many as the table-driven length says."""
    assert len(wire_bits(frame).levels) == bit_length(frame)


@given(frames)
def test_no_six_equal_bits_before_the_end(frame: CanFrame) -> None:
    """Up to the CRC delimiter no six bits in a row are equal: that would be an error flag."""
    bits = wire_bits(frame)
    head = bits.levels[: bits.crc_delimiter]
    assert bytes(6) not in head
    assert bytes((RECESSIVE,)) * 6 not in head


def test_published_frame_bit_by_bit() -> None:
    """Frame 014 # 01 of K. Tindell's canframe.py: its fields in order, stuff bits in brackets.

    Start of frame, identifier, RTR IDE r0, DLC, data, CRC 0x7753, delimiter, ACK slot, delimiter,
    end of frame.
    """
    fields = ("0", "0000[1]0010100", "000[1]", "0001", "00000[1]001", "111011101010011")
    expected = "".join((*fields, "1", "1", "1", "1111111"))
    bits = wire_bits(CanFrame(0x14, b"\x01"))
    plain = expected.replace("[", "").replace("]", "")
    assert "".join(map(str, bits.levels)) == plain
    marks = [i for i, char in enumerate(expected) if char == "["]
    assert list(bits.stuff_places) == [mark - 2 * place for place, mark in enumerate(marks)]
    assert bits.arbitration_bits == 1 + 11 + 1 + 1  # with one stuff bit
    assert (bits.levels[bits.crc_delimiter], bits.ack_slot) == (RECESSIVE, bits.crc_delimiter + 1)


def test_runs_are_counted_backwards() -> None:
    """A run of equal bits ends right before the place that is asked for."""
    bits = wire_bits(CanFrame(0x14, b"\x01"))  # 0000010010100...
    assert bits.run_before(5, DOMINANT) == 5
    assert bits.run_before(5, RECESSIVE) == 0
    assert bits.run_before(6, RECESSIVE) == 1
