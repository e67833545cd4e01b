"""One CAN interface, opened, read and written by one thread.

    port = CanPort(options, clock, counters)
    port.open()                                     # LinkLost: not there, refused, mute
    port.accept([Acceptance(0x7E8, 0x7F8)])         # as soon as it is known; None: everything
    port.send(CanFrame(0x7DF, bytes.fromhex("02010C5555555555")))
    frames = port.receive(0.05)                     # [] after 50 ms; LinkLost: it went away
    port.close()

There is no thread in here: whoever owns a port calls `receive` all the time, also while it waits
for nothing in particular, so that nothing piles up at the interface. `server.can.reader` does it
in a thread of its own with a bounded queue. Every wait is a `select` or a `time.sleep`.

Every interface is python-can's (`server.can.python_can`), which is loaded when one is opened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from server.can.frame import Acceptance, CanFrame, Wanted
from server.can.options import PortOptions
from server.clock import Clock
from server.errors import LinkLost

if TYPE_CHECKING:
    from server.can.python_can import PythonCanWire

LONGEST_WAIT_S = 0.25
"""`receive` returns after so long at the latest: its thread looks at its stop flag then."""


class CanPort:
    """One interface.

    Args:
        options: which one.
        clock: wall time for the instants of frames.
        counters: `frames`, `frames_unwanted`, `frames_malformed`, `frames_sent`, `stamps_mapped`,
            `stamps_ahead`, …; only grow.
    """

    def __init__(
        self, options: PortOptions, clock: Clock, counters: Counter[str] | None = None
    ) -> None:
        self.options = options
        self.counters: Counter[str] = Counter() if counters is None else counters
        self._clock = clock
        self._wire: PythonCanWire | None = None
        self._wanted = Wanted()

    @property
    def name(self) -> str:
        """What people call it: `socketcand can0 at 127.0.0.1:29536`."""
        return self.options.name

    @property
    def is_open(self) -> bool:
        """Whether it can be read and written."""
        return self._wire is not None

    @property
    def is_stamped(self) -> bool:
        """Whether frames bring their time; else they are to be read as soon as they are there."""
        return self._wire is not None and self._wire.is_stamped

    def open(self) -> None:
        """Open the interface and go on the bus; blocks for 3 s at the longest.

        Raises:
            LinkLost: it is not there, not free, refuses, or does not answer.
        """
        wire = self._connect()
        self._wire = wire
        if self._wanted.acceptances is not None:
            wire.accept(self._wanted)

    def accept(self, acceptances: Iterable[Acceptance] | None) -> None:
        """Leave out all other frames from now on; None: everything passes."""
        self._wanted = Wanted(acceptances)
        if self._wire is not None:
            self._wire.accept(self._wanted)

    def receive(self, timeout_s: float = LONGEST_WAIT_S) -> list[CanFrame]:
        """Give what is there, waiting for it; [] after the time (or `LONGEST_WAIT_S`), or earlier.

        Raises:
            LinkLost: the interface went away.
        """
        wire = self._wire
        assert wire is not None, "open() comes first"
        frames = wire.receive(min(timeout_s, LONGEST_WAIT_S), self._wanted)
        self.counters["frames"] += len(frames)
        return frames

    def send(self, frame: CanFrame) -> None:
        """Hand a frame to the interface; whether it went out, the bus alone knows.

        Raises:
            LinkLost: the interface went away, or takes nothing.
            ValueError: it cannot send such a frame (a remote one through socketcand).
        """
        wire = self._wire
        assert wire is not None, "open() comes first"
        wire.send(frame)
        self.counters["frames_sent"] += 1

    def close(self) -> None:
        """Leave the bus; by the thread that reads, which opened it."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    def _connect(self) -> PythonCanWire:
        try:
            from server.can.python_can import PythonCanWire
        except ImportError as error:
            raise LinkLost(f"expected python-can for {self.name}, found: {error}") from error
        return PythonCanWire(self.options, self._clock, self.counters)
