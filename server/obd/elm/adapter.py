"""One connection to an ELM327 adapter through python-OBD, with every answer checked.

python-OBD 0.7.3 (GPL-2.0-only, the extra `obd`) is imported here and only when a link connects.
What it leaves to its caller, and is done here:

* it decodes whatever comes back under the name that was asked, and pads a short reply with zeros:
  service, PID and length are compared with the question;
* it learns the number of frames of a reply from whatever came first (`010C0` after an empty one, a
  wait of 200 ms each time after one with noise), and repeats the last command by a lone return:
  both are forgotten after a bad reply;
* it takes `CAN ERROR` for a connection, NO DATA for silence: the raw reply tells
  (`server.obd.elm.port`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import importlib.util
import logging
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, cast

from server.catalogue import Signal
from server.clock import Clock
from server.config_section import Section
from server.errors import LinkLost
from server.links.serial_file import no_port
from server.obd.backend import (
    NEGATIVE,
    SERVICE_1,
    SERVICE_1_REPLY,
    VIN_REPLY,
    Trouble,
    pid_bit,
    pid_of,
    read_vin,
)
from server.obd.elm.port import (
    PortFailure,
    PortLost,
    PortStopped,
    ReplyEmpty,
    ReplyFlood,
    ReplyGuard,
    ReplyOverdue,
)

REPLY_FLOOR_S = 0.5
"""Shortest deadline of a reply: NO DATA takes the adapter's wait (200 ms) and the line's delays."""

_REPLY_FACTOR = 4.0  # the deadline is so many times the longest reply of late
_REPLY_DECAY = 0.95  # of that longest reply, each time: a slow one is forgotten after about 30
_SEARCH_S = 10.0  # SEARCHING... tries up to ten protocols
_TRIES = 2  # of the questions asked once after connecting
_CLEAN_TRIES = 3  # to read who answers, without noise
_ENGINES = (0x00, 0x10)  # 7E8, and 18DAF110: what python-OBD calls these ECUs
_FRAMES = re.compile(rb"[0-9A-F \r\n]*>")

# Catalogue unit -> pint's name for it.
_PINT_UNITS = {
    "%": "percent",
    "°": "degree",
    "°C": "degree_Celsius",
    "": "count",
    "Pa": "pascal",
    "V": "volt",
    "g/s": "gram / second",
    "kPa": "kilopascal",
    "km": "kilometer",
    "km/h": "kilometer / hour",
    "l/h": "liter / hour",
    "min": "minute",
    "ratio": "ratio",
    "rpm": "revolutions_per_minute",
    "s": "second",
}
# Said by the adapter; after these nothing more is to come (ELM327DSJ p.87-89).
_ADAPTER_MESSAGES = (
    b"CAN ERROR",
    b"BUS ERROR",
    b"BUS BUSY",
    b"BUFFER FULL",
    b"DATA ERROR",
    b"RX ERROR",
    b"FB ERROR",
    b"ACT ALERT",
    b"LP ALERT",
    b"ERR",
    b"?",
)


@dataclass(frozen=True, slots=True)
class AdapterOptions:
    """How to reach an adapter.

    Attributes:
        port: device path, or a URL that pyserial knows.
        baud: bits per second; None: python-OBD tries the usual ones.
        protocol: "1" to "A" as in `AT SP`; None: the adapter searches.
        fast: let python-OBD add the response digit and repeat by a lone return.
        check_voltage: refuse an adapter that measures less than 6 V.
        reply_timeout_s: an adapter that owes a reply for so long is lost.
        connect_timeout_s: longest time for connecting.
    """

    port: str
    baud: int | None = 38400
    protocol: str | None = None
    fast: bool = True
    check_voltage: bool = True
    reply_timeout_s: float = 2.0
    connect_timeout_s: float = 20.0

    @classmethod
    def parse(cls, section: Section) -> AdapterOptions:
        """Read the keys of an adapter out of `[links.<name>]`; also that python-OBD is there."""
        if not is_installed():
            raise section.where.error(
                "kind",
                "python-OBD for a link of this kind with a port (pip install 'telerig[obd]')",
                "no module obd",
            )
        return cls(
            port=section.text("port"),
            baud=section.integer("baud", None, minimum=1200, maximum=4_000_000),
            protocol=section.choice("protocol", tuple("123456789A"), None),
            fast=section.flag("fast", True),
            check_voltage=section.flag("check_voltage", True),
            reply_timeout_s=section.number("reply_timeout_s", 2.0, minimum=1.0, maximum=60.0),
            connect_timeout_s=section.number("connect_timeout_s", 20.0, minimum=2.0, maximum=300.0),
        )

    def make(self, clock: Clock, protocol: str | None, counts: Counter[str]) -> ObdAdapter:
        """Make the adapter of one attempt, on the protocol found before unless one is set."""
        options = self
        if self.protocol is None and protocol is not None:
            options = dataclasses.replace(self, protocol=protocol)
        return ObdAdapter(options, clock)


class Question:
    """One mode 01 PID that is asked again and again; made by `ObdAdapter.question`.

    Attributes:
        signal: what the answer is stored as.
    """

    __slots__ = (
        "command",
        "frame_bytes",
        "frames_known",
        "line",
        "offset",
        "prefix",
        "scale",
        "signal",
        "unit_known",
    )

    def __init__(self, signal: Signal, command: Any, *, can: bool) -> None:
        self.signal = signal
        self.command = command
        length = command.bytes  # service and PID included
        # A CAN frame begins with its length (single frame); the older protocols' frames do not.
        start = (length,) if can else ()
        self.prefix = bytes((*start, SERVICE_1_REPLY, command.pid))
        self.frame_bytes = length + len(start)
        self.line = re.compile(rb"[0-9A-F]{3,8}" + self.prefix.hex().upper().encode())
        self.frames_known = False
        self.unit_known = False
        self.scale = 1.0
        self.offset = 0.0


def is_installed() -> bool:
    """True if python-OBD can be imported; does not import it."""
    return importlib.util.find_spec("obd") is not None


class ObdAdapter:
    """One connection. All methods but `interrupt` belong to one thread, which they block.

    What the methods do: `server.obd.backend.ObdBackend`.

    Attributes:
        trouble: why the last `ask` gave None.
        most_at_once: one: not every adapter passes on a question for several PIDs.
    """

    most_at_once = 1

    def __init__(self, options: AdapterOptions, clock: Clock) -> None:
        self.trouble = Trouble.UNREADABLE
        self._options = options
        self._clock = clock
        self._obd: Any = None
        self._connection: Any = None
        self._can = True
        self._engine: int | None = None  # whose PIDs are known; as python-OBD numbers ECUs
        self._teller = _ENGINES[0]  # who answered last
        self._repeats = True  # a lone return repeats the last command (not on all clones)
        self._reply_cap_s = options.reply_timeout_s / 2  # the other half is for resynchronising
        self._longest_s = self._reply_cap_s / _REPLY_FACTOR
        self._guard = ReplyGuard(
            clock,
            command_s=1.0 + options.reply_timeout_s,  # python-OBD sleeps 1 s after ATZ and ATSP0
            search_s=1.0 + max(_SEARCH_S, options.reply_timeout_s),
            connect_s=options.connect_timeout_s,
        )

    # -- the connection ----------------------------------------------------------------------------
    def connect(self) -> None:
        """Open the port, reset the adapter, find the car; at most `connect_timeout_s`."""
        options, guard = self._options, self._guard
        self._obd = library()
        _last_words.clear()
        try:
            self._connection = self._obd.OBD(
                guard.url(options.port),
                baudrate=options.baud,
                protocol=options.protocol,
                fast=options.fast,
                check_voltage=options.check_voltage,
            )
        except PortFailure as failure:
            raise self._lost(failure) from failure
        except Exception as error:
            # The library's parsers meet whatever a broken adapter sends.
            raise LinkLost(
                f"python-OBD failed on {options.port}: {type(error).__name__}: {error}"
            ) from error
        if not self._connection.is_connected():
            raise LinkLost(
                f"expected an ELM327 with a car behind it at {options.port},"
                f" found: {_last_words.get() or self._said()}"
            )
        self._can = self.protocol in ("6", "7", "8", "9")
        guard.reply_s = self._reply_cap_s

    @property
    def protocol(self) -> str:
        """The protocol in use, "1" to "A"; once connected."""
        return str(self._connection.protocol_id())

    def interrupt(self) -> None:
        """Make the thread that is in here leave, by LinkLost; from any thread."""
        self._guard.stop()

    def close(self) -> None:
        """Close the port; idempotent. Not by python-OBD, which first writes ATZ: it may hang."""
        if self._guard.port is not None:
            self._guard.port.close()

    # -- asked once --------------------------------------------------------------------------------
    def supported(self, pids: Iterable[int]) -> dict[int, bool | None]:
        """Ask which mode 01 PIDs the engine's ECU has; None for one that could not be found out."""
        pids = list(pids)
        known = self._look(pids)
        if self._can and self._engine is None and self._teller not in _ENGINES:
            self._find_engine()
            known = self._look(pids)
        self._engine = self._teller
        if False not in known.values():
            return known
        # A digit of the reply may be a damaged one. That a PID is too many shows soon, that it is
        # too few never: it is asked no more.
        again = self._look(pids)
        return {pid: known[pid] or (again[pid] if known[pid] is False else None) for pid in pids}

    def _look(self, pids: Sequence[int]) -> dict[int, bool | None]:
        known: dict[int, bool | None] = {}
        bitmaps: dict[int, bytes | None] = {0x00: self._bitmap(0x00)}
        if bitmaps[0x00] is None:
            raise LinkLost(
                f"the adapter is connected, but the car does not answer 0100: {self._said()}"
            )
        for pid in pids:
            base = (pid - 1) & ~0x1F
            for group in range(0x20, base + 1, 0x20):
                if group not in bitmaps:
                    announced = pid_bit(bitmaps[group - 0x20], group)
                    bitmaps[group] = self._bitmap(group) if announced is not False else bytes(4)
            known[pid] = pid_bit(bitmaps[base], pid)
        return known

    def _bitmap(self, group: int) -> bytes | None:
        reply = self._once(self._obd.commands[1][group], bytes((SERVICE_1_REPLY, group)))
        return reply[2:6] if reply is not None and len(reply) >= 6 else None

    def _find_engine(self) -> None:
        """Find out whether another ECU passes for the engine's.

        python-OBD takes the only one that it can read in the first answer to 0100 for it, and noise
        may have eaten the engine's line.
        """
        for _ in range(_CLEAN_TRIES):
            answers = self._ask_all(bytes((SERVICE_1, 0x00)))
            self._engine = next((engine for engine in _ENGINES if engine in answers), None)
            if self._engine is not None:
                return
            if answers and _FRAMES.fullmatch(self._guard.reply):
                return  # this car's engine has another number
        raise LinkLost(f"the engine's ECU is not to be found, for there is noise: {self._said()}")

    def vin(self) -> str | None:
        """Ask for the vehicle's identification number; None if it has none or tells nonsense."""
        reply = self._once(self._obd.commands.VIN, VIN_REPLY)
        return None if reply is None else read_vin(reply)

    def _once(self, command: Any, start: bytes) -> bytes | None:
        """Ask until the reply begins with `start`, `_TRIES` times; python-OBD has padded it."""
        for _ in range(_TRIES):
            try:
                messages = self._connection.query(command, True).messages
            except PortFailure as failure:
                self._recover(failure)
                messages = []
            if messages and self._is_whole(messages[0]) and messages[0].data.startswith(start):
                teller = int(messages[0].tx_id or 0)
                if self._engine in (None, teller):
                    self._teller = teller
                    return bytes(messages[0].data)
            self._forget(command)
        return None

    def service(self, request: bytes) -> dict[int, bytes]:
        """Ask all ECUs; whole answers only."""
        base = 0x7E8 if self.protocol in ("6", "8") else 0
        return {base + ecu: answer for ecu, answer in self._ask_all(request).items()}

    def _ask_all(self, request: bytes) -> dict[int, bytes]:
        """Ask all ECUs; give their answers by the numbers that python-OBD has for them."""
        obd = self._obd
        name = request.hex().upper()
        command = obd.OBDCommand(
            f"RAW_{name}", name, name.encode(), 0, lambda _: None, obd.ECU.ALL, False
        )
        for _ in range(_TRIES):
            answers: dict[int, bytes] = {}
            try:
                messages = self._connection.query(command, True).messages
            except PortFailure as failure:
                self._recover(failure)
                messages = []
            except Exception:  # noqa: BLE001 - python-OBD's parsers meet noise here
                messages = []
            for message in messages:
                if self._is_whole(message):
                    answers[int(message.tx_id or 0)] = bytes(message.data)
            # A response digit or a repeat must not come from this.
            self._forget(command)
            if answers:
                return answers
        return {}

    def _is_whole(self, message: Any) -> bool:
        """False if a frame's line was cut: python-OBD pads the text with zeros."""
        if not self._can:
            return True
        first = message.frames[0]
        have = sum(len(frame.data) - 1 for frame in message.frames)
        if len(message.frames) > 1:
            have -= 1  # a first frame has two bytes of length
        return have >= (first.data_len or 0)

    # -- asked again and again ---------------------------------------------------------------------
    def question(self, signal: Signal) -> Question:
        """Prepare asking for a signal whose source is `obd:01xx`."""
        return Question(signal, self._obd.commands[1][pid_of(signal)], can=self._can)

    def ask(self, question: Question) -> float | None:
        """Ask; return the value in the signal's unit, or None with the cause in `trouble`."""
        guard = self._guard
        try:
            if not self._repeats:
                self._forget_last()
            response = self._connection.query(question.command, True)
        except PortFailure as failure:
            self._fail(question, failure)
            return None
        except Exception:  # noqa: BLE001 - python-OBD's parsers and decoders meet noise here
            self._refuse(question, Trouble.UNREADABLE)
            return None
        messages = response.messages
        value = response.value
        if not messages:
            self._null(question)
            return None
        data = messages[0].frames[0].data
        if not data.startswith(question.prefix) or value is None:
            self._refuse(question, self._mismatch(data, question))
            return None
        if len(data) < question.frame_bytes:
            self._refuse(question, Trouble.CUT)
            return None
        if not question.frames_known:
            self._learn_frames(question)
        longest_s = self._longest_s = max(guard.took_s, self._longest_s * _REPLY_DECAY)
        guard.reply_s = min(max(_REPLY_FACTOR * longest_s, REPLY_FLOOR_S), self._reply_cap_s)
        if not question.unit_known:
            self._learn_unit(question, value)
        number = value.magnitude
        if question.scale != 1.0 or question.offset:
            number = number * question.scale + question.offset
        return float(number)

    def ask_together(self, questions: Sequence[Question]) -> list[float | Trouble]:
        """Ask one after the other."""
        values = [(self.ask(question), self.trouble) for question in questions]
        return [trouble if value is None else value for value, trouble in values]

    def rest(self, duration_s: float) -> None:
        """Sleep; an adapter says nothing of itself."""
        time.sleep(duration_s)

    def _null(self, question: Question) -> None:
        """Find out why python-OBD has no message from the engine."""
        text = bytes(self._guard.reply).upper()
        request = self._guard.request
        if b"ELM327" in text or b"LV RESET" in text or (request and text.startswith(request)):
            raise LinkLost(f"the adapter was reset: its settings are gone (it said {self._said()})")
        if b"UNABLE TO CONNECT" in text:
            raise LinkLost("the adapter cannot reach the car any more (ignition off?)")
        if b"NO DATA" in text:
            self._forget_question(question)
            self.trouble = Trouble.NO_DATA
            return
        if any(message in text for message in _ADAPTER_MESSAGES):
            self._forget_question(question)
            self.trouble = Trouble.ERROR
            return
        self._refuse(question, Trouble.UNREADABLE)

    def _mismatch(self, data: bytearray, question: Question) -> Trouble:
        if NEGATIVE in data[:2]:
            return Trouble.REFUSED
        return Trouble.CUT if data[: len(question.prefix)] == question.prefix else Trouble.STALE

    def _refuse(self, question: Question, trouble: Trouble) -> None:
        """Drop a reply and what the adapter still says: it must not answer the next question."""
        self.trouble = trouble
        self._forget_question(question)
        if trouble is not Trouble.REFUSED:
            self._resynchronise(self._clock.monotonic_s() + self._reply_cap_s)

    def _fail(self, question: Question, failure: PortFailure) -> None:
        """Leave a question that got no prompt, or nothing but a prompt."""
        if isinstance(failure, ReplyEmpty) and not self._guard.request:
            self._repeats = False  # python-OBD#66: this clone does not repeat on a lone return
        self._recover(failure)
        self.trouble = Trouble.EMPTY if isinstance(failure, ReplyEmpty) else Trouble.LOST
        self._forget_question(question)

    def _recover(self, failure: PortFailure) -> None:
        if isinstance(failure, ReplyEmpty):
            return
        if not isinstance(failure, ReplyOverdue | ReplyFlood):
            raise self._lost(failure)
        # A reply was lost, or the adapter hangs: until `reply_timeout_s` after the question it may
        # show that it lives. The next deadline is longer, in case it is merely slow.
        self._longest_s = min(2 * self._longest_s, self._reply_cap_s / _REPLY_FACTOR)
        self._resynchronise(self._guard.written_s + self._options.reply_timeout_s)

    def _resynchronise(self, due_s: float) -> None:
        try:
            alive = self._guard.resynchronise(due_s)
        except PortFailure as failure:
            raise self._lost(failure) from failure
        if not alive:
            raise LinkLost(
                f"expected a prompt from the adapter at {self._options.port} within"
                f" {self._options.reply_timeout_s:g} s, found {self._said()}"
            )
        self._forget_last()

    def _lost(self, failure: PortFailure) -> LinkLost:
        port = self._options.port
        if isinstance(failure, PortLost):
            return LinkLost(no_port(port, failure.__cause__ or failure))
        if isinstance(failure, PortStopped):
            return LinkLost("stopped")
        request = self._guard.request.decode("ascii", "replace")
        return LinkLost(
            f"expected a reply to {request!r} from the adapter at {port}, found {self._said()}"
        )

    def _said(self) -> str:
        """The adapter's last words, for a person."""
        reply = bytes(self._guard.reply)
        if not reply:
            return "nothing"
        text = reply[:80].decode("ascii", "backslashreplace").strip("\r\n> ")
        return repr(text) if text else "an empty prompt"

    # -- what python-OBD remembers -----------------------------------------------------------------
    # There is no public way to these two; without them (another version) nothing is forgotten.
    def _forget_question(self, question: Question) -> None:
        question.frames_known = False
        self._forget(question.command)

    def _forget(self, command: Any) -> None:
        counts = getattr(self._connection, "_OBD__frame_counts", None)
        if counts is not None:
            counts.pop(command, None)
        self._forget_last()

    def _forget_last(self) -> None:
        self._connection._OBD__last_command = b""

    def _learn_frames(self, question: Question) -> None:
        """Correct the number of frames that python-OBD has just learnt: it counts noise too.

        One too many costs the adapter's wait at each asking from then on, up to 200 ms.
        """
        counts = getattr(self._connection, "_OBD__frame_counts", {})
        if question.command in counts:
            lines = bytes(self._guard.reply).replace(b" ", b"").upper().splitlines()
            counts[question.command] = max(1, sum(map(bool, map(question.line.match, lines))))
        question.frames_known = True

    def _learn_unit(self, question: Question, value: Any) -> None:
        """Compare python-OBD's unit with the catalogue's, once: pint takes long to convert."""
        quantity = self._obd.Unit.Quantity
        target = _PINT_UNITS[question.signal.unit]
        zero = quantity(0.0, value.units).to(target).magnitude
        one = quantity(1.0, value.units).to(target).magnitude
        scale, offset = one - zero, zero
        if abs(scale - 1.0) > 1e-9 or abs(offset) > 1e-9:
            question.scale, question.offset = scale, offset
        question.unit_known = True


# -- the library -----------------------------------------------------------------------------------
class _LastWords(logging.Handler):
    """Keeps the last error that python-OBD logged in each thread: it returns no reasons."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._by_thread = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        self._by_thread.text = record.getMessage()

    def get(self) -> str:
        """Return the last error of this thread, or ""."""
        text: str = getattr(self._by_thread, "text", "")
        return text

    def clear(self) -> None:
        self._by_thread.text = ""


_last_words = _LastWords()


@contextlib.contextmanager
def _unseen(name: str) -> Iterator[None]:
    """Let a package that nobody has imported yet look as if it were not installed."""
    modules: dict[str, ModuleType | None] = cast("dict[str, ModuleType | None]", sys.modules)
    if name in modules:
        yield
        return
    modules[name] = None
    try:
        yield
    finally:
        del modules[name]


@functools.cache
def library() -> ModuleType:
    """Import python-OBD and silence its own handler on stderr: the link reports in its own words.

    Raises:
        LinkLost: it is not installed.
    """
    # pint warns when python-OBD defines its own percent and ppm; it is meant.
    logging.getLogger("pint.util").setLevel(logging.ERROR)
    try:
        # pint loads them wherever they are installed: 30 MB that nobody here needs.
        with _unseen("dask"), _unseen("numpy"):
            obd = importlib.import_module("obd")
    except ImportError as error:
        raise LinkLost(
            f"python-OBD is not installed ({error}): pip install 'telerig[obd]'"
        ) from error
    logger = logging.getLogger("obd")
    logger.handlers = [_last_words]
    logger.propagate = False
    logger.setLevel(logging.ERROR)
    return obd
