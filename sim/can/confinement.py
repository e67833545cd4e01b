"""Error counters of a controller and the states that follow from them.

Source: ISO 11898-1:2015, 12.1.4 (fault confinement); Bosch CAN 2.0 part B, chapter 8. The warning
state is not the standard's: controllers and Linux have it (96, SJA1000 data sheet, 6.4.10).
"""

from __future__ import annotations

import enum

WARNING_LIMIT = 96
PASSIVE_LIMIT = 128
BUS_OFF_LIMIT = 256
MAX_RECEIVE_COUNT = 255  # controllers keep it in eight bits
PASSIVE_RECEIVE_COUNT_AFTER_SUCCESS = 127  # the standard allows 119 to 127
TRANSMIT_PENALTY = 8
RECEIVE_PENALTY = 1
FIRST_RECEIVER_PENALTY = 8  # a receiver that sees a dominant bit right after its own error flag

RECOVERY_SEQUENCES = 128
RECOVERY_SEQUENCE_BITS = 11


class ErrorState(enum.Enum):
    """What a controller may still do on the bus."""

    ACTIVE = "error active"
    WARNING = "error warning"  # active; a counter has reached 96
    PASSIVE = "error passive"
    BUS_OFF = "bus off"


def state_of(tec: int, rec: int) -> ErrorState:
    """Return the state that belongs to the counters; bus-off is left by recovery alone."""
    if tec >= BUS_OFF_LIMIT:
        return ErrorState.BUS_OFF
    worst = max(tec, rec)
    if worst >= PASSIVE_LIMIT:
        return ErrorState.PASSIVE
    return ErrorState.WARNING if worst >= WARNING_LIMIT else ErrorState.ACTIVE


def after_reception(rec: int) -> int:
    """Return the receive error counter after a frame received without error."""
    if rec >= PASSIVE_LIMIT:
        return PASSIVE_RECEIVE_COUNT_AFTER_SUCCESS
    return max(0, rec - 1)
