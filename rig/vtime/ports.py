"""PTY ports in virtual time, for unmodified pyserial on a device path."""

from __future__ import annotations

import fcntl
import functools
import os
import select
import stat
import sys
import termios
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rig.vtime import tcp
from rig.vtime.kernel import Kernel, Part, Wait
from rig.walltime.pty import READ_BYTES, PtyPort
from sim.serial_line import SerialLine

TTY_BYTES = 4095  # what a line discipline holds for a reader; more waits in a queue of the kernel
ONE_BUFFER_BYTES = 1024  # a write of so much is moved to the reader in one go
LOOK_AGAIN_S = 1e-5  # sleeping leaves the core to the kernel's work queue, yielding need not

_real_sleep = time.sleep

_by_device: dict[int, VirtualPort] = {}
_foreign: dict[int, list[Wait]] = {}


def watch(kernel: Kernel, reading: Iterable[Any], writing: Iterable[Any], wait: Wait) -> list[int]:
    """Let `wait` fire when one of the descriptors may have become ready.

    A port or a connection of ours tells of its arrivals itself. Pipes and sockets are looked at
    whenever a thread or the loop has run, by the same poll that takes over what they wrote to
    ports. Hand what this returns to `unwatch`.
    """
    foreign = []
    for items, event in ((reading, select.POLLIN), (writing, select.POLLOUT)):
        for item in items:
            descriptor = item if isinstance(item, int) else item.fileno()
            # Asked each time: a number may be another file by now.
            status = os.fstat(descriptor)
            port = (
                tcp.waiting(status.st_ino)
                if stat.S_ISSOCK(status.st_mode)
                else _by_device.get(status.st_rdev)
            )
            if port is not None:
                port.wait(wait)
                continue
            waits = _foreign.setdefault(descriptor, [])
            waits.append(wait)
            foreign.append(descriptor)
            if len(waits) > 1:
                event = select.POLLIN | select.POLLOUT
            kernel.watch_port(descriptor, functools.partial(_wake, waits), event)
    return foreign


def unwatch(kernel: Kernel, foreign: Iterable[int], wait: Wait) -> None:
    """Undo `watch`, whatever ended the wait."""
    for descriptor in foreign:
        waits = _foreign[descriptor]
        waits.remove(wait)
        if not waits:
            del _foreign[descriptor]
            kernel.unwatch_port(descriptor)


def _wake(waits: list[Wait]) -> None:
    for wait in waits:
        wait.fire()


def watched_by_loop(descriptor: int) -> None:
    """Take note that the event loop reads a port from now on, if it is one."""
    port = _by_device.get(os.fstat(descriptor).st_rdev)
    if port is not None:
        port.read_by(None)


def opened(descriptor: int) -> None:
    """Take note that a client has opened a port just now, if it is one."""
    status = os.fstat(descriptor)
    port = _by_device.get(status.st_rdev) if stat.S_ISCHR(status.st_mode) else None
    if port is not None:
        port.opened()


class VirtualPort(PtyPort):
    """A `PtyPort` that wakes the threads waiting in `select` at the instant of an arrival.

    What arrives while its reader sleeps, or waits for something else, is kept here and handed over
    in one go before the reader runs: nobody can tell, and a busy line costs a third.

    Attributes:
        reader: the thread that waited for this port last; None: none did, or the loop reads it.
    """

    def __init__(self, kernel: Kernel, line: SerialLine, path: Path) -> None:
        self.reader: Part | None = None
        self._kernel = kernel
        self._device = 0
        self._waits: list[Wait] = []
        self._kept = bytearray()
        super().__init__(kernel, line, path)

    def _open(self) -> None:
        super()._open()
        self._device = os.fstat(self._slave).st_rdev
        _by_device[self._device] = self

    def _close(self) -> None:
        self._kernel.settle()  # it arrived before the end
        del _by_device[self._device]
        super()._close()

    def let_go(self) -> None:
        self.read_by(None)
        super().let_go()

    def opened(self) -> None:
        """Forget what nobody had read when the port was closed, and what came from then on.

        A driver drops it at the last close. Our own descriptor would keep 64 KiB of it: a client
        that opens the port anew to get rid of noise would meet that noise again.
        """
        if self._slave < 0:
            return  # nobody had it, so nothing was kept
        self._kernel.settle()
        self._backlog.clear()
        self._line.unread(0)
        while self._unread_bytes():
            os.read(self._slave, READ_BYTES)

    def wait(self, wait: Wait) -> None:
        """Let `wait` fire at the next arrival."""
        if self._waits and self._waits[-1].fired:  # timed out: they would pile up on a quiet line
            self._waits = [other for other in self._waits if not other.fired]
        self._waits.append(wait)
        if wait.part is not self.reader:
            self.read_by(wait.part)

    def read_by(self, part: Part | None) -> None:
        """Keep bytes for another part from now on; None: for nobody."""
        self._kernel.settle()
        self.reader = None if part is self._kernel.host else part
        is_there = not (self._closed or self._line.hung_up or self._slave < 0)
        if is_there and self._unread_bytes():
            self.arrived()

    def settle(self) -> None:
        """Hand over what is kept. Nothing was unread, so the poll waits until it is at the reader's
        side (see `_write`)."""
        kept = bytes(self._kept)
        self._kept.clear()
        super()._write(kept)
        self._reader_poll.poll(0)

    def _resume(self) -> None:
        super()._resume()
        if not self._line.hung_up:
            self._pump()
            self.arrived()  # who waits for room may write now

    def arrived(self) -> None:
        waits, self._waits = self._waits, []
        woken = False
        for wait in waits:
            woken = wait.fire() or woken
        if not woken and (self.reader is None or self.reader.over):
            self._kernel.dirty = True  # perhaps the event loop itself watches this descriptor

    def _write(self, data: bytes) -> int:
        """Write so that a reader finds all of it at once, however busy the machine is.

        The kernel moves bytes to the reader's side in a work queue, perhaps on another core. A
        `select` or `poll` that finds nothing waits for that queue, one that finds older bytes does
        not; FIONREAD never does. So what is unread decides: a thread that waits in `select` has
        nothing unread, and its own `select` does the rest. One that has read everything and does
        something else gets what it has missed when its turn comes. Else the bytes are counted in.
        """
        waits = self._waits
        if waits and not waits[-1].fired and len(data) <= ONE_BUFFER_BYTES:
            return super()._write(data)
        if self._kept:
            if len(self._kept) + len(data) <= ONE_BUFFER_BYTES:
                self._kept += data
                return len(data)
            self._kernel.settle()
        unread = self._unread_bytes()
        reader = self.reader
        if not (unread or reader is None or reader.over or len(data) > ONE_BUFFER_BYTES):
            self._kept += data
            self._kernel.keepers.append(self)
            return len(data)
        written = super()._write(data[: TTY_BYTES - unread]) if unread < TTY_BYTES else 0
        while self._unread_bytes() < unread + written:
            _real_sleep(LOOK_AGAIN_S)
        return written

    def _unread_bytes(self) -> int:
        self._reader_poll.poll(0)
        count = fcntl.ioctl(self._slave, termios.FIONREAD, b"\0\0\0\0")
        return int.from_bytes(count, sys.byteorder)
