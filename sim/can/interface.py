"""One CAN controller that several programs share, as Linux' SocketCAN shares `can0`.

Covers: sockets with acceptance filters, local echo at the end of the frame on the bus, own frames
on request, error frames, a bounded queue per socket. Not covered: CAN FD, XL, gateways.

Source: Documentation/networking/can.rst of Linux (4.1.4-4.1.7: filters, error frames, loopback,
own messages), include/uapi/linux/can/error.h.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from sim.can.acceptance import Acceptance, accepts_any
from sim.can.bus import CanBus
from sim.can.confinement import ErrorState
from sim.can.faults import ErrorKind
from sim.can.frame import CanFrame
from sim.can.node import LostCallback, SentCallback

SEND_QUEUE_FRAMES = 128  # of one socket; what is more is refused
OnFrame = Callable[[CanFrame, float], None]
OnError = Callable[[int, bytes, float], None]
"""Called as on_error(error class, 8 data bytes, t_s): an error frame of error.h."""

ERR_CONTROLLER = 0x004
ERR_PROTOCOL = 0x008
ERR_ACK = 0x020
ERR_BUS_OFF = 0x040
ERR_BUS_ERROR = 0x080
ERR_RESTARTED = 0x100

# Byte 1 of an error frame of class "controller": bits for the receive and the transmit counter.
_STATE_BITS = {ErrorState.ACTIVE: 0x40, ErrorState.WARNING: 0x04, ErrorState.PASSIVE: 0x10}
_IN_SENDING = 0x80
# Bytes 2 and 3 of one of class "protocol": what was violated, and where.
_VIOLATIONS = {
    ErrorKind.BIT: (0x01, 0x00),
    ErrorKind.FORM: (0x02, 0x00),
    ErrorKind.STUFF: (0x04, 0x00),
    ErrorKind.CRC: (0x00, 0x08),
    ErrorKind.ACK: (0x00, 0x19),
}


class CanSocket:
    """What one program has open; made by `CanInterface.open`.

    Can stand where a node is expected that only sends (`sim.can.isotp.IsoTpChannel`).

    Attributes:
        pending_frames: given to `send`, and not yet on the wire to the end.
        refused_frames: not taken because the queue was full, or the controller is off the bus.
    """

    __slots__ = (
        "_filters", "_interface", "_loopback", "_on_frame", "_receive_own", "closed", "on_error",
        "on_room", "pending_frames", "refused_frames",
    )  # fmt: skip

    def __init__(
        self,
        interface: CanInterface,
        on_frame: OnFrame,
        filters: Sequence[Acceptance] | None,
        receive_own: bool,
        loopback: bool,
        on_error: OnError | None,
    ) -> None:
        self._interface = interface
        self._on_frame = on_frame
        self._filters = filters
        self._receive_own = receive_own
        self._loopback = loopback
        self.on_error = on_error
        self.on_room: Callable[[], None] | None = None
        self.closed = False
        self.pending_frames = 0
        self.refused_frames = 0

    @property
    def has_room(self) -> bool:
        """False while `send` would refuse; `on_room()` is called when that ends."""
        return self.pending_frames < SEND_QUEUE_FRAMES

    def send(
        self,
        frame: CanFrame,
        on_sent: SentCallback | None = None,
        on_lost: LostCallback | None = None,
    ) -> bool:
        """Queue `frame`; the other sockets, and the bus, hear it when its last bit has passed.

        Args:
            frame: what to send.
            on_sent: called as on_sent(t_s) at that instant.
            on_lost: called as on_lost(t_s) when it is given up, see `CanNode.send`.

        Returns:
            False, counted, where it is not taken.
        """
        if self.closed or not self.has_room:
            self.refused_frames += 1
            return False
        return self._interface._send(self, frame, on_sent, on_lost)

    def set_filters(self, filters: Sequence[Acceptance] | None) -> None:
        """Hear frames that one of `filters` takes; None takes all, an empty list none."""
        self._filters = filters

    def close(self) -> None:
        """Hear no more; what was sent still goes out. Twice does no harm."""
        if not self.closed:
            self.closed = True
            self._interface._close(self)

    # -- used by CanInterface --------------------------------------------------------------------
    def _hear(self, frame: CanFrame, time_s: float) -> None:
        filters = self._filters
        if filters is None or accepts_any(filters, frame.arbitration_id, frame.is_extended):
            self._on_frame(frame, time_s)


_Sending = tuple["CanSocket", CanFrame, SentCallback | None, LostCallback | None]


class CanInterface:
    """A controller with a name, on a bus, and the sockets that programs have open on it.

    A frame of one socket is heard by the interface's other sockets (unless it was opened without
    loopback), and by itself only where it asked for own frames. All of them hear it at the instant
    at which it ends on the bus, in the order of the bus. What is sent goes out in the order of
    sending, whatever the identifiers, as the kernel's queue has it.

    Args:
        bus: the wire.
        name: as programs know it ("can0").
        listen_only: neither send nor acknowledge.
        bus_errors: tell of each error on the bus (`berr-reporting on` of ip-link), not only of new
            states of the controller.

    Attributes:
        received_frames, received_bytes: of other nodes.
        sent_frames, sent_bytes: of own sockets, as they ended on the bus.
    """

    def __init__(
        self,
        bus: CanBus,
        name: str = "can0",
        *,
        listen_only: bool = False,
        bus_errors: bool = True,
    ) -> None:
        self.bus = bus
        self.name = name
        self.received_frames = self.received_bytes = 0
        self.sent_frames = self.sent_bytes = 0
        self._sockets: tuple[CanSocket, ...] = ()
        # A queue of the kernel keeps the order of sending; the node alone would send the lowest
        # identifier first. The first one in it is with the node.
        self._queue: deque[_Sending] = deque()
        self.node = bus.attach(name, self._receive, listen_only=listen_only)
        self.node.on_state.append(self._enter)
        self._was = ErrorState.ACTIVE
        if bus_errors:
            bus.error_taps.append(self._bus_error)

    @property
    def sockets(self) -> tuple[CanSocket, ...]:
        """What is open now, in the order of opening."""
        return self._sockets

    def open(
        self,
        on_frame: OnFrame,
        *,
        filters: Sequence[Acceptance] | None = None,
        receive_own: bool = False,
        loopback: bool = True,
        on_error: OnError | None = None,
    ) -> CanSocket:
        """Open a socket.

        Args:
            on_frame: called as on_frame(frame, t_s) for each frame that it hears.
            filters: see `CanSocket.set_filters`.
            receive_own: hear its own frames too.
            loopback: let the other sockets of the interface hear its frames.
            on_error: hears the controller's error frames.
        """
        socket = CanSocket(self, on_frame, filters, receive_own, loopback, on_error)
        self._sockets = (*self._sockets, socket)
        return socket

    def detach(self) -> None:
        """Leave the bus: the interface is gone, and all its sockets are closed."""
        for socket in self._sockets:
            socket.close()
        if self._bus_error in self.bus.error_taps:
            self.bus.error_taps.remove(self._bus_error)
        self.node.detach()

    # -- used by CanSocket -----------------------------------------------------------------------
    def _send(
        self,
        socket: CanSocket,
        frame: CanFrame,
        on_sent: SentCallback | None,
        on_lost: LostCallback | None,
    ) -> bool:
        if not self.node.attached or not (self._queue or self._start(frame)):
            socket.refused_frames += 1
            return False
        self._queue.append((socket, frame, on_sent, on_lost))
        socket.pending_frames += 1
        return True

    def _start(self, frame: CanFrame) -> bool:
        return self.node.send(frame, self._sent, self._give_up)

    def _close(self, socket: CanSocket) -> None:
        self._sockets = tuple(other for other in self._sockets if other is not socket)

    # -- the node --------------------------------------------------------------------------------
    def _sent(self, time_s: float) -> None:
        sender, frame, on_sent, _on_lost = self._queue.popleft()
        if self._queue and not self._start(self._queue[0][1]):
            self._give_up(time_s)
        self.sent_frames += 1
        self.sent_bytes += len(frame.data)
        for socket in self._sockets:
            if socket._receive_own if socket is sender else sender._loopback:
                socket._hear(frame, time_s)
        if on_sent is not None:
            on_sent(time_s)
        self._make_room(sender)

    def _give_up(self, time_s: float) -> None:
        """The controller left the bus, or was told to: nothing that waits goes out."""
        queue = self._queue
        while queue:
            socket, _frame, _on_sent, on_lost = queue.popleft()
            if on_lost is not None:
                on_lost(time_s)
            self._make_room(socket)

    def _make_room(self, socket: CanSocket) -> None:
        socket.pending_frames -= 1
        if socket.on_room is not None and socket.pending_frames == SEND_QUEUE_FRAMES // 2:
            socket.on_room()

    def _receive(self, frame: CanFrame, time_s: float) -> None:
        self.received_frames += 1
        self.received_bytes += len(frame.data)
        for socket in self._sockets:
            if socket._filters is None:
                socket._on_frame(frame, time_s)
            else:
                socket._hear(frame, time_s)

    # -- error frames ----------------------------------------------------------------------------
    def _enter(self, state: ErrorState, time_s: float) -> None:
        was, self._was = self._was, state
        if state is ErrorState.BUS_OFF:
            self._tell(ERR_BUS_OFF, 0, 0, 0, time_s)
        elif was is ErrorState.BUS_OFF:
            self._tell(ERR_RESTARTED, 0, 0, 0, time_s)
        else:
            bits = _STATE_BITS[state]
            if state is not ErrorState.ACTIVE and self.node.tec >= self.node.rec:
                bits <<= 1
            self._tell(ERR_CONTROLLER, bits, 0, 0, time_s)

    def _bus_error(self, time_s: float, sender: str, kind: ErrorKind, _frame: CanFrame) -> None:
        if self.node.is_listening:
            violation, place = _VIOLATIONS[kind]
            if sender == self.node.name:
                violation |= _IN_SENDING
            error = ERR_ACK if kind is ErrorKind.ACK else ERR_PROTOCOL
            self._tell(ERR_BUS_ERROR | error, 0, violation, place, time_s)

    def _tell(self, error: int, state: int, violation: int, place: int, time_s: float) -> None:
        counts = min(255, self.node.tec), min(255, self.node.rec)
        data = bytes((0, state, violation, place, 0, 0, *counts))
        for socket in self._sockets:
            if socket.on_error is not None:
                socket.on_error(error, data, time_s)
