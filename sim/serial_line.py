"""A serial line in virtual time: bytes leave at 10 bits each and arrive as chunks.

Covers: UART pace, USB frame quantisation, fault hooks, taps for the record.
The line has two ends. The *device* end is a model of this package; the *host* end is whatever the
rig attaches (a PTY, a TCP socket, a real UART, or a test).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Protocol

import simpy

from sim.network import KeepAlive

BITS_PER_BYTE = 10  # 8N1: start bit, eight data bits, stop bit
USB_FRAME_S = 0.001  # USB full speed: adapters hand over bytes on 1 ms frames
CATCH_UP_BYTES_PER_S = 1.25e6  # what had to wait comes at 10 Mbit/s, and not all in one instant

Receiver = Callable[[bytes], None]


class Tap(Protocol):
    """Observes every byte of a line at the instant it arrives."""

    def __call__(self, time_s: float, to_host: bool, data: bytes) -> None: ...


class Fault(Protocol):
    """Rewrites one transmission into any number of (extra delay in seconds, bytes).

    Where it has a true attribute `keeps_time`, what it makes of bytes takes the line as long as
    these: they are read in another way, and nothing else is sent.
    """

    def __call__(self, data: bytes) -> list[tuple[float, bytes]]: ...


class Direction:
    """One direction of the line. One SimPy event per transmission, never one per byte."""

    def __init__(self, line: SerialLine, to_host: bool) -> None:
        self._line = line
        self._to_host = to_host
        self._free_at_s = 0.0
        self._last_s = 0.0
        self._under_way: deque[bytes] = deque()
        self.receiver: Receiver | None = None
        self.faults: list[Fault] = []
        self.sent_bytes = 0
        self.dropped_bytes = 0

    @property
    def free_at_s(self) -> float:
        """The instant (virtual seconds) at which all that was sent has left the transmitter."""
        return self._free_at_s

    def send(self, data: bytes) -> None:
        """Queue `data`; it arrives whole when its last byte has passed, on the next USB frame."""
        if not data:
            return
        self.sent_bytes += len(data)
        if self.faults:
            self._send_through(list(self.faults), data)
        else:
            self._transmit(0.0, data)

    def resend(self, data: bytes, after: Fault) -> None:
        """Send what the fault `after` had taken back, through the faults behind it."""
        behind = next((i + 1 for i, fault in enumerate(self.faults) if fault is after), 0)
        self._send_through(self.faults[behind:], data)

    def _send_through(self, faults: list[Fault], data: bytes) -> None:
        pieces = [(0.0, data, 1.0)]
        for fault in faults:
            keeps_time = getattr(fault, "keeps_time", False)
            pieces = [
                (delay_s + more_s, out, share * len(piece) / len(out) if keeps_time else share)
                for delay_s, piece, share in pieces
                for more_s, out in fault(piece)
            ]
        for delay_s, piece, share in pieces:
            self._transmit(delay_s, piece, share)

    def _transmit(self, delay_s: float, data: bytes, share: float = 1.0) -> None:
        """Let `data` arrive; each byte takes a `share` of a byte's time."""
        line = self._line
        now_s = line.env.now
        start_s = max(now_s, self._free_at_s)
        if line.paced:
            self._free_at_s = start_s + len(data) * share * BITS_PER_BYTE / line.baud
            arrival_s = self._free_at_s + delay_s
            frame_s = line.frame_s
            if frame_s:
                # The tolerance keeps 0.007 s on frame 7 although 0.007/0.001 is 7.000000000000001.
                arrival_s = math.ceil(arrival_s / frame_s - 1e-9) * frame_s
        else:
            arrival_s = start_s + delay_s
        if line.is_tcp and self._last_s > now_s:
            arrival_s = max(arrival_s, self._last_s + len(data) / CATCH_UP_BYTES_PER_S)
        self._arrive_at(arrival_s, data)

    def _arrive_at(self, arrival_s: float, data: bytes) -> None:
        """Let `data` arrive then, or with what was sent before it: no wire lets it overtake.

        Pieces of one transmission, and cut ones, need another time on the line than the fault that
        held them knew of.
        """
        env = self._line.env
        arrival_s = self._last_s = max(arrival_s, self._last_s)
        self._under_way.append(data)
        event = env.timeout(max(0.0, arrival_s - env.now))
        event.callbacks.append(self._arrive)

    def _arrive(self, _event: simpy.Event) -> None:
        # Not the event's own: of equal instants one may be rounded to just before the other.
        data = self._under_way.popleft()
        line = self._line
        if line.hung_up or self.receiver is None:
            self.dropped_bytes += len(data)
            return
        for tap in line.taps:
            tap(line.env.now, self._to_host, data)
        self.receiver(data)


class SerialLine:
    """A full-duplex serial line between a modelled device and a host.

    Args:
        env: the world's SimPy environment.
        name: the link's name ("obd", "gps").
        baud: bits per second of both directions; a device may change it (ELM327 `AT BRD`).
        paced: False delivers at once (for unpaced, flat-out use).
        frame_s: quantum of arrival times in seconds; 0 switches it off.

    Attributes:
        connections: of a line that stands for a TCP server: those that may be open.
        keep_alive: of a TCP connection: how its client finds out that the device is gone; None: by
            the first answer that it gets once the device can be reached again.
        is_tcp: whether it is a TCP connection: what had to wait comes at a network's pace, not all
            in one instant.
        unreachable: above 0, no connection comes about; those that are there know nothing of it.
    """

    def __init__(
        self,
        env: simpy.Environment,
        name: str,
        baud: int = 38400,
        *,
        paced: bool = True,
        frame_s: float = USB_FRAME_S,
    ) -> None:
        if baud <= 0:
            raise ValueError(f"baud of line {name!r}: expected a positive number, got {baud}")
        self.env = env
        self.name = name
        self.baud = baud
        self.paced = paced
        self.frame_s = frame_s
        self.hung_up = False
        self.stalled = False
        self.is_tcp = False
        self.unreachable = 0
        self.keep_alive: KeepAlive | None = None
        self.unread_bytes = 0
        self.taps: list[Tap] = []
        self.connections: list[SerialLine] = []
        self.to_host = Direction(self, to_host=True)
        self.to_device = Direction(self, to_host=False)
        self.on_hang_up: list[Callable[[], None]] = []
        self.on_replug: list[Callable[[], None]] = []
        self.on_stall: list[Callable[[], None]] = []
        self.on_resume: list[Callable[[], None]] = []
        self.on_read: list[Callable[[], None]] = []
        self.on_left: list[Callable[[], None]] = []

    def stands_for(self, connection: SerialLine) -> None:
        """Let a TCP connection to the device of this line suffer its faults, and be tapped."""
        self.connections = [other for other in self.connections if not other.hung_up]
        self.connections.append(connection)
        connection.is_tcp = True
        connection.taps = self.taps
        connection.to_host.faults = self.to_host.faults
        connection.to_device.faults = self.to_device.faults

    # -- device end ------------------------------------------------------------------------------
    def attach_device(self, receive: Receiver) -> None:
        """`receive(data)` is called when the host's bytes arrive at the device."""
        self.to_device.receiver = receive

    def write(self, data: bytes) -> None:
        """Called by the device: send `data` towards the host."""
        self.to_host.send(data)

    def stall(self) -> None:
        """The device takes no more bytes: the host end reads on no more, so its client's writes
        meet full buffers, as with a hung device on USB."""
        if not self.stalled:
            self.stalled = True
            for callback in self.on_stall:
                callback()

    def resume(self) -> None:
        """The device takes bytes again."""
        if self.stalled:
            self.stalled = False
            for callback in self.on_resume:
                callback()

    # -- host end --------------------------------------------------------------------------------
    def attach_host(self, receive: Receiver) -> None:
        """`receive(data)` is called when the device's bytes arrive at the host."""
        self.to_host.receiver = receive

    def feed(self, data: bytes) -> None:
        """Called by the host end: bytes that the host wrote just now."""
        self.to_device.send(data)

    def unread(self, count: int) -> None:
        """Called by a host end with flow control: its program leaves `count` bytes unread.

        A device may look at `unread_bytes`, and is told by `on_read` when there are none any more.
        """
        was, self.unread_bytes = self.unread_bytes, count
        if was and not count:
            for callback in self.on_read:
                callback()

    def left(self) -> None:
        """Called by a host end: its program closed the port while the device took nothing more.

        What it had under way to a stalled device is gone with it, as a driver drops its buffers.
        """
        for callback in self.on_left:
            callback()

    # -- the cable -------------------------------------------------------------------------------
    def hang_up(self) -> None:
        """Pull the cable: what is in flight is lost, the host end is told (a PTY gives EIO)."""
        if not self.hung_up:
            self.hung_up = True
            for callback in self.on_hang_up:
                callback()

    def replug(self) -> None:
        """Put the cable back."""
        if self.hung_up:
            self.hung_up = False
            for callback in self.on_replug:
                callback()
