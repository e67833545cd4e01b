"""Asks ECUs one question at a time and gathers their answers, whatever else is on the bus.

An answer counts if it comes from an ECU's identifier, belongs to the service that was asked and
names what was asked. All else is another tester's: it is counted (`answers_stray`) and, most of
all, never acknowledged by a flow control frame.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from server.can.frame import CanFrame
from server.can.port import CanPort
from server.clock import Clock
from server.errors import LinkLost
from server.obd.backend import NEGATIVE
from server.obd.can.addressing import Addressing
from server.obd.can.channel import (
    CONSECUTIVE,
    FIRST,
    SINGLE,
    Channel,
    begins,
    frame_type,
    single_frame,
)

BETWEEN_FRAMES_S = 0.1
"""Longest pause within an answer, besides the interface's delay: N_Cr of ISO 15765-4 is 150 ms,
50 ms of which are in `reply_timeout_s`."""

_POSITIVE = 0x40
_PENDING = 0x78
_MOST_MISSED = 3  # in a row; then nobody waits for an ECU that only answers questions to all
_MOST_ECUS = 16  # that are listened to; ISO 15765-4 has eight, 29 bit noise could have 256


@dataclass(slots=True)
class Exchange:
    """A question and what came of it.

    Attributes:
        request: service, and what is asked of it.
        due_s: when an ECU that has said nothing is given up, monotonic seconds.
        answers: by the ECU's identifier; a refusal is `7F`, service, reason.
        late: the same for ECUs that have asked for more time, or are in the middle of an answer.
        pending: ECUs that have asked for more time.
        broken: ECUs whose answer came in pieces that do not fit.
    """

    request: bytes
    due_s: float
    answers: dict[int, bytes] = field(default_factory=dict)
    late: dict[int, float] = field(default_factory=dict)
    pending: set[int] = field(default_factory=set)
    broken: set[int] = field(default_factory=set)

    def left_s(self, now_s: float, wanted: Collection[int] | None) -> float:
        """Return how long to wait on; 0.0 if there is nothing to wait for."""
        if wanted is None:
            return max([self.due_s, *self.late.values()]) - now_s
        awaited = [ecu for ecu in wanted if ecu not in self.answers and ecu not in self.broken]
        if not awaited:
            return 0.0
        return max(self.late.get(ecu, self.due_s) for ecu in awaited) - now_s

    def is_answer(self, start: bytes) -> bool:
        """Tell whether a message that starts so is an answer to this question."""
        request = self.request
        if start[:1] == bytes((NEGATIVE,)):
            return start[1:2] == request[:1]
        if start[:1] != bytes((request[0] + _POSITIVE,)):
            return False
        # Services without a parameter (03, 04, 07, 0A) name nothing in their answers.
        return len(request) == 1 or (len(start) > 1 and start[1] in request[1:])


class Tester:
    """Speaks to the ECUs at one interface. All methods but `stop` belong to one thread.

    Args:
        port: the interface; open.
        clock: monotonic time.
        counts: `answers_stray`, `answers_pending`, `frames_broken`, `bus_errors` are counted here.
        reply_timeout_s: longest wait for an answer's first frame.
        pending_timeout_s: the same after "response pending".
    """

    def __init__(
        self,
        port: CanPort,
        clock: Clock,
        counts: Counter[str],
        *,
        reply_timeout_s: float,
        pending_timeout_s: float,
    ) -> None:
        self._port = port
        self._clock = clock
        self._counts = counts
        self._reply_timeout_s = reply_timeout_s
        self._pending_timeout_s = pending_timeout_s
        self._addressing: Addressing | None = None
        self._channels: dict[int, Channel] = {}
        self._last: Exchange | None = None  # functional, with ECUs that may still answer
        self._others: frozenset[int] = frozenset()
        self._missed: Counter[int] = Counter()  # in a row, by ECU
        self._stopping = False

    def use(self, addressing: Addressing) -> None:
        """Speak so from now on."""
        self._addressing = addressing
        self._channels.clear()
        self._last = None

    def stop(self) -> None:
        """Make the thread that is in here leave, by LinkLost; from any thread."""
        self._stopping = True

    def ask(
        self,
        request: bytes,
        *,
        to: int | None = None,
        wanted: Collection[int] | None = None,
        others: Collection[int] = (),
    ) -> Exchange:
        """Ask, and wait for the answers.

        Args:
            request: 1 to 7 bytes.
            to: an ECU, by its response identifier; None: all of them.
            wanted: whose answers to wait for; None: whoever answers in time.
            others: who else will answer. The next question to all waits for them: an ECU need not
                understand one that comes in between.
        """
        addressing = self._addressing
        assert addressing is not None, "use() comes first"
        self._await_others()
        for channel in self._channels.values():
            if channel.is_receiving or channel.error:
                channel.reset()
        request_id = addressing.functional_id if to is None else addressing.request_id(to)
        exchange = Exchange(request, self._clock.monotonic_s() + self._reply_timeout_s)
        self._port.send(CanFrame(request_id, single_frame(request)))
        self._gather(exchange, wanted)
        awaited = frozenset(ecu for ecu in others if self._missed[ecu] < _MOST_MISSED)
        if awaited:
            self._last, self._others = exchange, awaited
        return exchange

    def drain(self) -> None:
        """Drop what has come while nobody asked."""
        while True:
            frames = self._port.receive(0.0)
            if not frames:
                return
            self._counts["answers_stray"] += sum(self._is_begin(frame) for frame in frames)

    def _await_others(self) -> None:
        last, self._last = self._last, None
        if last is not None:
            self._gather(last, self._others)
            self._missed.update(self._others - last.answers.keys())

    def _gather(self, exchange: Exchange, wanted: Collection[int] | None) -> None:
        while (left_s := exchange.left_s(self._clock.monotonic_s(), wanted)) > 0:
            if self._stopping:
                raise LinkLost("stopped")
            for frame in self._port.receive(left_s):
                self._take(exchange, frame)

    # -- frames ------------------------------------------------------------------------------------
    def _is_begin(self, frame: CanFrame) -> bool:
        assert self._addressing is not None
        return self._addressing.is_answer(frame.can_id) and frame_type(frame.data) in (
            SINGLE,
            FIRST,
        )

    def _take(self, exchange: Exchange, frame: CanFrame) -> None:
        """Take a frame from the bus."""
        addressing = self._addressing
        assert addressing is not None
        ecu, data = frame.can_id, frame.data
        if frame.is_error:
            self._counts["bus_errors"] += 1
            return
        if frame.is_remote or not addressing.is_answer(ecu):
            return
        kind = frame_type(data)
        channel = self._channels.get(ecu)
        if kind in (SINGLE, FIRST):
            if not exchange.is_answer(begins(data)):
                self._counts["answers_stray"] += 1
                return
            if channel is None:
                channel = self._channel(ecu)
        elif kind != CONSECUTIVE or channel is None or not channel.is_receiving:
            return  # of an answer to somebody else; or no ISO-TP
        if channel is not None:
            self._receive(exchange, ecu, channel, data)

    def _channel(self, ecu: int) -> Channel | None:
        addressing = self._addressing
        assert addressing is not None
        if len(self._channels) >= _MOST_ECUS:
            return None
        channel = Channel(addressing.request_id(ecu), ecu, self._port.send)
        self._channels[ecu] = channel
        return channel

    def _receive(self, exchange: Exchange, ecu: int, channel: Channel, data: bytes) -> None:
        message = channel.take(data)
        now_s = self._clock.monotonic_s()
        if message is None:
            if channel.is_receiving:
                exchange.late[ecu] = now_s + self._reply_timeout_s + BETWEEN_FRAMES_S
            else:
                self._counts["frames_broken"] += 1
                exchange.broken.add(ecu)
        elif message[0] == NEGATIVE and message[2:3] == bytes((_PENDING,)):
            self._counts["answers_pending"] += 1
            exchange.pending.add(ecu)
            exchange.late[ecu] = now_s + self._pending_timeout_s
        else:
            exchange.answers[ecu] = message
            self._missed.pop(ecu, None)
