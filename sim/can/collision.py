"""Two nodes that send the same identifier in the same bit: arbitration cannot part them.

The one that sends a recessive bit where another sends a dominant one finds a bit error. If it is
error active its flag destroys the frame of all; if it is error passive it falls silent, and the
others go on. Senders of one and the same frame do not notice each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim.can.error_frame import FLAG_BITS, ErrorFrame
from sim.can.faults import ErrorKind
from sim.can.wire_bits import DOMINANT, RECESSIVE, WireBits


@dataclass(frozen=True, slots=True)
class Contender:
    """One of the senders."""

    bits: WireBits
    is_active: bool


@dataclass(frozen=True, slots=True)
class Collision:
    """How it ends; numbers are places in the sequence of contenders.

    Attributes:
        going: those who send to the end of the frame, or until it is destroyed.
        silent: error-passive ones that found a bit error and fell silent.
        error: the error frame, None if the frame passes.
    """

    going: tuple[int, ...]
    silent: tuple[int, ...]
    error: ErrorFrame | None


def collide(contenders: Sequence[Contender], *, receivers_active: bool) -> Collision:
    """Return how contenders with one identifier part."""
    going = list(range(len(contenders)))
    silent: list[int] = []
    while True:
        index = _first_difference([contenders[one].bits.levels for one in going])
        if index is None:
            return Collision(tuple(going), tuple(silent), None)
        finders = [one for one in going if contenders[one].bits.levels[index] == RECESSIVE]
        others = [one for one in going if one not in finders]
        if any(contenders[one].is_active for one in finders):
            flag_bits = _flag_bits([contenders[one] for one in others], index, receivers_active)
            error = ErrorFrame(ErrorKind.BIT, index + 1, flag_bits)
            return Collision(tuple(going), tuple(silent), error)
        going = others
        silent += finders


def _first_difference(levels: Sequence[bytes]) -> int | None:
    for index, column in enumerate(zip(*levels, strict=False)):
        if len(set(column)) > 1:
            return index
    return None


def _flag_bits(others: Sequence[Contender], index: int, receivers_active: bool) -> int:
    """The flags' length when an active flag begins after bit `index`, which was dominant."""
    longest = FLAG_BITS
    for other in others:
        if other.is_active:  # it finds the flag with its next recessive bit
            longest = max(longest, other.bits.levels.index(RECESSIVE, index) - index + FLAG_BITS)
    if receivers_active:
        run = others[0].bits.run_before(index + 1, DOMINANT)
        longest = max(longest, 2 * FLAG_BITS - run)
    return longest
