"""Time: readings late, clocks wrong, and randomness that no seed knows."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import msgspec

from server.clock import SystemClock
from server.links.link_port import LinkPort
from server.links.nmea import EpochAssembler, Fix
from server.obd.elm.adapter import Question
from server.obd.link import ObdLink

from .patching import around, change_obd_readings

READER_SLEEP_S = 0.1
SECOND_NS = 1_000_000_000
CLOCK_BEHIND_NS = 5_000_000
CLOCK_DRIFT_PPM = 1_000
CENTRAL_EUROPEAN_SUMMER_TIME_NS = 7_200 * SECOND_NS


def obd_reader_sleeps() -> None:
    """The OBD reader sleeps between an answer and its delivery."""

    @around(ObdLink, "_ask")
    def ask(original: Any, link: ObdLink, question: Question) -> float | None:
        value: float | None = original(link, question)
        time.sleep(READER_SLEEP_S)
        return value


def obd_reader_dawdles() -> None:
    """The OBD reader sleeps before each question: every answer is fresh, and there are too few."""

    @around(ObdLink, "_ask")
    def ask(original: Any, link: ObdLink, question: Question) -> float | None:
        time.sleep(READER_SLEEP_S)
        value: float | None = original(link, question)
        return value


def gps_reader_sleeps() -> None:
    """The GPS reader sleeps after each read."""

    @around(LinkPort, "receive")
    def receive(original: Any, port: LinkPort) -> bytes:
        chunk: bytes = original(port)
        time.sleep(READER_SLEEP_S)
        return chunk


def clock_in_local_time() -> None:
    """The gateway's clock gives local time for UTC."""

    @around(SystemClock, "now_ns")
    def now_ns(original: Any, clock: SystemClock) -> int:
        utc_ns: int = original(clock)
        return utc_ns + CENTRAL_EUROPEAN_SUMMER_TIME_NS


def clock_behind() -> None:
    """The gateway's clock is 5 ms behind: everything seems to be read faster."""

    @around(SystemClock, "now_ns")
    def now_ns(original: Any, clock: SystemClock) -> int:
        utc_ns: int = original(clock)
        return utc_ns - CLOCK_BEHIND_NS


def clock_drifts() -> None:
    """The gateway's clock gains a millisecond each second."""
    first_ns: list[int] = []

    @around(SystemClock, "now_ns")
    def now_ns(original: Any, clock: SystemClock) -> int:
        utc_ns: int = original(clock)
        if not first_ns:
            first_ns.append(utc_ns)
        return utc_ns + (utc_ns - first_ns[0]) * CLOCK_DRIFT_PPM // 1_000_000


def gps_in_local_time() -> None:
    """A fix is stamped with local time."""
    _stamp_fixes(CENTRAL_EUROPEAN_SUMMER_TIME_NS)


def gps_second_late() -> None:
    """A fix is stamped with the second after its own."""
    _stamp_fixes(SECOND_NS)


def gps_time_of_receipt() -> None:
    """A fix is stamped with the instant of its receipt."""

    @around(EpochAssembler, "_fix")
    def fix(original: Any, *args: Any) -> Fix:
        sound: Fix = original(*args)
        return dataclasses.replace(sound, time_ns=sound.received_ns)


def _stamp_fixes(late_ns: int) -> None:
    @around(EpochAssembler, "_fix")
    def fix(original: Any, *args: Any) -> Fix:
        sound: Fix = original(*args)
        return dataclasses.replace(sound, time_ns=sound.time_ns + late_ns)


def obd_second_early() -> None:
    """An OBD value is stamped with the second before its own."""
    change_obd_readings(lambda r: msgspec.structs.replace(r, time_ns=r.time_ns - SECOND_NS))


def _real_random_byte() -> int:
    """A byte of the kernel's own entropy: virtual time replaces `os.urandom`, and not this."""
    with open("/dev/urandom", "rb", buffering=0) as entropy:
        return entropy.read(1)[0]


def clock_jitters() -> None:
    """The gateway's clock is off by up to 255 ns, differently in each run."""

    @around(SystemClock, "now_ns")
    def now_ns(original: Any, clock: SystemClock) -> int:
        utc_ns: int = original(clock)
        return utc_ns + _real_random_byte()


def obd_reader_jitters() -> None:
    """The OBD reader asks up to 255 us late, differently in each run."""

    @around(ObdLink, "_ask")
    def ask(original: Any, link: ObdLink, question: Question) -> float | None:
        time.sleep(_real_random_byte() * 1e-6)
        value: float | None = original(link, question)
        return value
