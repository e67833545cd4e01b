"""One TCP connection to the daemon, as a byte pipe."""

from __future__ import annotations

import simpy

from sim.serial_line import Direction, SerialLine


class ClientPipe(SerialLine):
    """A connection without pace: bytes arrive at once, within the caller's call.

    A TCP connection carries 100,000 small frames a second; an event for each transmission would
    cost more than the rest. Once somebody has put a fault on a direction, that direction goes by
    events as every serial line does, so that order is kept.

    What was fed before `hang_up` has been heard: a client that says one thing and leaves is served.
    """

    def __init__(self, env: simpy.Environment, name: str) -> None:
        super().__init__(env, name, paced=False, frame_s=0.0)
        self._by_events: set[Direction] = set()

    def feed(self, data: bytes) -> None:
        """Bytes that the client sent."""
        self._carry(self.to_device, data, to_host=False)

    def write(self, data: bytes) -> None:
        """Bytes for the client."""
        self._carry(self.to_host, data, to_host=True)

    def _carry(self, direction: Direction, data: bytes, *, to_host: bool) -> None:
        if direction.faults or direction.receiver is None or direction in self._by_events:
            self._by_events.add(direction)
            direction.send(data)
        elif data and not self.hung_up:
            direction.sent_bytes += len(data)
            for tap in self.taps:
                tap(self.env.now, to_host, data)
            direction.receiver(data)
