"""Identifiers of ISO 15765-4: who is asked with which, and who answers with which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from server.can.frame import EXTENDED, ID_MASK, Acceptance, shown_id

_TESTER = 0xF1
_PHYSICAL_29 = 0x18DA_0000
_ENGINE = {11: 0x7E8, 29: 0x18DA_F110 | EXTENDED}


@dataclass(frozen=True, slots=True)
class Addressing:
    """How requests and answers are addressed. Identifiers have the flag EXTENDED of `CanFrame`.

    Attributes:
        bits: 11 or 29.
        functional_id: heard by every ECU; in a fixed addressing that of the one ECU.
        answers: which identifiers are answers.
        fixed: (request, response) of the one ECU that is spoken to; None: any.
    """

    bits: int
    functional_id: int
    answers: Acceptance
    fixed: tuple[int, int] | None = None

    def is_answer(self, can_id: int) -> bool:
        """Tell whether a frame with this identifier is an ECU's answer to a tester."""
        wanted = self.answers
        return bool(can_id & EXTENDED) == wanted.is_extended and not (
            (can_id ^ wanted.id) & wanted.mask & ID_MASK
        )

    def request_id(self, response_id: int) -> int:
        """Return the identifier of requests and flow control to the ECU that answers so."""
        if self.fixed is not None:
            return self.fixed[0]
        if self.bits == 11:
            return response_id - 8
        return EXTENDED | _PHYSICAL_29 | (response_id & 0xFF) << 8 | _TESTER

    @property
    def engine_id(self) -> int:
        """With which the engine's ECU answers, where it keeps to the standard."""
        return self.fixed[1] if self.fixed is not None else _ENGINE[self.bits]

    def __str__(self) -> str:
        return f"{shown_id(self.functional_id)} ({self.bits} bit)"


STANDARD = (
    Addressing(11, 0x7DF, Acceptance(0x7E8, 0x7F8)),
    Addressing(29, 0x18DB_33F1 | EXTENDED, Acceptance(0x18DA_F100, 0x1FFF_FF00, is_extended=True)),
)
"""In the order in which a scan tool tries them."""


def fixed(request_id: int, response_id: int | None, bits: int) -> Addressing:
    """Make the addressing of one ECU alone; its answers' identifier follows if it is not given."""
    if response_id is None:
        if bits == 11:
            response_id = request_id + 8
        else:  # source and target change places
            response_id = request_id & ~0xFFFF | (request_id & 0xFF) << 8 | request_id >> 8 & 0xFF
    flag = EXTENDED if bits == 29 else 0
    accepted = Acceptance(response_id, is_extended=bits == 29)
    return Addressing(bits, request_id | flag, accepted, (request_id | flag, response_id | flag))


def acceptances(addressings: Sequence[Addressing]) -> list[Acceptance]:
    """Return what an interface must let pass for these."""
    return [addressing.answers for addressing in addressings]
