"""ISO-TP endpoints: messages of 1 to 4095 bytes over CAN frames of 8, driven by events alone.

Covers: single, first, consecutive and flow control frames, block size, STmin (0-127 ms and
100-900 us), wait frames, overflow, the time-outs N_As, N_Ar, N_Bs and N_Cr, own slowness N_Br and
N_Cs, padding, functional (single-frame) requests, 11 and 29 bit identifiers.
Not covered: extended and mixed addressing, CAN FD.

Source: ISO 15765-2:2016, clause 9 (PDUs: table 18 and following; unexpected ones: 9.8.3).
"""

from __future__ import annotations

from collections.abc import Callable

import simpy

from sim.can.frame import CanFrame
from sim.can.isotp_pdu import (
    CONSECUTIVE,
    FIRST,
    FLOW_CONTROL,
    MAX_MESSAGE_BYTES,
    SINGLE,
    FrameSender,
    IsoTpOptions,
    OnEnd,
    OnMessage,
    Outcome,
    pack_single,
    st_min_s,
)
from sim.can.isotp_receiver import IsoTpReceiver
from sim.can.isotp_sender import IsoTpSender

__all__ = [
    "MAX_MESSAGE_BYTES",
    "FrameSender",
    "IsoTpChannel",
    "IsoTpOptions",
    "OnEnd",
    "OnMessage",
    "Outcome",
    "pack_single",
    "st_min_s",
]


def _always() -> bool:
    return True


def _nothing() -> None:
    """Leave the frame in the controller: others may wait there, too."""


class IsoTpChannel:
    """One end of an ISO-TP conversation: sends with `tx_id`, listens to `rx_id`.

    It does not take the node's frames by itself: its owner attaches the node and passes each frame
    to `on_frame`, which ignores what is not meant for it. Sending and receiving go on side by side
    (full duplex).

    Args:
        env: the world's SimPy environment.
        node: the controller that the frames leave by.
        tx_id: identifier of own frames.
        rx_id: identifier of the peer's frames.
        on_message: called as on_message(payload, is_functional) at the end of the last frame.
        functional_id: identifier of broadcast requests; single frames only.
        options: timing and sizes.
        is_extended: True for 29 bit identifiers.
        on_reception_failed: called with the reason when a message was begun and not completed.
        may_receive: asked at each first frame; False leaves it unanswered.
        give_up: called when an own frame did not get on the bus in time (N_As, N_Ar), to take it
            out of the controller, such as `node.withdraw` for a node that nobody else uses.
    """

    def __init__(
        self,
        env: simpy.Environment,
        node: FrameSender,
        tx_id: int,
        rx_id: int,
        on_message: OnMessage,
        *,
        functional_id: int | None = None,
        options: IsoTpOptions | None = None,
        is_extended: bool = False,
        on_reception_failed: OnEnd | None = None,
        may_receive: Callable[[], bool] = _always,
        give_up: Callable[[], object] = _nothing,
    ) -> None:
        self.tx_id = tx_id
        self.rx_id = rx_id
        self.functional_id = functional_id
        self.is_extended = is_extended
        self.options = options if options is not None else IsoTpOptions()
        self._may_receive = may_receive
        self._sender = IsoTpSender(env, node, tx_id, is_extended, self.options, give_up)
        self._receiver = IsoTpReceiver(
            env, node, tx_id, is_extended, self.options, on_message, on_reception_failed, give_up
        )

    @property
    def busy(self) -> bool:
        """True while a segmented message is on its way out."""
        return self._sender.busy

    @property
    def awaits_flow_control(self) -> bool:
        """True while a segmented message stands still until the peer lets it go on."""
        return self._sender.awaits_flow_control

    def send(self, payload: bytes, on_end: OnEnd | None = None) -> None:
        """Send `payload`; `on_end(outcome)` is called when its last frame has passed, or it failed.

        Raises:
            IsoTpLengthError: `payload` is empty or longer than 4095 bytes.
            IsoTpBusyError: an earlier segmented message is not through.
        """
        self._sender.send(payload, on_end)

    def abort_sending(self) -> None:
        """Give up the message on its way out; its `on_end` gets `Outcome.REPLACED`."""
        self._sender.abort()

    def reset(self) -> None:
        """Forget both directions, as after a restart."""
        self._sender.abort()
        self._receiver.abort()

    def on_frame(self, frame: CanFrame, _t_s: float = 0.0) -> None:
        """Take a frame from the bus; frames of other conversations and broken ones are ignored."""
        data = frame.data
        if not data or frame.is_extended is not self.is_extended or frame.is_remote:
            return
        kind = data[0] >> 4
        if frame.arbitration_id == self.rx_id:
            if kind == SINGLE:
                self._receiver.on_single(data, functional=False)
            elif kind == FIRST:
                if self._may_receive():
                    self._receiver.on_first(data)
            elif kind == CONSECUTIVE:
                self._receiver.on_consecutive(data)
            elif kind == FLOW_CONTROL:
                self._sender.on_flow_control(data)
        elif frame.arbitration_id == self.functional_id and kind == SINGLE:
            self._receiver.on_single(data, functional=True)
