"""The kernel of virtual time: one baton, one clock, threads that drive the world while they wait."""

from __future__ import annotations

import _thread
import collections
import math
import select
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import simpy

SPIN_READS = 20_000  # clock reads without blocking after which time creeps, so that a spin loop ends
SPIN_STEP_S = 0.001

_real_monotonic = time.monotonic


class VirtualTimeError(RuntimeError):
    """Something that virtual time cannot do was asked of it."""


class Deadlock(VirtualTimeError):
    """Nothing is left that could ever happen, yet somebody waits."""


class WorldClock(simpy.Environment):
    """A SimPy environment whose clock can also be moved on while nothing happens."""

    def advance(self, time_s: float) -> None:
        """Move the clock to `time_s`; no event may lie before it."""
        if time_s > self._now:
            self._now = time_s


class Host(Protocol):
    """The event loop's side, as the kernel sees it (implemented by `rig.vtime.loop`)."""

    def wants_turn(self) -> bool: ...


class Part:
    """One thread under baton control. It runs only between two operations on its lock."""

    __slots__ = ("baton", "joiners", "name", "over", "started", "thread")

    def __init__(self, name: str, thread: threading.Thread | None) -> None:
        self.name = name
        self.thread = thread
        self.over = False
        self.joiners: list[Wait] = []
        self.baton = _thread.allocate_lock()
        self.baton.acquire()
        self.started = _thread.allocate_lock()
        self.started.acquire()


class Wait:
    """One wait of one part: fires once, by whatever comes first."""

    __slots__ = ("fired", "part", "runnable", "timed_out")

    def __init__(self, part: Part, runnable: collections.deque[Part]) -> None:
        self.part = part
        self.runnable = runnable
        self.fired = False
        self.timed_out = False

    def fire(self) -> bool:
        """Make the part runnable. False when the wait is over already."""
        if self.fired:
            return False
        self.fired = True
        self.runnable.append(self.part)
        return True

    def expire(self, _event: simpy.Event) -> None:
        """Timer callback."""
        if not self.fired:
            self.timed_out = True
            self.fire()


class Kernel:
    """Owns the baton. One per process.

    Args:
        epoch_ns: UTC nanoseconds at virtual second 0.
        until_s: virtual instant after which the run is stopped with an error (a run that never ends
            is no deadlock, because the world always has a next event).
    """

    def __init__(self, epoch_ns: int, until_s: float = math.inf) -> None:
        self.env = WorldClock()
        self.epoch_ns = epoch_ns
        self.until_s = until_s
        self.runnable: collections.deque[Part] = collections.deque()
        self.host = Part("event loop", None)
        self.host_side: Host | None = None  # set while the loop waits in its selector
        self.deadline_s = math.inf  # the loop's next timer
        self.dirty = False  # a descriptor of the loop may have become ready
        self.external = 0  # open database exchanges: rule 4
        self.failure: BaseException | None = None
        self.booting = False
        self.stepping = False
        self.parts: list[Part] = []
        self.steps = 0
        self.switches = 0
        self._reads = 0
        self._local = threading.local()
        self._local.part = self.host
        self.ports_poll = select.poll()
        self.pumps: dict[int, Callable[[], None]] = {}
        self.on_idle: Callable[[], None] | None = None

    # -- clock -------------------------------------------------------------------------------------
    def now_s(self) -> float:
        """Virtual seconds; counts reads so that a loop that polls the clock comes to an end."""
        self._reads += 1
        if self._reads > SPIN_READS and not self.booting and not self.stepping:
            self._reads = 0
            self.sleep(SPIN_STEP_S)
        return self.env._now  # type: ignore[no-any-return]

    def now_ns(self) -> int:
        """Virtual nanoseconds since second 0."""
        return round(self.now_s() * 1e9)

    def utc_ns(self) -> int:
        """Virtual wall clock, UTC nanoseconds."""
        return self.epoch_ns + round(self.now_s() * 1e9)

    # -- parts -------------------------------------------------------------------------------------
    def part(self) -> Part | None:
        """The part that the calling thread is; None for threads from before the kernel."""
        return getattr(self._local, "part", None)

    def adopt(self, thread: threading.Thread, start: Callable[[threading.Thread], None]) -> Part:
        """Start `thread` as a part. It first runs when its turn comes, not before."""
        part = Part(thread.name, thread)
        run = thread.run

        def body() -> None:
            self._local.part = part
            part.started.release()
            part.baton.acquire()
            try:
                run()
            except SystemExit:
                pass
            except BaseException:  # noqa: BLE001  thread boundary: report as threading itself does
                hook: Any = thread
                hook._invoke_excepthook(thread)
            finally:
                part.over = True
                for wait in part.joiners:
                    wait.fire()
                self._drive(part)

        thread.run = body  # type: ignore[method-assign]
        self.parts.append(part)
        self.booting = True
        try:
            start(thread)
            part.started.acquire()
        finally:
            self.booting = False
        self.runnable.append(part)
        return part

    # -- waiting -----------------------------------------------------------------------------------
    def new_wait(self) -> Wait:
        """A wait for the calling thread; hand it to whatever shall fire it, then call `block`."""
        part = self.part()
        if part is None:
            raise VirtualTimeError(
                f"thread {threading.current_thread().name!r} was started before virtual time"
            )
        return Wait(part, self.runnable)

    def block(self, wait: Wait, timeout_s: float | None = None) -> bool:
        """Block the calling thread until `wait` fires; False when the timeout came first."""
        if self.stepping:
            raise VirtualTimeError("a model of the world made a blocking call")
        if timeout_s is not None and not wait.fired:
            timer = self.env.timeout(timeout_s if timeout_s > 0.0 else 0.0)
            timer.callbacks.append(wait.expire)
        self._drive(wait.part)
        return not wait.timed_out

    def sleep(self, duration_s: float) -> None:
        """Block the calling thread for `duration_s` of virtual time."""
        self.block(self.new_wait(), duration_s)

    # -- the world ---------------------------------------------------------------------------------
    def watch_port(self, descriptor: int, pump: Callable[[], None]) -> None:
        """`pump()` is called soon after somebody wrote to the other end of `descriptor`."""
        self.pumps[descriptor] = pump
        self.ports_poll.register(descriptor, select.POLLIN)

    def unwatch_port(self, descriptor: int) -> None:
        if self.pumps.pop(descriptor, None) is not None:
            self.ports_poll.unregister(descriptor)

    def pump(self) -> None:
        """Take over what the part that just ran has written to ports."""
        for descriptor, _event in self.ports_poll.poll(0):
            pump = self.pumps.get(descriptor)
            if pump is not None:
                pump()

    def step(self) -> None:
        """One SimPy event."""
        self._reads = 0
        self.steps += 1
        self.stepping = True
        try:
            self.env.step()
        finally:
            self.stepping = False

    def step_as_host(self) -> None:
        """One event, stepped by the loop's selector; errors of the world are raised as they are."""
        if self.env._now > self.until_s:
            raise VirtualTimeError(
                f"expected the run to end before {self.until_s:.0f} s of simulated time"
            )
        try:
            self.step()
        except simpy.core.EmptySchedule:
            raise Deadlock(self._deadlock_text()) from None

    def _drive(self, me: Part) -> None:
        """Run the world until it is `me`'s turn, or hand the baton over to whose turn comes first.

        A part that is over never gets another turn: it hands over and its thread ends.
        """
        runnable = self.runnable
        env = self.env
        self.pump()
        while True:
            if runnable and self.failure is None:
                chosen = runnable.popleft()
                if chosen is not me:
                    self._hand_over(me, chosen)
                return
            if self.host_side is not None and (
                self.failure is not None
                or self.external
                or self.dirty
                or env.peek() > self.deadline_s
                or self.host_side.wants_turn()
            ):
                self._hand_over(me, self.host)
                return
            try:
                if env._now > self.until_s:
                    raise VirtualTimeError(
                        f"expected the run to end before {self.until_s:.0f} s of simulated time"
                    )
                self.step()
            except simpy.core.EmptySchedule:
                self.failure = Deadlock(self._deadlock_text())
            except BaseException as error:  # noqa: BLE001  the world failed: the loop must raise it
                self.failure = error
            if self.failure is not None and self.host_side is None and me is self.host:
                raise self.failure
            if self.failure is not None and self.host_side is None:
                # The loop's thread itself is blocked in a call: wake it, its drive loop raises.
                self._hand_over(me, self.host)
                return

    def _hand_over(self, me: Part, other: Part) -> None:
        self.switches += 1
        other.baton.release()
        if not me.over:
            me.baton.acquire()
            if self.failure is not None and me is self.host and self.host_side is None:
                raise self.failure

    def give_turn(self) -> None:
        """Called by the loop's selector: let the first runnable part run; return when it's our turn."""
        self._hand_over(self.host, self.runnable.popleft())

    def _deadlock_text(self) -> str:
        parked = ", ".join(part.name for part in self.parts if not part.over) or "none"
        return f"at {self.env.now:.6f} s: no event and no timer left; parked threads: {parked}"
