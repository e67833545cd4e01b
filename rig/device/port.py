"""The PTY of a device alone: bounded whatever its clients do."""

from __future__ import annotations

import os
from pathlib import Path

from rig.walltime.brake import PIECE_BYTES, Brake
from rig.walltime.clock import WallClock
from rig.walltime.pty import PtyPort
from sim.serial_line import SerialLine


class DevicePort(PtyPort):
    """A `PtyPort` in wall time for clients that come and go.

    What the device says while nobody has the port open is lost, as with a real adapter. A client
    that writes faster than the line carries is made to wait.
    """

    def __init__(self, clock: WallClock, line: SerialLine, path: Path | None) -> None:
        self._brake = Brake(clock, line)
        super().__init__(clock, line, path, hold_open=False)

    def _close(self) -> None:
        self._brake.forget(self._master)
        super()._close()

    def _stall(self) -> None:
        self._brake.forget(self._master)
        super()._stall()

    def _pump(self) -> None:
        try:
            data = os.read(self._master, PIECE_BYTES)
        except OSError:  # EAGAIN: nothing there after all; EIO: between two opens
            return
        if data and not self._line.hung_up:
            self._line.feed(data)
            self._brake.look(self._master, self._pump)
