"""The GPS link: a GNSS receiver that talks NMEA 0183 on a serial port.

    [links.gps]
    kind = "gps"
    port = "/dev/ttyUSB0"
    baud = 9600             # default
    stale_s = 3.0           # a value older than this is stale; three periods where that is longer
    silence_s = 5.0         # no epoch for so long: the port is opened anew
    oldest_date = "2020-01-01"

Bytes -> `SentenceSplitter` -> checksum -> `read_sentence` (pynmea2) -> `EpochAssembler` ->
readings at the epoch's UTC time. An epoch without a measured position stores nothing and makes the
link DEGRADED.
"""

from __future__ import annotations

import datetime
import math
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from server.catalogue import by_name
from server.clock import Clock
from server.config_section import Section, Where
from server.errors import LinkLost
from server.links.base import Link, LinkReport
from server.links.link_port import QUIET_S, LinkPort
from server.links.nmea import DATE_FLOOR, QUIET_LIMIT_S, EpochAssembler, Fix
from server.links.nmea_lines import SentenceSplitter, has_checksum
from server.links.nmea_sentence import SentenceError, read_sentence
from server.links.reader_thread import ReaderThread
from server.readings import Reading, ReadingSink

# signal, attribute of Fix
_SIGNALS = tuple(
    (by_name(name), attribute)
    for name, attribute in (
        ("LAT", "lat_deg"),
        ("LON", "lon_deg"),
        ("ALT", "alt_m"),
        ("GPS_SPEED", "speed_kph"),
        ("GPS_HEADING", "heading_deg"),
        ("HDOP", "hdop"),
        ("SATS", "satellites"),
    )
)
_IDS = {attribute: signal.id for signal, attribute in _SIGNALS}
# A position is due from the start; what else a receiver tells is due once it has told it.
_DUE = (by_name("LAT").id, by_name("LON").id)
_OVERDUE_PERIODS = 3


@dataclass(frozen=True, slots=True)
class GpsOptions:
    """The table `[links.<name>]` of a GPS link.

    Attributes:
        port: device path or pyserial URL.
        baud: bits per second.
        stale_s: what was read is stale after so many seconds, or after three of its own periods
            where its sentence comes more rarely than the position.
        silence_s: without any epoch for so long the link is lost.
        oldest_date: an earlier date is a receiver's mistake: refused, unless 1024 or 2048 weeks
            more (its week count has rolled over) make it today's by the gateway's own clock.
    """

    port: str
    baud: int = 9600
    stale_s: float = 3.0
    silence_s: float = 5.0
    oldest_date: datetime.date = DATE_FLOOR


class GpsLink(Link):
    """Reads one GNSS receiver."""

    kind: ClassVar[str] = "gps"
    options: GpsOptions

    def __init__(
        self, name: str, options: GpsOptions, *, sink: ReadingSink, clock: Clock, report: LinkReport
    ) -> None:
        super().__init__(name, options, sink=sink, clock=clock, report=report)
        self._counts: Counter[str] = Counter(epochs=0, epochs_no_fix=0, sentences_bad_checksum=0)
        self.counters = self._counts
        self.stale_s = dict.fromkeys(_DUE, options.stale_s)
        self._told_ns: dict[int, int] = {}  # signal -> instant of its newest reading
        self._limit_s: dict[int, float] = dict(self.stale_s)
        self._period_s: dict[int, float] = {}  # the shortest: lost sentences only make longer ones
        self._splitter = SentenceSplitter(self._counts)
        self._epochs = EpochAssembler(
            date_floor=options.oldest_date, quiet_s=QUIET_S, counters=self._counts
        )
        self._port = LinkPort(options.port, options.baud)
        self._state: str | None = None  # last report: "" is up, else the reason; None is none yet
        self._epoch_s = 0.0  # monotonic instant of the last epoch
        self._epoch_bytes = 0  # received by then
        self._sound_s = 0.0  # monotonic instant of the last sentence with a right checksum

    @classmethod
    def parse(cls, name: str, table: Mapping[str, Any], where: Where) -> GpsOptions:
        """Check `[links.<name>]`."""
        section = Section(table, where)
        section.has("kind")
        options = GpsOptions(
            port=section.text("port"),
            baud=section.integer("baud", 9600, minimum=300, maximum=4_000_000),
            stale_s=section.number("stale_s", 3.0, minimum=0.1, maximum=3600.0),
            silence_s=section.number("silence_s", 5.0, minimum=1.0, maximum=3600.0),
            oldest_date=_date(section, where),
        )
        section.done()
        return options

    async def run(self) -> None:
        """Open the port and read until cancelled.

        Raises:
            LinkLost: the port cannot be opened or went away, or no epoch came for `silence_s`.
        """
        await ReaderThread(f"gps-{self.name}", self._read, self._port.interrupt).run()

    # -- in the reader's thread --------------------------------------------------------------------
    def _read(self, stop: threading.Event) -> None:
        port = self._port
        port.open()
        self._epoch_s = self.clock.monotonic_s()
        try:
            while not stop.is_set():
                self.take(port.receive())
        finally:
            port.close()

    def take(self, chunk: bytes) -> None:
        """Take bytes read just now (b"" for a quiet line) and hand on what they complete.

        Raises:
            LinkLost: no epoch for `silence_s`.
        """
        now_s = self.clock.monotonic_s()
        if not chunk:
            for fix in self._epochs.tick(now_s):
                self._hand_on(fix, now_s)
        else:
            received_ns = self.clock.now_ns()
            for raw in self._splitter.feed(chunk):
                self._take_sentence(raw, received_ns, now_s)
            if now_s - self._sound_s > QUIET_LIMIT_S:
                # Damaged sentences alone: those that the open epoch still waits for are among them.
                for fix in self._epochs.tick(now_s):
                    self._hand_on(fix, now_s)
        missing_s = now_s - self._epoch_s
        if missing_s > self.options.silence_s:
            raise LinkLost(self._silence())
        if self._state == "" and missing_s > self.options.stale_s:
            self._without_fix(f"no epoch for {self.options.stale_s:g} s")

    def _take_sentence(self, raw: bytes, received_ns: int, now_s: float) -> None:
        self._counts["sentences"] += 1
        if not has_checksum(raw):
            self._counts["sentences_bad_checksum"] += 1
            return
        self._sound_s = now_s
        try:
            sentence = read_sentence(raw)
        except SentenceError:
            self._counts["sentences_bad_field"] += 1
            return
        if sentence is not None:
            for fix in self._epochs.add(sentence, received_ns, now_s):
                self._hand_on(fix, now_s)

    def _hand_on(self, fix: Fix, now_s: float) -> None:
        self._epoch_s = now_s
        self._epoch_bytes = self._counts["bytes"]
        if fix.refused:
            self._without_fix(fix.refused)
            return
        readings = readings_of(fix, self._counts)
        if readings:
            self.sink(readings)
        for reading in readings:
            self._note_period(reading)
        self.stale_s = dict(self._limit_s)
        # At rest a receiver tells no heading: an old one is stale, and nothing is wrong.
        told = {reading.signal for reading in readings}
        self.absent = {*self.absent, *(_IDS[name] for name in fix.left_out)} - told
        self._say("")

    def _note_period(self, reading: Reading) -> None:
        """Learn how often a signal comes, and so after what time it is overdue."""
        signal = reading.signal
        step_s = (reading.time_ns - self._told_ns.get(signal, reading.time_ns)) / 1e9
        self._told_ns[signal] = reading.time_ns
        if signal in _DUE:
            return
        if step_s > 0:
            self._period_s[signal] = min(step_s, self._period_s.get(signal, math.inf))
        longer_s = _OVERDUE_PERIODS * self._period_s.get(signal, 0.0)
        self._limit_s[signal] = max(self.options.stale_s, longer_s)

    def _without_fix(self, reason: str) -> None:
        """Say why there is no position; what was told with the last one is as old as that."""
        self.stale_s = dict.fromkeys(self._limit_s, self.options.stale_s)
        self._say(reason)

    def _say(self, refused: str) -> None:
        if refused == self._state:
            return
        self._state = refused
        if refused:
            self.report.degraded(refused)
        else:
            self.report.up()

    def _silence(self) -> str:
        counts, silence_s = self._counts, self.options.silence_s
        good = counts["sentences"] - counts["sentences_bad_checksum"]
        if not counts["bytes"]:
            cause = "not one byte (switched off? wired to the receiver's TX?)"
        elif not good:
            cause = f"{counts['bytes']} bytes and no sentence (baud {self.options.baud} wrong?)"
        elif not counts["epochs"] and not counts["epochs_no_fix"]:
            cause = (
                f"{good} sentences, none of them RMC, GGA or GNS (switched off in the receiver?)"
            )
        else:
            came = counts["bytes"] - self._epoch_bytes
            cause = f"{came} bytes without a whole position" if came else "silence"
        return f"expected an epoch each {silence_s:g} s from {self.options.port}, found {cause}"


def readings_of(fix: Fix, counters: Counter[str]) -> list[Reading]:
    """Turn a measured fix into readings at its UTC time.

    A value out of its signal's range is left out and counted in `counters["values_rejected"]`.
    """
    readings = []
    for signal, attribute in _SIGNALS:
        value = getattr(fix, attribute)
        if value is None:
            continue
        if not signal.minimum <= value <= signal.maximum:
            counters["values_rejected"] += 1
            continue
        readings.append(Reading(signal.id, fix.time_ns, float(value), fix.received_ns))
    return readings


def _date(section: Section, where: Where) -> datetime.date:
    text = section.text("oldest_date", DATE_FLOOR.isoformat())
    try:
        return datetime.date.fromisoformat(text)
    except ValueError as error:
        raise where.error("oldest_date", "a date like 2020-01-01", repr(text)) from error
