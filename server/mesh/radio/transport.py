"""Bytes to and from a radio: a serial port, a pyserial URL, or TCP.

One thread reads and writes, in one `select`: a write never waits alone, and what a radio does not
take stays here, to be counted.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import termios
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

import serial  # type: ignore[import-untyped]

from server.errors import LinkLost
from server.links.serial_file import SerialFile, no_port

TCP_PORT = 4403
TCP_SCHEME = "tcp://"
BAUD = 115_200
READ_BYTES = 4096
CONNECT_S = 5.0
_WITH_ADDRESS = ("socket", "rfc2217")
_Given = TypeVar("_Given")
URL_POLL_S = 0.05
"""A port behind a pyserial URL has no descriptor for `select`: it is looked at so often."""


class Transport(Protocol):
    """A way to a radio. `exchange` and `close` belong to one thread, `wake` to any."""

    def open(self) -> None:
        """Open it, for this program alone.

        Raises:
            LinkLost: it cannot be; says why.
        """

    def exchange(self, out: bytes, timeout_s: float) -> tuple[bytes, int]:
        """Wait until something came, part of `out` went, or `wake`; give what came and how much
        of `out` went. At most `timeout_s`, about.

        Raises:
            LinkLost: the other end is gone.
        """

    def wake(self) -> None:
        """End the wait of `exchange`, the present one or the next."""

    def close(self) -> None:
        """Close it."""


def transport(port: str) -> Transport:
    """Give the transport for a port, not open yet."""
    if port.startswith(TCP_SCHEME):
        return TcpTransport(port)
    if "://" in port:
        return UrlTransport(port)
    return SerialTransport(port)


def check_port(port: str) -> None:
    """Refuse a port that cannot be one.

    Raises:
        ValueError: says what was expected.
    """
    if port.startswith(TCP_SCHEME):
        tcp_address(port)
    elif "://" in port:
        serial.serial_for_url(port, do_not_open=True)  # ValueError: no such scheme
        parts = urlsplit(port)
        if parts.scheme in _WITH_ADDRESS and not (parts.hostname and parts.port):
            raise ValueError(f"expected {parts.scheme}://host:port, found {port!r}")


def tcp_address(port: str) -> tuple[str, int]:
    """Read `tcp://host` or `tcp://host:port`.

    Raises:
        ValueError: it is none.
    """
    parts = urlsplit(port)
    number = parts.port  # ValueError outside 0-65535
    host = parts.hostname or ""
    host.encode("idna")  # ValueError: no name of a host, as the connection would find
    is_more = parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc
    if not host or host != "".join(host.split()) or is_more or number == 0:
        raise ValueError(f"expected tcp://host or tcp://host:{TCP_PORT}, found {port!r}")
    return host, TCP_PORT if number is None else number


class _Waker:
    """A pipe that ends a `select`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # nothing is written into a descriptor that was closed
        self._ends: tuple[int, int] | None = None
        self._is_set = False

    def open(self) -> None:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        with self._lock:
            self._ends = (reading, writing)
            if self._is_set:
                os.write(writing, b"\0")

    @property
    def descriptor(self) -> int:
        assert self._ends is not None, "open() comes first"
        return self._ends[0]

    def wake(self) -> None:
        with self._lock:
            if not self._is_set:  # one byte at a time: the pipe never fills
                self._is_set = True
                if self._ends is not None:
                    os.write(self._ends[1], b"\0")

    def clear(self) -> None:
        with self._lock:
            if self._is_set and self._ends is not None:
                self._is_set = False
                with contextlib.suppress(BlockingIOError):
                    os.read(self._ends[0], 16)

    def close(self) -> None:
        with self._lock:
            ends, self._ends = self._ends, None
            for end in ends or ():
                os.close(end)


class SerialTransport:
    """A device path."""

    def __init__(self, port: str) -> None:
        self._name = port
        self._port: SerialFile | None = None
        self._waker = _Waker()

    def open(self) -> None:
        """Open it, raw, locked against others."""
        try:
            port = SerialFile(self._name, BAUD, timeout=0, write_timeout=0, exclusive=True)
        except (serial.SerialException, OSError, ValueError) as error:
            raise LinkLost(no_port(self._name, error)) from error
        _keep_lines_at_close(port.fd)
        self._port = port
        self._waker.open()

    def exchange(self, out: bytes, timeout_s: float) -> tuple[bytes, int]:
        """See Transport."""
        port, waker = self._port, self._waker
        assert port is not None, "open() comes first"
        descriptor = port.fd
        try:
            readable, writable, _ = select.select(
                (descriptor, waker.descriptor), (descriptor,) if out else (), (), timeout_s
            )
            written = _tried(lambda: os.write(descriptor, out)) if writable else 0
            data: bytes | None = None
            if descriptor in readable:
                data = _tried(lambda: os.read(descriptor, READ_BYTES))
                if data == b"":
                    raise OSError(errno.EIO, "hung up")
        except (OSError, ValueError) as error:
            raise LinkLost(f"port {self._name} went away: {_words(error)}") from error
        if waker.descriptor in readable:
            waker.clear()
        return data or b"", written or 0

    def wake(self) -> None:
        """See Transport."""
        self._waker.wake()

    def close(self) -> None:
        """See Transport."""
        port, self._port = self._port, None
        if port is not None:
            with contextlib.suppress(OSError, termios.error):
                port.close()
        self._waker.close()


class TcpTransport:
    """A radio's TCP door."""

    def __init__(self, port: str) -> None:
        self._name = port
        self._address = tcp_address(port)
        self._socket: socket.socket | None = None
        self._waker = _Waker()

    def open(self) -> None:
        """Connect."""
        try:
            connected = socket.create_connection(self._address, CONNECT_S)
            connected.setblocking(False)
        except OSError as error:
            found = "no answer" if isinstance(error, TimeoutError) else _words(error)
            raise LinkLost(
                f"expected a radio at {self._name}, found: {found} "
                "(switched on? its network API enabled?)"
            ) from error
        self._socket = connected
        self._waker.open()

    def exchange(self, out: bytes, timeout_s: float) -> tuple[bytes, int]:
        """See Transport."""
        connected, waker = self._socket, self._waker
        assert connected is not None, "open() comes first"
        try:
            watched: tuple[socket.socket | int, ...] = (connected, waker.descriptor)
            readable, writable, _ = select.select(watched, watched[: bool(out)], (), timeout_s)
            written = _tried(lambda: connected.send(out)) if writable else 0
            data: bytes | None = None
            if connected in readable:
                data = _tried(lambda: connected.recv(READ_BYTES))
                if data == b"":
                    raise OSError(errno.ECONNRESET, "the radio closed the connection")
        except (OSError, ValueError) as error:
            # The newest client pushes the one before out.
            hint = " (does another program use it? it serves one)" if _is_closed(error) else ""
            raise LinkLost(f"{self._name} went away: {_words(error)}{hint}") from error
        if waker.descriptor in readable:
            waker.clear()
        return data or b"", written or 0

    def wake(self) -> None:
        """See Transport."""
        self._waker.wake()

    def close(self) -> None:
        """See Transport."""
        connected, self._socket = self._socket, None
        if connected is not None:
            with contextlib.suppress(OSError):
                connected.close()
        self._waker.close()


class UrlTransport:
    """A pyserial URL: `socket://`, `rfc2217://`, `loop://`."""

    def __init__(self, port: str) -> None:
        self._name = port
        self._port: serial.SerialBase | None = None

    def open(self) -> None:
        """Open it."""
        try:
            port = serial.serial_for_url(
                self._name, BAUD, do_not_open=True, timeout=URL_POLL_S, write_timeout=1.0
            )
            port.open()
        except (serial.SerialException, OSError, ValueError) as error:
            raise LinkLost(no_port(self._name, error)) from error
        self._port = port

    def exchange(self, out: bytes, timeout_s: float) -> tuple[bytes, int]:
        """See Transport; at most `URL_POLL_S`."""
        port = self._port
        assert port is not None, "open() comes first"
        try:
            written = 0
            if out:
                with contextlib.suppress(serial.SerialTimeoutException):
                    written = port.write(out) or 0
            data: bytes = port.read(min(READ_BYTES, port.in_waiting or 1))
        except (serial.SerialException, OSError, ValueError) as error:
            raise LinkLost(f"port {self._name} went away: {_words(error)}") from error
        return data, written

    def wake(self) -> None:
        """See Transport: it is never far from waking."""

    def close(self) -> None:
        """See Transport."""
        port, self._port = self._port, None
        if port is not None:
            with contextlib.suppress(serial.SerialException, OSError):
                port.close()


def _tried(call: Callable[[], _Given]) -> _Given | None:
    """Give what a call gives that does not wait; None where it would have to wait after all."""
    try:
        return call()
    except BlockingIOError:
        return None


def _keep_lines_at_close(descriptor: int) -> None:
    """Leave DTR and RTS alone when the port is closed: some boards reset at that."""
    try:
        settings = termios.tcgetattr(descriptor)
        settings[2] &= ~termios.HUPCL
        termios.tcsetattr(descriptor, termios.TCSANOW, settings)
    except termios.error:
        return  # a port without such lines


def _is_closed(error: BaseException) -> bool:
    return getattr(error, "errno", None) in (errno.ECONNRESET, errno.EPIPE)


def _words(error: BaseException) -> str:
    if isinstance(error, socket.gaierror):  # its numbers are not those of the system
        return str(error.strerror or error)
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else str(error)
