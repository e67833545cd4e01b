"""A serial port for python-OBD that never makes it wait longer than agreed.

Why it exists: `ELM327.__init__` of python-OBD 0.7.3 opens its port with a hard-coded timeout of 10
s, and `ELM327.__send` reads an empty reply up to 12 times. One lost reply blocks `query()` for 121
s, and it then returns null with the status still "Car Connected". Ways that were weighed:

* a small `port.timeout` after connecting: `__read` then gives up in the middle of a slow reply,
  and the rest of it answers the next question; the retries still add 1.1 s; nothing guards the
  connecting itself;
* another thread that closes the port: races on the file descriptor, which may be another file by
  then, and the thread stays in `select` (in virtual time as well as in the kernel);
* **this**: pyserial's own extension point (a URL handler, `protocol_obdport`) makes python-OBD
  open a port of this class. It gives each request one deadline, from the write to the prompt,
  whatever dribbles in between, and leaves python-OBD's retry loops by an exception that their
  `except Exception` lets pass.

python-OBD and pyserial stay unmodified; no second thread is needed. The guard also keeps the raw
reply, which tells NO DATA from an adapter that was reset.
"""

from __future__ import annotations

import importlib
import itertools
import termios
import threading
from functools import partial
from typing import Any

import serial  # type: ignore[import-untyped]

from server.clock import Clock
from server.links.serial_file import SerialFile

SCHEME = "obdport"
MAX_REPLY_BYTES = 4096
"""Longest reply kept. A VIN takes 110 bytes, six ECUs with 0100 200; the ELM buffers 512."""

_LIBRARY_TIMEOUT_S = 10  # ELM327.__init__: serial_for_url(..., timeout=10)
_WRITE_TIMEOUT_S = 1.0  # a request has 6 bytes: a port that takes longer is stuck
_PROMPT = 0x3E  # ">"
_SEARCH = b"0100"
_WAKE_S = 0.4  # then it is asked for its prompt again
_QUIET_S = 0.05  # after a resynchronisation the line must be silent for so long
_RESET_REPLY = b"\x7f\x7f\r"
"""Two characters that mean nothing and a return: a busy ELM327 stops at the first (`STOPPED`), an
idle one says `?`. A lone return would repeat the last command (ELM327DSJ p.9; python-OBD's
auto-baud does the same)."""


class PortFailure(BaseException):
    """Base of what a guarded port raises through python-OBD.

    Derives from BaseException because python-OBD wraps each read in `except Exception`, marks the
    port closed, and goes on sleeping and retrying for 1.1 s. Never leaves
    `server.obd.elm.adapter`.
    """


class ReplyOverdue(PortFailure):
    """No prompt within the deadline."""


class ReplyEmpty(PortFailure):
    """A prompt and nothing before it; python-OBD would read again, and there is nothing to come."""


class ReplyFlood(PortFailure):
    """More than `MAX_REPLY_BYTES` without a prompt."""


class PortLost(PortFailure):
    """The port cannot be opened or went away (hang-up, EIO, cable pulled)."""


class PortStopped(PortFailure):
    """The link is being stopped."""


class ReplyGuard:
    """Deadlines and raw text of one adapter's exchange; made before the port, shared with it.

    Args:
        clock: monotonic time.
        command_s: longest wait for a reply while connecting.
        search_s: the same for 0100, with which the adapter searches for the protocol.
        connect_s: longest time for connecting altogether.

    Attributes:
        port: the port, once python-OBD has opened it.
        request: last bytes written, without the return.
        reply: what has come since.
        written_s: when `request` was written, monotonic seconds.
        reply_s: how long a reply may take once connected; None while connecting.
        took_s: how long the last reply took, until its prompt.
        stopping: set to leave the next read at once.
    """

    def __init__(
        self, clock: Clock, *, command_s: float, search_s: float, connect_s: float
    ) -> None:
        self.clock = clock
        self.port: serial.SerialBase | None = None
        self.request = b""
        self.reply = bytearray()
        self.written_s = 0.0
        self.reply_s: float | None = None
        self.took_s = 0.0
        self.stopping = False
        self.due_s = 0.0
        self._lock = threading.Lock()  # no wake-up into a descriptor that was closed just now
        self._command_s = command_s
        self._search_s = search_s
        self._connect_due_s = clock.monotonic_s() + connect_s

    def url(self, port: str) -> str:
        """Return the URL under which `serial.serial_for_url` opens `port` with this guard."""
        number = next(_numbers)
        _waiting[number] = self
        handlers = serial.protocol_handler_packages
        if __package__ not in handlers:
            handlers.append(__package__)
        return f"{SCHEME}://{number}/{port}"

    def stop(self) -> None:
        """Make the reading thread leave by PortStopped; from any thread."""
        self.stopping = True
        cancel = getattr(self.port, "cancel_read", None)
        with self._lock:
            if cancel is not None and self.port is not None and self.port.is_open:
                cancel()

    def closing(self) -> threading.Lock:
        """Return the lock under which the port is closed."""
        return self._lock

    def wrote(self, data: bytes) -> None:
        """Begin an exchange."""
        now_s = self.clock.monotonic_s()
        self.request = data.rstrip(b"\r")
        self.reply.clear()
        self.written_s = now_s
        if self.reply_s is not None:
            self.due_s = now_s + self.reply_s
        else:
            # With the first question alone an adapter looks for the protocol.
            is_search = self.request.startswith(_SEARCH)
            limit_s = self._search_s if is_search else self._command_s
            self.due_s = min(now_s + limit_s, self._connect_due_s)

    def left_s(self) -> float:
        """Return the seconds left for the reply.

        Raises:
            PortStopped, ReplyOverdue, ReplyEmpty: there is no point in reading on.
        """
        if self.stopping:
            raise PortStopped
        if self.reply_s is not None and self.reply and self.reply[-1] == _PROMPT:
            raise ReplyEmpty
        left_s = self.due_s - self.clock.monotonic_s()
        if left_s <= 0.0:
            raise ReplyOverdue
        return left_s

    def took(self, data: bytes) -> None:
        """Take bytes of the reply."""
        if not data:
            raise PortStopped if self.stopping else ReplyOverdue
        self.reply += data
        if data[-1] == _PROMPT:
            self.took_s = self.clock.monotonic_s() - self.written_s
        elif len(self.reply) > MAX_REPLY_BYTES:
            raise ReplyFlood

    def resynchronise(self, due_s: float) -> bool:
        """Bring an adapter that owes a reply back to its prompt, dropping whatever it still says.

        Args:
            due_s: monotonic instant by which the prompt must be there.

        Returns:
            False if there is no prompt by then. Raises PortLost and PortStopped as any read.
        """
        port = self.port
        assert port is not None
        try:
            port.reset_input_buffer()
            while not self._wake(port, due_s):
                if self.clock.monotonic_s() >= due_s:
                    return False
            return self._is_quiet(port, due_s)
        except ReplyFlood:
            return False

    def _wake(self, port: Any, due_s: float) -> bool:
        """Ask for a prompt, once; an adapter that was mute for a moment did not hear it."""
        port.write(_RESET_REPLY)
        self.due_s = min(self.written_s + _WAKE_S, due_s)
        try:
            while _PROMPT not in self.reply:
                port.read(1)
        except ReplyOverdue:
            return False
        return True

    def _is_quiet(self, port: Any, due_s: float) -> bool:
        """Drop what comes until nothing does: a busy adapter's own answer has a second prompt."""
        try:
            while True:
                self.reply.clear()
                self.due_s = min(self.clock.monotonic_s() + _QUIET_S, due_s)
                port.read(1)
        except ReplyOverdue:
            return self.clock.monotonic_s() < due_s


class _GuardedPort:
    """Mixed in before a pyserial class: guarded reads and writes, nothing else changes."""

    def __init__(self, *args: Any, guard: ReplyGuard, **settings: Any) -> None:
        self._guard = guard
        settings.setdefault("write_timeout", _WRITE_TIMEOUT_S)
        settings.setdefault("exclusive", True)
        super().__init__(*args, **settings)
        guard.port = self

    def open(self) -> None:
        try:
            super().open()  # type: ignore[misc]
        except (OSError, ValueError, termios.error) as error:
            raise PortLost(error) from error

    def close(self) -> None:
        with self._guard.closing():
            super().close()  # type: ignore[misc]

    def read(self, size: int = 1) -> bytes:
        """Return at least one byte of the reply, before the exchange's deadline."""
        try:
            if self._timeout != _LIBRARY_TIMEOUT_S:  # python-OBD looks for the baud rate
                return super().read(size)  # type: ignore[misc,no-any-return]
            data = self._receive(size, self._guard.left_s())
        except (OSError, TypeError, termios.error) as error:
            raise PortLost(error) from error
        self._guard.took(data)
        return data

    def _receive(self, size: int, left_s: float) -> bytes:
        # `timeout = ` would reconfigure the port (tcgetattr, tcsetattr) at each read.
        self._timeout = left_s
        try:
            return super().read(size)  # type: ignore[misc,no-any-return]
        finally:
            self._timeout = _LIBRARY_TIMEOUT_S

    def write(self, data: bytes) -> int | None:
        self._guard.wrote(data)
        try:
            return super().write(data)  # type: ignore[misc,no-any-return]
        except (OSError, TypeError, termios.error) as error:
            raise PortLost(error) from error

    def flush(self) -> None:
        try:
            super().flush()  # type: ignore[misc]
        except (OSError, termios.error) as error:
            raise PortLost(error) from error

    def reset_input_buffer(self) -> None:
        try:
            super().reset_input_buffer()  # type: ignore[misc]
        except (OSError, termios.error) as error:
            raise PortLost(error) from error


class _GuardedFile(_GuardedPort, SerialFile):
    """A guarded port on a device file."""

    @property
    def in_waiting(self) -> int:
        """0: python-OBD then asks for 1 byte, and gets all that are there."""
        return 0

    def _receive(self, size: int, left_s: float) -> bytes:
        return self.receive(left_s)


_numbers = itertools.count(1)
_waiting: dict[int, ReplyGuard] = {}


def port_class_for(url: str) -> tuple[str, Any]:
    """Return (port or URL to open, class) for `obdport://<number>/<port or URL>`; for pyserial."""
    number, _, port = url.partition("://")[2].partition("/")
    guard = _waiting.pop(int(number))
    if "://" not in port:
        return port, partial(_GuardedFile, guard=guard)
    scheme = port.partition("://")[0].lower()
    module = importlib.import_module(f"serial.urlhandler.protocol_{scheme}")
    guarded = type("_GuardedUrl", (_GuardedPort, module.Serial), {})
    return port, partial(guarded, guard=guard)
