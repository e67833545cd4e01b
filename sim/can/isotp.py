"""ISO-TP endpoints: messages of 1 to 4095 bytes over CAN frames of 8, driven by events alone.

Covers: single, first, consecutive and flow control frames, block size, STmin (0-127 ms and
100-900 us), wait frames, overflow, N_Bs and N_Cr, padding, functional (single-frame) requests.
Not covered: extended and mixed addressing, CAN FD, N_As/N_Ar (the bus
loses no frame by itself).

Source: ISO 15765-2:2016, clause 9 (PDUs: table 18 and following; unexpected ones: 9.8.3).
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

import simpy

from sim.can.bus import CanNode
from sim.can.deadline import Deadline
from sim.can.errors import IsoTpBusyError, IsoTpLengthError
from sim.can.frame import CanFrame

MAX_MESSAGE_BYTES = 4095  # a 12 bit length; the 32 bit escape is refused with "overflow"
SINGLE_FRAME_BYTES = 7
FIRST_FRAME_BYTES = 6
CONSECUTIVE_FRAME_BYTES = 7

_SINGLE, _FIRST, _CONSECUTIVE, _FLOW_CONTROL = range(4)
_CONTINUE, _WAIT, _OVERFLOW = range(3)


class Outcome(enum.Enum):
    """How a transmission or a reception ended (the N_Result of the standard)."""

    OK = "ok"
    TIMEOUT_BS = "no flow control within N_Bs"
    TIMEOUT_CR = "no consecutive frame within N_Cr"
    WRONG_SEQUENCE = "sequence number out of order"
    INVALID_FLOW_STATUS = "flow status 3-15"
    UNEXPECTED = "a new message began before the last one was complete"
    WAIT_OVERRUN = "too many wait frames"
    OVERFLOW = "message too long for the receiver"
    NOT_SENT = "the controller's queue is full"
    REPLACED = "given up by its owner"


OnMessage = Callable[[bytes, bool], None]
OnEnd = Callable[[Outcome], None]


@dataclass(frozen=True, slots=True)
class IsoTpOptions:
    """How an endpoint behaves.

    Attributes:
        block_size: consecutive frames that it takes per flow control, 0 = all, 0-255.
        st_min: separation time that it asks for, as the raw byte (see `st_min_s`).
        padding: byte that fills frames to 8 (ISO 15765-4 requires 8; Ford pads with 0x00), or None.
        n_bs_s: longest wait for a flow control frame, seconds.
        n_cr_s: longest wait for a consecutive frame, seconds.
        wait_limit: wait frames in a row that are accepted from a peer before giving up.
        wait_frames: wait frames that it sends itself before each "continue", `wait_gap_s` apart.
        wait_gap_s: seconds between own wait frames.
        receive_bytes: longest message that it accepts.
    """

    block_size: int = 0
    st_min: int = 0
    padding: int | None = 0x00
    n_bs_s: float = 1.0
    n_cr_s: float = 1.0
    wait_limit: int = 10
    wait_frames: int = 0
    wait_gap_s: float = 0.1
    receive_bytes: int = MAX_MESSAGE_BYTES

    def __post_init__(self) -> None:
        for name, value in (("block_size", self.block_size), ("st_min", self.st_min)):
            if not 0 <= value <= 0xFF:
                raise ValueError(f"ISO-TP {name}: expected 0-255, got {value}")
        if self.padding is not None and not 0 <= self.padding <= 0xFF:
            raise ValueError(f"ISO-TP padding: expected 0-255 or None, got {self.padding}")


def st_min_s(raw: int) -> float:
    """Return the separation time in seconds that the byte `raw` asks for.

    00-7F are milliseconds, F1-F9 are hundreds of microseconds; reserved values count as the longest
    time, 127 ms (ISO 15765-2, 9.6.5.5).
    """
    if raw <= 0x7F:
        return raw / 1000
    if 0xF1 <= raw <= 0xF9:
        return (raw - 0xF0) / 10_000
    return 0.127


def pack_single(payload: bytes, padding: int | None) -> bytes:
    """Return the data field of a single frame around 1 to 7 bytes."""
    data = bytes((len(payload),)) + payload
    return data if padding is None else data.ljust(8, bytes((padding,)))


class _Sending:
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


class _Receiving:
    """A segmented message on its way in."""

    __slots__ = ("block_left", "data", "length", "sequence")

    def __init__(self, length: int, data: bytes, block_size: int) -> None:
        self.length = length
        self.data = bytearray(data)
        self.sequence = 1
        self.block_left = block_size


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
    """

    def __init__(
        self,
        env: simpy.Environment,
        node: CanNode,
        tx_id: int,
        rx_id: int,
        on_message: OnMessage,
        *,
        functional_id: int | None = None,
        options: IsoTpOptions | None = None,
        is_extended: bool = False,
        on_reception_failed: OnEnd | None = None,
    ) -> None:
        self._env = env
        self._node = node
        self.tx_id = tx_id
        self.rx_id = rx_id
        self.functional_id = functional_id
        self.is_extended = is_extended
        self.options = options if options is not None else IsoTpOptions()
        self._on_message = on_message
        self._on_reception_failed = on_reception_failed
        self._sending: _Sending | None = None
        self._receiving: _Receiving | None = None
        self._n_bs = Deadline(env, self._flow_control_missing)
        self._n_cr = Deadline(env, self._consecutive_frame_missing)

    # -- sending ---------------------------------------------------------------------------------
    @property
    def busy(self) -> bool:
        """True while a segmented message is on its way out."""
        return self._sending is not None

    def send(self, payload: bytes, on_end: OnEnd | None = None) -> None:
        """Send `payload`; `on_end(outcome)` is called when its last frame has passed, or it failed.

        Raises:
            IsoTpLengthError: `payload` is empty or longer than 4095 bytes.
            IsoTpBusyError: an earlier segmented message is not through.
        """
        if self._sending is not None:
            raise IsoTpBusyError(
                f"ISO-TP {self.tx_id:#x}: expected the last message to be through, but "
                f"{len(self._sending.payload) - self._sending.position} bytes wait; "
                "send from its on_end"
            )
        if 0 < len(payload) <= SINGLE_FRAME_BYTES:
            on_sent = None if on_end is None else lambda _t_s: on_end(Outcome.OK)
            data = pack_single(payload, self.options.padding)
            taken = self._node.send(CanFrame(self.tx_id, data, self.is_extended), on_sent)
            if not taken and on_end is not None:
                on_end(Outcome.NOT_SENT)
            return
        if not payload or len(payload) > MAX_MESSAGE_BYTES:
            raise IsoTpLengthError(
                f"ISO-TP {self.tx_id:#x}: expected 1-{MAX_MESSAGE_BYTES} bytes, got {len(payload)}"
            )
        sending = self._sending = _Sending(payload, on_end)
        length = len(payload)
        header = bytes((_FIRST << 4 | length >> 8, length & 0xFF))

        def sent(_t_s: float) -> None:
            # N_Bs counts from here; flow control that came before was not for this message.
            if self._sending is sending:
                self._n_bs.set(self.options.n_bs_s)

        if not self._transmit(header + payload[:FIRST_FRAME_BYTES], sent):
            self._end_sending(Outcome.NOT_SENT)

    @property
    def awaits_flow_control(self) -> bool:
        """True while a segmented message stands still until the peer lets it go on."""
        return self._n_bs.armed

    def abort_sending(self) -> None:
        """Give up the message on its way out; its `on_end` gets `Outcome.REPLACED`."""
        if self._sending is not None:
            self._end_sending(Outcome.REPLACED)

    def _transmit(self, data: bytes, on_sent: Callable[[float], None] | None = None) -> bool:
        padding = self.options.padding
        if padding is not None and len(data) < 8:
            data = data.ljust(8, bytes((padding,)))
        return self._node.send(CanFrame(self.tx_id, data, self.is_extended), on_sent)

    def _send_consecutive(self, _event: simpy.Event | None = None) -> None:
        sending = self._sending
        if sending is None:
            return
        start = sending.position
        sending.position = start + CONSECUTIVE_FRAME_BYTES
        header = bytes((_CONSECUTIVE << 4 | sending.sequence,))
        sending.sequence = sending.sequence + 1 & 0xF
        chunk = sending.payload[start : sending.position]

        def sent(_t_s: float) -> None:
            if self._sending is sending:
                self._consecutive_sent(sending)

        if not self._transmit(header + chunk, sent):
            self._end_sending(Outcome.NOT_SENT)

    def _consecutive_sent(self, sending: _Sending) -> None:
        if sending.position >= len(sending.payload):
            self._end_sending(Outcome.OK)
            return
        if sending.block_left:
            sending.block_left -= 1
            if not sending.block_left:
                self._n_bs.set(self.options.n_bs_s)
                return
        self._schedule_consecutive(sending)

    def _schedule_consecutive(self, sending: _Sending) -> None:
        if not sending.separation_s:
            self._send_consecutive()
            return

        def due(_event: simpy.Event) -> None:
            if self._sending is sending:
                self._send_consecutive()

        event = self._env.timeout(sending.separation_s)
        event.callbacks.append(due)

    def _end_sending(self, outcome: Outcome) -> None:
        sending = self._sending
        self._sending = None
        self._n_bs.lift()
        if sending is not None and sending.on_end is not None:
            sending.on_end(outcome)

    def _flow_control_missing(self) -> None:
        self._end_sending(Outcome.TIMEOUT_BS)

    # -- receiving -------------------------------------------------------------------------------
    def on_frame(self, frame: CanFrame, _t_s: float = 0.0) -> None:
        """Take a frame from the bus; frames of other conversations and broken ones are ignored."""
        data = frame.data
        if not data or frame.is_extended is not self.is_extended or frame.is_remote:
            return
        kind = data[0] >> 4
        if frame.arbitration_id == self.rx_id:
            if kind == _SINGLE:
                self._single(data, functional=False)
            elif kind == _FIRST:
                self._first(data)
            elif kind == _CONSECUTIVE:
                self._consecutive(data)
            elif kind == _FLOW_CONTROL:
                self._flow_control(data)
        elif frame.arbitration_id == self.functional_id and kind == _SINGLE:
            self._single(data, functional=True)

    def _single(self, data: bytes, functional: bool) -> None:
        length = data[0]
        if not 0 < length <= SINGLE_FRAME_BYTES or length >= len(data):
            return
        if self._receiving is not None and not functional:
            self._end_receiving(Outcome.UNEXPECTED)
        self._on_message(data[1 : 1 + length], functional)

    def _first(self, data: bytes) -> None:
        if len(data) < 8:
            return
        length = (data[0] & 0xF) << 8 | data[1]
        is_escaped = length == 0
        if is_escaped:
            length = int.from_bytes(data[2:6], "big")
        if length <= (MAX_MESSAGE_BYTES if is_escaped else SINGLE_FRAME_BYTES):
            return
        if self._receiving is not None:
            self._end_receiving(Outcome.UNEXPECTED)
        if length > self.options.receive_bytes or is_escaped:
            self._transmit(bytes((_FLOW_CONTROL << 4 | _OVERFLOW, 0, 0)))
            return
        self._receiving = _Receiving(length, data[2:8], self.options.block_size)
        self._grant(self._receiving)

    def _grant(self, receiving: _Receiving) -> None:
        """Send "continue", after the wait frames that the options ask for."""
        options = self.options
        self._n_cr.set(options.n_cr_s + options.wait_frames * options.wait_gap_s)
        if not options.wait_frames:
            self._transmit(self._continue_frame())
            return
        left = options.wait_frames

        def step(_event: simpy.Event | None = None) -> None:
            nonlocal left
            if self._receiving is not receiving:
                return
            if not left:
                self._transmit(self._continue_frame())
                return
            left -= 1
            self._transmit(bytes((_FLOW_CONTROL << 4 | _WAIT, 0, 0)))
            event = self._env.timeout(options.wait_gap_s)
            event.callbacks.append(step)

        step()

    def _continue_frame(self) -> bytes:
        options = self.options
        return bytes((_FLOW_CONTROL << 4 | _CONTINUE, options.block_size, options.st_min))

    def _consecutive(self, data: bytes) -> None:
        receiving = self._receiving
        if receiving is None:
            return
        left = receiving.length - len(receiving.data)
        chunk = data[1 : 1 + min(left, CONSECUTIVE_FRAME_BYTES)]
        if len(chunk) < min(left, CONSECUTIVE_FRAME_BYTES):
            return  # too short for its place: ignored, as the standard has it
        if data[0] & 0xF != receiving.sequence:
            self._end_receiving(Outcome.WRONG_SEQUENCE)
            return
        receiving.data += chunk
        receiving.sequence = receiving.sequence + 1 & 0xF
        if len(receiving.data) >= receiving.length:
            self._receiving = None
            self._n_cr.lift()
            self._on_message(bytes(receiving.data), False)
            return
        self._n_cr.set(self.options.n_cr_s)
        if receiving.block_left:
            receiving.block_left -= 1
            if not receiving.block_left:
                receiving.block_left = self.options.block_size
                self._grant(receiving)

    def _end_receiving(self, outcome: Outcome) -> None:
        self._receiving = None
        self._n_cr.lift()
        if self._on_reception_failed is not None:
            self._on_reception_failed(outcome)

    def _consecutive_frame_missing(self) -> None:
        self._end_receiving(Outcome.TIMEOUT_CR)

    def _flow_control(self, data: bytes) -> None:
        sending = self._sending
        if sending is None or not self._n_bs.armed or len(data) < 3:
            return
        status = data[0] & 0xF
        if status == _CONTINUE:
            self._n_bs.lift()
            sending.waits = 0
            sending.block_left = data[1]
            sending.separation_s = st_min_s(data[2])
            self._send_consecutive()
        elif status == _WAIT:
            sending.waits += 1
            if sending.waits > self.options.wait_limit:
                self._end_sending(Outcome.WAIT_OVERRUN)
            else:
                self._n_bs.set(self.options.n_bs_s)
        elif status == _OVERFLOW:
            self._end_sending(Outcome.OVERFLOW)
        else:
            self._end_sending(Outcome.INVALID_FLOW_STATUS)
