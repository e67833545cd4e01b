"""What an acceptance filter takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.can.acceptance import Acceptance, accepts_any


@given(st.integers(0, 0x1FFFFFFF), st.integers(0, 0x1FFFFFFF), st.integers(0, 0x1FFFFFFF))
def test_masked_bits_decide(identifier: int, mask: int, seen: int) -> None:
    """A filter takes an identifier if its masked bits are equal (SocketCAN's rule)."""
    assert Acceptance(identifier, mask).accepts(seen, True) is (seen & mask == identifier & mask)


def test_no_filter_takes_no_frame() -> None:
    """An empty list of filters takes nothing; one that fits is enough."""
    assert not accepts_any([], 0x100, False)
    assert accepts_any([Acceptance(0x200, 0x7FF), Acceptance(0x100, 0x7FF)], 0x100, False)


@pytest.mark.parametrize(
    ("identifier", "mask", "is_extended", "text"),
    [
        (0x800, 0, False, "acceptance id: expected 0-0x7ff, got 0x800"),
        (0x20000000, 0, None, "acceptance id: expected 0-0x1fffffff, got 0x20000000"),
        (0, -1, None, "acceptance mask: expected 0-0x1fffffff, got -0x1"),
    ],
)
def test_values_out_of_range_are_refused(
    identifier: int, mask: int, is_extended: bool | None, text: str
) -> None:
    """Identifier and mask must fit into the format."""
    with pytest.raises(ValueError, match=text):
        Acceptance(identifier, mask, is_extended)
