"""python-can's client of slcan adapters, with what fails in production put right.

    C S6 [Z1] O      close, 500 kbit/s, time stamps, open       answered by CR, or BEL: refused
    t1232AABB        frame of 11 bits         T, r, R: 29 bits, remote ones
    t1232AABB0123    the same with milliseconds of the adapter's clock, 0 to 59999
    F                status flags; F24 says error warning and error passive

Lines become frames and frames become lines in python-can, which also has the port, sends and shuts
down. What is put right (python-can 4.6.1, read in its source and measured) stands with each method.

Acceptance filters (M, m) are not set: their format is that of the chip inside, one code and one
mask for everything. An adapter that answers nothing (some firmware does not) is taken as it is.
"""

from __future__ import annotations

import contextlib
import re
import select
from collections import Counter, deque

import can
from can.interfaces.slcan import slcanBus

from server.can.frame import EXTENDED, Wanted
from server.can.health import BUS_ERROR, CONTROLLER, LOST_ARBITRATION, RX_OVERFLOW
from server.can.health import PASSIVE as STATE_PASSIVE
from server.can.health import WARNING as STATE_WARNING
from server.can.options import SLCAN_BITRATES, PortOptions
from server.clock import Clock
from server.errors import LinkLost
from server.links.serial_file import no_port

ANSWER_TIMEOUT_S = 0.2
"""Longest wait for the answer to one letter while it is opened; Bluetooth takes 100 ms."""
DRAIN_QUIET_S = 0.1
DRAIN_LONGEST_S = 1.0
SEND_TIMEOUT_S = 1.0
POLLED_S = 0.05
"""Longest read of a port that select knows nothing of (rfc2217://, or any on Windows)."""
READ_BYTES = 4096
LONGEST_LINE = 64
STAMP_ROUND_MS = 60_000
SILENCE_S = 3.0
"""So long without a frame or flags, and it is opened anew: noise on the line may have eaten the
command to go on the bus, or the adapter was reset since. On a quiet bus that changes nothing."""
REFUSALS_TO_STOP = 3
"""So many BEL to F in a row, and it is not asked again: the adapter has no such letter."""

_FRAME = re.compile(
    "(?:([tr])[0-7][0-9A-Fa-f]{2}|([TR])[01][0-9A-Fa-f]{7})([0-8])((?:[0-9A-Fa-f]{2})*)"
)
_FLAGS = re.compile("F[0-9A-Fa-f]{2}")

# Lawicel's bits of the answer to F: class of the error, and byte 1 of its data (linux/can/error.h).
_STATUS = (
    (0x01, CONTROLLER, RX_OVERFLOW),
    (0x08, CONTROLLER, RX_OVERFLOW),
    (0x04, CONTROLLER, STATE_WARNING),
    (0x20, CONTROLLER, STATE_PASSIVE),
    (0x40, LOST_ARBITRATION, 0),
    (0x80, BUS_ERROR, 0),
)


class SlcanBus(slcanBus):
    """An adapter on the bus; made open.

    Raises:
        LinkLost: no such port, or the adapter refuses the bit rate.
    """

    def __init__(self, options: PortOptions, clock: Clock, counters: Counter[str]) -> None:
        further = options.options
        self._options = options
        self._clock = clock
        self._counters = counters
        self._status_s = float(further.get("status_s", 1.0))
        self._status_due_s = clock.monotonic_s() + self._status_s
        self._asked = 0  # F without an answer
        self._refused = 0  # in a row
        self._is_heard = False  # since the last look
        self._heard_s = clock.monotonic_s()
        self._text = ""
        self._lines: deque[str] = deque()
        self._errors: deque[can.Message] = deque()
        self._stamps = Stamps(clock)
        self._stamp_s = 0.0  # of the frame that was read last
        self.wanted = Wanted()
        self.serialPortOrig = None
        try:
            # It sleeps for 2 s otherwise. The bit rate is set by open().
            super().__init__(
                str(options.channel),
                tty_baudrate=int(further.get("tty_baudrate", 115_200)),
                sleep_after_open=0,
                listen_only=bool(further.get("listen_only", False)),
                timeout=0,
            )
        except can.CanInitializationError as error:
            if self.serialPortOrig is not None:  # no C: it may be another program's
                self.serialPortOrig.close()
            cause = error.__cause__ or error
            if isinstance(cause, LinkLost):
                raise cause from None
            raise LinkLost(no_port(str(options.channel), cause)) from error

    # -- opening and closing -----------------------------------------------------------------------
    def open(self) -> None:
        """Go on the bus; python-can takes no note of answers, and its S7 is not Lawicel's."""
        port, options, name = self.serialPortOrig, self._options, self._options.name
        port.exclusive = True  # a second program would take every other byte
        port.write_timeout = SEND_TIMEOUT_S
        try:
            self.fileno()
        except NotImplementedError:
            port.timeout = POLLED_S
        # The first CR ends half a command of a program that had it before; C is answered by BEL
        # where it is closed already. What comes to both, and frames until then, says nothing.
        self._write("\rC")
        deadline_s = self._clock.monotonic_s() + DRAIN_LONGEST_S
        while self._chunk(DRAIN_QUIET_S) and self._clock.monotonic_s() < deadline_s:
            continue
        rate = SLCAN_BITRATES[options.bitrate or 500_000]
        if self._ask(rate) is False:
            raise LinkLost(
                f"expected {name} to take {rate} ({options.bitrate} bit/s), found: refused"
            )
        if options.options.get("timestamps", False) and self._ask("Z1") is False:
            self._counters["slcan_refused"] += 1  # then frames have the instant of reception
        opening = "L" if self._listen_only else "O"
        if self._ask(opening) is False:
            raise LinkLost(f"expected {name} to go on the bus ({opening}), found: refused")
        self._refused = 0
        self._heard_s = self._clock.monotonic_s()

    def close(self) -> None:
        """Take the adapter off the bus; where it is gone, python-can leaves the port open."""
        with contextlib.suppress(can.CanError):
            super().close()

    def _ask(self, letters: str) -> bool | None:
        """Send a command; give True for CR, False for BEL, None for silence."""
        self._write(letters)
        deadline_s = self._clock.monotonic_s() + ANSWER_TIMEOUT_S
        text = ""
        while (left_s := deadline_s - self._clock.monotonic_s()) > 0:
            text += self._chunk(left_s)
            if text.endswith("\r"):
                # Behind the answer, or without one, there may be the first frames already.
                self._text = text.removeprefix("\r")
                return True
            if text.endswith("\a"):
                return False
        return None

    # -- bytes -------------------------------------------------------------------------------------
    def _write(self, string: str) -> None:
        """Write a line; python-can waits until it has left the port, which may be for ever."""
        with can.exceptions.error_check():
            self.serialPortOrig.write(f"{string}\r".encode("ascii"))

    def _chunk(self, timeout: float | None) -> str:
        """Give what is there; python-can reads byte by byte (130 us a frame), in turns of 1 ms."""
        port = self.serialPortOrig
        with can.exceptions.error_check():
            if not port.timeout:
                size = READ_BYTES if select.select([port], [], [], timeout)[0] else 0
            else:
                size = port.in_waiting or int(timeout != 0)
            data: bytes = port.read(size) if size else b""
        return data.decode("latin-1")

    def _read(self, timeout: float | None) -> str | None:
        """Give the line of the next frame; None: there is none, or an error comes first."""
        if not self._lines:
            self._look_at_status()
            chunk = self._chunk(timeout)
            if not chunk:  # what waits at the port, perhaps after a pause, is read first
                self._look_at_silence()
            text = self._text + self._without_bells(chunk)
            *lines, self._text = text.split("\r")
            self._lines.extend(lines)
            if len(self._text) > LONGEST_LINE:
                self._counters["frames_malformed"] += 1
                self._text = ""
        while self._lines and not self._errors:
            line = self._lines.popleft()
            if frame := self._frame(line):
                self._is_heard = True
                # The last one passes: who waits in recv() shall return, and pause.
                if self._lines and _can_id(frame) not in self.wanted:
                    self._counters["frames_unwanted"] += 1
                    continue
                return frame
            if line:
                self._take_answer(line)
        return None

    # -- lines -------------------------------------------------------------------------------------
    def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
        """Give a message, stamped by the adapter or not at all; python-can stamps when it looks."""
        message = None if self._errors else super()._recv_internal(timeout)[0]
        if message is not None:
            message.timestamp = self._stamp_s
        elif self._errors:
            message = self._errors.popleft()
        return message, False

    def _frame(self, line: str) -> str | None:
        """Give a frame's line without its time stamp, which is kept; None: it is no frame.

        Noise of a wrong baud rate may begin as a frame does; python-can takes data that is too
        short or too long, and fails on the rest.
        """
        found = _FRAME.fullmatch(line)
        if found is None:
            return None
        kind, count, rest = found[1] or found[2], int(found[3]), found[4]
        digits = 0 if kind in "rR" else 2 * count
        stamp = rest[digits:]
        if len(rest) < digits or len(stamp) not in (0, 4):
            return None
        self._stamp_s = self._stamps.time_s(int(stamp, 16)) if stamp else 0.0
        return line.removesuffix(stamp) if stamp else line

    def _take_answer(self, line: str) -> None:
        """Make error frames of the status flags; python-can never asks for them."""
        if _FLAGS.fullmatch(line):
            self._asked = self._refused = 0
            self._is_heard = True
            flags = int(line[1:], 16)
            for bit, kind, detail in _STATUS:
                if flags & bit:
                    data = bytes((0, detail, 0, 0, 0, 0, 0, 0))
                    self._errors.append(
                        can.Message(arbitration_id=kind, is_error_frame=True, data=data)
                    )
        elif line not in ("z", "Z"):  # what was sent, is on its way
            self._counters["frames_malformed"] += 1

    def _without_bells(self, text: str) -> str:
        """Take note of refusals, which python-can takes for empty lines; give the rest."""
        bells = text.count("\a")
        if not bells:
            return text
        asked = min(bells, self._asked)
        self._asked -= asked
        self._refused += asked
        if bells > asked:
            self._counters["slcan_refused"] += bells - asked  # a frame that it could not take
        return text.replace("\a", "")

    def _look_at_silence(self) -> None:
        now_s = self._clock.monotonic_s()
        if self._is_heard:
            self._is_heard, self._heard_s = False, now_s
        elif now_s - self._heard_s >= SILENCE_S:
            self._counters["slcan_reopened"] += 1
            self.open()

    def _look_at_status(self) -> None:
        if not self._status_s or self._refused >= REFUSALS_TO_STOP:
            return
        now_s = self._clock.monotonic_s()
        if now_s >= self._status_due_s:
            self._status_due_s = now_s + self._status_s
            self._asked = 1
            self._write("F")


def _can_id(frame: str) -> int:
    return int(frame[1:9], 16) | EXTENDED if frame[0] in "TR" else int(frame[1:4], 16)


class Stamps:
    """The adapter's milliseconds, which begin again after each minute, as a time that goes on.

    Args:
        clock: tells of whole minutes in which nothing came.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last_ms = 0
        self._total_ms = STAMP_ROUND_MS  # never 0, which is no time
        self._taken_s: float | None = None

    def time_s(self, stamp_ms: int) -> float:
        """Give the time of the next frame."""
        now_s = self._clock.monotonic_s()
        step_ms = (stamp_ms - self._last_ms) % STAMP_ROUND_MS
        if self._taken_s is not None:
            silent_ms = (now_s - self._taken_s) * 1000
            step_ms += max(0, round((silent_ms - step_ms) / STAMP_ROUND_MS)) * STAMP_ROUND_MS
        self._taken_s = now_s
        self._last_ms = stamp_ms
        self._total_ms += step_ms
        return self._total_ms / 1000
