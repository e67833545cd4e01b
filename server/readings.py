"""A reading: one value of one signal, with its instants and its state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum

import msgspec


class State(IntEnum):
    """How a value came about. A prediction is never stored as MEASURED."""

    MEASURED = 0
    BOUNDED = 1
    HELD = 2
    LOST = 3


class Reading(msgspec.Struct, frozen=True, gc=False):
    """One value of one signal.

    Attributes:
        signal: id from the signal catalogue (`server.catalogue`).
        time_ns: instant measured, UTC nanoseconds since 1970.
        value: in the signal's unit.
        received_ns: instant at which the gateway had the value, UTC nanoseconds.
        state: how the value came about.
    """

    signal: int
    time_ns: int
    value: float
    received_ns: int
    state: State = State.MEASURED


ReadingSink = Callable[[Sequence[Reading]], None]
"""Takes readings from a link, from any thread; never blocks; bounded (refusals are counted)."""
