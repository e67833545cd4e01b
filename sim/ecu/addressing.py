"""Which identifiers a request and its answer have: normal (11 bit) or normal fixed (29 bit)."""

from __future__ import annotations

import enum
from dataclasses import dataclass

TESTER_ADDRESS = 0xF1  # ISO 15765-4: external test equipment
EVERYBODY_ADDRESS = 0x33  # ISO 15765-4: the functional address of legislated OBD
FUNCTIONAL_ID = 0x7DF  # ISO 15765-4: the 11 bit request that everybody hears
_PHYSICAL, _FUNCTIONAL = 0x18DA0000, 0x18DB0000  # ISO 15765-2: normal fixed, priority 6


class Addressing(enum.Enum):
    """How the ECUs of a bus are addressed."""

    NORMAL_11 = "11 bit"
    NORMAL_FIXED_29 = "29 bit"


@dataclass(frozen=True, slots=True)
class EcuIds:
    """The three identifiers that an ECU deals with."""

    request: int
    response: int
    functional: int = FUNCTIONAL_ID
    is_extended: bool = False


def normal_fixed(node_address: int) -> EcuIds:
    """Return the 29 bit identifiers of the ECU at `node_address` (0-0xFF), for tester F1."""
    return EcuIds(
        _PHYSICAL | node_address << 8 | TESTER_ADDRESS,
        _PHYSICAL | TESTER_ADDRESS << 8 | node_address,
        _FUNCTIONAL | EVERYBODY_ADDRESS << 8 | TESTER_ADDRESS,
        is_extended=True,
    )
