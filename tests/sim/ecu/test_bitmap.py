"""Bitmaps of what is supported."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sim.ecu.bitmap import bitmap_answer, is_bitmap, supported_bitmap

numbers = st.sets(st.integers(1, 255).filter(lambda number: not is_bitmap(number)))


def read_bitmaps(supported: set[int]) -> set[int]:
    """Follow the chain of bitmaps as a tester does."""
    found: set[int] = set()
    base: int | None = 0
    while base is not None:
        data = supported_bitmap(supported, base)
        assert data is not None
        bits = int.from_bytes(data, "big")
        found |= {base + offset for offset in range(1, 32) if bits >> (32 - offset) & 1}
        base = base + 0x20 if bits & 1 else None
    return found


@given(numbers)
def test_tester_finds_exactly_what_is_there(supported: set[int]) -> None:
    """A tester that follows the chain finds all that is supported, and nothing else."""
    assert read_bitmaps(supported) == supported


@given(numbers)
def test_chain_ends_with_the_last_supported(supported: set[int]) -> None:
    """A bitmap above everything that is supported is not there; bitmap 00 always is."""
    assert supported_bitmap(supported, 0) is not None
    for base in range(0x20, 0x100, 0x20):
        exists = supported_bitmap(supported, base) is not None
        assert exists == any(number > base for number in supported)


def test_worked_by_hand() -> None:
    """PID 01 is the highest bit of the first byte."""
    assert supported_bitmap({1, 3, 4, 5, 6, 7, 0x0C, 0x0D}, 0) == bytes.fromhex("be180000")


def test_several_bitmaps_at_once() -> None:
    """Up to six bitmaps are answered together, those that are not there are left out."""
    answer = bitmap_answer({0x01, 0x21}, bytes((0x00, 0x20, 0x40)))
    assert answer == bytes.fromhex("00 80000001 20 80000000")
    assert bitmap_answer({0x01}, bytes((0x00, 0x01))) == b""
    assert bitmap_answer({0x01}, bytes(7)) == b""
