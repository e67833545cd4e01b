"""The table `can` of an OBD link: an interface, and how the car is spoken to.

can = {interface = "socketcand", host = "127.0.0.1", port = 29536, channel = "can0"}

interface, channel, host, port, bitrate, options    as of a link of kind "can" (python-can)
id_bits = 11             # or 29; absent: 11 is tried first, then 29
request_id = "auto"      # "functional": 7DF (18DB33F1), heard by every ECU
                         # "physical": 7E0 and following (18DAxxF1), one ECU alone
                         # "auto": physical after the search if the car answers that
                         # 0x7E0: one ECU alone from the start, with any number
response_id = 0x7E8      # of its answers; absent: after ISO 15765-4
several = true           # ask up to six PIDs in one question if the car answers that
reply_timeout_s = 0.1    # longest wait for an ECU: P2 (50 ms) and the interface's own delay
pending_timeout_s = 5.1  # the same after "response pending" (P2*, 5 s)
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from dataclasses import dataclass
from typing import Any

from server.can.options import PortOptions, port_options
from server.clock import Clock
from server.config_section import Section, describe
from server.obd.backend import ObdBackend

FUNCTIONAL, PHYSICAL, AUTO = "functional", "physical", "auto"
LARGEST_ID = {11: 0x7FF, 29: 0x1FFF_FFFF}


@dataclass(frozen=True, slots=True)
class CanObdOptions:
    """How to reach the car's ECUs.

    Attributes:
        port: the interface.
        id_bits: 11 or 29; None: search.
        request: "auto", "functional" or "physical".
        request_id: of the one ECU that is asked; None: search.
        response_id: of that ECU; None: after ISO 15765-4.
        several: ask several PIDs at once if the car answers that.
        reply_timeout_s: longest wait for an answer.
        pending_timeout_s: longest wait for an answer after "response pending".
    """

    port: PortOptions
    id_bits: int | None = None
    request: str = AUTO
    request_id: int | None = None
    response_id: int | None = None
    several: bool = True
    reply_timeout_s: float = 0.1
    pending_timeout_s: float = 5.1

    @classmethod
    def parse(cls, section: Section) -> CanObdOptions:
        """Read the table `can`; also that can-isotp is installed."""
        if importlib.util.find_spec("isotp") is None:
            raise section.where.error(
                (), "can-isotp for OBD over CAN (pip install 'telerig[can]')", "no module isotp"
            )
        id_bits = section.integer("id_bits", None, minimum=11, maximum=29)
        if id_bits not in (None, 11, 29):
            raise section.where.error("id_bits", "11 or 29", describe(id_bits))
        request, request_id = _request(section, id_bits)
        response_id = None
        if request_id is None and "response_id" in section.table:
            raise section.where.error(
                "response_id", "request_id as a number beside it", describe(request)
            )
        if request_id is not None:
            id_bits = id_bits or (11 if request_id <= LARGEST_ID[11] else 29)
            response_id = section.integer(
                "response_id", None, minimum=0, maximum=LARGEST_ID[id_bits]
            )
        options = cls(
            port=port_options(section),
            id_bits=id_bits,
            request=request,
            request_id=request_id,
            response_id=response_id,
            several=section.flag("several", True),
            reply_timeout_s=section.number("reply_timeout_s", 0.1, minimum=0.01, maximum=10.0),
            pending_timeout_s=section.number("pending_timeout_s", 5.1, minimum=0.1, maximum=60.0),
        )
        section.done()
        return options

    def make(self, clock: Clock, protocol: str | None, counts: Counter[str]) -> ObdBackend[Any]:
        """Make the back end of one attempt; it begins with the identifiers found before."""
        from server.obd.can.backend import CanObd  # can-isotp: only when a link is made

        return CanObd(self, clock, protocol, counts)


def _request(section: Section, id_bits: int | None) -> tuple[str, int | None]:
    """Read `request_id`: one of three words, or a number."""
    if isinstance(section.table.get("request_id"), str) or "request_id" not in section.table:
        return section.choice("request_id", (AUTO, FUNCTIONAL, PHYSICAL), AUTO), None
    largest = LARGEST_ID[id_bits or 29]
    return PHYSICAL, section.integer("request_id", minimum=0, maximum=largest)
