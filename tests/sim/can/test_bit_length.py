"""Frame lengths, against a bit-by-bit reading of ISO 11898-1."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.can.bit_length import INTERFRAME_BITS, bit_length, crc15, frame_crc
from sim.can.frame import CanFrame

UNSTUFFED_BITS = 10  # CRC delimiter, ACK slot, ACK delimiter, seven bits end of frame

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


def plain_bits(frame: CanFrame) -> str:
    """Return start of frame to the end of the data field as text of 0 and 1."""
    rtr = "1" if frame.is_remote else "0"
    dlc = f"{frame.dlc:04b}"
    data = "".join(f"{byte:08b}" for byte in frame.data)
    if frame.is_extended:
        identifier = f"{frame.arbitration_id:029b}"
        return "0" + identifier[:11] + "11" + identifier[11:] + rtr + "00" + dlc + data
    return "0" + f"{frame.arbitration_id:011b}" + rtr + "00" + dlc + data


def plain_crc(bits: str) -> int:
    """The CRC as ISO 11898-1 writes it down: a shift register fed bit by bit."""
    register = 0
    for bit in bits:
        crc_next = int(bit) ^ (register >> 14 & 1)
        register = register << 1 & 0x7FFF
        if crc_next:
            register ^= 0x4599
    return register


def stuffed(bits: str) -> str:
    """Insert the opposite bit after each five equal ones."""
    out = ""
    for bit in bits:
        out += bit
        if len(out) >= 5 and len(set(run_at_end(out))) == 1 and len(run_at_end(out)) == 5:
            out += "1" if bit == "0" else "0"
    return out


def run_at_end(bits: str) -> str:
    """Return the last run of equal bits."""
    return bits[len(bits.rstrip(bits[-1])) :]


@given(frames)
def test_length_is_that_of_the_bits_written_out(frame: CanFrame) -> None:
    """The table-driven length equals the length of the frame written out and stuffed bit by bit."""
    bits = plain_bits(frame)
    whole = stuffed(bits + f"{plain_crc(bits):015b}")
    assert bit_length(frame) == len(whole) + UNSTUFFED_BITS


@given(frames)
def test_crc_is_that_of_the_shift_register(frame: CanFrame) -> None:
    """The CRC sequence equals the standard's shift register."""
    assert frame_crc(frame) == plain_crc(plain_bits(frame))


def test_crc_has_the_published_check_value() -> None:
    """CRC-15/CAN of "123456789" is 0x059E (catalogue of parametrised CRC algorithms)."""
    assert crc15(b"123456789") == 0x059E


@given(frames)
def test_length_stays_within_the_known_bounds(frame: CanFrame) -> None:
    """A frame has at least its plain bits and at most one stuff bit for each four of them."""
    stuffable = (54 if frame.is_extended else 34) + 8 * len(frame.data)
    plain = stuffable + UNSTUFFED_BITS
    assert plain <= bit_length(frame) <= plain + (stuffable - 1) // 4


@given(st.integers(0, 0x7FF), st.binary(max_size=8))
def test_length_stays_within_the_published_bounds(arbitration_id: int, data: bytes) -> None:
    """Intermission included, n bytes take 47 + 8n to 55 + 10n bits (Davis et al. 2007, eq. 1)."""
    bits = bit_length(CanFrame(arbitration_id, data)) + INTERFRAME_BITS
    assert 47 + 8 * len(data) <= bits <= 55 + 10 * len(data)


def test_frame_without_stuff_bits_has_the_published_length() -> None:
    """A frame that needs no stuff bit takes exactly 47 + 8n bits with its intermission."""
    lengths = [
        bit_length(CanFrame(0x555, b"\x55" * 7 + bytes((number,)))) + INTERFRAME_BITS
        for number in range(256)
    ]
    assert min(lengths) == 47 + 8 * 8


def test_stuff_bits_cost_time() -> None:
    """A frame of zeros takes longer on the wire than one of alternating bits."""
    assert bit_length(CanFrame(0, bytes(8))) > bit_length(CanFrame(0x555, b"\x55" * 8))


@pytest.mark.parametrize("data", [b"", b"\x00" * 8])
def test_extended_header_is_20_bits_longer(data: bytes) -> None:
    """The 29 bit format carries 20 header bits more, stuff bits aside."""
    plain_standard = len(plain_bits(CanFrame(0x123, data)))
    plain_extended = len(plain_bits(CanFrame(0x123, data, is_extended=True)))
    assert plain_extended - plain_standard == 20


@pytest.mark.parametrize(
    ("arbitration_id", "data", "is_extended", "is_remote", "bits"),
    [
        (0x5EF, "77c6f13fa60de628", False, False, 115),
        (0x631, "", False, True, 49),
        (0x1B1E06A5, "00ff0055", True, False, 106),
        (0x17BEF76B, "c7fcf8", True, False, 97),
        (0x37733E0, "0fffff00", True, False, 110),
        (0x72, "20", False, False, 58),
        (0xC0, "46bd7906027e2202", False, False, 117),
        (0x19BE474F, "000700f855ffff", True, False, 132),
        (0x29CE4A3, "07070ff8fffff800", True, False, 141),
        (0x643, "0f55ff0f000700", False, False, 107),
    ],
)
def test_lengths_are_those_of_can_utils(
    arbitration_id: int, data: str, is_extended: bool, is_remote: bool, bits: int
) -> None:
    """Intermission included, lengths equal what can-utils' canframelen.c computes (CFL_EXACT)."""
    frame = CanFrame(arbitration_id, bytes.fromhex(data), is_extended, is_remote)
    assert bit_length(frame) + INTERFRAME_BITS == bits


def test_crc_is_that_of_a_frame_seen_on_a_scope() -> None:
    """Frame 014 # 01 has CRC 0x7753 (K. Tindell, canframe.py, 2020; read off a real bus)."""
    assert frame_crc(CanFrame(0x14, b"\x01")) == 0x7753
