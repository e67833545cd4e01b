"""The receiving half of an ISO-TP endpoint: grants blocks and collects pieces.

N_Ar is watched for each flow control, N_Cr for each piece, N_Br is the receiver's own slowness.
"""

from __future__ import annotations

from collections.abc import Callable

import simpy

from sim.can.deadline import Deadline
from sim.can.frame import CanFrame
from sim.can.isotp_pdu import (
    CONSECUTIVE_FRAME_BYTES,
    CONTINUE,
    FLOW_CONTROL,
    MAX_MESSAGE_BYTES,
    OVERFLOW,
    SINGLE_FRAME_BYTES,
    WAIT,
    FrameSender,
    IsoTpOptions,
    OnEnd,
    OnMessage,
    Outcome,
    padded,
)


class _Message:
    """A segmented message on its way in."""

    __slots__ = ("block_left", "data", "length", "sequence")

    def __init__(self, length: int, data: bytes, block_size: int) -> None:
        self.length = length
        self.data = bytearray(data)
        self.sequence = 1
        self.block_left = block_size


class IsoTpReceiver:
    """Collects messages; answers with flow control frames of `tx_id`.

    Args:
        env: the world's SimPy environment.
        node: the controller that flow control leaves by.
        tx_id: identifier of flow control frames.
        is_extended: True for a 29 bit identifier.
        options: timing and sizes.
        on_message: called as on_message(payload, is_functional).
        on_failed: called with the reason when a message was begun and not completed.
        give_up: called when N_Ar has run out, to take the frame out of the controller.
    """

    def __init__(
        self,
        env: simpy.Environment,
        node: FrameSender,
        tx_id: int,
        is_extended: bool,
        options: IsoTpOptions,
        on_message: OnMessage,
        on_failed: OnEnd | None,
        give_up: Callable[[], object],
    ) -> None:
        self._env = env
        self._node = node
        self._tx_id = tx_id
        self._is_extended = is_extended
        self._options = options
        self._on_message = on_message
        self._on_failed = on_failed
        self._give_up = give_up
        self._message: _Message | None = None
        self._n_ar = Deadline(env, self._not_on_the_bus)
        self._n_cr = Deadline(env, self._consecutive_frame_missing)

    def abort(self) -> None:
        """Forget the message on its way in; nobody is told."""
        self._message = None
        self._n_ar.lift()
        self._n_cr.lift()

    def on_single(self, data: bytes, functional: bool) -> None:
        """Take a single frame; it ends a physical message that is not complete."""
        length = data[0]
        if not 0 < length <= SINGLE_FRAME_BYTES or length >= len(data):
            return
        if self._message is not None and not functional:
            self._fail(Outcome.UNEXPECTED)
        self._on_message(data[1 : 1 + length], functional)

    def on_first(self, data: bytes) -> None:
        """Take a first frame: grant a block, or refuse what is too long."""
        if len(data) < 8:
            return
        length = (data[0] & 0xF) << 8 | data[1]
        is_escaped = length == 0
        if is_escaped:
            length = int.from_bytes(data[2:6], "big")
        if length <= (MAX_MESSAGE_BYTES if is_escaped else SINGLE_FRAME_BYTES):
            return
        if self._message is not None:
            self._fail(Outcome.UNEXPECTED)
        if length > self._options.receive_bytes or is_escaped:
            self._transmit(OVERFLOW, None)
            return
        self._message = _Message(length, data[2:8], self._options.block_size)
        self._grant(self._message)

    def on_consecutive(self, data: bytes) -> None:
        """Take the next piece; one out of order ends the message."""
        message = self._message
        if message is None:
            return
        left = message.length - len(message.data)
        chunk = data[1 : 1 + min(left, CONSECUTIVE_FRAME_BYTES)]
        if len(chunk) < min(left, CONSECUTIVE_FRAME_BYTES):
            return  # too short for its place: ignored, as the standard has it
        if data[0] & 0xF != message.sequence:
            self._fail(Outcome.WRONG_SEQUENCE)
            return
        message.data += chunk
        message.sequence = message.sequence + 1 & 0xF
        if len(message.data) >= message.length:
            self.abort()
            self._on_message(bytes(message.data), False)
            return
        if message.block_left:
            message.block_left -= 1
            if not message.block_left:
                message.block_left = self._options.block_size
                self._grant(message)
                return
        self._n_cr.set(self._options.n_cr_s)

    def _grant(self, message: _Message) -> None:
        """Send "continue", after N_Br and the wait frames that the options ask for."""
        options = self._options
        left = options.wait_frames
        self._n_cr.lift()  # it counts from the end of "continue"

        def granted() -> None:
            if self._message is message:
                self._n_cr.set(options.n_cr_s)

        def step(_event: simpy.Event | None = None) -> None:
            nonlocal left
            if self._message is not message:
                return
            if not left:
                self._transmit(CONTINUE, granted)
                return
            left -= 1
            self._transmit(WAIT, None)
            self._later(options.wait_gap_s, step)

        if options.n_br_s:
            self._later(options.n_br_s, step)
        else:
            step()

    def _later(self, delay_s: float, step: Callable[[simpy.Event], None]) -> None:
        event = self._env.timeout(delay_s)
        event.callbacks.append(step)

    def _transmit(self, status: int, on_sent: Callable[[], None] | None) -> None:
        options = self._options
        sizes = (options.block_size, options.st_min) if status == CONTINUE else (0, 0)
        data = padded(bytes((FLOW_CONTROL << 4 | status, *sizes)), options.padding)

        def sent(_t_s: float) -> None:
            self._n_ar.lift()
            if on_sent is not None:
                on_sent()

        self._n_ar.set(options.n_ar_s)
        if not self._node.send(CanFrame(self._tx_id, data, self._is_extended), sent):
            self._n_ar.lift()
            if self._message is not None:
                self._fail(Outcome.NOT_SENT)

    def _fail(self, outcome: Outcome) -> None:
        self.abort()
        if self._on_failed is not None:
            self._on_failed(outcome)

    def _consecutive_frame_missing(self) -> None:
        self._fail(Outcome.TIMEOUT_CR)

    def _not_on_the_bus(self) -> None:
        self._give_up()
        if self._message is not None:
            self._fail(Outcome.TIMEOUT_AR)
