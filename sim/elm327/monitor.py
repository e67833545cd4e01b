"""`AT MA`, `AT MR`, `AT MT`: print what passes on the bus until a character arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.can.frame import CanFrame
from sim.elm327.formatting import monitor_lines
from sim.elm327.protocols import FAST_ORDER, PROTOCOLS

if TYPE_CHECKING:
    from sim.elm327.adapter import Elm327


class Monitor:
    """Prints frames of the bus, all or those of one address, through the filter that the user set.

    No flow control is ever sent (datasheet, CFC0 and CFC1). When the UART cannot keep up, the
    512 byte buffer runs full: BUFFER FULL, and back to the prompt.
    """

    def __init__(self, elm: Elm327) -> None:
        self._elm = elm
        self._code = 0
        self._mask = 0

    def all(self) -> None:
        """`AT MA`."""
        self._start(0, 0, 0)

    def receiver(self, address: int) -> None:
        """`AT MR hh`: frames sent to `address`."""
        self._start(8, 0xFF, address)

    def transmitter(self, address: int) -> None:
        """`AT MT hh`: frames sent by `address`."""
        self._start(0, 0xFF, address)

    def parameter_group(self, group: int) -> None:
        """`AT MP hhhh`: frames of a J1939 parameter group."""
        self._start(8, 0xFFFF, group & 0xFFFF)

    def _start(self, shift: int, mask: int, code: int) -> None:
        elm = self._elm
        if elm.protocol.current is None:
            # The datasheet searches here as well; a listener finds the bit rate by listening.
            elm.protocol.try_number(
                next(
                    (n for n in FAST_ORDER if PROTOCOLS[n].bitrate_bps == elm.bus.bitrate_bps), "6"
                )
            )
        protocol = elm.protocol.current
        # 11 bit identifiers name no sender and receiver: the low byte is taken (assumed).
        if protocol is None or not protocol.extended:
            shift = 0
        self._mask = mask << shift
        self._code = code << shift
        elm.monitor_frames(self._on_frame)

    def _on_frame(self, frame: CanFrame) -> None:
        elm = self._elm
        settings = elm.settings
        if settings.filtered:
            code, mask = settings.acceptance(frame.is_extended)
            if frame.arbitration_id & mask != code:
                return
        if frame.arbitration_id & self._mask != self._code:
            return
        if elm.print_lines(monitor_lines(frame, settings)):
            elm.flush()
