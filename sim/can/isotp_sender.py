"""The sending half of an ISO-TP endpoint: single frames, and messages in pieces at a peer's pace.

N_As is watched for each frame, N_Bs for each flow control, N_Cs is the sender's own slowness.
"""

from __future__ import annotations

from collections.abc import Callable

import simpy

from sim.can.deadline import Deadline
from sim.can.errors import IsoTpBusyError, IsoTpLengthError
from sim.can.frame import CanFrame
from sim.can.isotp_pdu import (
    CONSECUTIVE,
    CONSECUTIVE_FRAME_BYTES,
    CONTINUE,
    FIRST,
    FIRST_FRAME_BYTES,
    MAX_MESSAGE_BYTES,
    OVERFLOW,
    SINGLE_FRAME_BYTES,
    WAIT,
    FrameSender,
    IsoTpOptions,
    OnEnd,
    Outcome,
    pack_single,
    padded,
    st_min_s,
)


class _Message:
    """A segmented message on its way out."""

    __slots__ = ("block_left", "on_end", "payload", "position", "separation_s", "sequence", "waits")

    def __init__(self, payload: bytes, on_end: OnEnd | None) -> None:
        self.payload = payload
        self.on_end = on_end
        self.position = FIRST_FRAME_BYTES
        self.sequence = 1
        self.block_left = 0  # 0 = as many as there are
        self.separation_s = 0.0
        self.waits = 0


class IsoTpSender:
    """Sends messages with `tx_id`; its owner passes each flow control to `on_flow_control`.

    Args:
        env: the world's SimPy environment.
        node: the controller that the frames leave by.
        tx_id: identifier of own frames.
        is_extended: True for a 29 bit identifier.
        options: timing and sizes.
        give_up: called when N_As has run out, to take the frame out of the controller.
    """

    def __init__(
        self,
        env: simpy.Environment,
        node: FrameSender,
        tx_id: int,
        is_extended: bool,
        options: IsoTpOptions,
        give_up: Callable[[], object],
    ) -> None:
        self._env = env
        self._node = node
        self._tx_id = tx_id
        self._is_extended = is_extended
        self._options = options
        self._give_up = give_up
        self._message: _Message | None = None
        self._round = 0  # grows when frames are given up: what they report later is void
        self._unconfirmed = 0
        self._single_ends: list[OnEnd] = []
        self._n_as = Deadline(env, self._not_on_the_bus)
        self._n_bs = Deadline(env, self._flow_control_missing)

    @property
    def busy(self) -> bool:
        """True while a segmented message is on its way out."""
        return self._message is not None

    @property
    def awaits_flow_control(self) -> bool:
        """True while a segmented message stands still until the peer lets it go on."""
        return self._n_bs.armed

    def send(self, payload: bytes, on_end: OnEnd | None) -> None:
        """See `sim.can.isotp.IsoTpChannel.send`."""
        if self._message is not None:
            left = max(0, len(self._message.payload) - self._message.position)
            raise IsoTpBusyError(
                f"ISO-TP {self._tx_id:#x}: expected the last message to be through, but "
                f"{left} bytes wait; send from its on_end"
            )
        if 0 < len(payload) <= SINGLE_FRAME_BYTES:
            self._send_single(pack_single(payload, self._options.padding), on_end)
        elif payload and len(payload) <= MAX_MESSAGE_BYTES:
            self._send_first(_Message(payload, on_end))
        else:
            raise IsoTpLengthError(
                f"ISO-TP {self._tx_id:#x}: expected 1-{MAX_MESSAGE_BYTES} bytes, got {len(payload)}"
            )

    def abort(self, outcome: Outcome = Outcome.REPLACED) -> None:
        """Give up the message on its way out."""
        if self._message is not None:
            self._end(outcome)

    def on_flow_control(self, data: bytes) -> None:
        """Take a flow control frame; out of turn, or short, it is ignored."""
        message = self._message
        if message is None or not self._n_bs.armed or len(data) < 3:
            return
        status = data[0] & 0xF
        if status == CONTINUE:
            self._n_bs.lift()
            message.waits = 0
            message.block_left = data[1]
            message.separation_s = st_min_s(data[2])
            self._send_consecutive_after(self._options.n_cs_s, message)
        elif status == WAIT:
            message.waits += 1
            if message.waits > self._options.wait_limit:
                self._end(Outcome.WAIT_OVERRUN)
            else:
                self._n_bs.set(self._options.n_bs_s)
        else:
            self._end(Outcome.OVERFLOW if status == OVERFLOW else Outcome.INVALID_FLOW_STATUS)

    # -- frames ----------------------------------------------------------------------------------
    def _transmit(self, data: bytes, on_sent: Callable[[], None]) -> bool:
        """Send a frame under N_As; `on_sent` is called unless the frame was given up before."""
        this_round = self._round

        def sent(_t_s: float) -> None:
            if this_round == self._round:
                self._unconfirmed -= 1
                if not self._unconfirmed:
                    self._n_as.lift()
                on_sent()

        self._unconfirmed += 1
        self._n_as.set(self._options.n_as_s)
        taken = self._node.send(CanFrame(self._tx_id, data, self._is_extended), sent)
        if not taken:
            self._unconfirmed -= 1
            if not self._unconfirmed:
                self._n_as.lift()
        return taken

    def _send_single(self, data: bytes, on_end: OnEnd | None) -> None:
        if on_end is None:
            self._transmit(data, _nothing)
            return

        def sent() -> None:
            self._single_ends.remove(on_end)
            on_end(Outcome.OK)

        if self._transmit(data, sent):
            self._single_ends.append(on_end)
        else:
            on_end(Outcome.NOT_SENT)

    def _send_first(self, message: _Message) -> None:
        self._message = message
        length = len(message.payload)
        header = bytes((FIRST << 4 | length >> 8, length & 0xFF))

        def sent() -> None:
            # N_Bs counts from here; flow control that came before was not for this message.
            if self._message is message:
                self._n_bs.set(self._options.n_bs_s)

        if not self._transmit(header + message.payload[:FIRST_FRAME_BYTES], sent):
            self._end(Outcome.NOT_SENT)

    def _send_consecutive(self, message: _Message) -> None:
        start = message.position
        message.position = start + CONSECUTIVE_FRAME_BYTES
        header = bytes((CONSECUTIVE << 4 | message.sequence,))
        message.sequence = message.sequence + 1 & 0xF
        data = padded(header + message.payload[start : message.position], self._options.padding)

        def sent() -> None:
            if self._message is message:
                self._consecutive_sent(message)

        if not self._transmit(data, sent):
            self._end(Outcome.NOT_SENT)

    def _consecutive_sent(self, message: _Message) -> None:
        if message.position >= len(message.payload):
            self._end(Outcome.OK)
            return
        if message.block_left:
            message.block_left -= 1
            if not message.block_left:
                self._n_bs.set(self._options.n_bs_s)
                return
        self._send_consecutive_after(message.separation_s + self._options.n_cs_s, message)

    def _send_consecutive_after(self, delay_s: float, message: _Message) -> None:
        if not delay_s:
            self._send_consecutive(message)
            return

        def due(_event: simpy.Event) -> None:
            if self._message is message:
                self._send_consecutive(message)

        event = self._env.timeout(delay_s)
        event.callbacks.append(due)

    # -- ends ------------------------------------------------------------------------------------
    def _end(self, outcome: Outcome) -> None:
        message = self._message
        self._message = None
        self._n_bs.lift()
        if message is not None and message.on_end is not None:
            message.on_end(outcome)

    def _flow_control_missing(self) -> None:
        self._end(Outcome.TIMEOUT_BS)

    def _not_on_the_bus(self) -> None:
        self._round += 1
        self._unconfirmed = 0
        self._give_up()
        singles, self._single_ends = self._single_ends, []
        if self._message is not None:
            self._end(Outcome.TIMEOUT_AS)
        for on_end in singles:
            on_end(Outcome.TIMEOUT_AS)


def _nothing() -> None:
    """Nobody waits for the end of this frame."""
