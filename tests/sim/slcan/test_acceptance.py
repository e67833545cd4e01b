"""The SJA1000's acceptance filter, bit by bit."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.can.frame import CanFrame
from sim.slcan.acceptance import ALL_BITS, AcceptanceFilter

SINGLE, DUAL = True, False


def standard(identifier: int, data: str = "") -> CanFrame:
    return CanFrame(identifier, bytes.fromhex(data))


def extended(identifier: int, data: str = "") -> CanFrame:
    return CanFrame(identifier, bytes.fromhex(data), is_extended=True)


def remote(identifier: int, *, is_extended: bool = False) -> CanFrame:
    return CanFrame(identifier, is_extended=is_extended, is_remote=True)


@pytest.mark.parametrize(
    ("code", "mask", "single", "passes", "fails"),
    [
        # One filter, 11 bit: ACR0 and the upper three bits of ACR1 are the identifier.
        pytest.param(
            *(0xFD00_0000, 0x001F_FFFF, SINGLE),
            [standard(0x7E8), standard(0x7E8, "0102"), remote(0x7E8)],
            [standard(0x7E9), standard(0x3E8), standard(0x7E0)],
            id="single, identifier",
        ),
        pytest.param(
            *(0xFD00_0000, 0x000F_FFFF, SINGLE),
            [standard(0x7E8)],
            [remote(0x7E8)],
            id="single, no remote frames",
        ),
        pytest.param(
            *(0x0000_4100, 0xFFFF_00FF, SINGLE),
            [standard(0x123, "41"), standard(0x7E8, "4100"), standard(0x1), remote(0x1)],
            [standard(0x123, "42")],
            id="single, first data byte if there is one",
        ),
        pytest.param(
            *(0x0000_410C, 0xFFFF_0000, SINGLE),
            [standard(0x123, "410C"), standard(0x123, "41")],
            [standard(0x123, "410D")],
            id="single, two data bytes",
        ),
        pytest.param(
            *(0x18DA_F110 << 3, 0x0000_0007, SINGLE),
            [
                extended(0x18DAF110),
                extended(0x18DAF110, "FF"),
                remote(0x18DAF110, is_extended=True),
            ],
            [extended(0x18DAF111), extended(0x08DAF110)],
            id="single, 29 bit",
        ),
        pytest.param(
            *(0x18DA_F110 << 3, 0x0000_0003, SINGLE),
            [extended(0x18DAF110)],
            [remote(0x18DAF110, is_extended=True)],
            id="single, 29 bit, no remote frames",
        ),
        # Two filters: the first has ACR0, ACR1 and half of ACR3, the second ACR2 and ACR3.
        pytest.param(
            *(0xFD00_FC00, 0x001F_001F, DUAL),
            [standard(0x7E8), standard(0x7E0), remote(0x7E0)],
            [standard(0x7E1), standard(0x7E9)],
            id="dual, two identifiers",
        ),
        pytest.param(
            *(0xFD04_FF01, 0x0010_001F & ~0x000F_000F, DUAL),
            [standard(0x7E8, "41"), standard(0x7E8)],
            [standard(0x7E8, "42"), standard(0x7E8, "51")],
            id="dual, the first data byte lies in two registers",
        ),
        pytest.param(
            *(0xC6D7_0000, 0x0000_0000, DUAL),
            [extended(0x18DAF110), extended(0x18DAE110), extended(0x00000123)],
            [extended(0x18DB0000)],
            id="dual, the upper 16 of 29 bits",
        ),
    ],
)
def test_registers(code, mask, single, passes, fails):
    """Code and mask compare the bits that the data sheet draws (6.4.15)."""
    acceptance = AcceptanceFilter(code, mask, single)
    assert [frame for frame in passes if not acceptance.accepts(frame)] == []
    assert [frame for frame in fails if acceptance.accepts(frame)] == []


FRAMES = st.one_of(
    st.builds(CanFrame, st.integers(0, 0x7FF), st.binary(max_size=8)),
    st.builds(CanFrame, st.integers(0, 0x1FFFFFFF), st.binary(max_size=8), st.just(True)),
    st.builds(remote, st.integers(0, 0x7FF)),
)


@settings(max_examples=60, deadline=None)
@given(FRAMES, st.integers(0, ALL_BITS), st.integers(0, ALL_BITS), st.booleans())
def test_a_wider_mask_takes_no_less(frame, code, mask, single):
    """Bits that do not matter cannot keep a frame out, and a mask of ones takes everything."""
    assert AcceptanceFilter(code, ALL_BITS, single).accepts(frame)
    if AcceptanceFilter(code, mask, single).accepts(frame):
        assert AcceptanceFilter(code, mask | mask >> 1, single).accepts(frame)
