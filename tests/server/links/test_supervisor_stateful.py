"""Whatever a link does, its states, its stale signals and its readings are told as they are."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from structlog.testing import capture_logs

from server.config_section import Where
from server.errors import LinkLost
from server.links.base import Link
from server.links.supervisor import (
    BACKOFF_FIRST_S,
    BACKOFF_LAST_S,
    LinkState,
    LinkStatus,
    Supervisor,
)
from server.readings import Reading
from tests.server.stepped_loop import SteppedClock, SteppedLoop

LIMITS_S: Mapping[int, float] = {12: 1.0, 13: 3.0, 17: 30.0}
SLACK_S = 0.0011  # the supervisor's timers look so long after the instant
FOLLOWS = {
    None: {"connecting"},
    "down": {"connecting"},
    "connecting": {"up", "degraded", "down"},
    "up": {"degraded", "down"},
    "degraded": {"up", "down"},
}


class PuppetLink(Link):
    """Does what the machine says."""

    kind: ClassVar[str] = "puppet"

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.stale_s = dict(LIMITS_S)
        self.end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    def parse(cls, name: str, table: Mapping[str, Any], where: Where) -> None:
        return None

    async def run(self) -> None:
        await self.end

    def read(self, signals: Sequence[int]) -> None:
        now_ns = self.clock.now_ns()
        self.sink([Reading(signal, now_ns, 1.0, now_ns) for signal in signals])


class SupervisorMachine(RuleBasedStateMachine):
    """A link, its supervisor, and what a user of the gateway would know."""

    def __init__(self) -> None:
        super().__init__()
        self.logs = contextlib.ExitStack()
        self.logs.enter_context(capture_logs())
        self.loop = SteppedLoop()
        self.clock = SteppedClock(self.loop)
        self.links: list[PuppetLink] = []
        self.states: list[str] = []
        self.told_stale: tuple[int, ...] = ()
        self.stored = 0
        self.late = 0
        # What is true.
        self.up_s: float | None = None  # since when the attempt is up
        self.seen_s: dict[int, float] = {}  # of this attempt
        self.stale_before: set[int] = set()  # when the attempt began
        self.says: str = ""
        self.down_s: float | None = None
        self.supervisor = Supervisor(
            "x",
            "puppet",
            self._make,
            sink=self._sink,
            clock=self.clock,
            observer=self,
        )
        self.task = self.loop.create_task(self.supervisor.run())
        self.loop.settle()

    def _make(self, **arguments: Any) -> Link:
        link = PuppetLink("x", None, clock=self.clock, **arguments)
        self.links.append(link)
        self.down_s = None
        return link

    # What the supervisor tells.
    def link_changed(self, status: LinkStatus) -> None:
        before = self.states[-1] if self.states else None
        if status.state.value != before:
            assert status.state.value in FOLLOWS[before], (before, status)
            self.states.append(status.state.value)

    def signals_stale(self, name: str, stale: tuple[int, ...], time_ns: int) -> None:
        assert stale != self.told_stale, "told twice"
        self.told_stale = stale

    def vehicle(self, vin: str) -> None:
        raise AssertionError(vin)

    def _sink(self, readings: Sequence[Reading]) -> None:
        self.stored += len(readings)

    # What may happen.
    @property
    def is_connected(self) -> bool:
        return bool(self.links) and not self.links[-1].end.done()

    @precondition(lambda self: self.is_connected)
    @rule(signals=st.lists(st.sampled_from(sorted(LIMITS_S)), min_size=1, max_size=3, unique=True))
    def reads(self, signals: list[int]) -> None:
        """Signals come."""
        self.links[-1].read(signals)
        self.loop.settle()
        if self.up_s is None:
            self.up_s = self.loop.now_s
        self.seen_s.update(dict.fromkeys(signals, self.loop.now_s))

    @precondition(lambda self: self.is_connected)
    @rule()
    def is_up(self) -> None:
        """The device answers."""
        self.links[-1].report.up()
        self.loop.settle()
        self.says = ""
        if self.up_s is None:
            self.up_s = self.loop.now_s

    @precondition(lambda self: self.is_connected)
    @rule()
    def is_degraded(self) -> None:
        """The device says that it lacks something."""
        self.links[-1].report.degraded("no sky")
        self.loop.settle()
        self.says = "no sky"
        if self.up_s is None:
            self.up_s = self.loop.now_s

    @precondition(lambda self: self.is_connected)
    @rule(how=st.sampled_from(["lost", "crash", "end"]))
    def ends(self, how: str) -> None:
        """The cable is pulled, the code has a bug, or the link just ends."""
        end = self.links[-1].end
        if how == "end":
            end.set_result(None)
        else:
            end.set_exception(LinkLost("pulled") if how == "lost" else ZeroDivisionError("bug"))
        self.loop.settle()
        self.stale_before = set(LIMITS_S)
        self.seen_s, self.up_s, self.says = {}, None, ""
        self.down_s = self.loop.now_s

    @precondition(lambda self: len(self.links) > 1 or not self.is_connected)
    @rule(signals=st.lists(st.sampled_from(sorted(LIMITS_S)), min_size=1, max_size=3))
    def an_old_thread_still_reads(self, signals: list[int]) -> None:
        """The object of an attempt that ended delivers: nobody takes it."""
        old = self.links[-2] if self.is_connected else self.links[-1]
        old.read(signals)
        self.loop.settle()
        self.late += len(signals)

    @rule(seconds=st.sampled_from([0.01, 0.4, 0.999, 1.01, 2.5, 3.1, 29.0, 31.0]))
    def time_passes(self, seconds: float) -> None:
        """Nothing else happens for a while."""
        self.loop.run_for(seconds)

    # What must hold.
    @invariant()
    def stale_is_what_is_stale(self) -> None:
        """Every signal whose limit has passed is marked, and no other."""
        assert self.supervisor.status.stale == self.told_stale
        if self.up_s is None:
            assert set(self.told_stale) == self.stale_before
            return
        now_s = self.loop.now_s
        surely, perhaps = set(), set()
        for signal, limit_s in LIMITS_S.items():
            age_s = now_s - max(self.up_s, self.seen_s.get(signal, self.up_s))
            not_yet = signal in self.stale_before and signal not in self.seen_s
            if not_yet or age_s >= limit_s + SLACK_S:
                surely.add(signal)
            elif age_s >= limit_s:
                perhaps.add(signal)
        assert surely <= set(self.told_stale) <= surely | perhaps

    @invariant()
    def the_state_is_told(self) -> None:
        """Up means: it answers, says nothing to the contrary, and lacks nothing that is due."""
        state = self.supervisor.state
        assert self.states[-1] == state.value
        if not self.is_connected:
            assert state in (LinkState.DOWN, LinkState.CONNECTING)
        elif self.up_s is None:
            assert state is LinkState.CONNECTING
        elif self.says:
            assert state is LinkState.DEGRADED
        else:
            now_s = self.loop.now_s
            due_s = {
                signal: limit_s + max(self.up_s, self.seen_s.get(signal, 0.0))
                for signal, limit_s in LIMITS_S.items()
            }
            if any(due + SLACK_S <= now_s for due in due_s.values()):
                assert state is LinkState.DEGRADED
            elif all(due > now_s for due in due_s.values()):
                assert state is LinkState.UP

    @invariant()
    def readings_are_counted(self) -> None:
        """What is handed on and what comes too late: each is counted, none is lost."""
        status = self.supervisor.status
        assert status.readings == self.stored
        assert status.counters.get("readings_late", 0) == self.late
        assert status.attempts == len(self.links)

    @invariant()
    def it_tries_again_in_time(self) -> None:
        """A link that went down is tried again after the longest back-off at most."""
        if self.down_s is not None:
            assert self.loop.now_s - self.down_s <= BACKOFF_LAST_S + SLACK_S

    def teardown(self) -> None:
        """Cancelled, it is down and stays so."""
        self.task.cancel()
        self.loop.run_until_complete(asyncio.wait([self.task]))
        assert self.supervisor.state is LinkState.DOWN
        self.loop.close()
        self.logs.close()


TestSupervisor = SupervisorMachine.TestCase
TestSupervisor.settings = settings(max_examples=150, stateful_step_count=40)


def test_the_first_wait_is_the_shortest() -> None:
    """The bounds that the machine uses are those of the gateway."""
    assert 0 < BACKOFF_FIRST_S <= BACKOFF_LAST_S
