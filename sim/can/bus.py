"""A CAN bus in virtual time: frames take their exact time and wait for each other by identifier.

Covers: frame time with stuff bits, intermission, arbitration, acceptance filters, remote frames,
missing acknowledge, error frames, error counters and states (ISO 11898-1 fault confinement),
suspend transmission, bus-off and recovery, listen-only nodes, nodes with another bit rate, the same
identifier from two nodes at once, taps, load, bounded queues.
Not modelled: clock tolerance and resynchronisation, errors that one receiver alone sees, overload
frames, CAN FD, the 11 recessive bits that a controller waits for after it was switched on.

What becomes of a frame is foreseen when it starts: so it costs one SimPy event, two when frames
queue up, whether it passes or not.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence

import simpy

from sim.can.acceptance import Acceptance
from sim.can.bit_length import INTERFRAME_BITS, bit_length
from sim.can.confinement import RECOVERY_SEQUENCE_BITS, TRANSMIT_PENALTY
from sim.can.counting import count_error
from sim.can.error_frame import DELIMITER_BITS, SUSPEND_BITS, ErrorFrame
from sim.can.faults import BusFault, Disturbance, ErrorKind, ErrorTap
from sim.can.frame import CanFrame
from sim.can.load import BusTap
from sim.can.node import MAX_PENDING_FRAMES, CanNode, FrameReceiver, LostCallback, SentCallback
from sim.can.recovery import Recovery
from sim.can.transmission import Prospect, Transmission, arbitration_key, foresee
from sim.can.waiting import WaitingFrames

__all__ = [
    "DEFAULT_BITRATE_BPS",
    "MAX_PENDING_FRAMES",
    "Acceptance",
    "BusTap",
    "CanBus",
    "CanNode",
    "FrameReceiver",
    "LostCallback",
    "SentCallback",
    "arbitration_key",
]

DEFAULT_BITRATE_BPS = 500_000  # ISO 15765-4: the usual diagnostic bit rate
CACHED_IDENTIFIERS = 4096  # whose receivers are remembered


class CanBus:
    """The wire between the nodes. One SimPy event per frame, two when frames queue up.

    Args:
        env: the world's SimPy environment.
        bitrate_bps: bits per second.
        name: for messages and the record.
        auto_recover_s: for nodes that have no time of their own (`CanNode.auto_recover_s`).
        paced: False lets frames and error frames take no time at all (for benchmarks of what is
            behind the bus); then nothing collides.

    Attributes:
        taps: called as tap(t_s, sender, frame) for each frame, before the nodes get it.
        error_taps: called as tap(t_s, sender, kind, frame) when an error destroys a frame.
        faults: asked as fault(t_s, sender, frame) once for each attempt; what they answer destroys
            it. The first answer that is not None counts.
        frame_count: frames that have passed.
        error_count: attempts that an error destroyed.
        busy_bits: bits that the passed frames took, without intermission.
        error_bits: bits that destroyed frames and their error frames took, without intermission.
    """

    def __init__(
        self,
        env: simpy.Environment,
        bitrate_bps: int = DEFAULT_BITRATE_BPS,
        name: str = "can0",
        *,
        auto_recover_s: float | None = None,
        paced: bool = True,
    ) -> None:
        if bitrate_bps <= 0:
            raise ValueError(f"bit rate of bus {name!r}: expected more than 0, got {bitrate_bps}")
        self.env = env
        self.name = name
        self.bitrate_bps = bitrate_bps
        self.auto_recover_s = auto_recover_s
        self.taps: list[BusTap] = []
        self.error_taps: list[ErrorTap] = []
        self.faults: list[BusFault] = []
        self.frame_count = 0
        self.error_count = 0
        self.busy_bits = 0
        self.error_bits = 0
        self._rate_bps = float(bitrate_bps) if paced else math.inf
        self._nodes: tuple[CanNode, ...] = ()
        self._joining: tuple[CanNode, ...] = ()  # attached in the middle of a frame
        self._current: Transmission | None = None
        self._rivals: tuple[Transmission, ...] = ()  # started in the same bit, same identifier
        self._prospect: Prospect | None = None  # None: nothing can happen to it
        self._bits = 0
        self._started_s = 0.0
        self._end: simpy.Event | None = None
        self._free_at_s = float("-inf")
        self._waiting = WaitingFrames(collide=paced)
        self._suspended_until_s = float("-inf")  # the last of the nodes'
        self._sequence = 0
        self._arbitration: simpy.Event | None = None
        self._arbitration_s = math.inf
        self._recovery = Recovery(env, self._rate_bps, lambda node: node._restart())
        self._receivers: dict[int, tuple[CanNode, ...]] = {}
        self._acknowledging: frozenset[CanNode] = frozenset()
        self._out_of_step = False  # a node has another bit rate
        self._counting = False  # a receive error counter is not 0

    # -- what it is ------------------------------------------------------------------------------
    @property
    def load_pct(self) -> float:
        """Share of the time since t = 0 in which the bus carried frames, 0-100 %.

        `sim.can.load.LoadMeter` has it window by window, and error frames too.
        """
        if self.env.now <= 0:
            return 0.0
        return 100.0 * self.busy_bits / (self.bitrate_bps * self.env.now)

    @property
    def nodes(self) -> tuple[CanNode, ...]:
        """The nodes on the bus in the order in which they were attached."""
        return (*self._nodes, *self._joining)

    @property
    def dropped_frames(self) -> int:
        """Frames that the full queues of the nodes on the bus did not take."""
        return sum(node.dropped_frames for node in self.nodes)

    def frame_time_s(self, frame: CanFrame) -> float:
        """Return how long `frame` occupies the bus in seconds, intermission excluded."""
        return bit_length(frame) / self._rate_bps

    def is_acknowledged(self, sender: CanNode) -> bool:
        """Return True if a node other than `sender` would acknowledge its frames."""
        acknowledging = self._acknowledging
        return len(acknowledging) > 1 or (bool(acknowledging) and sender not in acknowledging)

    def attach(
        self,
        name: str,
        on_frame: FrameReceiver,
        accepted_ids: Collection[int] | None = None,
        *,
        filters: Sequence[Acceptance] | None = None,
        listen_only: bool = False,
        bitrate_bps: int | None = None,
    ) -> CanNode:
        """Put a node on the bus. A frame that is on the wire by then is not heard.

        Args:
            name: for taps and messages; need not be unique.
            on_frame: called as on_frame(frame, t_s) at the end of each frame of any other node.
            accepted_ids: identifiers that are taken, 11 and 29 bit alike; None takes every frame.
            filters: identifiers and masks, of which one must accept; None takes every frame.
            listen_only: neither acknowledge nor send error flags nor send.
            bitrate_bps: other than that of the bus for a node that disturbs it.
        """
        node = CanNode(
            self,
            name,
            on_frame,
            accepted_ids,
            filters=filters,
            listen_only=listen_only,
            bitrate_bps=bitrate_bps,
        )
        if self._current is not None and self._started_s < self.env.now:
            self._joining = (*self._joining, node)
        else:
            self._nodes = (*self._nodes, node)
            self._changed()
        return node

    # -- used by CanNode -------------------------------------------------------------------------
    def _request(
        self,
        node: CanNode,
        frame: CanFrame,
        on_sent: SentCallback | None,
        on_lost: LostCallback | None,
    ) -> None:
        self._sequence += 1
        transmission = Transmission(node, frame, self._sequence, on_sent, on_lost)
        now_s = self.env.now
        current = self._current
        if current is None:
            waiting = self._waiting.heap
            if now_s >= self._free_at_s and not waiting and now_s >= node._suspended_until_s:
                self._start(transmission)
                return
            self._waiting.push(transmission)
            self._arbitrate_at(self._free_at_s)
        elif self._started_s == now_s and transmission.key <= current.key:
            self._meet(transmission, current)
        else:
            self._waiting.push(transmission)

    def _withdraw(self, node: CanNode) -> int:
        given_up = self._waiting.withdraw(node)
        for attempt in self._attempts():
            if attempt.node is node:
                attempt.abandoned = True
        for transmission in given_up:
            self._lose(transmission)
        return len(given_up)

    def _detach(self, node: CanNode) -> None:
        node.attached = False
        self._nodes = tuple(other for other in self._nodes if other is not node)
        self._joining = tuple(other for other in self._joining if other is not node)
        self._recovery.forget(node)
        self._withdraw(node)
        self._changed()

    def _bus_off_changed(self, node: CanNode) -> None:
        if node.is_bus_off:
            self._withdraw(node)
            delay_s = self.auto_recover_s if node.auto_recover_s is None else node.auto_recover_s
            if delay_s is not None:
                self._recover_after(node, delay_s)
        self._changed()

    def _recover_after(self, node: CanNode, delay_s: float) -> None:
        count = node.bus_off_count
        event = self.env.timeout(delay_s)

        def due(_event: simpy.Event) -> None:
            if node.bus_off_count == count:
                self._recover(node)

        event.callbacks.append(due)

    def _recover(self, node: CanNode) -> None:
        if node.attached and node.is_bus_off and not node.recovering:
            node.recovering = True
            self._recovery.begin(node, None if self._current else self._quiet_from_s)

    def _changed(self) -> None:
        """A node came, left, or is another than before."""
        self._receivers.clear()
        rate = self.bitrate_bps
        part = [node for node in self._nodes if node.takes_part]
        self._acknowledging = frozenset(node for node in part if node.bitrate_bps == rate)
        self._out_of_step = any(node.bitrate_bps != rate for node in part)
        current = self._current
        if current is None:
            return
        if self._started_s == self.env.now or not self.is_acknowledged(current.node):
            self._plan(current, self._rivals)

    # -- queues and arbitration ------------------------------------------------------------------
    def _attempts(self) -> tuple[Transmission, ...]:
        return () if self._current is None else (self._current, *self._rivals)

    def _meet(self, transmission: Transmission, current: Transmission) -> None:
        """Start in the same bit as others: a lower identifier goes on, an equal one collides."""
        attempts = self._attempts()
        if transmission.key < current.key:
            for attempt in attempts:
                self._waiting.push(attempt)
            self._start(transmission)
        elif self._rate_bps == math.inf or transmission.node in {one.node for one in attempts}:
            self._waiting.push(transmission)
        else:
            self._plan(current, (*self._rivals, transmission))

    def _arbitrate_at(self, at_s: float) -> None:
        if at_s < self._arbitration_s:
            due = self.env.timeout(max(0.0, at_s - self.env.now))
            due.callbacks.append(self._arbitrate)
            self._arbitration = due
            self._arbitration_s = at_s

    def _arbitrate(self, event: simpy.Event) -> None:
        if event is not self._arbitration:
            return  # an earlier one was needed
        self._arbitration_s = math.inf
        waiting = self._waiting
        if self._current is not None or not waiting.heap:
            return
        now_s = self.env.now
        if now_s >= self._suspended_until_s:
            self._start(*waiting.take())
            return
        half_a_bit_s = 0.5 / self._rate_bps  # times are rounded
        start = waiting.take_unsuspended(now_s + half_a_bit_s)
        if start is None:
            self._arbitrate_at(waiting.unsuspended_at_s())
        else:
            self._start(*start)

    # -- the wire --------------------------------------------------------------------------------
    @property
    def _quiet_from_s(self) -> float:
        """When the recessive bits began that end with the intermission."""
        return self._free_at_s - RECOVERY_SEQUENCE_BITS / self._rate_bps

    def _start(self, first: Transmission, rivals: tuple[Transmission, ...] = ()) -> None:
        self._current = first
        self._started_s = self.env.now
        self._prospect = None
        if (
            rivals
            or self.faults
            or self._out_of_step
            or self._recovery
            or not self.is_acknowledged(first.node)
        ):
            self._plan(first, rivals)
            if self._recovery:
                self._recovery.busy()
            return
        self._rivals = ()
        bits = self._bits = bit_length(first.frame)
        end = self._end = self.env.timeout(bits / self._rate_bps)
        end.callbacks.append(self._complete)

    def _plan(self, first: Transmission, rivals: tuple[Transmission, ...]) -> None:
        """Foresee what becomes of the attempt under way, and when; anew if the nodes change."""
        self._rivals = rivals
        prospect = None
        bits = bit_length(first.frame)
        if (
            rivals
            or self._out_of_step
            or not self.is_acknowledged(first.node)
            or (self.faults and self._disturbance(first) is not None)
        ):
            attempts = (first, *rivals)
            prospect = foresee(attempts, self._nodes, self.bitrate_bps, self._disturbance)
            bits = bit_length(prospect.senders[0].frame)
        self._bits = bits
        if prospect is not None and prospect.error is not None:
            bits = prospect.error.after_bits
        passed_s = self.env.now - self._started_s
        if not passed_s:
            end = self.env.timeout(bits / self._rate_bps)
        elif bits / self._rate_bps > passed_s:
            end = self.env.timeout(bits / self._rate_bps - passed_s)
        else:
            return  # that bit has passed already: what was foreseen stays
        self._prospect = prospect
        end.callbacks.append(self._complete)
        self._end = end

    def _disturbance(self, attempt: Transmission) -> Disturbance | None:
        if not attempt.asked:
            attempt.asked = True
            attempt.disturbance = None
            for fault in self.faults:
                answer = fault(self.env.now, attempt.node.name, attempt.frame)
                if answer is not None:
                    if isinstance(answer, ErrorKind):
                        answer = Disturbance(answer)
                    attempt.disturbance = answer
                    break
        return attempt.disturbance

    def _complete(self, event: simpy.Event) -> None:
        first = self._current
        if event is not self._end or first is None:
            return  # it lost the arbitration in its first bit, or was planned anew
        prospect = self._prospect
        if prospect is not None and prospect.error is not None:
            self._destroyed(prospect, prospect.error)
            return
        now_s = self.env.now
        senders = (first,) if prospect is None else prospect.senders
        self._current = None
        self._free_at_s = now_s + INTERFRAME_BITS / self._rate_bps
        self.frame_count += 1
        self.busy_bits += self._bits
        for sender in senders:
            node = sender.node
            node.pending_frames -= 1
            node.sent_frames += 1
            if node.tec or node.rec:
                self._passed(node)
        if prospect is not None:
            self._fall_silent(prospect.silent)
        if self._recovery or self._counting:
            self._recovered_by(senders)
        if self._waiting.heap:
            self._arbitrate_at(self._free_at_s)
        frame = senders[0].frame
        receivers = self._receivers_of(frame)
        if self.taps:
            name = senders[0].node.name
            for tap in self.taps:
                tap(now_s, name, frame)
        for sender in senders:
            if sender.on_sent is not None:
                sender.on_sent(now_s)
        if self._rivals:
            tried = {attempt.node for attempt in (first, *self._rivals)}
            receivers = tuple(node for node in receivers if node not in tried)
        sender_node = first.node
        for node in receivers:
            if node is not sender_node and node.attached:
                node.on_frame(frame, now_s)
        if self._joining:
            self._join()

    def _passed(self, node: CanNode) -> None:
        node._passed()
        if node.is_passive:
            self._suspend(node)

    def _receivers_of(self, frame: CanFrame) -> tuple[CanNode, ...]:
        key = frame.arbitration_id << 1 | frame.is_extended
        receivers = self._receivers.get(key)
        return self._remember_receivers(key, frame) if receivers is None else receivers

    def _remember_receivers(self, key: int, frame: CanFrame) -> tuple[CanNode, ...]:
        if len(self._receivers) >= CACHED_IDENTIFIERS:
            self._receivers.clear()
        receivers = self._receivers[key] = tuple(
            node
            for node in self._nodes
            if node.is_listening
            and node.has_bus_rate
            and node.accepts(frame.arbitration_id, frame.is_extended)
        )
        return receivers

    # -- what errors leave behind ----------------------------------------------------------------
    def _destroyed(self, prospect: Prospect, error: ErrorFrame) -> None:
        now_s = self.env.now
        senders = (*prospect.senders, *prospect.silent)
        self._current = None
        self.error_count += 1
        self.error_bits += error.bits
        rest_bits = error.flag_bits + DELIMITER_BITS + INTERFRAME_BITS
        self._free_at_s = now_s + rest_bits / self._rate_bps
        for sender in senders:
            self._again(sender)
        if self._recovery:
            self._recovery.quiet(self._quiet_from_s)
        if self._waiting.heap:
            self._arbitrate_at(self._free_at_s)
        for tap in self.error_taps:
            tap(now_s, senders[0].node.name, error.kind, senders[0].frame)
        sending = [sender.node for sender in senders]
        count_error(error, sending, self._nodes)
        self._counting = True
        for node in sending:
            if node.is_passive:
                self._suspend(node)
        if self._joining:
            self._join()

    def _fall_silent(self, attempts: Iterable[Transmission]) -> None:
        for attempt in attempts:
            self._again(attempt)
            attempt.node._count(TRANSMIT_PENALTY, 0)
            self._suspend(attempt.node)

    def _join(self) -> None:
        """Let nodes take part that were attached in the middle of a frame."""
        self._nodes = (*self._nodes, *self._joining)
        self._joining = ()
        self._changed()

    def _recovered_by(self, senders: Iterable[Transmission]) -> None:
        """Let a frame that passed heal: receive counters, and the count of recessive bits."""
        if self._recovery:
            self._recovery.quiet(self._quiet_from_s)
        if self._counting:
            sending = [sender.node for sender in senders]
            for node in self._nodes:
                if node.rec and node in self._acknowledging and node not in sending:
                    node._received()
            self._counting = any(node.rec for node in self._nodes)

    def _suspend(self, node: CanNode) -> None:
        until_s = self._free_at_s + SUSPEND_BITS / self._rate_bps
        node._suspended_until_s = self._suspended_until_s = until_s

    def _again(self, attempt: Transmission) -> None:
        """Queue a frame that an error destroyed, unless its node has given it up."""
        attempt.asked = False
        if attempt.abandoned or not attempt.node.attached:
            self._lose(attempt)
        else:
            self._waiting.push(attempt)

    def _lose(self, transmission: Transmission) -> None:
        node = transmission.node
        node.pending_frames -= 1
        node.lost_frames += 1
        if transmission.on_lost is not None:
            transmission.on_lost(self.env.now)
