"""The OBD link: the car's PIDs, asked after a plan of rates, over an ELM327 adapter or over CAN.

    [links.obd]
    kind = "obd"
    port = "/dev/ttyUSB1"   # an ELM327 adapter (extra `obd`) ...
    baud = 38400            # absent: python-OBD finds it
    protocol = "6"          # absent: the adapter searches
    fast = true
    reply_timeout_s = 2.0   # a mute adapter is lost after so long

    can = {interface = "socketcan", channel = "can0"}   # ... or a CAN interface (extra `can`)

    stale_s = 2.0           # a signal is stale after this, or three periods
    plan = [
        {signal = "RPM", rate_hz = 5},
        {signal = "SPEED", rate_hz = "max", weight = 2},
        {signal = "BOOST", rate_hz = 2},
    ]

`rate_hz = "max"` asks whenever nothing else is due. BOOST (psi) is INTAKE_PRESSURE minus
BAROMETRIC_PRESSURE; it is stored whenever both are in the plan, and planning it plans both.
The keys of `can`: `server.obd.can.options`.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, ClassVar

from server.catalogue import Signal, by_name
from server.clock import Clock
from server.config_section import Section, Where
from server.errors import LinkLost
from server.links.base import Link, LinkReport
from server.links.reader_thread import ReaderThread
from server.obd.backend import BackendOptions, ObdBackend, Question, Trouble
from server.obd.can.options import CanObdOptions
from server.obd.elm.adapter import AdapterOptions
from server.obd.plan import BAROMETER, BOOST, MANIFOLD, PlanEntry, read_plan
from server.obd.schedule import Schedule, Slot
from server.readings import Reading, ReadingSink

NULLS_TO_DEMOTE = 5
"""So many NO DATA in a row, and a PID is asked rarely. One may be a lost frame on the bus. While
the car answers nothing at all (a line that stalls, a bus that is off) they say nothing of a PID."""

BAROMETER_HOLDS_S = 60.0
"""Oldest barometric pressure that BOOST is taken from: 60 s are 0.7 kPa on a steep pass (60 m)."""

_PSI_PER_KPA = 0.1450377377
_NAP_S = 0.5  # longest sleep between two looks at the stop flag


@dataclass(frozen=True, slots=True)
class _Order:
    """A service that somebody wants to have asked, and what comes of it."""

    request: bytes
    answers: Future[dict[int, bytes]]


class LastProtocol:
    """The protocol on which the car was met last, for the next attempt: it saves a search of 2 s.

    Attributes:
        number: as its back end names it ("1" to "A" of an ELM327); None before the first time and
            after it failed.
    """

    def __init__(self) -> None:
        self.number: str | None = None


@dataclass(frozen=True, slots=True)
class ObdOptions:
    """The table `[links.<name>]` of an OBD link.

    Attributes:
        backend: how to reach the car.
        plan: what to ask.
        stale_s: a signal is stale after so many seconds, or after three periods if that is longer.
        silence_s: without any reading for so long, or three periods of the fastest signal, the link
            is lost (ignition off, protocol gone).
        last_protocol: shared by the attempts, each of which is a new `ObdLink`.
    """

    backend: BackendOptions
    plan: tuple[PlanEntry, ...]
    stale_s: float = 2.0
    silence_s: float = 5.0
    last_protocol: LastProtocol = field(default_factory=LastProtocol, compare=False)


class ObdLink(Link):
    """Reads one car."""

    kind: ClassVar[str] = "obd"
    options: ObdOptions

    def __init__(
        self, name: str, options: ObdOptions, *, sink: ReadingSink, clock: Clock, report: LinkReport
    ) -> None:
        super().__init__(name, options, sink=sink, clock=clock, report=report)
        self._counts: Counter[str] = Counter(queries=0, readings=0, values_rejected=0)
        self._counts.update({trouble.value: 0 for trouble in Trouble})
        self.counters = self._counts
        self.stale_s = self._due_signals(options.plan)
        self._backend: ObdBackend[Any] = options.backend.make(
            clock, options.last_protocol.number, self._counts
        )
        self._questions: dict[str, Question] = {}
        self._nulls: Counter[str] = Counter()  # consecutive, by signal name
        self._null_s: dict[str, float] = {}  # monotonic instant of the last one
        self._heard_s = 0.0  # monotonic instant of the car's last answer, to whatever
        self._answered: set[str] = set()
        self._silent: list[str] = []  # planned, and never answered
        self._reported: str | None = None
        self._last_miss = ""
        self._silence_s = options.silence_s
        self._reading_s = 0.0  # monotonic instant of the last reading
        self._schedule = Schedule((), 0.0)
        self._orders: SimpleQueue[_Order] = SimpleQueue()
        self._barometer: tuple[float, float] | None = None  # kPa, monotonic seconds
        self._derives_boost = {MANIFOLD, BAROMETER} <= {entry.signal for entry in options.plan}

    @classmethod
    def parse(cls, name: str, table: Mapping[str, Any], where: Where) -> ObdOptions:
        """Check `[links.<name>]`; also that the back end's library is installed."""
        section = Section(table, where)
        section.has("kind")
        options = ObdOptions(
            backend=_backend(section),
            plan=read_plan(section),
            stale_s=section.number("stale_s", 2.0, minimum=0.1, maximum=3600.0),
            silence_s=section.number("silence_s", 5.0, minimum=1.0, maximum=3600.0),
        )
        section.done()
        return options

    async def run(self) -> None:
        """Connect and ask after the plan until cancelled.

        Raises:
            LinkLost: no port, no adapter, no car, or one of them went away.
        """
        await ReaderThread(f"obd-{self.name}", self._read, self._backend.interrupt).run()

    def service(self, request: bytes) -> Future[dict[int, bytes]]:
        """Ask all ECUs for a service between two questions of the plan; from any thread.

        What comes is `ObdBackend.service`'s; LinkLost where the link ends before.
        """
        order = _Order(request, Future())
        self._orders.put(order)
        return order.answers

    # -- in the reader's thread --------------------------------------------------------------------
    def _read(self, stop: threading.Event) -> None:
        try:
            self._connect()
            while not stop.is_set():
                self._serve_orders()
                self._step()
        finally:
            self._backend.close()
            self._refuse_orders()

    def _serve_orders(self) -> None:
        """Ask what others want to know; the plan goes on afterwards."""
        while not self._orders.empty():
            order = self._orders.get()
            if not order.answers.set_running_or_notify_cancel():
                continue
            try:
                order.answers.set_result(self._backend.service(order.request))
            except LinkLost as error:
                order.answers.set_exception(error)
                raise
            self._counts["services"] += 1
            # The plan has stood still meanwhile; that is no silence of the car.
            self._reading_s = max(self._reading_s, self.clock.monotonic_s() - self._silence_s / 2)

    def _refuse_orders(self) -> None:
        while not self._orders.empty():
            order = self._orders.get()
            if order.answers.set_running_or_notify_cancel():
                order.answers.set_exception(LinkLost("the link ended before the car was asked"))

    def _connect(self) -> None:
        last_protocol = self.options.last_protocol
        try:
            self._backend.connect()
            self._meet()
        except LinkLost:
            last_protocol.number = None  # perhaps another car: the next attempt searches
            raise
        last_protocol.number = self._backend.protocol

    def _meet(self) -> None:
        """Learn which car this is and which of the planned PIDs it has."""
        vin = self._backend.vin()
        if vin is not None:
            self.report.vehicle(vin)
        supported = self._backend.supported(entry.signal.id for entry in self.options.plan)
        plan = [entry for entry in self.options.plan if supported[entry.signal.id] is not False]
        self._silent = [e.signal.name for e in self.options.plan if e not in plan]
        self._counts["unsupported"] = len(self._silent)
        if not plan:
            raise LinkLost(f"the car has none of the planned PIDs: {', '.join(self._silent)}")
        self._questions = {e.signal.name: self._backend.question(e.signal) for e in plan}
        self.stale_s = self._due_signals(plan)
        now_s = self.clock.monotonic_s()
        self._reading_s = now_s
        fastest_s = min(1.0 / e.rate_hz if e.rate_hz else 0.0 for e in plan)
        self._silence_s = max(self.options.silence_s, 3 * fastest_s)
        self._schedule = Schedule([Slot(e.signal.name, e.rate_hz, e.weight) for e in plan], now_s)

    def _step(self) -> None:
        """Ask one question, or sleep until one is due.

        Raises:
            LinkLost: no reading for `silence_s`, or what the back end raises.
        """
        now_s = self.clock.monotonic_s()
        if now_s - self._reading_s > self._silence_s:
            raise LinkLost(
                f"expected a reading each {self._silence_s:g} s, found none:"
                f" {self._last_miss or 'values out of range'} (ignition off?)"
            )
        slots, wait_s = self._schedule.next_few(now_s, self._backend.most_at_once)
        if not slots:
            self._backend.rest(min(wait_s, _NAP_S))
            return
        self._counts["queries"] += 1
        questions = [self._questions[slot.name] for slot in slots]
        if len(questions) == 1:
            value = self._ask(questions[0])
            values: list[float | Trouble] = [self._backend.trouble if value is None else value]
        else:
            values = self._backend.ask_together(questions)
        if any(_is_answer(answer) for answer in values):
            self._heard_s = self.clock.monotonic_s()
        readings: list[Reading] = []
        for slot, question, answer in zip(slots, questions, values, strict=True):
            if isinstance(answer, Trouble):
                self._miss(slot, answer)
                continue
            if slot.name not in self._answered or slot.demoted:
                self._welcome(slot)
            self._nulls[slot.name] = 0
            readings += self._readings(question.signal, answer)
        self._deliver(readings)

    def _ask(self, question: Question) -> float | None:
        """Ask the car; a test may slow this down."""
        value: float | None = self._backend.ask(question)
        return value

    def _readings(self, signal: Signal, value: float) -> list[Reading]:
        """Turn a value that came just now into readings; out of range it is only counted."""
        # The last byte of the reply came some 100 us ago: the back end has parsed it since.
        now_ns = self.clock.now_ns()
        slack = signal.resolution / 2  # 65535 * 100 / 255 is a little more than 25700
        if not signal.minimum - slack <= value <= signal.maximum + slack:
            self._counts["values_rejected"] += 1
            return []
        readings = [Reading(signal.id, now_ns, value, now_ns)]
        if self._derives_boost:
            boost = self._boost(signal, value)
            if boost is not None:
                readings.append(Reading(BOOST.id, now_ns, boost, now_ns))
        return readings

    def _boost(self, signal: Signal, value: float) -> float | None:
        if signal is BAROMETER:
            self._barometer = (value, self.clock.monotonic_s())
            return None
        if signal is not MANIFOLD or self._barometer is None:
            return None
        barometer_kpa, read_s = self._barometer
        if self.clock.monotonic_s() - read_s > BAROMETER_HOLDS_S:
            return None
        return (value - barometer_kpa) * _PSI_PER_KPA

    def _deliver(self, readings: list[Reading]) -> None:
        """Hand readings on; a test may drop them here."""
        if not readings:
            return
        self._reading_s = self.clock.monotonic_s()
        self._counts["readings"] += len(readings)
        self.sink(readings)

    def _miss(self, slot: Slot, trouble: Trouble) -> None:
        self._counts[trouble.value] += 1
        self._last_miss = f"the last answer to {slot.name} was {trouble.name.replace('_', ' ')}"
        now_s = self.clock.monotonic_s()
        if trouble not in (Trouble.NO_DATA, Trouble.REFUSED):
            return
        self._counts[f"{trouble.value}.{slot.name}"] += 1
        answers_others = self._heard_s >= self._null_s.get(slot.name, self._heard_s)
        self._null_s[slot.name] = now_s
        if not answers_others:
            return
        self._nulls[slot.name] += 1
        if self._nulls[slot.name] >= NULLS_TO_DEMOTE:
            self._demote(slot, now_s)

    def _demote(self, slot: Slot, now_s: float) -> None:
        """Ask for it rarely from now on, or more rarely still."""
        is_first = not slot.demoted
        self._schedule.demote(slot, now_s)
        if not is_first:
            return
        self._counts["demoted"] += 1
        if slot.name not in self._answered:
            # The bitmap promised it, the car does not have it: nobody waits for it.
            self._silent.append(slot.name)
            absent = by_name(slot.name).id
            self.stale_s = {key: s for key, s in self.stale_s.items() if key != absent}
            if self._reported is not None:
                self._report_up()

    def _welcome(self, slot: Slot) -> None:
        """Note a signal's first answer, or its first after it had been demoted."""
        self._answered.add(slot.name)
        if slot.demoted:
            self._schedule.restore(slot, self.clock.monotonic_s())
        if slot.name in self._silent:
            self._silent.remove(slot.name)
            wanted = [e for e in self.options.plan if e.signal.name not in self._silent]
            self.stale_s = self._due_signals(wanted)
        self._report_up()

    def _report_up(self) -> None:
        reason = f"no answer to {', '.join(self._silent)}" if self._silent else ""
        if reason != self._reported:
            self._reported = reason
            self.report.up(reason)

    def _due_signals(self, plan: Iterable[PlanEntry]) -> dict[int, float]:
        """For each signal of `plan`, the seconds after which it is stale."""
        limits = {}
        for entry in plan:
            period_s = 1.0 / entry.rate_hz if entry.rate_hz else 0.0
            limits[entry.signal.id] = max(self.options.stale_s, 3 * period_s)
        if MANIFOLD.id in limits and BAROMETER.id in limits:
            limits[BOOST.id] = max(limits[MANIFOLD.id], limits[BAROMETER.id])
        return limits


def _is_answer(answer: float | Trouble) -> bool:
    """Whether the car has said something: a value, or that it gives none."""
    return not isinstance(answer, Trouble) or answer is Trouble.REFUSED


def _backend(section: Section) -> BackendOptions:
    """Read how to reach the car: `can`, or else an adapter's `port`."""
    if not section.has("can"):
        return AdapterOptions.parse(section)
    if "port" in section.table:
        raise section.where.error("can", "one of port and can", "both")
    return CanObdOptions.parse(section.section("can"))
