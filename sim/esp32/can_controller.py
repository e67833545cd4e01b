"""The chip's CAN controller: an acceptance filter, a short queue each way, and overruns."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from sim.can.bus import CanBus
from sim.can.frame import CanFrame

RECEIVE_FRAMES = 32
TRANSMIT_FRAMES = 5  # the TWAI driver's queue as ESP-IDF sets it up
RESTART_S = 0.1  # the driver starts recovery from bus-off by itself (assumed)
RESPONSE_IDS = range(0x7E8, 0x7F0)
ERROR_ID = -1

Received = tuple[int, bytes, int]


class CanController:
    """A node on the bus that keeps what came until the firmware takes it.

    Args:
        bus: the car's.
        name: of the node.
        ticks_ms: the board's clock, for the instant of each frame.
        on_frame: called when there is something to take.

    Attributes:
        overruns: frames lost because the queue was full; the first one of a series is told to the
            firmware as an error.
    """

    def __init__(
        self, bus: CanBus, name: str, ticks_ms: Callable[[], int], on_frame: Callable[[], None]
    ) -> None:
        self.overruns = 0
        self._ticks_ms = ticks_ms
        self._on_frame = on_frame
        self._received: deque[Received] = deque()
        self._overrun = False
        self._node = bus.attach(name, self._receive, RESPONSE_IDS)
        self._node.auto_recover_s = RESTART_S

    def send(self, arbitration_id: int, data: bytes) -> bool:
        """Queue a frame; False when the transmit queue is full."""
        if self._node.pending_frames >= TRANSMIT_FRAMES:
            return False
        return self._node.send(CanFrame(arbitration_id, data))

    def receive(self) -> Received | None:
        """Take the oldest frame, or the news of an overrun after those that came before it."""
        if self._received:
            return self._received.popleft()
        if self._overrun:
            self._overrun = False
            return ERROR_ID, b"", self._ticks_ms()
        return None

    def clear(self) -> None:
        """Forget what has come: the chip resets."""
        self._received.clear()
        self._overrun = False

    def _receive(self, frame: CanFrame, _time_s: float) -> None:
        if len(self._received) >= RECEIVE_FRAMES:
            self.overruns += 1
            self._overrun = True
            return
        self._received.append((frame.arbitration_id, frame.data, self._ticks_ms()))
        self._on_frame()
