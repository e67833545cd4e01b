"""A real serial port, whatever stands behind its name, as a descriptor that can be polled."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import socket
import threading
from typing import Any

import serial  # type: ignore[import-untyped]

from rig.wires.errors import TapError

READ_BYTES = 4096
_REMOTE_READ_S = 0.5  # how soon the reader of a port without a descriptor notices its end
_HOST_PORT = re.compile(r"[\w.-]+:\d{1,5}|\[[0-9A-Fa-f:.]+\]:\d{1,5}")


class PortGone(OSError):  # noqa: N818 (no failure of ours: a cable was pulled)
    """The port is no longer there."""


class RealPort:
    """An open port. `read` and `write` do not wait.

    Args:
        place: a device path, a URL of pyserial (rfc2217://, socket://, hwgrep://), or host:port.
        baud: the rate to begin with.

    Raises:
        TapError: it cannot be opened.
    """

    def __init__(self, place: str, baud: int) -> None:
        self.place = place
        self._serial = _open(place, baud)
        self._pump: _Pump | None = None
        try:
            self.descriptor = int(self._serial.fileno())
        except (io.UnsupportedOperation, AttributeError):
            self._pump = _Pump(self._serial)
            self.descriptor = self._pump.descriptor
        os.set_blocking(self.descriptor, False)

    def read(self) -> bytes:
        """Return what has come; the port is readable.

        Raises:
            PortGone: it ended.
        """
        try:
            data = os.read(self.descriptor, READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise PortGone(error.errno, error.strerror) from error
        if not data:  # readable and empty: as pyserial, an unplugged USB adapter
            raise PortGone(errno.EIO, "the device is gone")
        return data

    def write(self, data: bytes | bytearray) -> int:
        """Return how many bytes were taken.

        Raises:
            PortGone: it ended.
        """
        try:
            if self._pump is not None:
                self._serial.write(bytes(data))
                return len(data)
            return os.write(self.descriptor, data)
        except BlockingIOError:
            return 0
        except (OSError, serial.SerialException) as error:
            raise PortGone(errno.EIO, str(error)) from error

    def set_baud(self, baud: int) -> str:
        """Change the rate; return why not, or ""."""
        try:
            self._serial.baudrate = baud
        except (ValueError, OSError, NotImplementedError) as error:  # SerialException is an OSError
            return str(error)
        return ""

    def set_ready(self, ready: bool) -> None:
        """Raise or drop DTR and RTS, where the port has them."""
        with contextlib.suppress(OSError, NotImplementedError, AttributeError):
            self._serial.dtr = ready
            self._serial.rts = ready

    def close(self) -> None:
        """Let it go; may be called again."""
        if self._pump is not None:
            self._pump.close()
        with contextlib.suppress(OSError):
            self._serial.close()


class _Pump:
    """Makes a descriptor of a port that has none (rfc2217://): a thread reads, a pipe carries."""

    def __init__(self, port: Any) -> None:
        self._port = port
        self._port.timeout = _REMOTE_READ_S
        ours, self._theirs = socket.socketpair()
        self._ours = ours
        self.descriptor = ours.fileno()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="tap reader", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closing = True
        self._thread.join(2 * _REMOTE_READ_S)
        self._ours.close()

    def _run(self) -> None:
        with contextlib.suppress(OSError, TypeError), self._theirs:  # TypeError: closed meanwhile
            while not self._closing:
                if data := self._port.read(1):
                    if waiting := self._port.in_waiting:
                        data += self._port.read(waiting)
                    self._theirs.sendall(data)


def is_url(place: str) -> bool:
    """Return whether `place` is no path of this machine."""
    return "://" in place or _HOST_PORT.fullmatch(place) is not None


def _open(place: str, baud: int) -> Any:
    url = f"socket://{place}" if _HOST_PORT.fullmatch(place) else place
    options = {} if is_url(place) else {"exclusive": True}
    try:
        return serial.serial_for_url(url, baudrate=baud, timeout=0, write_timeout=None, **options)
    except (OSError, ValueError) as error:  # SerialException is an OSError
        raise TapError(
            f"{place}: expected a serial port to open, found: {_reason(error)}"
        ) from error


def _reason(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number == errno.ENOENT:
        return (
            "no such port; see `telerig bench check`, or /dev/serial/by-id for what is plugged in"
        )
    if number == errno.EACCES:
        return "no permission; join the group that owns the port (often dialout), then log in again"
    if number in (errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK):
        return "another program has the port; close it"
    return str(error)
