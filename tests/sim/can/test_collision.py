"""One identifier from several nodes at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sim.can.collision import Collision, Contender, collide
from sim.can.error_frame import ErrorFrame
from sim.can.faults import ErrorKind
from sim.can.frame import CanFrame
from sim.can.wire_bits import wire_bits


def contender(data: bytes, *, is_active: bool = True) -> Contender:
    """A sender of identifier 014 with `data`."""
    return Contender(wire_bits(CanFrame(0x14, data)), is_active)


def test_error_active_finder_destroys_the_frame() -> None:
    """01 against 03: they differ where 03 has its first recessive bit of data.

    014 # 01 reads 0 0000[1]0010100 000[1] 0001 00000[1]001: SOF to DLC takes 21 bits, and of the
    data 00000 [1] 0 0 1 the seventh bit, index 21 + 5 + 1 + 1 = 28, is the one that differs.
    The winner sends its next recessive bit right after it, finds the flag and sends six: 7.
    Receivers have seen 0 0 when the flag begins, so they flag after four bits of it: 10.
    """
    found = collide([contender(b"\x01"), contender(b"\x03")], receivers_active=True)
    assert found == Collision((0, 1), (), ErrorFrame(ErrorKind.BIT, 29, 10))
    alone = collide([contender(b"\x01"), contender(b"\x03")], receivers_active=False)
    assert alone.error == ErrorFrame(ErrorKind.BIT, 29, 7)


def test_error_passive_finder_falls_silent() -> None:
    """The recessive flag disturbs nobody: the other goes on."""
    found = collide(
        [contender(b"\x03", is_active=False), contender(b"\x01")], receivers_active=True
    )
    assert found == Collision((1,), (0,), None)


def test_other_length_is_found_in_the_length_code() -> None:
    """Frames of different length differ in their length code already."""
    found = collide([contender(b"\x01"), contender(b"\x01\x01")], receivers_active=True)
    assert found.error is not None
    assert found.error.after_bits == 1 + 12 + 4 + 3  # SOF, identifier and RTR IDE r0 with 2 stuffed


@given(st.lists(st.tuples(st.binary(max_size=8), st.booleans()), min_size=2, max_size=6))
def test_nobody_is_forgotten(senders: list[tuple[bytes, bool]]) -> None:
    """Each contender goes on or falls silent, and without an error those who go on are equal."""
    contenders = [contender(data, is_active=is_active) for data, is_active in senders]
    found = collide(contenders, receivers_active=True)
    assert sorted((*found.going, *found.silent)) == list(range(len(senders)))
    assert found.going
    assert not any(contenders[one].is_active for one in found.silent)
    if found.error is None:
        assert len({senders[one][0] for one in found.going}) == 1
    else:
        assert 6 <= found.error.flag_bits <= 12
