"""A serial port on a device file that gives whatever is there, with one select and one read.

pyserial's own read takes a first byte and then what `in_waiting` tells, which on a PTY can be told
short: twice the waits and twice the system calls (measured: 7 us an OBD question, 30 us an NMEA
sentence).
"""

from __future__ import annotations

import errno
import os
import select

import serial  # type: ignore[import-untyped]

READ_BYTES = 4096
"""Most bytes of one read; what a tty holds back for a slow reader."""


def no_port(port: str, error: BaseException) -> str:
    """Say that a port cannot be used; pyserial's own words name it and its error twice."""
    number = getattr(error, "errno", None)
    if number == errno.EAGAIN:  # the lock of a port that is opened for one reader only
        found = "another program holds it"
    else:
        found = os.strerror(number) if number else str(error)
    return (
        f"expected a serial port at {port}, found: {found} "
        "(plugged in? free? readable by this user?)"
    )


class SerialFile(serial.Serial):  # type: ignore[misc]
    """pyserial's port of a device path, with `receive` beside `read`."""

    def receive(self, timeout_s: float) -> bytes:
        """Return what is there, waiting for it; b"" after `timeout_s`, or after `cancel_read()`.

        Raises:
            OSError: the port went away.
            TypeError: it was closed by another thread.
        """
        wake = self.pipe_abort_read_r  # `cancel_read()` writes to it
        ready, _, _ = select.select((self.fd, wake), (), (), timeout_s)
        if not ready or wake in ready:
            return b""
        try:
            data = os.read(self.fd, READ_BYTES)
        except BlockingIOError:  # told ready, and it was not: a PTY under load does that
            return self.receive(timeout_s)
        if not data:
            raise OSError("the port is ready but has no data: device disconnected")
        return data
