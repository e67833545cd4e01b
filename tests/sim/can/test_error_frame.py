"""Error frames: their place and their length, counted by hand from ISO 11898-1."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.can.error_frame import (
    ErrorFrame,
    disturbed,
    flag_after_bit_error,
    foreign_flag,
    foreign_frame,
    missing_acknowledge,
    usual_place,
)
from sim.can.faults import Disturbance, ErrorKind
from sim.can.frame import CanFrame
from sim.can.wire_bits import wire_bits

# 0 0000[1]0010100 000[1] 0001 00000[1]001 111011101010011 1 1 1 1111111: 55 bits
BITS = wire_bits(CanFrame(0x14, b"\x01"))


def active(kind: ErrorKind, after_bits: int | None = None) -> ErrorFrame:
    """The error frame of a fault among nodes that are all error active."""
    return disturbed(
        Disturbance(kind, after_bits), BITS, transmitter_active=True, receivers_active=True
    )


def test_places_of_the_kinds() -> None:
    """Each kind has its place in a frame whose fields are counted by hand.

    Arbitration ends after 14 bits (a stuff bit included), the CRC delimiter is bit 45, counted from
    0, the ACK slot bit 46; the first stuff bit past the arbitration is bit 16.
    """
    places = {kind: usual_place(kind, BITS) for kind in ErrorKind}
    assert (BITS.arbitration_bits, BITS.crc_delimiter) == (14, 45)
    assert places == {
        ErrorKind.BIT: (14 + 45) // 2 + 1,
        ErrorKind.STUFF: 16 + 1,
        ErrorKind.FORM: 45 + 1,
        ErrorKind.CRC: 46 + 1,
        ErrorKind.ACK: 46 + 1,
    }


def test_frame_without_stuff_bits_has_its_stuff_error_half_way() -> None:
    """Where there is no stuff bit after the arbitration, the error is put half-way."""
    bits = next(
        bits
        for number in range(256)
        if not (bits := wire_bits(CanFrame(0x555, b"\x55" * 7 + bytes((number,))))).stuff_places
    )
    half_way = (bits.arbitration_bits + bits.crc_delimiter) // 2
    assert usual_place(ErrorKind.STUFF, bits) == half_way + 1


@pytest.mark.parametrize(
    ("after_bits", "flag_bits"),
    [
        # The bit's own level is turned, so a recessive bit stands dominant on the wire.
        (2, 12),  # bit 1 is dominant, read recessive: no dominant run; 6 + 6
        (6, 6),  # bit 5, the stuff bit, after five dominant ones: six already, all find it at once
        (9, 9),  # bit 8 (recessive) after 00: three dominant ones; 3 more and then 6
        (11, 10),  # bit 10 (recessive) after 0: two dominant ones; 4 more and then 6
    ],
)
def test_flags_superpose_to_six_to_twelve_bits(after_bits: int, flag_bits: int) -> None:
    """Receivers follow with six bits when they have seen six dominant ones in a row."""
    assert active(ErrorKind.BIT, after_bits).flag_bits == flag_bits


@given(st.integers(1, 45), st.booleans(), st.booleans())
def test_flag_stays_within_the_standards_bounds(
    after_bits: int, transmitter_active: bool, receivers_active: bool
) -> None:
    """The superposed flag has 6 to 12 bits, 6 if no receiver is error active."""
    flag_bits = flag_after_bit_error(
        BITS,
        after_bits,
        transmitter_active=transmitter_active,
        receivers_active=receivers_active,
    )
    assert 6 <= flag_bits <= 12
    assert receivers_active or flag_bits == 6


def test_passive_transmitter_is_noticed_by_its_silence() -> None:
    """Its flag is recessive: receivers flag after six recessive bits, those before it included."""
    # Bit 14 is dominant (00 000), read recessive: a run of one; five more and then 6.
    error = disturbed(
        Disturbance(ErrorKind.BIT, 15), BITS, transmitter_active=False, receivers_active=True
    )
    assert error.flag_bits == 5 + 6


@pytest.mark.parametrize(
    ("kind", "bits"),
    [
        (ErrorKind.STUFF, 17 + 6 + 8),
        (ErrorKind.FORM, 46 + 6 + 8),
        (ErrorKind.ACK, 47 + 6 + 8),
        (ErrorKind.CRC, 47 + 7 + 8),  # the receivers flag a bit after the transmitter
    ],
)
def test_whole_error_frame(kind: ErrorKind, bits: int) -> None:
    """Bits until the error, the flags and the delimiter."""
    assert active(kind).bits == bits


def test_place_outside_the_frame_is_taken_at_its_end() -> None:
    """A chosen place is kept within the frame."""
    assert active(ErrorKind.FORM, 999).after_bits == len(BITS.levels)
    assert active(ErrorKind.FORM, 0).after_bits == 1


@pytest.mark.parametrize(
    ("after_bits", "spared"),
    [(6, True), (5, False), (17, False)],  # bit 5 is a recessive stuff bit, and so is 16
)
def test_stuff_error_within_the_arbitration_spares_the_transmitter(
    after_bits: int, spared: bool
) -> None:
    """Exception of the standard: a recessive stuff bit of the identifier, read dominant."""
    assert active(ErrorKind.STUFF, after_bits).spares_transmitter is spared


def test_missing_acknowledge_is_found_in_its_slot() -> None:
    """The transmitter alone flags: six bits from the ACK delimiter on."""
    assert missing_acknowledge(BITS) == ErrorFrame(ErrorKind.ACK, 47, 6)


@pytest.mark.parametrize(
    ("ratio", "flag_bits", "late_bits", "finder_penalty"),
    [
        (2.0, 12, 0, 8),  # 3 bits, the others 12: it sees theirs after its own
        (0.5, 12, 0, 0),  # 12 bits, as long as the others'
        (0.25, 24, 12, 0),  # 24 bits: 12 of them after the others' own flags
    ],
)
def test_flag_of_a_receiver_with_another_bit_rate(
    ratio: float, flag_bits: int, late_bits: int, finder_penalty: int
) -> None:
    """Six of its own bits last as long as they last; after bit 5 there is no dominant run."""
    error = foreign_flag(BITS, 6, ratio)
    assert (error.flag_bits, error.late_bits, error.finder_penalty) == (
        flag_bits,
        late_bits,
        finder_penalty,
    )


def test_late_bits_cost_eight_by_eight() -> None:
    """A dominant bit after the own flag costs receivers 8, and each 8 of them cost all 8."""
    error = ErrorFrame(ErrorKind.BIT, 10, 30, late_bits=17)
    assert (error.late_receiver_penalty, error.late_penalty) == (8, 16)
    assert ErrorFrame(ErrorKind.BIT, 10, 12).late_receiver_penalty == 0


def test_flag_of_a_transmitter_with_another_bit_rate() -> None:
    """It finds the others' flag with its next bit, then sends six of its own: 7 bits of twice 1."""
    assert foreign_frame(10, 0.5, sender_active=True).flag_bits == 14
    assert foreign_frame(10, 0.5, sender_active=False).flag_bits == 6
