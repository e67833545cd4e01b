"""PTY ports in virtual time, for unmodified pyserial on a device path."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rig.pty import PtyPort
from rig.vtime.kernel import Kernel, Wait
from sim.serial_line import SerialLine

_by_device: dict[int, VirtualPort] = {}
_any_waits: list[Wait] = []


def wait_any(descriptors: Iterable[Any], wait: Wait) -> None:
    """Let `wait` fire when something arrives at one of the ports behind `descriptors`.

    Descriptors of which none is a port of ours (pipes, sockets) make it fire at any arrival anywhere.
    """
    known = False
    for item in descriptors:
        descriptor = item if isinstance(item, int) else item.fileno()
        port = _by_device.get(os.fstat(descriptor).st_rdev)
        if port is not None:
            port.waits.append(wait)
            known = True
    if not known:
        _any_waits.append(wait)


class VirtualPort(PtyPort):
    """A `PtyPort` that wakes the threads waiting in `select` at the instant of an arrival."""

    def __init__(self, kernel: Kernel, line: SerialLine, path: Path) -> None:
        self._kernel = kernel
        self._device = 0
        self.waits: list[Wait] = []
        super().__init__(kernel, line, path)

    def _open(self) -> None:
        super()._open()
        self._device = os.fstat(self._slave).st_rdev
        _by_device[self._device] = self

    def _close(self) -> None:
        del _by_device[self._device]
        super()._close()

    def arrived(self) -> None:
        waits, self.waits = self.waits, []
        woken = False
        for wait in waits:
            woken = wait.fire() or woken
        for wait in _any_waits:
            woken = wait.fire() or woken
        _any_waits.clear()
        if not woken:
            self._kernel.dirty = True  # perhaps the event loop itself watches this descriptor
