"""A real serial port that the world's model drives, for a gateway at its other end."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any

import simpy

from rig.walltime.clock import WallClock
from rig.wires.errors import TapError
from rig.wires.real_port import PortGone, RealPort
from sim.serial_line import SerialLine

RETRY_S = 0.5
BACKLOG_LIMIT_BYTES = 65_536  # what a driver takes for a wire that is slower than the model
BACKLOG_PERIOD_S = 0.005
_PTY_MAJORS = range(136, 144)  # Documentation/admin-guide/devices.txt: UNIX98 PTY slaves

OnEvent = Callable[[int, str, Mapping[str, Any]], None]


class DrivenPort:
    """Joins a modelled line to a port; `close()` it in the end.

    A UART takes the time that its bytes need, so the model hands it over what it says at once. A
    PTY or a network takes none, and the model keeps its pace.

    Args:
        clock: of the world.
        line: the modelled one; its host end is taken.
        place: a device path or a URL of pyserial.
        baud: of the port.
        on_event: called as on_event(UTC ns, "gone" or "back", details).

    Raises:
        TapError: the port cannot be opened.
    """

    def __init__(
        self, clock: WallClock, line: SerialLine, place: str, baud: int, on_event: OnEvent
    ) -> None:
        self._clock = clock
        self._line = line
        self._place = place
        self._baud = baud
        self._on_event = on_event
        self._backlog = bytearray()
        self._retrying = False
        self._closed = False
        self.lost_bytes = 0
        self._port: RealPort | None = RealPort(place, baud)
        self._begin(self._port)
        if is_uart(place):
            line.paced = False
        line.attach_host(self._deliver)

    def close(self) -> None:
        """Let the port go; twice does no harm."""
        self._closed = True
        self._line.to_host.receiver = None
        port, self._port = self._port, None
        if port is not None:
            self._clock.unwatch_port(port.descriptor)
            port.close()

    def _begin(self, port: RealPort) -> None:
        self._clock.watch_port(port.descriptor, self._pump)

    def _pump(self) -> None:
        port = self._port
        if port is None:
            return
        try:
            data = port.read()
        except PortGone as gone:
            self._lose(port, gone)
            return
        if data and not self._line.hung_up and not self._line.stalled:
            self._line.feed(data)

    def _deliver(self, data: bytes) -> None:
        port = self._port
        if port is None:
            return
        self._backlog += data
        try:
            del self._backlog[: port.write(self._backlog)]
        except PortGone as gone:
            self._lose(port, gone)
            return
        excess = len(self._backlog) - BACKLOG_LIMIT_BYTES
        if excess > 0:
            self.lost_bytes += excess
            del self._backlog[BACKLOG_LIMIT_BYTES:]
        if self._backlog and not self._retrying:
            self._retrying = True
            self._later(BACKLOG_PERIOD_S, self._retry)

    def _retry(self) -> None:
        self._retrying = False
        self._deliver(b"")

    def _later(self, delay_s: float, action: Callable[[], None]) -> None:
        callbacks = self._clock.env.timeout(delay_s).callbacks
        assert callbacks is not None
        callbacks.append(lambda _event: action())

    def _lose(self, port: RealPort, gone: PortGone) -> None:
        self._clock.unwatch_port(port.descriptor)
        port.close()
        self._port = None
        self._backlog.clear()
        self._on_event(time.time_ns(), "gone", {"reason": gone.strerror or str(gone)})
        self._clock.env.process(self._come_back())

    def _come_back(self) -> Generator[simpy.Event, None, None]:
        while not self._closed and self._port is None:
            yield self._clock.env.timeout(RETRY_S)
            with contextlib.suppress(TapError):
                port = RealPort(self._place, self._baud)
                self._port = port
                self._begin(port)
                self._on_event(time.time_ns(), "back", {})


def is_uart(place: str) -> bool:
    """Return whether a device path is a port that takes time for its bytes: no PTY."""
    try:
        status = os.stat(place)
    except OSError:  # a URL
        return False
    return stat.S_ISCHR(status.st_mode) and os.major(status.st_rdev) not in _PTY_MAJORS
