"""Devices that are recordings: one that only talks, one that answers, one on the CAN bus."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

import simpy

from rig.record.streams import CAN_ERROR, CAN_EXTENDED, CAN_REMOTE, CanRow
from rig.wires.exchanges import PROMPT, Conversation, Exchange, is_hex, plain, without_count
from sim.can.bit_length import bit_length
from sim.can.bus import CanBus
from sim.can.frame import CanFrame
from sim.serial_line import SerialLine

ORDER, TIME = "order", "time"
ANSWERS = (ORDER, TIME)
COMMAND_S = 0.005  # what an ELM327 takes for a command of its own
NO_DATA_S = 0.2  # how long it waits for a vehicle that does not answer (ATST 32)
END_BYTE = b"\r"
MOST_ASKED_BYTES = 256  # an ELM327 takes fewer; the rest of a line without an end is dropped


def speak(
    env: simpy.Environment, line: SerialLine, said: Iterable[tuple[float, bytes]]
) -> Generator[simpy.Event, None, None]:
    """Say each thing at its instant (seconds of `env`), whoever listens."""
    for time_s, data in said:
        if time_s > env.now:
            yield env.timeout(time_s - env.now)
        line.write(data)


class Talker:
    """A device that says what it said then, and hears nothing: a receiver, a board's console."""

    def __init__(
        self, env: simpy.Environment, line: SerialLine, said: Sequence[tuple[float, bytes]]
    ) -> None:
        self.counters: Counter[str] = Counter(played=0, ignored_bytes=0)
        line.attach_device(self._ignore)
        line.taps.append(self._count)
        env.process(speak(env, line, said))

    def _ignore(self, data: bytes) -> None:
        self.counters["ignored_bytes"] += len(data)

    def _count(self, time_s: float, to_host: bool, data: bytes) -> None:
        self.counters["played"] += to_host


@dataclass(slots=True)
class _Answers:
    """The recorded answers to one request, and how far they are used up."""

    exchanges: list[Exchange] = field(default_factory=list)
    used: int = 0


class Answerer:
    """An ELM327 that answers as it answered then.

    The same request gets the recorded answers, with the recorded latencies; who asks decides when.
    `order`: one after the other, and the last one again when there are no more. `time`: the one
    that was given last at this instant of the recording. A request that nobody made then gets what
    an ELM327 says to one that it cannot serve. One that comes before the prompt interrupts.

    Args:
        env: the world's clock.
        line: its cable.
        talk: what was recorded.
        answers: `ORDER` or `TIME`.
        recorded_ns: gives the instant of the recording at an instant of `env`.

    Attributes:
        counters: `answered`, `repeated` (again, as there were no more), `unknown`, `interrupted`.
        unknown: request -> how often.
    """

    def __init__(
        self,
        env: simpy.Environment,
        line: SerialLine,
        talk: Conversation,
        *,
        answers: str,
        recorded_ns: Callable[[float], int],
    ) -> None:
        self.counters: Counter[str] = Counter(answered=0, repeated=0, unknown=0, interrupted=0)
        self.unknown: Counter[str] = Counter()
        self._env = env
        self._line = line
        self._by_time = answers == TIME
        self._recorded_ns = recorded_ns
        self._known: dict[str, _Answers] = {}
        self._alike: dict[str, _Answers] = {}  # whatever number of answers was awaited
        for exchange in talk.exchanges:
            self._known.setdefault(exchange.request, _Answers()).exchanges.append(exchange)
            alike = without_count(exchange.request)
            self._alike.setdefault(alike, _Answers()).exchanges.append(exchange)
        self._asked = bytearray()
        self._echo = True
        self._answer = 0  # number of the answer that is being given
        self._prompt_due = False
        line.attach_device(self._hear)
        line.on_hang_up.append(self._forget)

    # -- hearing -----------------------------------------------------------------------------------
    def _hear(self, data: bytes) -> None:
        self._asked += data
        while END_BYTE in self._asked:
            request, _, self._asked = self._asked.partition(END_BYTE)
            self._ask(bytes(request))
        del self._asked[:-MOST_ASKED_BYTES]

    def _ask(self, line: bytes) -> None:
        if self._prompt_due:
            self.counters["interrupted"] += 1
            self._give([(0, b"STOPPED\r\r>")])
            return
        request = plain(line)
        exchange = self._find(request)
        self._mind(request)
        if exchange is not None:
            self.counters["answered"] += 1
            self._give(exchange.answer)
            return
        self.counters["unknown"] += 1
        self.unknown[request] += 1
        echo = line + END_BYTE if self._echo else b""
        to_vehicle = is_hex(request)
        delay_s = NO_DATA_S if to_vehicle else COMMAND_S
        words = b"NO DATA\r\r>" if to_vehicle else b"?\r\r>"
        self._give([(round(delay_s * 1e9), echo + words)])

    def _find(self, request: str) -> Exchange | None:
        found = self._known.get(request) or self._alike.get(without_count(request))
        if found is None:
            return None
        if self._by_time:
            return _latest(found.exchanges, self._recorded_ns(self._env.now))
        if found.used >= len(found.exchanges):
            self.counters["repeated"] += 1
            return found.exchanges[-1]
        found.used += 1
        return found.exchanges[found.used - 1]

    def _mind(self, request: str) -> None:
        """Keep what an answer of our own depends on."""
        if request in ("ATE0", "ATE1"):
            self._echo = request == "ATE1"
        elif request in ("ATZ", "ATWS", "ATD"):
            self._echo = True

    # -- answering ---------------------------------------------------------------------------------
    def _give(self, answer: Sequence[tuple[int, bytes]]) -> None:
        self._answer += 1
        self._prompt_due = any(PROMPT in data for _, data in answer)
        if answer:
            self._env.process(self._say(self._answer, deque(answer)))

    def _say(
        self, number: int, answer: deque[tuple[int, bytes]]
    ) -> Generator[simpy.Event, None, None]:
        start_s = self._env.now
        while answer:
            delay_ns, data = answer.popleft()
            wait_s = start_s + delay_ns / 1e9 - self._env.now
            if wait_s > 0.0:
                yield self._env.timeout(wait_s)
            if number != self._answer:
                return  # interrupted
            if PROMPT in data:
                self._prompt_due = False
            self._line.write(data)

    def _forget(self) -> None:
        """The cable is pulled: an adapter that lives on its power says no more."""
        self._answer += 1
        self._prompt_due = False
        self._asked.clear()


def _latest(exchanges: Sequence[Exchange], recorded_ns: int) -> Exchange:
    """Return the last one that was asked by then, or else the first."""
    low, high = 0, len(exchanges)
    while low < high:
        middle = (low + high) // 2
        if exchanges[middle].asked_ns <= recorded_ns:
            low = middle + 1
        else:
            high = middle
    return exchanges[max(0, low - 1)]


class FramePlayer:
    """A node that puts recorded frames on a bus so that each ends when it ended then.

    Attributes:
        counters: `played`, `refused` (the node did not take it), `errors` (error frames, which no
            node can be told to send).
    """

    def __init__(
        self,
        env: simpy.Environment,
        bus: CanBus,
        name: str,
        rows: Iterable[tuple[float, CanRow]],
    ) -> None:
        self.counters: Counter[str] = Counter(played=0, refused=0, errors=0)
        self._env = env
        self._bit_s = 1.0 / bus.bitrate_bps
        self._node = bus.attach(name, lambda _frame, _time_s: None)
        frames = []
        for end_s, row in rows:
            if row.flags & CAN_ERROR:
                self.counters["errors"] += 1
                continue
            frame = _frame(row)
            frames.append((end_s - bit_length(frame) * self._bit_s, frame))
        frames.sort(key=itemgetter(0))
        env.process(self._run(frames))

    def _run(self, frames: Iterable[tuple[float, CanFrame]]) -> Generator[simpy.Event, None, None]:
        for start_s, frame in frames:
            if start_s > self._env.now:
                yield self._env.timeout(start_s - self._env.now)
            taken = self._node.send(frame)
            self.counters["played" if taken else "refused"] += 1


def _frame(row: CanRow) -> CanFrame:
    is_remote = bool(row.flags & CAN_REMOTE)
    data = b"" if is_remote else row.data
    return CanFrame(
        row.id,
        data,
        is_extended=bool(row.flags & CAN_EXTENDED),
        is_remote=is_remote,
    )
