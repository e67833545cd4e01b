"""The board's end of a serial line: a receive buffer, and a transmit buffer with an end."""

from __future__ import annotations

import math
from collections.abc import Callable

from sim.serial_line import BITS_PER_BYTE, SerialLine

RECEIVE_BYTES = 4096  # of the driver's ring buffer; what comes beyond it is lost
TRANSMIT_BYTES = 4096


class Uart:
    """One UART of the chip.

    Args:
        line: its wire.
        on_data: called when bytes have come.
        flipped: the chip is the host end of the line (a GNSS module is the device).

    Attributes:
        overrun_bytes: lost because nobody read in time.
    """

    def __init__(
        self, line: SerialLine, on_data: Callable[[], None], *, flipped: bool = False
    ) -> None:
        self.line = line
        self.overrun_bytes = 0
        self._received = bytearray()
        self._on_data = on_data
        self._out = line.to_device if flipped else line.to_host
        self._send = line.feed if flipped else line.write
        (line.attach_host if flipped else line.attach_device)(self._receive)

    def read(self) -> bytes:
        """Take all that has come."""
        data = bytes(self._received)
        self._received.clear()
        return data

    def write(self, data: bytes) -> int:
        """Send what fits the transmit buffer, and return how many bytes that were."""
        taken = data[: self._room_bytes()]
        self._send(taken)
        return len(taken)

    def clear(self) -> None:
        """Forget what has come: the chip resets."""
        self._received.clear()

    def _room_bytes(self) -> int:
        line = self.line
        if not line.paced:
            return TRANSMIT_BYTES
        waiting_s = max(0.0, self._out.free_at_s - line.env.now)
        return max(0, TRANSMIT_BYTES - math.ceil(waiting_s * line.baud / BITS_PER_BYTE - 1e-6))

    def _receive(self, data: bytes) -> None:
        room = RECEIVE_BYTES - len(self._received)
        self.overrun_bytes += max(0, len(data) - room)
        self._received += data[: max(0, room)]
        self._on_data()
