"""Keeps a client from writing faster than the modelled line carries: nothing piles up here."""

from __future__ import annotations

from collections.abc import Callable

from rig.walltime.pty import PortWatcher
from sim.serial_line import SerialLine

BEHIND_S = 0.5  # what a UART's driver takes ahead of the wire, roughly
PIECE_BYTES = 4096  # read at a time; 17 s at 2400 baud is the longest that one piece can take


class Brake:
    """Stops looking at a descriptor while its line has enough to carry, and looks again later.

    The client then meets full buffers, as with a real port: its writes block.
    """

    def __init__(self, watcher: PortWatcher, line: SerialLine) -> None:
        self._watcher = watcher
        self._line = line
        self._held: dict[int, Callable[[], None]] = {}

    def look(self, descriptor: int, pump: Callable[[], None]) -> None:
        """Call it after each read from `descriptor`."""
        ahead_s = self._line.to_device.free_at_s - self._line.env.now
        if ahead_s <= BEHIND_S:
            return
        self._watcher.unwatch_port(descriptor)
        self._held[descriptor] = pump
        callbacks = self._line.env.timeout(ahead_s - BEHIND_S).callbacks
        assert callbacks is not None
        callbacks.append(lambda _event: self._let_go(descriptor, pump))

    def forget(self, descriptor: int) -> None:
        """The descriptor is about to be closed."""
        self._held.pop(descriptor, None)

    def _let_go(self, descriptor: int, pump: Callable[[], None]) -> None:
        # Another port may have got the number meanwhile.
        if self._held.get(descriptor) is pump:
            del self._held[descriptor]
            self._watcher.watch_port(descriptor, pump)
