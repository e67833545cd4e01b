"""The car through a CAN interface: what an ELM327 does between the PIDs and the bus, done here.

Found out once per connection: 11 or 29 bit identifiers (as a scan tool does it: 0100 to all ECUs,
one after the other), which ECUs there are and which PIDs each has, whether they answer to their own
identifier. A PID is asked of the engine's ECU if that has it, otherwise of the first that does.

Several PIDs in one question: the standard demands it of every car on CAN, some cars know better.
What is missing in an answer is asked alone at once; if that brings it, questions become shorter.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence

from server.can.port import CanPort
from server.catalogue import Signal
from server.clock import Clock
from server.errors import LinkLost
from server.obd.backend import (
    NEGATIVE,
    SERVICE_1,
    VIN_REPLY,
    Trouble,
    pid_bit,
    pid_of,
    read_vin,
)
from server.obd.can.addressing import STANDARD, Addressing, acceptances, fixed
from server.obd.can.formulas import FORMULAS, Formula
from server.obd.can.options import FUNCTIONAL, PHYSICAL, CanObdOptions
from server.obd.can.tester import Exchange, Tester

MOST_PIDS = 6
"""In one question (SAE J1979, 6.2); it fills a single frame."""

_TRIES = 2  # of the questions asked once after connecting
_BUSY_TRIES = 3
_BUSY_S = 0.05  # between them
_STRIKES = 3  # unanswered questions for several PIDs in a row, while one alone is answered
_NAP_S = 0.05  # what piles up at the interface in this time is some 200 frames
_BUSY = 0x21
_BITMAP_BYTES = 4
UNCHECKED = "slcan"
"""An interface that is a serial line without a checksum: digits may come damaged."""


class Question:
    """One PID that is asked again and again; made by `CanObd.question`.

    Attributes:
        signal: what the answer is stored as.
        pid: its number.
        formula: what its bytes mean.
        ecu: who is asked.
        alone: not in one question with others: it was missing in the answer.
        answered: whether the last asking brought a value.
    """

    __slots__ = ("alone", "answered", "ecu", "formula", "pid", "signal")

    def __init__(self, signal: Signal, ecu: int) -> None:
        self.signal = signal
        self.pid = pid_of(signal)
        self.formula: Formula = FORMULAS[self.pid]
        self.ecu = ecu
        self.alone = False
        self.answered = False


class CanObd:
    """One connection. What the methods do: `server.obd.backend.ObdBackend`.

    Args:
        options: the interface, and how to ask.
        clock: monotonic time.
        protocol: "11" or "29", to be tried first; None: 11.
        counts: the link's counters.

    Attributes:
        trouble: why the last `ask` gave None.
        most_at_once: PIDs in one question.
    """

    def __init__(
        self, options: CanObdOptions, clock: Clock, protocol: str | None, counts: Counter[str]
    ) -> None:
        self.trouble = Trouble.NO_DATA
        self.most_at_once = MOST_PIDS if options.several else 1
        self._options = options
        self._clock = clock
        self._counts = counts
        self._port = CanPort(options.port, clock, counts)
        self._tester = Tester(
            self._port,
            clock,
            counts,
            reply_timeout_s=options.reply_timeout_s,
            pending_timeout_s=options.pending_timeout_s,
        )
        self._candidates = _candidates(options, protocol)
        self._addressing = self._candidates[0]
        self._bitmaps: dict[int, dict[int, bytes]] = {}  # by ECU, by group
        self._engine = 0
        self._physical: set[int] = set()  # ECUs that answer to their own identifier
        self._owners: dict[int, list[int]] = {}  # by PID
        self._strikes = 0
        self._proven = 1  # so many PIDs in a question have been answered in full

    # -- the connection ----------------------------------------------------------------------------
    def connect(self) -> None:
        """Open the interface and find the car."""
        self._port.accept(acceptances(self._candidates))
        self._port.open()
        for addressing in self._candidates:
            self._tester.use(addressing)
            found = self._search(addressing)
            if found:
                self._addressing = addressing
                self._bitmaps = {ecu: {0x00: bitmap} for ecu, bitmap in found.items()}
                self._engine = _engine(addressing, found)
                self._port.accept([addressing.answers])
                return
        tried = " and ".join(str(addressing) for addressing in self._candidates)
        raise LinkLost(
            f"expected a car that answers 0100 at {self._port.name},"
            f" found no answer to {tried} (ignition off? wrong bit rate?)"
        )

    def _search(self, addressing: Addressing) -> dict[int, bytes]:
        """Return who answers 0100 and with what; asked again if the engine's answer is missing."""
        found: dict[int, bytes] = {}
        for _ in range(_TRIES):
            answers = self._tester.ask(bytes((SERVICE_1, 0x00))).answers
            for ecu, answer in answers.items():
                bitmap = _bitmap(answer)
                if bitmap is not None:
                    found[ecu] = bitmap
            if addressing.engine_id in found:
                break
        return found

    @property
    def protocol(self) -> str:
        """ "11" or "29": bits of the identifiers."""
        return str(self._addressing.bits)

    def interrupt(self) -> None:
        """Make the thread that is in here leave, by LinkLost; from any thread."""
        self._tester.stop()

    def close(self) -> None:
        """Close the interface; idempotent."""
        self._port.close()

    def rest(self, duration_s: float) -> None:
        """Sleep, and drop what comes meanwhile: it answers nothing that will be asked."""
        end_s = self._clock.monotonic_s() + duration_s
        while (left_s := end_s - self._clock.monotonic_s()) > 0:
            time.sleep(min(left_s, _NAP_S))
            self._tester.drain()

    # -- asked once --------------------------------------------------------------------------------
    def vin(self) -> str | None:
        """Ask for the vehicle's number: the engine's ECU first, then whoever has one."""
        request = bytes((0x09, VIN_REPLY[1]))
        others = self._bitmaps.keys() - {self._engine}
        for _ in range(_TRIES):
            answers = self._tester.ask(request, wanted=[self._engine], others=others).answers
            for ecu in sorted(answers, key=self._rank):
                if answers[ecu].startswith(VIN_REPLY):
                    return read_vin(answers[ecu])
        return None

    def supported(self, pids: Iterable[int]) -> dict[int, bool | None]:
        """Ask every ECU which mode 01 PIDs it has."""
        pids = list(pids)
        known = self._look(pids)
        if False in known.values() and self._options.port.interface == UNCHECKED:
            known = self._look_again(pids)
        self._find_physical()
        return known

    def _look_again(self, pids: Sequence[int]) -> dict[int, bool | None]:
        """Ask once more what was denied: a digit on the way here may have been a damaged one.

        That a PID is too many shows soon, that it is too few never: it is asked no more.
        """
        before = self._bitmaps
        found = self._search(self._addressing)
        self._bitmaps = {ecu: {0x00: bitmap} for ecu, bitmap in found.items()}
        self._look(pids)
        self._bitmaps = _either(before, self._bitmaps)
        self._engine = _engine(
            self._addressing, {ecu: maps[0x00] for ecu, maps in self._bitmaps.items()}
        )
        return self._look(pids)

    def _look(self, pids: Iterable[int]) -> dict[int, bool | None]:
        known: dict[int, bool | None] = {}
        for pid in pids:
            group = (pid - 1) & ~0x1F
            self._read_bitmaps(group)
            bits = {ecu: pid_bit(maps.get(group), pid) for ecu, maps in self._bitmaps.items()}
            owners = sorted((ecu for ecu, bit in bits.items() if bit), key=self._rank)
            self._owners[pid] = owners or [self._engine]
            known[pid] = True if owners else None if None in bits.values() else False
        return known

    def _read_bitmaps(self, last_group: int) -> None:
        """Ask for the bitmaps up to a group, where the one before announces the next."""
        for group in range(0x20, last_group + 1, 0x20):
            wanted = []
            for ecu, maps in self._bitmaps.items():
                if group in maps or group - 0x20 not in maps:
                    continue
                if pid_bit(maps[group - 0x20], group):
                    wanted.append(ecu)
                else:
                    maps[group] = bytes(_BITMAP_BYTES)
            for _ in range(_TRIES):
                missing = [ecu for ecu in wanted if group not in self._bitmaps[ecu]]
                if missing:
                    self._read_group(group, missing)

    def _read_group(self, group: int, wanted: Sequence[int]) -> None:
        answers = self._tester.ask(bytes((SERVICE_1, group)), wanted=wanted).answers
        for ecu in wanted:
            bitmap = _bitmap(answers.get(ecu, b""))
            if bitmap is not None:
                self._bitmaps[ecu][group] = bitmap

    def _find_physical(self) -> None:
        """Find out which ECUs answer to their own identifier: nobody else hears the question."""
        if self._options.request == FUNCTIONAL:
            return
        for ecu in {owners[0] for owners in self._owners.values()}:
            if self._options.request == PHYSICAL or self._addressing.fixed is not None:
                self._physical.add(ecu)
                continue
            for _ in range(_TRIES):
                request = bytes((SERVICE_1, 0x00))
                answer = self._tester.ask(request, to=ecu, wanted=[ecu]).answers.get(ecu, b"")
                if _bitmap(answer) is not None:
                    self._physical.add(ecu)
                    break

    def _rank(self, ecu: int) -> tuple[bool, int]:
        return ecu != self._engine, ecu

    def service(self, request: bytes) -> dict[int, bytes]:
        """Ask all ECUs, once more where none has said anything."""
        for _ in range(_TRIES):
            answers = self._tester.ask(request).answers
            if answers:
                break
        return answers

    # -- asked again and again ---------------------------------------------------------------------
    def question(self, signal: Signal) -> Question:
        """Prepare asking the ECU that has it."""
        return Question(signal, self._owners.get(pid_of(signal), [self._engine])[0])

    def ask(self, question: Question) -> float | None:
        """Ask for one PID; once more if it was answered the last time: a frame may be lost."""
        value = self._ask([question])[0]
        if isinstance(value, Trouble) and question.answered and value is Trouble.NO_DATA:
            self._counts["retries"] += 1
            value = self._ask([question])[0]
        question.answered = not isinstance(value, Trouble)
        if isinstance(value, Trouble):
            self.trouble = value
            return None
        return value

    def ask_together(self, questions: Sequence[Question]) -> list[float | Trouble]:
        """Ask for several PIDs, each ECU at once for what it has."""
        values: dict[int, float | Trouble] = {}
        by_ecu: dict[int, list[Question]] = {}
        for question in questions:
            if question.alone:
                value = values[question.pid] = self._ask_alone(question)
                question.alone = isinstance(value, Trouble)
            else:
                by_ecu.setdefault(question.ecu, []).append(question)
        for group in by_ecu.values():
            for question, value in zip(group, self._ask_group(group), strict=True):
                values[question.pid] = value
        return [values[question.pid] for question in questions]

    def _ask_alone(self, question: Question) -> float | Trouble:
        value = self.ask(question)
        return self.trouble if value is None else value

    def _ask_group(self, group: Sequence[Question]) -> list[float | Trouble]:
        if len(group) == 1:
            return [self._ask_alone(group[0])]
        self._counts["questions_together"] += 1
        values = self._ask(group)
        if group[0].answered and all(value is Trouble.NO_DATA for value in values):
            self._counts["retries"] += 1
            values = self._ask(group)
        missing = [i for i, value in enumerate(values) if isinstance(value, Trouble)]
        for question, value in zip(group, values, strict=True):
            question.answered = not isinstance(value, Trouble)
        if not missing:
            self._strikes = 0
            self._proven = max(self._proven, len(group))
        elif len(missing) < len(group):
            self._ask_missing(group, values, missing)
        else:
            values[0] = self._ask_alone(group[0])
            if not isinstance(values[0], Trouble):
                self._strike(len(group), values[-1])
        return values

    def _ask_missing(
        self, group: Sequence[Question], values: list[float | Trouble], missing: Sequence[int]
    ) -> None:
        """Ask alone for what the answer lacked: the car has it not, or takes fewer at once."""
        answered = len(group) - len(missing)
        for i in missing:
            question = group[i]
            value = values[i] = self._ask_alone(question)
            question.alone = isinstance(value, Trouble)
            if not question.alone:
                self._ask_fewer(answered)

    def _strike(self, length: int, trouble: float | Trouble) -> None:
        """Note that a question of that length brought nothing, and its first PID alone a value."""
        self._strikes += 1
        if trouble is Trouble.REFUSED or self._strikes >= _STRIKES:
            self._ask_fewer(length // 2)
            self._strikes = 0

    def _ask_fewer(self, most: int) -> None:
        """Shorten questions; not below what was answered once: then it is noise, not the car."""
        self.most_at_once = max(self._proven, min(self.most_at_once, most))

    def _ask(self, questions: Sequence[Question]) -> list[float | Trouble]:
        """Ask one ECU; wait a little while it is busy."""
        ecu = questions[0].ecu
        request = bytes((SERVICE_1, *(question.pid for question in questions)))
        to = ecu if ecu in self._physical else None
        others = () if to is not None else self._others(ecu, questions)
        for attempt in range(_BUSY_TRIES):
            exchange = self._tester.ask(request, to=to, wanted=(ecu,), others=others)
            answer = exchange.answers.get(ecu)
            if answer is None:
                return [_why(exchange, ecu)] * len(questions)
            if answer[0] != NEGATIVE:
                return _values(answer, questions)
            if answer[2:3] != bytes((_BUSY,)):
                return [Trouble.REFUSED] * len(questions)
            if attempt < _BUSY_TRIES - 1:
                self.rest(_BUSY_S)
        return [Trouble.ERROR] * len(questions)

    def _others(self, ecu: int, questions: Sequence[Question]) -> set[int]:
        """Return who else has one of these PIDs, and so answers a question to all."""
        pids = [question.pid for question in questions]
        return {other for pid in pids for other in self._owners.get(pid, ()) if other != ecu}


def _candidates(options: CanObdOptions, protocol: str | None) -> list[Addressing]:
    """Return the addressings to try, in order."""
    if options.request_id is not None:
        bits = options.id_bits or 11
        return [fixed(options.request_id, options.response_id, bits)]
    if options.id_bits is not None:
        return [addressing for addressing in STANDARD if addressing.bits == options.id_bits]
    return sorted(STANDARD, key=lambda addressing: str(addressing.bits) != protocol)


def _engine(addressing: Addressing, bitmaps: dict[int, bytes]) -> int:
    """Return the engine's ECU: where the standard has it, or else the one with most PIDs."""
    if addressing.engine_id in bitmaps:
        return addressing.engine_id
    return max(bitmaps, key=lambda ecu: int.from_bytes(bitmaps[ecu], "big").bit_count())


def _bitmap(answer: bytes) -> bytes | None:
    """Return the bitmap in an answer to 0100 and the like; None if it is none."""
    return answer[2:6] if len(answer) >= 6 and answer[0] != NEGATIVE else None


def _either(
    one: dict[int, dict[int, bytes]], other: dict[int, dict[int, bytes]]
) -> dict[int, dict[int, bytes]]:
    """Return the bitmaps by ECU and group with whatever one or the other has."""
    both = {ecu: dict(maps) for ecu, maps in one.items()}
    for ecu, maps in other.items():
        mine = both.setdefault(ecu, {})
        for group, bitmap in maps.items():
            known = mine.get(group, bytes(_BITMAP_BYTES))
            mine[group] = bytes(a | b for a, b in zip(known, bitmap, strict=True))
    return both


def _why(exchange: Exchange, ecu: int) -> Trouble:
    """Tell what went wrong where no answer is complete."""
    if ecu in exchange.broken:
        return Trouble.UNREADABLE
    if ecu in exchange.late:
        return Trouble.LOST if ecu in exchange.pending else Trouble.CUT
    return Trouble.NO_DATA


def _values(answer: bytes, questions: Sequence[Question]) -> list[float | Trouble]:
    """Take an answer apart: PID, its bytes, next PID, in whatever order."""
    wanted = {question.pid: question for question in questions}
    found: dict[int, float | Trouble] = {}
    position = 1
    while position < len(answer) and answer[position] in wanted:
        pid = answer[position]
        formula = wanted[pid].formula
        data = answer[position + 1 : position + 1 + formula.n_bytes]
        found[pid] = formula.value(data) if len(data) == formula.n_bytes else Trouble.CUT
        position += 1 + formula.n_bytes
    return [found.get(question.pid, Trouble.NO_DATA) for question in questions]
