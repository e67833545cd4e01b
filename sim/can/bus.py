"""A CAN bus in virtual time: frames take their exact time and wait for each other by identifier.

Covers: frame time with stuff bits, intermission, arbitration, loss-free delivery, taps, load.
Not yet: error frames, missing acknowledge, bus-off. `CanBus._complete` is the place for them: it is
the one spot where a transmission's outcome is decided.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection

import simpy

from sim.can.bit_length import INTERFRAME_BITS, bit_length
from sim.can.errors import DetachedError
from sim.can.frame import CanFrame

FrameReceiver = Callable[[CanFrame, float], None]
SentCallback = Callable[[float], None]
BusTap = Callable[[float, str, CanFrame], None]

DEFAULT_BITRATE_BPS = 500_000  # ISO 15765-4: the usual diagnostic bit rate
MAX_PENDING_FRAMES = 256  # per node; a controller with its driver's queue


def arbitration_key(frame: CanFrame) -> int:
    """Return the frame's arbitration field as a number: the lower one wins the bus."""
    remote = int(frame.is_remote)
    if frame.is_extended:
        base, rest = frame.arbitration_id >> 18, frame.arbitration_id & 0x3FFFF
        return base << 21 | 0b11 << 19 | rest << 1 | remote  # SRR and IDE are recessive
    return frame.arbitration_id << 21 | remote << 20


class CanNode:
    """One controller on the bus; made by `CanBus.attach`.

    Attributes:
        pending_frames: frames that were given and are not yet on the wire to the end.
        dropped_frames: frames refused because `MAX_PENDING_FRAMES` were waiting already.
    """

    __slots__ = (
        "_bus", "accepted_ids", "attached", "dropped_frames", "name", "on_frame", "pending_frames",
    )  # fmt: skip

    def __init__(
        self, bus: CanBus, name: str, on_frame: FrameReceiver, accepted_ids: frozenset[int] | None
    ) -> None:
        self._bus = bus
        self.name = name
        self.on_frame = on_frame
        self.accepted_ids = accepted_ids
        self.attached = True
        self.pending_frames = 0
        self.dropped_frames = 0

    def send(self, frame: CanFrame, on_sent: SentCallback | None = None) -> bool:
        """Queue `frame`; `on_sent(t_s)` is called when its last bit has passed.

        Returns False, and counts, when too many frames wait already: the newest is dropped.

        Raises:
            DetachedError: the node has left the bus.
        """
        if not self.attached:
            raise DetachedError(
                f"CAN node {self.name!r}: expected to be on the bus, but it was detached; "
                "attach a new node"
            )
        if self.pending_frames >= MAX_PENDING_FRAMES:
            self.dropped_frames += 1
            return False
        self.pending_frames += 1
        self._bus._request(self, frame, on_sent)
        return True

    def detach(self) -> None:
        """Leave the bus: what waits is withdrawn, a frame on the wire is still finished."""
        self._bus._detach(self)


class _Transmission:
    """A frame that wants the bus, or has it."""

    __slots__ = ("frame", "node", "on_sent")

    def __init__(self, node: CanNode, frame: CanFrame, on_sent: SentCallback | None) -> None:
        self.node = node
        self.frame = frame
        self.on_sent = on_sent


class CanBus:
    """The wire between the nodes. One SimPy event per frame, two when frames queue up.

    Args:
        env: the world's SimPy environment.
        bitrate_bps: bits per second.
        name: for messages and the record.

    Attributes:
        taps: called as tap(t_s, sender, frame) for each frame, before the nodes get it.
        frame_count: frames that have passed.
        busy_bits: bits that those frames took, without intermission.
    """

    def __init__(
        self, env: simpy.Environment, bitrate_bps: int = DEFAULT_BITRATE_BPS, name: str = "can0"
    ) -> None:
        if bitrate_bps <= 0:
            raise ValueError(f"bit rate of bus {name!r}: expected more than 0, got {bitrate_bps}")
        self.env = env
        self.name = name
        self.bitrate_bps = bitrate_bps
        self.taps: list[BusTap] = []
        self.frame_count = 0
        self.busy_bits = 0
        self._nodes: tuple[CanNode, ...] = ()
        self._current: _Transmission | None = None
        self._started_s = 0.0
        self._end: simpy.Event | None = None
        self._free_at_s = float("-inf")
        self._waiting: list[tuple[int, int, _Transmission]] = []
        self._sequence = 0
        self._arbitration_due = False

    @property
    def load_pct(self) -> float:
        """Share of the time since t = 0 in which the bus carried frames, 0-100 %."""
        if self.env.now <= 0:
            return 0.0
        return 100.0 * self.busy_bits / (self.bitrate_bps * self.env.now)

    @property
    def nodes(self) -> tuple[CanNode, ...]:
        """The nodes on the bus in the order in which they were attached."""
        return self._nodes

    def attach(
        self, name: str, on_frame: FrameReceiver, accepted_ids: Collection[int] | None = None
    ) -> CanNode:
        """Put a node on the bus.

        Args:
            name: for taps and messages; need not be unique.
            on_frame: called as on_frame(frame, t_s) at the end of each frame of any other node.
            accepted_ids: the controller's acceptance filter; None takes every frame.
        """
        accepted = None if accepted_ids is None else frozenset(accepted_ids)
        node = CanNode(self, name, on_frame, accepted)
        self._nodes = (*self._nodes, node)
        return node

    def frame_time_s(self, frame: CanFrame) -> float:
        """Return how long `frame` occupies the bus in seconds, intermission excluded."""
        return bit_length(frame) / self.bitrate_bps

    # -- used by CanNode -------------------------------------------------------------------------
    def _request(self, node: CanNode, frame: CanFrame, on_sent: SentCallback | None) -> None:
        transmission = _Transmission(node, frame, on_sent)
        now_s = self.env.now
        current = self._current
        if current is None:
            if now_s >= self._free_at_s and not self._waiting:
                self._start(transmission)
                return
            self._wait(transmission)
            self._arbitrate_later()
        elif self._started_s == now_s and arbitration_key(frame) < arbitration_key(current.frame):
            # Both started in the same bit: the lower identifier goes on, the other one waits.
            self._wait(current)
            self._start(transmission)
        else:
            self._wait(transmission)

    def _detach(self, node: CanNode) -> None:
        node.attached = False
        self._nodes = tuple(other for other in self._nodes if other is not node)
        self._waiting = [entry for entry in self._waiting if entry[2].node is not node]
        heapq.heapify(self._waiting)

    # -- the wire --------------------------------------------------------------------------------
    def _wait(self, transmission: _Transmission) -> None:
        self._sequence += 1
        key = arbitration_key(transmission.frame)
        heapq.heappush(self._waiting, (key, self._sequence, transmission))

    def _start(self, transmission: _Transmission) -> None:
        self._current = transmission
        self._started_s = self.env.now
        end = self.env.timeout(bit_length(transmission.frame) / self.bitrate_bps)
        end.callbacks.append(self._complete)
        self._end = end

    def _complete(self, event: simpy.Event) -> None:
        transmission = self._current
        if event is not self._end or transmission is None:
            return  # this frame lost the arbitration in its first bit
        now_s = self.env.now
        node, frame = transmission.node, transmission.frame
        self._current = None
        self._free_at_s = now_s + INTERFRAME_BITS / self.bitrate_bps
        self.frame_count += 1
        self.busy_bits += bit_length(frame)
        node.pending_frames -= 1
        if self._waiting:
            self._arbitrate_later()
        for tap in self.taps:
            tap(now_s, node.name, frame)
        if transmission.on_sent is not None:
            transmission.on_sent(now_s)
        arbitration_id = frame.arbitration_id
        for other in self._nodes:
            if other is not node and other.attached:
                accepted = other.accepted_ids
                if accepted is None or arbitration_id in accepted:
                    other.on_frame(frame, now_s)

    def _arbitrate_later(self) -> None:
        if not self._arbitration_due:
            self._arbitration_due = True
            due = self.env.timeout(max(0.0, self._free_at_s - self.env.now))
            due.callbacks.append(self._arbitrate)

    def _arbitrate(self, event: simpy.Event) -> None:
        self._arbitration_due = False
        if self._current is None and self._waiting:
            self._start(heapq.heappop(self._waiting)[2])
