"""One request on the bus and the wait for its replies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.can.frame import CanFrame
from sim.elm327.formatting import CONSECUTIVE, FIRST, frame_lines, isotp_data

if TYPE_CHECKING:
    from sim.elm327.adapter import Elm327

FRAME_BYTES = 8
CAN_ERROR_S = 0.050  # retries without acknowledge until the controller gives up (assumed)
CONTINUE_TO_SEND = bytes((0x30, 0x00, 0x00))
OBD_REPLY_BIT = 0x008  # set in an 11 bit reply's identifier: 7E0 is answered by 7E8, 726 by 72E


class RequestTooLongError(ValueError):
    """The request does not fit into one CAN frame; the chip cannot send segmented messages."""


def request_frame(elm: Elm327, data: bytes, *, remote: bool = False) -> CanFrame:
    """The CAN frame of a request under the present settings.

    Raises:
        RequestTooLongError: more than 8 bytes with the protocol byte and extended address.
    """
    settings = elm.settings
    protocol = elm.protocol.current
    extended = protocol is not None and protocol.extended
    identifier = settings.request_id(extended)
    if remote:
        return CanFrame(identifier, b"", extended, True)
    payload = bytes((len(data),)) + data if settings.auto_format else data
    if settings.extended_address is not None:
        payload = bytes((settings.extended_address,)) + payload
    if len(payload) > FRAME_BYTES:
        raise RequestTooLongError(f"request: expected at most 8 bytes, got {len(payload)}")
    if not settings.variable_dlc:
        payload = payload.ljust(FRAME_BYTES, bytes((settings.padding,)))
    return CanFrame(identifier, payload, extended)


class Request:
    """Sends a request, prints the replies, answers first frames, and knows when to stop waiting.

    Without a reply it waits the AT ST time. After each reply it waits again for more, AT ST or what
    adaptive timing has learnt; a response digit ends it after that many frames.
    """

    def __init__(self, elm: Elm327) -> None:
        self._elm = elm
        self._limit: int | None = None
        self._frames = 0
        self._sent_s = 0.0
        self._open_bytes: dict[int, int] = {}  # identifier -> bytes of its message still to come

    def start(self, data: bytes, limit: int | None, *, remote: bool = False) -> None:
        """Send `data`; `limit` is the response digit, None without one."""
        elm = self._elm
        protocol = elm.protocol.current
        if protocol is None or (elm.protocol.auto and not elm.protocol.active):
            elm.search.start(data, limit)
            return
        if not protocol.is_can:
            text = protocol.init_text or elm.profile.no_data
            elm.wait(protocol.failed_try_s, lambda: elm.finish(text))
            return
        try:
            frame = request_frame(elm, data, remote=remote)
        except RequestTooLongError:
            elm.finish("?")
            return
        if not elm.reaches_bus(protocol):
            elm.wait(CAN_ERROR_S, lambda: elm.finish("CAN ERROR"))
            return
        elm.drop_unsent()
        self.expect(limit)
        if not elm.settings.responses or (limit == 0 and not elm.profile.zero_digit_waits):
            elm.send_frame(frame)
            elm.finish()
            return
        elm.listen(self.on_frame)
        elm.wait(elm.settings.timeout_s, self._timed_out)
        elm.send_frame(frame)

    def expect(self, limit: int | None) -> None:
        """Begin to count replies; the request leaves now."""
        self._limit = limit or None
        self._frames = 0
        self._sent_s = self._elm.env.now
        self._open_bytes.clear()

    def on_frame(self, frame: CanFrame) -> None:
        """Print an accepted frame of a reply, and go on waiting or return to the prompt."""
        elm = self._elm
        settings = elm.settings
        lines = frame_lines(frame, settings)
        if lines is None:
            return  # no ISO-TP: auto formatting ignores it
        if settings.auto_format:
            self._track(frame, isotp_data(frame, settings))
        if self._frames == 0:
            elm.adaptive.measured(elm.env.now - self._sent_s)
            elm.protocol.active = True
        self._frames += 1
        if not elm.print_lines(lines):
            return  # the buffer was full, or the adapter locked up: the request is over
        if self._frames == self._limit:
            elm.finish()
            return
        if not self._open_bytes:
            elm.flush()  # the frames of one segmented message leave together
        elm.wait(elm.adaptive.wait_s(settings.adaptive, settings.timeout_s), self._timed_out)

    def _timed_out(self) -> None:
        elm = self._elm
        if elm.has_unsent and not self._frames:
            text = elm.failure
            elm.drop_unsent()
            elm.finish(text)
            return
        elm.finish(None if self._frames else elm.profile.no_data)

    # -- segmented replies -----------------------------------------------------------------------
    def _track(self, frame: CanFrame, data: bytes) -> None:
        kind = data[0] >> 4 if data else None
        identifier = frame.arbitration_id
        if kind == FIRST:
            length = (data[0] & 0x0F) << 8 | data[1]
            self._open_bytes[identifier] = length - (len(data) - 2)
            self._answer_first_frame(identifier, frame.is_extended)
            longest = self._elm.profile.longest_reply_bytes
            if longest is not None and length > longest:
                self._elm.lock_up(f"reply of {length} bytes")
        elif kind == CONSECUTIVE and identifier in self._open_bytes:
            self._open_bytes[identifier] -= len(data) - 1
            if self._open_bytes[identifier] <= 0:
                del self._open_bytes[identifier]

    def _answer_first_frame(self, identifier: int, extended: bool) -> None:
        settings = self._elm.settings
        if not settings.flow_control:
            return
        if extended:  # 18 DA F1 10 -> 18 DA 10 F1
            high, low = identifier >> 8 & 0xFF, identifier & 0xFF
            target = identifier & ~0xFFFF | low << 8 | high
        else:
            target = identifier & ~OBD_REPLY_BIT
        data = CONTINUE_TO_SEND
        if settings.flow_mode == 1 and settings.flow_header is not None:
            target = settings.flow_header if extended else settings.flow_header & 0x7FF
        if settings.flow_mode and settings.flow_data is not None:
            data = settings.flow_data
        if settings.extended_address is not None:
            data = bytes((settings.extended_address,)) + data
        if not settings.variable_dlc:
            data = data.ljust(FRAME_BYTES, bytes((settings.padding,)))
        self._elm.send_frame(CanFrame(target, data, extended))
