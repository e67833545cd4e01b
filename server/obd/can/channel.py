"""ISO-TP from one ECU: can-isotp's state machine, fed frame by frame.

can-isotp's own `TransportLayer` runs two threads that look at their queues now and then; two of
them talking to each other take 44 ms for a question that needs 1 ms. Its `TransportLayerLogic` has
no thread: here it gets a frame when there is one, and sends flow control in the same call.

Requests need no state machine: one for six PIDs just fills a single frame (`single_frame`).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any

import isotp

from server.can.frame import EXTENDED, ID_MASK, CanFrame

PADDING = 0x00
SINGLE, FIRST, CONSECUTIVE, FLOW_CONTROL = range(4)
MAX_MESSAGE_BYTES = 4095
_CF_TIMEOUT_MS = 10_000  # whoever asks has deadlines of its own

# Its warnings would repeat what the counters say.
_SILENT = logging.getLogger("server.obd.can.isotp")
_SILENT.disabled = True


def single_frame(payload: bytes) -> bytes:
    """Return the data of a frame with a whole message of 1 to 7 bytes; 8 bytes (ISO 15765-4)."""
    return (bytes((len(payload),)) + payload).ljust(8, bytes((PADDING,)))


def frame_type(data: bytes) -> int:
    """Return SINGLE, FIRST, CONSECUTIVE or FLOW_CONTROL, or something greater."""
    return data[0] >> 4 if data else 0xF


def begins(data: bytes) -> bytes:
    """Return the first bytes of the message that a single or first frame begins."""
    if data[0] >> 4 == SINGLE:
        return data[1 : 1 + (data[0] & 0xF)]
    return data[2:]


class Channel:
    """Receives what one ECU says.

    Args:
        request_id: where flow control goes.
        response_id: what it answers with.
        send: sends a frame.

    Attributes:
        error: what can-isotp found wrong since `reset`; "" for nothing.
    """

    def __init__(self, request_id: int, response_id: int, send: Callable[[CanFrame], None]) -> None:
        self.error = ""
        self._inbox: deque[isotp.CanMessage] = deque()
        self._response_id = response_id & ID_MASK
        self._is_extended = bool(response_id & EXTENDED)
        self._send = send
        mode = isotp.AddressingMode
        self._logic = isotp.TransportLayerLogic(
            rxfn=self._next,
            txfn=self._transmit,
            address=isotp.Address(
                mode.Normal_29bits if self._is_extended else mode.Normal_11bits,
                txid=request_id & ID_MASK,
                rxid=self._response_id,
            ),
            error_handler=self._fail,
            params={
                "blocksize": 0,
                "stmin": 0,
                "tx_padding": PADDING,
                "max_frame_size": MAX_MESSAGE_BYTES,
                "rx_consecutive_frame_timeout": _CF_TIMEOUT_MS,
                "logger_name": _SILENT.name,
            },
        )

    @property
    def is_receiving(self) -> bool:
        """Whether a message has begun and is not complete."""
        return bool(self._logic.is_rx_active())

    def take(self, data: bytes) -> bytes | None:
        """Take a frame's data; return the message that it completes."""
        self._inbox.append(
            isotp.CanMessage(
                arbitration_id=self._response_id, data=data, extended_id=self._is_extended
            )
        )
        self._logic.process()
        message = self._logic.recv()
        return None if message is None else bytes(message)

    def reset(self) -> None:
        """Forget a message that is not complete."""
        self.error = ""
        self._inbox.clear()
        self._logic.reset()

    def _next(self, _timeout_s: float) -> isotp.CanMessage | None:
        return self._inbox.popleft() if self._inbox else None

    def _transmit(self, message: Any) -> None:
        flag = EXTENDED if message.is_extended_id else 0
        self._send(CanFrame(message.arbitration_id | flag, bytes(message.data)))

    def _fail(self, error: Exception) -> None:
        self.error = str(error)
