"""The world in wall time: SimPy events at their instants, and ports served as soon as they speak."""

from __future__ import annotations

import math
import select
import time
from collections.abc import Callable

from rig.vtime.kernel import WorldClock

CLOSED_PORT_PERIOD_S = 0.02  # how often a port that nobody has open is looked at again
LATE_S = 0.005  # lateness worth counting: beyond this the machine, not the model, sets the timing


class WallClock:
    """Drives a `WorldClock` at `pace` simulated seconds per second.

    Simulated time 0 is the instant of construction. Deadlines are computed from it, so there is no drift. `simpy.rt` is not used because it
    sleeps blindly and cannot wake on input.

    Args:
        pace: simulated seconds per wall second, > 0.
    """

    def __init__(self, pace: float = 1.0) -> None:
        if not pace > 0:
            raise ValueError(f"pace: expected a positive number, got {pace}")
        self.env = WorldClock()
        self.pace = pace
        self.late_events = 0
        self.worst_lateness_s = 0.0
        self._poll = select.poll()
        self._pumps: dict[int, Callable[[], None]] = {}
        self._closed: set[int] = set()  # POLLHUP would make every poll return at once
        self._start_s = time.monotonic()
        self.stopped = False

    # -- ports -------------------------------------------------------------------------------------
    def watch_port(self, descriptor: int, pump: Callable[[], None]) -> None:
        """`pump()` is called when `descriptor` becomes readable."""
        self._pumps[descriptor] = pump
        self._poll.register(descriptor, select.POLLIN)

    def unwatch_port(self, descriptor: int) -> None:
        if self._pumps.pop(descriptor, None) is not None and descriptor not in self._closed:
            self._poll.unregister(descriptor)
        self._closed.discard(descriptor)

    # -- running -----------------------------------------------------------------------------------
    def stop(self) -> None:
        """End `run` at the next opportunity; safe in a signal handler."""
        self.stopped = True

    def run(self, until_s: float = math.inf) -> None:
        """Run the world until `until_s` (simulated seconds), `stop()`, or for ever."""
        env, pace, start_s = self.env, self.pace, self._start_s
        while not self.stopped:
            now_s = (time.monotonic() - start_s) * pace
            next_s = env.peek()
            while next_s <= now_s and next_s <= until_s:
                lateness_s = (now_s - next_s) / pace
                if lateness_s > LATE_S:
                    self.late_events += 1
                    self.worst_lateness_s = max(self.worst_lateness_s, lateness_s)
                env.step()
                next_s = env.peek()
            env.advance(min(now_s, until_s))
            if now_s >= until_s:
                return
            wait_s = min(1.0, (min(next_s, until_s) - now_s) / pace)
            if self._closed:
                wait_s = min(wait_s, CLOSED_PORT_PERIOD_S)
                self._look_at_closed_ports()
            # poll() counts whole milliseconds: round down and spin the rest away with poll(0), so
            # that an ECU's 8 ms do not become 9.
            for descriptor, event in self._poll.poll(int(wait_s * 1000)):
                pump = self._pumps.get(descriptor)
                if pump is None:
                    continue
                if event & select.POLLIN:
                    now_s = (time.monotonic() - start_s) * pace
                    env.advance(min(now_s, env.peek()))  # never past an event that is still due
                    pump()
                else:
                    self._poll.unregister(descriptor)
                    self._closed.add(descriptor)

    def _look_at_closed_ports(self) -> None:
        for descriptor in list(self._closed):
            look = select.poll()
            look.register(descriptor, select.POLLIN)
            events = look.poll(0)
            if not events or events[0][1] & select.POLLIN:
                self._closed.discard(descriptor)
                self._poll.register(descriptor, select.POLLIN)
