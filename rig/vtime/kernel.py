"""The kernel of virtual time: one baton, one clock, threads that drive the world as they wait."""

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

from rig.vtime.program import Program, current

SPIN_READS = 20_000  # clock reads without blocking after which time creeps: spin loops end
SPIN_STEP_S = 0.001
TIMEOUT_MAX_S = threading.TIMEOUT_MAX  # what the real primitives take at most

_real_monotonic = time.monotonic


class VirtualTimeError(RuntimeError):
    """Something that virtual time cannot do was asked of it."""


class Deadlock(VirtualTimeError):  # noqa: N818  it says what it is
    """Nothing is left that could ever happen, yet somebody waits."""


class WorldClock(simpy.Environment):
    """A SimPy environment whose clock can also be moved on while nothing happens."""

    def __init__(self) -> None:
        super().__init__(0.0)  # an int would come back from time.monotonic()

    def advance(self, time_s: float) -> None:
        """Move the clock to `time_s`; no event may lie before it."""
        if time_s > self._now:
            self._now = time_s


class Host(Protocol):
    """The event loop's side, as the kernel sees it (implemented by `rig.vtime.loop`)."""

    def wants_turn(self) -> bool: ...

    def has_input(self) -> bool: ...


class Keeper(Protocol):
    """A port that keeps what arrives for a part until its turn (`rig.vtime.ports`)."""

    reader: Part | None

    def settle(self) -> None: ...


class Part:
    """One thread under baton control. It runs only between two operations on its lock."""

    __slots__ = ("baton", "joiners", "name", "over", "program", "queue", "started", "thread")

    def __init__(
        self,
        name: str,
        thread: threading.Thread | None,
        queue: collections.deque[Part],
        program: Program | None = None,
    ) -> None:
        self.name = name
        self.thread = thread
        self.queue = queue  # where it waits for its turn: the kernel's, or that of who is stopped
        self.program = program
        self.over = False
        self.joiners: list[Wait] = []
        self.baton = _thread.allocate_lock()
        self.baton.acquire()
        self.started = _thread.allocate_lock()
        self.started.acquire()


class Wait:
    """One wait of one part: fires once, by whatever comes first."""

    __slots__ = ("fired", "part", "timed_out")

    def __init__(self, part: Part) -> None:
        self.part = part
        self.fired = False
        self.timed_out = False

    def fire(self) -> bool:
        """Make the part runnable. False when the wait is over already, or the part was killed."""
        if self.fired:
            return False
        self.fired = True
        part = self.part
        if part.over:
            return False
        part.queue.append(part)
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
        self.host = Part("event loop", None, self.runnable)
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
        self.keepers: list[Keeper] = []  # with bytes for a part that has not run since

    # -- clock -------------------------------------------------------------------------------------
    def now_s(self) -> float:
        """Virtual seconds; counts reads so that a loop that polls the clock comes to an end."""
        self._reads += 1
        if self._reads > SPIN_READS and not self.booting and not self.stepping:
            self._reads = 0
            if self.part() is not None:
                self.sleep(SPIN_STEP_S)
        return self.env._now

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
        program = self.program()
        queue = self.runnable if program is None else program.queue(self.runnable)
        part = Part(thread.name, thread, queue, program)
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
                self.parts.remove(part)
                for wait in part.joiners:
                    wait.fire()
                self._drive(part)

        thread.run = body  # type: ignore[method-assign]
        self.booting = True
        try:
            start(thread)
            part.started.acquire()
        except BaseException:  # it runs already, or the system has no more threads
            thread.run = run  # type: ignore[method-assign]
            raise
        finally:
            self.booting = False
        self.parts.append(part)
        queue.append(part)
        return part

    def program(self) -> Program | None:
        """The program that the calling thread runs; in the loop, that of the task or callback."""
        part = self.part()
        return current.get() if part is None or part is self.host else part.program

    # -- waiting -----------------------------------------------------------------------------------
    def new_wait(self) -> Wait:
        """A wait for the calling thread; hand it to whatever shall fire it, then call `block`."""
        part = self.part()
        if part is None:
            raise VirtualTimeError(
                f"thread {threading.current_thread().name!r} was started before virtual time"
            )
        return Wait(part)

    def block(self, wait: Wait, timeout_s: float | None = None) -> bool:
        """Block the calling thread until `wait` fires; False when the timeout came first."""
        if self.stepping:
            wait.fired = True  # whoever holds it must wake nobody later
            raise VirtualTimeError("a model of the world made a blocking call")
        if timeout_s is not None and not wait.fired:
            if not timeout_s <= TIMEOUT_MAX_S:
                wait.fired = True
                raise OverflowError("timeout value is too large")
            timer = self.env.timeout(timeout_s if timeout_s > 0.0 else 0.0)
            timer.callbacks.append(wait.expire)
        self._drive(wait.part)
        return not wait.timed_out

    def sleep(self, duration_s: float) -> None:
        """Block the calling thread for `duration_s` of virtual time."""
        self.block(self.new_wait(), duration_s)

    # -- the world ---------------------------------------------------------------------------------
    def watch_port(
        self, descriptor: int, pump: Callable[[], None], event: int = select.POLLIN
    ) -> None:
        """`pump()` is called as soon as a part has run that made `descriptor` ready."""
        self.pumps[descriptor] = pump
        self.ports_poll.register(descriptor, event)

    def unwatch_port(self, descriptor: int) -> None:
        if self.pumps.pop(descriptor, None) is not None:
            self.ports_poll.unregister(descriptor)

    def pump(self) -> None:
        """Take over what the part that just ran has written to ports."""
        for descriptor, _event in self.ports_poll.poll(0):
            pump = self.pumps.get(descriptor)
            if pump is not None:
                pump()

    def settle(self, part: Part | None = None) -> None:
        """Let ports hand over what they keep for `part`, or for one that is over; None: for any."""
        kept = []
        for port in self.keepers:
            reader = port.reader
            if part is None or reader is None or reader is part or reader.over:
                port.settle()
            else:
                kept.append(port)
        self.keepers = kept

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
            raise self._overtime()
        try:
            self.step()
        except simpy.core.EmptySchedule:
            raise Deadlock(self._deadlock_text()) from None

    def advance(self, time_s: float) -> None:
        """Move the clock on to a timer of the loop; no event lies before it."""
        if time_s > self.until_s:
            raise self._overtime()
        self._reads = 0
        self.env.advance(time_s)

    def _drive(self, me: Part) -> None:
        """Run the world until it is `me`'s turn, or hand the baton over to whose turn comes first.

        A part that is over never gets another turn: it hands over and its thread ends.
        """
        runnable = self.runnable
        env = self.env
        host_side = self.host_side
        self.pump()
        if host_side is not None and host_side.has_input():
            self.dirty = True
        while True:
            if self.failure is not None:
                if me is self.host:  # blocked in a call, outside its selector
                    raise self.failure
                self._hand_over(me, self.host)
                return
            if runnable:
                chosen = runnable.popleft()
                if chosen is not me:
                    self._hand_over(me, chosen)
                elif self.keepers:
                    self.settle(me)
                return
            if host_side is not None and (
                self.external
                or self.dirty
                or (next_s := env.peek()) > self.deadline_s
                or next_s == math.inf
                or host_side.wants_turn()
            ):
                self._hand_over(me, self.host)
                return
            try:
                if env._now > self.until_s:
                    raise self._overtime()
                self.step()
            except simpy.core.EmptySchedule:
                self.failure = Deadlock(self._deadlock_text())
            except BaseException as error:  # noqa: BLE001  the world failed: the loop must raise it
                self.failure = error

    def _hand_over(self, me: Part, other: Part) -> None:
        self.switches += 1
        if self.keepers:
            self.settle(other)
        is_over = me.over  # asked now: once the other one runs, it may kill this one
        other.baton.release()
        if not is_over:
            me.baton.acquire()
            if self.failure is not None and me is self.host and self.host_side is None:
                raise self.failure

    def give_turn(self) -> None:
        """For the loop's selector: let the first runnable part run, return when it's our turn."""
        self._hand_over(self.host, self.runnable.popleft())

    def _overtime(self) -> VirtualTimeError:
        return VirtualTimeError(
            f"expected the run to end before {self.until_s:g} s of simulated time"
        )

    def _deadlock_text(self) -> str:
        parked = [part.name for part in self.parts]
        if self.host_side is None:
            parked.insert(0, "the event loop itself, in a blocking call")
        names = ", ".join(parked) or "none"
        return f"at {self.env.now:.6f} s: no event and no timer left; parked threads: {names}"
