"""The CAN link: the car's broadcast traffic, decoded by a database file.

    [links.can]
    kind = "can"
    interface = "socketcand"        # server.can.options: which interface, and how it is set
    channel = "can0"
    host = "127.0.0.1"
    dbc = "focus_st.dbc"            # or several: ["a.dbc", "b.kcd"]
    signals = {EngineSpeed = 10, Gear = "change"}       # server.can.plan; absent: all
    rate_hz = 10                    # of all, where `signals` is absent
    heartbeat_s = 1.0               # of signals on change
    stale_s = 2.0                   # a signal is stale after this, or three periods
    silence_s = 5.0                 # no frame, or none of the file, for so long: DEGRADED
    queue_frames = 20000            # read, not yet decoded; then the oldest are dropped
    batch_ms = 10                   # frames are read together at this interval; 0: one by one

A thread of its own reads the interface (`server.can.reader`), another one decodes. At first every
frame is looked at: so the link can say that the file does not fit the car. As soon as a message of
the file has come, filters let pass its identifiers alone.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from server.can.database import files_of, load_messages
from server.can.decoder import DecodedMessage, Decoder
from server.can.frame import ERROR, EXTENDED, REMOTE, Acceptance, CanFrame, shown_id
from server.can.health import BusHealth
from server.can.options import PortOptions, port_options
from server.can.plan import Plan, make_plan
from server.can.port import LONGEST_WAIT_S, CanPort
from server.can.reader import FrameReader
from server.catalogue import Signal
from server.clock import Clock
from server.config_section import Section, Where
from server.links.base import Link, LinkReport
from server.links.reader_thread import ReaderThread
from server.readings import Reading, ReadingSink

LOOK_S = 1.0
"""How often the link looks at how it is."""
OTHERS_KEPT = 1000
"""Identifiers outside of the file that are remembered."""
OTHERS_SHOWN = 5
FRAMES_TO_KNOW = 10
"""So many frames of a message without a cycle time in the file, and its time is known."""

_COUNTERS = (
    "frames",
    "frames_known",
    "frames_unknown",
    "frames_unwanted",
    "frames_malformed",
    "frames_dropped",
    "frames_short",
    "frames_sent",
    "stamps_mapped",
    "stamps_ahead",
    "readings",
    "values_rejected",
    "values_invalid",
    "muxes_unknown",
    "error_frames",
    "bus_errors",
    "no_acknowledgements",
    "error_passive",
    "bus_off",
    "restarts",
    "overflows",
    "slcan_refused",
    "slcan_reopened",
)


@dataclass(frozen=True, slots=True)
class CanOptions:
    """The table `[links.<name>]` of a CAN link.

    Attributes:
        port: the interface.
        plan: what is wanted of which messages.
        heartbeat_s: longest time between two readings of a signal on change.
        stale_s: a signal is stale after so many seconds, or after three periods if that is longer.
        silence_s: without a frame, or without one of the file, for so long: DEGRADED.
        queue_frames: frames that wait to be decoded at most.
        batch_s: pause between two reads.
    """

    port: PortOptions
    plan: Plan
    heartbeat_s: float = 1.0
    stale_s: float = 2.0
    silence_s: float = 5.0
    queue_frames: int = 20_000
    batch_s: float = 0.01


class CanLink(Link):
    """Reads one CAN interface."""

    kind: ClassVar[str] = "can"
    options: CanOptions

    def __init__(
        self, name: str, options: CanOptions, *, sink: ReadingSink, clock: Clock, report: LinkReport
    ) -> None:
        super().__init__(name, options, sink=sink, clock=clock, report=report)
        # All from the start: two threads count, and a third one lists them.
        self._counts: Counter[str] = Counter(dict.fromkeys(_COUNTERS, 0))
        self.counters = self._counts
        self._port = CanPort(options.port, clock, self._counts)
        self._reader = FrameReader(
            self._port,
            queue_frames=options.queue_frames,
            batch_s=options.batch_s,
            counters=self._counts,
        )
        self._decoder = Decoder(options.plan, self._counts, options.heartbeat_s)
        self.absent = self._decoder.absent
        self._health = BusHealth(self._counts)
        self._due = _DueSignals(options)
        self._others: set[int] = set()
        self._is_filtered = False
        self._state: str | None = None  # last report: "" is up, else the reason
        # Monotonic instants: of the last look, the last frame, and the last one of the file.
        self._look_s = self._frame_s = self._known_s = clock.monotonic_s()
        self._unwanted = 0

    @classmethod
    def parse(cls, name: str, table: Mapping[str, Any], where: Where) -> CanOptions:
        """Check `[links.<name>]`, and read the files."""
        section = Section(table, where)
        section.has("kind")
        port = port_options(section)
        loaded = load_messages(section)
        options = CanOptions(
            port=port,
            plan=make_plan(section, loaded, files_of(section)),
            heartbeat_s=section.number("heartbeat_s", 1.0, minimum=0.01, maximum=3600.0),
            stale_s=section.number("stale_s", 2.0, minimum=0.1, maximum=3600.0),
            silence_s=section.number("silence_s", 5.0, minimum=0.5, maximum=3600.0),
            queue_frames=section.integer("queue_frames", 20_000, minimum=1, maximum=10_000_000),
            batch_s=section.integer("batch_ms", 10, minimum=0, maximum=1000) / 1000,
        )
        section.done()
        return options

    @classmethod
    def signals(cls, options: CanOptions) -> Sequence[Signal]:
        """Give the signals that the file adds to the catalogue."""
        return options.plan.signals

    async def run(self) -> None:
        """Open the interface and read until cancelled.

        Raises:
            LinkLost: the interface cannot be opened, or went away.
        """
        await ReaderThread(f"can-{self.name}", self._read, lambda: None).run()

    # -- in the decoding thread --------------------------------------------------------------------
    def _read(self, stop: threading.Event) -> None:
        reader = self._reader
        reader.start()
        try:
            while not stop.is_set():
                self.take(reader.take(LONGEST_WAIT_S))
        finally:
            reader.stop()

    def take(self, frames: Sequence[CanFrame]) -> None:
        """Take frames that came together, in their order; none: nothing came for a while."""
        now_s = self.clock.monotonic_s()
        if frames:
            self._frame_s = now_s
            readings = self._decoder.decode(frames)
            unknown = self._decoder.unknown
            if unknown:
                self._look_at_others(unknown, now_s)
            if len(unknown) < len(frames):
                self._known_s = now_s
                if not self._is_filtered:
                    self._filter()
            if readings:
                self._counts["readings"] += len(readings)
                self._due.see(readings)
                self.sink(readings)
        if now_s - self._look_s >= LOOK_S or (frames and self._state is None):
            self._look_s = now_s
            self._look(now_s)

    def _look_at_others(self, frames: Sequence[CanFrame], now_s: float) -> None:
        for frame in frames:
            if frame.can_id & ERROR:
                self._health.take(frame, now_s)
            elif len(self._others) < OTHERS_KEPT:
                self._others.add(frame.can_id & ~REMOTE)

    def _filter(self) -> None:
        """Let the interface pass what the file has, and nothing else."""
        self._is_filtered = True
        self._port.accept(
            Acceptance(
                message.can_id & message.mask,
                message.mask,
                bool(message.can_id & EXTENDED),
            )
            for message in self.options.plan.messages
        )

    def _look(self, now_s: float) -> None:
        """Say how the link is, and which signals are due."""
        if not self._reader.is_open:
            self._frame_s = self._known_s = now_s
            return
        unwanted = self._counts["frames_unwanted"]
        if unwanted != self._unwanted:
            self._unwanted, self._frame_s = unwanted, now_s
        silence_s = self.options.silence_s
        if self._is_filtered and now_s - self._known_s > silence_s:
            self._is_filtered = False  # has the car another bus now? See what there is.
            self._others.clear()
            self._port.accept(None)
        if self._due.look(self._decoder.messages.values()):
            self.stale_s = self._due.stale_s
        self._say(self._reason(now_s))

    def _reason(self, now_s: float) -> str | None:
        """Say what is wrong; None: nothing can be said yet."""
        silence_s = self.options.silence_s
        health = self._health.reason(now_s, self._frame_s)
        if now_s - self._frame_s > silence_s:
            silence = f"no frame from {self._port.name} for {silence_s:g} s"
            return f"{silence}: {health}" if health else f"{silence} (ignition? bit rate?)"
        if now_s - self._known_s > silence_s:
            # No others: until now a filter kept them away, if there are any; the next look tells.
            return health or (self._mismatch() if self._others else None)
        if health:
            return health
        if not self._counts["frames_known"]:
            return None
        return self._short()

    def _mismatch(self) -> str:
        messages = self.options.plan.messages
        files = ", ".join(self.options.plan.files)
        others = sorted(self._others)
        shown = ", ".join(shown_id(can_id) for can_id in others[:OTHERS_SHOWN])
        more = ", …" if len(others) > OTHERS_SHOWN else ""
        number = f"{len(others)} or more" if len(others) >= OTHERS_KEPT else str(len(others))
        return (
            f"none of the {len(messages)} messages of {files} was seen for "
            f"{self.options.silence_s:g} s; other identifiers seen: {number} ({shown}{more}): "
            "the file of another car or bus?"
        )

    def _short(self) -> str:
        """Tell of messages that have less data than the file says."""
        for message in self._decoder.messages.values():
            if message.shorter and message.shorter == message.frames:
                return (
                    f"message {message.plan.name} has {message.length} bytes, expected "
                    f"{message.plan.length} by {', '.join(self.options.plan.files)}"
                )
        return ""

    def _say(self, reason: str | None) -> None:
        if reason is None or reason == self._state:
            return
        self._state = reason
        if reason:
            self.report.degraded(reason)
        else:
            self.report.up()


class _DueSignals:
    """After how many seconds each signal is stale.

    A signal that the configuration names is due from the start, any other one from its first
    reading on: a file knows more than a car has, and of what it has, more than is ever available.
    The time is that of three periods, by the file's cycle time, else by the longest pause that was
    seen.
    """

    def __init__(self, options: CanOptions) -> None:
        self.stale_s: dict[int, float] = {}
        self._options = options
        self._read: set[int] = set()
        self._unread = len(options.plan.signals)

    def see(self, readings: Sequence[Reading]) -> None:
        """Take note of the signals of readings."""
        if self._unread:
            self._read.update(reading.signal for reading in readings)
            self._unread = len(self._options.plan.signals) - len(self._read)

    def look(self, messages: Iterable[DecodedMessage]) -> bool:
        """Work them out anew; tell whether one has changed."""
        stale_s: dict[int, float] = {}
        for message in messages:
            stale_s.update(self._of(message))
        if stale_s == self.stale_s:
            return False
        self.stale_s = stale_s
        return True

    def _of(self, message: DecodedMessage) -> dict[int, float]:
        stale_s = {}
        for planned in message.plan.signals:
            if not (planned.is_named or planned.entry.id in self._read):
                continue
            cycle_s = message.plan.cycle_s
            if not cycle_s:
                if message.frames < FRAMES_TO_KNOW:
                    continue
                cycle_s = message.longest_ns / 1e9
            values = planned.layout.multiplexer_ids
            if values:  # one after the other, as far as is known
                cycle_s *= _branches(message, planned.layout)
            period_s = max(cycle_s, 1 / planned.rate_hz if planned.rate_hz else 0.0)
            if planned.on_change:
                period_s = max(period_s, self._options.heartbeat_s)
            stale_s[planned.entry.id] = max(self._options.stale_s, 3 * period_s)
        return stale_s


def _branches(message: DecodedMessage, layout: Any) -> int:
    """How many values the multiplexer of a signal has."""
    values = {
        value
        for planned in message.plan.signals
        if planned.layout.multiplexer_signal == layout.multiplexer_signal
        for value in planned.layout.multiplexer_ids or ()
    }
    mux = message.plan.muxes.get(layout.multiplexer_signal)
    choices = mux.conversion.choices if mux is not None else None
    return max(len(values), len(choices or ()))
