"""The supervisor of a link: states, back-off, staleness, late readings."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar

import pytest
from structlog.testing import capture_logs

from server.clock import SystemClock
from server.config_section import Where
from server.errors import LinkLost, LinkStateError
from server.links.base import Link
from server.links.supervisor import Backoff, LinkState, LinkStatus, Supervisor
from server.readings import Reading

Script = Callable[["ScriptedLink"], Awaitable[None]]


class ScriptedLink(Link):
    """A link that does what a coroutine says."""

    kind: ClassVar[str] = "scripted"

    @classmethod
    def parse(cls, name: str, table: Mapping[str, Any], where: Where) -> None:
        return None

    async def run(self) -> None:
        await self.options(self)

    def read(self, *signals: int) -> None:
        now_ns = self.clock.now_ns()
        self.sink([Reading(signal, now_ns, 1.0, now_ns) for signal in signals])


class Watcher:
    """Keeps what the supervisor reports, and what reached the pipeline."""

    def __init__(self) -> None:
        self.states: list[tuple[str, str]] = []
        self.stale: list[tuple[int, ...]] = []
        self.vins: list[str] = []
        self.readings: list[Reading] = []

    def link_changed(self, status: LinkStatus) -> None:
        self.states.append((status.state.value, status.reason))

    def signals_stale(self, name: str, stale: tuple[int, ...], time_ns: int) -> None:
        self.stale.append(stale)

    def vehicle(self, vin: str) -> None:
        self.vins.append(vin)

    def sink(self, readings: Sequence[Reading]) -> None:
        self.readings += readings


class Bench:
    """A supervisor over scripts: the n-th attempt runs the n-th script, then nothing happens."""

    def __init__(self, *scripts: Script) -> None:
        self.watcher = Watcher()
        self.links: list[ScriptedLink] = []
        self._scripts = list(scripts)
        self.supervisor = Supervisor(
            "x",
            "scripted",
            self._make,
            sink=self.watcher.sink,
            clock=SystemClock(),
            observer=self.watcher,
            backoff=Backoff(0.001, 0.004, 30),
        )

    def _make(self, **arguments: Any) -> Link:
        script = self._scripts.pop(0) if self._scripts else forever
        link = ScriptedLink("x", script, clock=SystemClock(), **arguments)
        self.links.append(link)
        return link

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Watcher]:
        """Run the supervisor around a block."""
        task = asyncio.create_task(self.supervisor.run())
        try:
            yield self.watcher
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def forever(link: ScriptedLink) -> None:
    """Do nothing."""
    await asyncio.Event().wait()


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_a_good_life() -> None:
    """Connecting, up with the reason, down when the gateway stops; vehicle and readings pass."""

    async def script(link: ScriptedLink) -> None:
        link.report.up("v1.5")
        link.report.vehicle("WF0DXXGAKDDK12345")
        link.read(12)
        await forever(link)

    bench = Bench(script)
    async with bench.running() as watcher:
        await until(lambda: watcher.vins)
        assert bench.supervisor.status.state is LinkState.UP
        assert bench.supervisor.status.readings == 1
    assert watcher.states == [("connecting", ""), ("up", "v1.5"), ("down", "gateway stops")]
    assert watcher.vins == ["WF0DXXGAKDDK12345"]
    assert len(watcher.readings) == 1


async def test_lost_and_found() -> None:
    """A lost link is tried again with a new object; counters add up over the attempts."""

    async def script(link: ScriptedLink) -> None:
        link.count("timeouts", 2)
        link.report.up()
        link.read(12)
        await asyncio.sleep(0.002)
        raise LinkLost("unplugged")

    bench = Bench(script, script)
    async with bench.running() as watcher:
        await until(lambda: len(bench.links) == 3)
    assert watcher.states[:5] == [
        ("connecting", ""),
        ("up", ""),
        ("down", "unplugged"),
        ("connecting", "again, after: unplugged"),
        ("up", ""),
    ]
    assert bench.supervisor.status.counters == {"timeouts": 4}
    assert bench.supervisor.status.attempts == 3
    assert len(set(map(id, bench.links))) == 3


async def test_attempts_that_fail_alike_are_logged_once() -> None:
    """A device that is not there does not fill the log; another reason, or a life, is news."""

    def lost(reason: str, is_up: bool = False) -> Script:
        async def script(link: ScriptedLink) -> None:
            if is_up:
                link.report.up()
                await asyncio.sleep(0.002)
            raise LinkLost(reason)

        return script

    absent = lost("no such port")
    bench = Bench(absent, absent, absent, lost("busy"), lost("no such port", is_up=True), absent)
    with capture_logs() as logs:
        async with bench.running():
            await until(lambda: len(bench.links) == 7)
    assert [(e["state"], e["reason"]) for e in logs if e["log_level"] != "debug"] == [
        ("connecting", ""),
        ("down", "no such port"),
        ("down", "busy"),
        ("up", ""),
        ("down", "no such port"),
        ("down", "gateway stops"),
    ]


async def test_a_bug_in_a_link_is_logged_and_tried_again() -> None:
    """An exception that no link should raise is an error in the log, and no end."""

    async def script(link: ScriptedLink) -> None:
        raise ZeroDivisionError("oops")

    bench = Bench(script)
    with capture_logs() as logs:
        async with bench.running() as watcher:
            await until(lambda: len(bench.links) == 2)
    assert ("down", "unexpected ZeroDivisionError: oops") in watcher.states
    assert [event["event"] for event in logs if event["log_level"] == "error"] == ["link failed"]


async def test_a_link_that_ends_is_down() -> None:
    """`run()` that returns counts as lost."""

    async def script(link: ScriptedLink) -> None:
        return None

    bench = Bench(script)
    async with bench.running() as watcher:
        await until(lambda: len(bench.links) == 2)
    assert ("down", "the link ended by itself") in watcher.states


async def test_a_reading_means_up() -> None:
    """A link that reads is up, whether it says so or not."""

    async def script(link: ScriptedLink) -> None:
        link.read(12)
        await forever(link)

    bench = Bench(script)
    async with bench.running():
        await until(lambda: bench.supervisor.state is LinkState.UP)


async def test_degraded_and_back() -> None:
    """A link's own word makes it degraded and up again."""

    async def script(link: ScriptedLink) -> None:
        link.report.degraded("no fix")
        await asyncio.sleep(0.002)
        link.report.up()
        await forever(link)

    bench = Bench(script)
    async with bench.running() as watcher:
        await until(lambda: bench.supervisor.state is LinkState.UP)
    assert watcher.states[:3] == [("connecting", ""), ("degraded", "no fix"), ("up", "")]


async def test_a_silent_signal_becomes_stale_and_fresh_again() -> None:
    """Without a reading for its limit a signal is stale and the link degraded, until the next."""
    go = asyncio.Event()

    async def script(link: ScriptedLink) -> None:
        link.stale_s = {12: 0.02, 13: 60.0}
        link.report.up()
        link.read(12, 13)
        await go.wait()
        link.read(12)
        await forever(link)

    bench = Bench(script)
    async with bench.running() as watcher:
        await until(lambda: bench.supervisor.state is LinkState.DEGRADED)
        assert bench.supervisor.status.stale == (12,)
        assert bench.supervisor.reason == "stale: RPM"
        go.set()
        await until(lambda: bench.supervisor.state is LinkState.UP)
        assert watcher.stale[:2] == [(12,), ()]


async def test_a_signal_that_the_device_has_not_is_stale_and_no_fault() -> None:
    """Consumption per distance at a standstill: not fresh, and nothing is wrong."""

    async def script(link: ScriptedLink) -> None:
        link.stale_s = {12: 0.02, 13: 60.0}
        link.report.up()
        link.read(12, 13)
        link.absent = {12}
        await forever(link)

    bench = Bench(script)
    async with bench.running():
        await until(lambda: bench.supervisor.status.stale == (12,))
        assert bench.supervisor.state is LinkState.UP


async def test_many_stale_signals_are_told_in_short() -> None:
    """A CAN link has hundreds; each one that follows would change a text that names them all."""

    async def script(link: ScriptedLink) -> None:
        link.stale_s = {900 + number: 0.02 + number / 5000 for number in range(50)}
        link.report.up()
        link.read(*link.stale_s)
        await forever(link)

    bench = Bench(script)
    async with bench.running() as watcher:
        await until(lambda: len(bench.supervisor.status.stale) == 50)
        assert bench.supervisor.reason == "stale: 900, 901, 902, 903, 904 and others"
    assert len([reason for _, reason in watcher.states if reason.startswith("stale")]) <= 6


async def test_nothing_is_fresh_after_the_link_is_lost() -> None:
    """All that was read is stale while the link is down, and after it until read again."""

    async def first(link: ScriptedLink) -> None:
        link.stale_s = {12: 60.0}
        link.read(12, 99)
        await asyncio.sleep(0.002)
        raise LinkLost("unplugged")

    async def second(link: ScriptedLink) -> None:
        link.stale_s = {12: 60.0}
        link.report.up()
        await asyncio.sleep(0.005)
        link.read(12)
        await forever(link)

    bench = Bench(first, second)
    async with bench.running() as watcher:
        await until(lambda: bench.supervisor.status.stale == (99,))
        assert watcher.stale == [(12, 99), (99,)]
        assert bench.supervisor.state is LinkState.UP


async def test_an_abandoned_thread_is_not_heard() -> None:
    """Readings and reports of an attempt that has ended are refused and counted."""

    async def script(link: ScriptedLink) -> None:
        link.report.up()
        await asyncio.sleep(0.002)
        raise LinkLost("mute")

    bench = Bench(script)
    async with bench.running() as watcher:
        await until(lambda: len(bench.links) == 2)
        old = bench.links[0]
        thread = threading.Thread(target=lambda: (old.read(12), old.report.up("late")))
        thread.start()
        thread.join()
        await asyncio.sleep(0.005)
        assert bench.supervisor.state is LinkState.CONNECTING
        assert watcher.readings == []
        assert bench.supervisor.status.counters["readings_late"] == 1


def test_backoff_doubles_and_resets() -> None:
    """Waits double up to the last; a long up starts again."""
    backoff = Backoff(0.5, 10, 30)
    assert [backoff.after(0) for _ in range(6)] == [0.5, 1, 2, 4, 8, 10]
    assert backoff.after(29) == 10
    assert backoff.after(30) == 0.5


async def test_impossible_changes_are_refused() -> None:
    """A state that cannot follow is a LinkStateError that names both."""
    bench = Bench()
    with pytest.raises(LinkStateError, match="expected one of connecting after down, got up"):
        bench.supervisor._change(LinkState.UP, "")
