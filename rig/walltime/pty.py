"""The host end of a modelled serial line: a PTY that any program can open by its path."""

from __future__ import annotations

import contextlib
import os
import select
import termios
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import simpy

from sim.serial_line import SerialLine

BACKLOG_LIMIT_BYTES = 65536  # what a USB adapter's driver buffers for a host that does not read
BACKLOG_PERIOD_S = 0.01  # how often a reader that fell behind is given more
READ_BYTES = 65536


class PortWatcher(Protocol):
    """Whoever polls descriptors: the kernel of virtual time, or the wall clock."""

    def watch_port(self, descriptor: int, pump: Callable[[], None]) -> None: ...

    def unwatch_port(self, descriptor: int) -> None: ...


class PtyPort:
    """A PTY whose traffic is timed by a `SerialLine`.

    Args:
        watcher: calls the port back when the other side wrote.
        line: the serial line; its host end is taken.
        path: symbolic link under which the port is found, as udev makes by-id names. It vanishes
            when the cable is pulled and comes back with a new PTY behind it. None: no link.
        hold_open: keep the port open from our side too. Otherwise what the device says while no
            client has the port open is lost, as with a real adapter, and not read later as news.
    """

    def __init__(
        self,
        watcher: PortWatcher,
        line: SerialLine,
        path: Path | None,
        *,
        hold_open: bool = True,
    ) -> None:
        self._watcher = watcher
        self._line = line
        self.path = path
        self._hold_open = hold_open
        self.overflow_bytes = 0
        self._backlog = bytearray()
        self._retrying = False
        self._closed = False
        self._open()
        line.attach_host(self._deliver)
        line.on_hang_up.append(self._close)
        line.on_replug.append(self._open)
        line.on_stall.append(self._stall)
        line.on_resume.append(self._resume)

    @property
    def device_path(self) -> str:
        """`/dev/pts/N`; another one after each replug."""
        return self._device_path

    def arrived(self) -> None:
        """Hook: bytes were delivered, or the port hung up."""

    def close(self) -> None:
        """Take the port away for good, whatever happens to the cable; closing twice is harmless."""
        if not self._closed:
            self._closed = True
            self._line.on_hang_up.remove(self._close)
            self._line.on_replug.remove(self._open)
            self._line.on_stall.remove(self._stall)
            self._line.on_resume.remove(self._resume)
            self._line.to_host.receiver = None
            if not self._line.hung_up:
                self._close()

    def _open(self) -> None:
        self._master, self._slave = os.openpty()
        self._device_path = os.ttyname(self._slave)
        # Raw before any client opens it: a cooked slave would echo the device's bytes back to it.
        tty.setraw(self._slave)
        _set_speed(self._slave, self._line.baud)
        os.set_blocking(self._master, False)
        self._reader_poll = select.poll()
        if self._hold_open:
            self._reader_poll.register(self._slave, select.POLLIN)
        else:
            os.close(self._slave)
            self._slave = -1
            self._reader_poll.register(self._master, select.POLLHUP)
        if not self._line.stalled:
            self._watcher.watch_port(self._master, self._pump)
        if self.path is not None:
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()
            self.path.symlink_to(self._device_path)

    def let_go(self) -> None:
        """The client was killed: what the device says is lost until somebody opens the port again.

        So it is with a real adapter. Our own descriptor would keep all of it for the next client.
        """
        if self._closed or self._line.hung_up or self._slave < 0:
            return
        self._backlog.clear()
        self._line.unread(0)
        while self._reader_poll.poll(0):
            os.read(self._slave, READ_BYTES)
        os.close(self._slave)
        self._slave = -1
        self._reader_poll = select.poll()
        self._reader_poll.register(self._master, select.POLLHUP)

    def _hold_again(self) -> None:
        """Somebody has the port again."""
        self._slave = os.open(self._device_path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        self._reader_poll = select.poll()
        self._reader_poll.register(self._slave, select.POLLIN)

    def _close(self) -> None:
        self._watcher.unwatch_port(self._master)
        self._backlog.clear()
        self._line.unread(0)
        # Our own slave descriptor lives until the master is gone, so that the reader sees one clean
        # hang-up (EIO or end of file) and not a port that was never there.
        os.close(self._master)
        if self._slave >= 0:
            os.close(self._slave)
        if self.path is not None:
            self.path.unlink(missing_ok=True)
        self.arrived()

    def _stall(self) -> None:
        """The device takes no more: what the client writes stays in the kernel until it is full."""
        if not self._line.hung_up:
            self._watcher.unwatch_port(self._master)

    def _resume(self) -> None:
        if not self._line.hung_up:
            self._watcher.watch_port(self._master, self._pump)

    def _deliver(self, data: bytes) -> None:
        if self._slave < 0 and self._reader_poll.poll(0):
            self._backlog.clear()
            if self._line.stalled:
                self._discard_input()
                self._line.left()
            self._line.unread(0)
            return  # POLLHUP: nobody has the port open
        if self._slave < 0 and self._hold_open:
            self._hold_again()
        if self._backlog:
            data = bytes(self._backlog) + data
            self._backlog.clear()
        written = self._write(data)
        if written < len(data):
            rest = data[written : written + BACKLOG_LIMIT_BYTES]
            self.overflow_bytes += len(data) - written - len(rest)
            self._backlog += rest
            self._retry_later()
        self._line.unread(len(self._backlog))
        if written:
            self.arrived()

    def _discard_input(self) -> None:
        """Forget what a client wrote to a stalled device before it closed the port."""
        with contextlib.suppress(OSError):  # EAGAIN or EIO: that is all
            while os.read(self._master, READ_BYTES):
                pass

    def _write(self, data: bytes) -> int:
        """Hand bytes to the kernel; returns how many it took."""
        try:
            return os.write(self._master, data)
        except BlockingIOError:
            return 0

    def _retry_later(self) -> None:
        """Without this a reader that caught up would wait for the device's next word."""
        if not self._retrying:
            self._retrying = True
            callbacks = self._line.env.timeout(BACKLOG_PERIOD_S).callbacks
            assert callbacks is not None
            callbacks.append(self._retry)

    def _retry(self, _event: simpy.Event) -> None:
        self._retrying = False
        if self._backlog and not self._line.hung_up:
            self._deliver(b"")

    def _pump(self) -> None:
        # Two writes of the host in a row may stand in the kernel as one or two: take all there is.
        data = b""
        with contextlib.suppress(OSError):  # EAGAIN: that is all; EIO: between two opens
            while piece := os.read(self._master, READ_BYTES):
                data += piece
        if data and not self._line.hung_up:
            self._line.feed(data)


def _set_speed(descriptor: int, baud: int) -> None:
    """Let the port tell the line's rate: gpsd sets a receiver to the rate that it finds here."""
    speed = getattr(termios, f"B{baud}", None)
    if speed is not None:  # a rate that Linux has no name for stays untold
        modes = termios.tcgetattr(descriptor)
        modes[4] = modes[5] = speed
        termios.tcsetattr(descriptor, termios.TCSANOW, modes)
