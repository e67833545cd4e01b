"""The world in wall time: events at their instants, ports served as soon as they speak."""

from __future__ import annotations

import contextlib
import math
import os
import select
import threading
import time
from collections.abc import Callable

from rig.vtime.kernel import WorldClock

CLOSED_PORT_PERIOD_S = 0.02  # how often a port that nobody has open is looked at again
LATE_S = 0.005  # lateness worth counting: beyond this the machine, not the model, sets the timing
LONGEST_WAIT_S = 1.0


class WallClock:
    """Drives a `WorldClock` at `pace` simulated seconds per second.

    Simulated time 0 is the instant of construction. Deadlines are computed from it, so there is no
    drift. `simpy.rt` is not used because it sleeps blindly and cannot wake on input.

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
        self._polled: dict[int, int] = {}  # descriptor -> event, as registered there
        self._fine: tuple[list[int], list[int]] | None = None  # the same for select()
        self._pumps: dict[int, Callable[[], None]] = {}
        self._closed: set[int] = set()  # POLLHUP would make every poll return at once
        self._start_s = time.monotonic()
        self._wake = -1
        self._waking = threading.RLock()  # a signal's handler interrupts the thread that holds it
        self.stopped = False

    # -- ports -------------------------------------------------------------------------------------
    def watch_port(
        self, descriptor: int, pump: Callable[[], None], event: int = select.POLLIN
    ) -> None:
        """`pump()` is called when `descriptor` becomes readable, or (POLLOUT) writable."""
        self._pumps[descriptor] = pump
        self._register(descriptor, event)

    def unwatch_port(self, descriptor: int) -> None:
        """Look at `descriptor` no more; harmless for one that is not watched."""
        if self._pumps.pop(descriptor, None) is not None and descriptor not in self._closed:
            self._unregister(descriptor)
        self._closed.discard(descriptor)

    def _register(self, descriptor: int, event: int = select.POLLIN) -> None:
        self._poll.register(descriptor, event)
        self._polled[descriptor] = event
        self._fine = None

    def _unregister(self, descriptor: int) -> None:
        self._poll.unregister(descriptor)
        del self._polled[descriptor]
        self._fine = None

    # -- running -----------------------------------------------------------------------------------
    def stop(self) -> None:
        """End `run` at once; from any thread, and safe in a signal handler."""
        with self._waking:  # `run` may be about to close it
            self.stopped = True
            if self._wake >= 0:
                os.eventfd_write(self._wake, 1)

    def run(self, until_s: float = math.inf) -> None:
        """Run the world until `until_s` (simulated seconds), `stop()`, or for ever."""
        # A signal's handler runs while poll() waits, but poll() then goes on waiting: stop() needs
        # something that poll() looks at.
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._register(self._wake)
        try:
            self._run(until_s)
        finally:
            self._unregister(self._wake)
            with self._waking:
                wake, self._wake = self._wake, -1
                os.close(wake)

    def _run(self, until_s: float) -> None:
        env, pace = self.env, self.pace
        step, peek, late_s = env.step, env.peek, LATE_S * pace
        while not self.stopped:
            now_s = self._now_s()
            next_s = peek()
            while next_s <= now_s and next_s <= until_s:
                if now_s - next_s > late_s:
                    self.late_events += 1
                    self.worst_lateness_s = max(self.worst_lateness_s, (now_s - next_s) / pace)
                step()
                next_s = peek()
            env.advance(min(now_s, until_s))
            if now_s >= until_s:
                return
            wait_s = min(LONGEST_WAIT_S, (min(next_s, until_s) - now_s) / pace)
            if self._closed:
                wait_s = min(wait_s, CLOSED_PORT_PERIOD_S)
                self._look_at_closed_ports()
            for descriptor, event in self._wait(wait_s):
                self._serve(descriptor, event)

    def _wait(self, wait_s: float) -> list[tuple[int, int]]:
        """Return what is ready, waiting for it: exactly, so that an ECU's 8 ms do not become 9.

        poll() counts whole milliseconds, which are rounded down; the rest is select()'s, which
        counts microseconds and knows no descriptor above 1023. Without it a bus with a frame in
        each millisecond would take half a core for looking at the clock.
        """
        whole_ms = int(wait_s * 1000)
        if whole_ms or wait_s <= 0.0:
            return self._poll.poll(whole_ms)
        if self._fine is None:
            self._fine = (
                [number for number, event in self._polled.items() if event & select.POLLIN],
                [number for number, event in self._polled.items() if event & select.POLLOUT],
            )
        with contextlib.suppress(ValueError):
            select.select(*self._fine, (), wait_s)
        return self._poll.poll(0)

    def _serve(self, descriptor: int, event: int) -> None:
        pump = self._pumps.get(descriptor)
        if pump is None:
            return
        if event & (select.POLLIN | select.POLLOUT):
            self.env.advance(min(self._now_s(), self.env.peek()))  # never past an event still due
            pump()
        else:
            self._unregister(descriptor)
            self._closed.add(descriptor)

    def _now_s(self) -> float:
        return (time.monotonic() - self._start_s) * self.pace

    def _look_at_closed_ports(self) -> None:
        for descriptor in list(self._closed):
            look = select.poll()
            look.register(descriptor, select.POLLIN)
            events = look.poll(0)
            if not events or events[0][1] & select.POLLIN:
                self._closed.discard(descriptor)
                self._register(descriptor)


class HastyClock(WallClock):
    """Wall time, but nobody waits for a busy device: what it does next is done at once.

    Whatever the device would spend on a request, be it CAN frames, timeouts or processing, passes
    in the world and not on the wall; then the world goes on at its pace from there. It is ahead
    of the time of day from then on.

    Args:
        is_busy: True while somebody waits for the device.
    """

    # A device that is busy for longer after an input (it monitors the bus) gets its pace back.
    RUSH_LIMIT_S = 5.0
    RUSH_STEPS = 1000

    def __init__(self, is_busy: Callable[[], bool]) -> None:
        super().__init__()
        self._is_busy = is_busy

    def _serve(self, descriptor: int, event: int) -> None:
        super()._serve(descriptor, event)
        env, is_busy = self.env, self._is_busy
        until_s = env.now + self.RUSH_LIMIT_S
        for _ in range(self.RUSH_STEPS):
            next_s = env.peek()
            # What is due at this very instant belongs to it: a reply on its way out of the line.
            if next_s > env.now and (next_s > until_s or not is_busy()):
                break
            env.step()
        ahead_s = env.now - self._now_s()
        if ahead_s > 0:
            self._start_s -= ahead_s / self.pace
