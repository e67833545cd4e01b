"""The automatic search for the car's protocol: SEARCHING... and what comes after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.can.frame import CanFrame
from sim.elm327.protocols import AUTOMATIC, FAST_ORDER, PROTOCOLS, STANDARD_ORDER, Protocol
from sim.elm327.requests import request_frame

if TYPE_CHECKING:
    from sim.elm327.adapter import Elm327

PROBE = bytes((0x01, 0x00))  # mode 01, supported PIDs: every OBD car answers it
MIN_WAIT_S = 0.2  # "an internally set minimum time is used" (ELM327DSJ p.27); value assumed


class Search:
    """Tries protocol after protocol with 01 00 until an ECU answers, then sends the request.

    Prints SEARCHING... first and UNABLE TO CONNECT when none is left. A protocol that answered is
    kept, and stored if `AT M1`.
    """

    def __init__(self, elm: Elm327) -> None:
        self._elm = elm
        self._data = b""
        self._probe = PROBE
        self._first = AUTOMATIC
        self._limit: int | None = None
        self._left: list[Protocol] = []
        self._trying: Protocol | None = None
        self._running = False

    def start(self, data: bytes, limit: int | None) -> None:
        """Search, then send `data` with its response digit."""
        elm = self._elm
        self._data = data
        self._limit = limit
        self._running = True
        self._probe = PROBE if elm.settings.auto_format else bytes((len(PROBE),)) + PROBE
        order = STANDARD_ORDER if elm.settings.standard_order else FAST_ORDER
        first = self._first = elm.protocol.number
        if first in PROTOCOLS:
            order = first + order.replace(first, "")
        self._left = [PROTOCOLS[number] for number in order]
        if elm.profile.search_late_s:
            elm.wait(elm.profile.search_late_s, self._announce)
        else:
            self._announce()

    def abandon(self) -> None:
        """End a search, if one runs: what was chosen before it is chosen again."""
        if not self._running:
            return
        self._running = False
        self._elm.listen(None)
        self._elm.protocol.try_number(self._first)

    def _announce(self) -> None:
        elm = self._elm
        elm.print_lines(["SEARCHING..."])
        elm.flush()
        self._try_next()

    def _try_next(self) -> None:
        elm = self._elm
        elm.drop_unsent()
        if not self._left:
            self.abandon()
            elm.finish("UNABLE TO CONNECT")
            return
        protocol = self._left.pop(0)
        if not protocol.is_can or not elm.reaches_bus(protocol):
            elm.wait(protocol.failed_try_s, self._try_next)
            return
        self._trying = protocol
        elm.protocol.try_number(protocol.number)
        elm.request.expect(self._limit)
        elm.listen(self._on_frame)
        elm.wait(max(elm.settings.timeout_s, MIN_WAIT_S), self._try_next)
        elm.send_frame(request_frame(elm, self._probe))

    def _on_frame(self, frame: CanFrame) -> None:
        elm = self._elm
        assert self._trying is not None
        elm.connected(self._trying)
        self._running = False
        if self._data == self._probe:
            elm.listen(elm.request.on_frame)
            elm.request.on_frame(frame)
            return
        # The replies to the probe are not shown; the request goes out when they have passed.
        elm.listen(None)
        elm.wait(
            elm.adaptive.wait_s(elm.settings.adaptive, elm.settings.timeout_s),
            lambda: elm.request.start(self._data, self._limit),
        )
