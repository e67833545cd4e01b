"""The serial port of a link: read by the link's thread, interrupted by the event loop."""

from __future__ import annotations

import threading
from typing import Any

import serial  # type: ignore[import-untyped]

from server.errors import LinkLost
from server.links.serial_file import SerialFile, no_port

QUIET_S = 0.2
"""The read timeout: longer than any pause within a burst. USB pauses up to 16 ms, Bluetooth 100."""


class LinkPort:
    """A device path or pyserial URL; what goes wrong with it is `LinkLost`.

    DTR and RTS keep the driver's default: setting them after opening raises ENOTTY on a PTY, and on
    some boards resets the device.

    Args:
        port: device path or pyserial URL.
        baud: bits per second.
        write_timeout_s: longest time of a write; None: for ever.
    """

    def __init__(self, port: str, baud: int, *, write_timeout_s: float | None = None) -> None:
        self.name = port
        self._baud = baud
        self._times: dict[str, Any] = {
            "timeout": QUIET_S,
            "write_timeout": write_timeout_s,
            "exclusive": True,
        }
        self._port: serial.Serial | None = None
        self._closing = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether it can be read."""
        return self._port is not None

    def open(self) -> None:
        """Open it, for this program alone.

        Raises:
            LinkLost: it is not there, not ours, or not free.
        """
        try:
            if "://" not in self.name:
                self._port = SerialFile(self.name, self._baud, **self._times)
                return
            port = serial.serial_for_url(self.name, self._baud, do_not_open=True, **self._times)
            port.open()
        except (serial.SerialException, OSError, ValueError) as error:
            raise LinkLost(no_port(self.name, error)) from error
        self._port = port

    def receive(self, timeout_s: float = QUIET_S) -> bytes:
        """Wait for bytes; b"" after `timeout_s` without any (a URL's port knows `QUIET_S` alone).

        Raises:
            LinkLost: the port went away.
        """
        port = self._port
        assert port is not None, "open() comes first"
        try:
            if isinstance(port, SerialFile):
                return port.receive(timeout_s)
            chunk: bytes = port.read(port.in_waiting or 1)
        except (serial.SerialException, OSError) as error:
            raise self._gone(error) from error
        return chunk

    def write(self, data: bytes) -> bool:
        """Write all of it; tell whether the other end took it in time.

        Raises:
            LinkLost: the port went away.
        """
        port = self._port
        assert port is not None, "open() comes first"
        try:
            port.write(data)
        except serial.SerialTimeoutException:
            return False
        except (serial.SerialException, OSError) as error:
            raise self._gone(error) from error
        return True

    def close(self) -> None:
        """Close it; called by the thread that reads."""
        with self._closing:
            port, self._port = self._port, None
            if port is not None:
                port.close()

    def interrupt(self) -> None:
        """Wake the thread out of its read; from any thread."""
        with self._closing:  # no wake-up into a descriptor that was closed just now
            cancel = getattr(self._port, "cancel_read", None)
            if cancel is not None:
                cancel()

    def _gone(self, error: Exception) -> LinkLost:
        return LinkLost(f"port {self.name} went away: {error}")
