"""Keeps one link alive: connects it, watches it, marks what is stale, tries again.

States and the only changes between them:

    DOWN -> CONNECTING -> UP <-> DEGRADED
    CONNECTING, UP, DEGRADED -> DOWN

A link is DEGRADED when it says so itself or when a signal that is due has not been read for its
`stale_s`; a stale signal is reported as such until its next reading.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec
import structlog

from server.catalogue import SHORT_NAMES
from server.clock import Clock
from server.errors import LinkLost, LinkStateError
from server.links.base import Link, LinkReport
from server.readings import Reading, ReadingSink

log = structlog.get_logger("telerig.links")

BACKOFF_FIRST_S = 0.5
BACKOFF_LAST_S = 2.0  # looking for a local port costs next to nothing; a replug is seen soon
BACKOFF_RESET_S = 30.0
"""A link that was up this long starts again with the first back-off."""
NAMES_SHOWN = 5
"""Stale signals that the reason names."""


STOPPING = "gateway stops"
"""Reason of links that are down because the gateway ends."""


class LinkState(StrEnum):
    """How a link is."""

    DOWN = "down"
    CONNECTING = "connecting"
    UP = "up"
    DEGRADED = "degraded"


_ALLOWED: Mapping[LinkState, tuple[LinkState, ...]] = {
    LinkState.DOWN: (LinkState.CONNECTING,),
    LinkState.CONNECTING: (LinkState.UP, LinkState.DEGRADED, LinkState.DOWN),
    LinkState.UP: (LinkState.DEGRADED, LinkState.DOWN),
    LinkState.DEGRADED: (LinkState.UP, LinkState.DOWN),
}


class LinkStatus(msgspec.Struct, frozen=True):
    """A link as others see it.

    Attributes:
        name: name in the configuration.
        kind: kind in the configuration.
        state: how it is.
        reason: why, in words; may be empty.
        since_ns: since when it is in this state, UTC nanoseconds.
        attempts: connections tried.
        readings: readings handed to the pipeline.
        stale: ids of signals that are due and missing, ascending.
        counters: the link's own counters over all attempts.
    """

    name: str
    kind: str
    state: LinkState
    reason: str
    since_ns: int
    attempts: int
    readings: int
    stale: tuple[int, ...]
    counters: dict[str, int]


class Observer(Protocol):
    """Who is told about links; called in the event loop."""

    def link_changed(self, status: LinkStatus) -> None:
        """Take a new state."""

    def signals_stale(self, name: str, stale: tuple[int, ...], time_ns: int) -> None:
        """Take the complete list of stale signals of a link; empty when all are fresh."""

    def vehicle(self, vin: str) -> None:
        """Take the vehicle's number that a link has read."""


class Backoff:
    """Waits between attempts: `first_s`, doubling to `last_s`, from the start after a long up."""

    def __init__(
        self,
        first_s: float = BACKOFF_FIRST_S,
        last_s: float = BACKOFF_LAST_S,
        reset_s: float = BACKOFF_RESET_S,
    ) -> None:
        self.first_s = first_s
        self.last_s = last_s
        self.reset_s = reset_s
        self._next_s = first_s

    def after(self, up_s: float) -> float:
        """Give the wait in seconds after an attempt that was up for `up_s`."""
        if up_s >= self.reset_s:
            self._next_s = self.first_s
        wait_s = self._next_s
        self._next_s = min(self._next_s * 2, self.last_s)
        return wait_s


class LinkFactory(Protocol):
    """Makes the link object of one attempt."""

    def __call__(self, *, sink: ReadingSink, report: LinkReport) -> Link: ...


class _Attempt:
    """One link object: its gate to the pipeline and its reports. Called from any thread."""

    def __init__(self, supervisor: Supervisor, loop: asyncio.AbstractEventLoop) -> None:
        self.is_open = True
        self.seen: dict[int, float] = {}
        self.stale: frozenset[int] = frozenset()
        self._is_up = False
        self._supervisor = supervisor
        self._loop = loop

    def sink(self, readings: Sequence[Reading]) -> None:
        if not self.is_open:
            self._supervisor.refused += len(readings)
            return
        self._supervisor.readings += len(readings)
        seen, stale = self.seen, self.stale
        now_s = self._supervisor.clock.monotonic_s()
        is_back = False
        for reading in readings:
            seen[reading.signal] = now_s
            is_back |= reading.signal in stale
        self._supervisor.sink(readings)
        if not self._is_up and readings:
            self.up()  # a link that reads is up, whether it says so or not
        if is_back:
            self._call(self._supervisor.look)

    def up(self, reason: str = "") -> None:
        self._is_up = True
        self._call(self._supervisor.on_up, reason)

    def degraded(self, reason: str) -> None:
        self._is_up = True
        self._call(self._supervisor.on_degraded, reason)

    def vehicle(self, vin: str) -> None:
        self._call(self._supervisor.on_vehicle, vin)

    def _call(self, method: Callable[..., None], *args: str) -> None:
        def call() -> None:
            if self.is_open:
                method(*args)

        if self.is_open and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call)


class Supervisor:
    """Runs one link for as long as the gateway runs.

    Args:
        name: name of the link in the configuration.
        kind: its kind.
        factory: makes the link object of one attempt.
        sink: the pipeline's door.
        clock: wall and monotonic time.
        observer: told about states, stale signals and the vehicle.
        backoff: waits between attempts.
    """

    def __init__(
        self,
        name: str,
        kind: str,
        factory: LinkFactory,
        *,
        sink: ReadingSink,
        clock: Clock,
        observer: Observer,
        backoff: Backoff | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self.sink = sink
        self.state = LinkState.DOWN
        self.reason = "not started"
        self.readings = 0
        self.refused = 0
        self.attempts = 0
        self._factory = factory
        self.clock = clock
        self._observer = observer
        self._backoff = backoff if backoff is not None else Backoff()
        self._since_ns = clock.now_ns()
        self._up_since_s: float | None = None
        self._own_reason = ""
        self._up_reason = ""
        self._told_reason = ""  # of the DOWN that was logged last, with no life since
        self._ended_counters: dict[str, int] = {}
        self._link: Link | None = None
        self._attempt: _Attempt | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._stale: tuple[int, ...] = ()

    @property
    def status(self) -> LinkStatus:
        """How the link is now."""
        counters = dict(self._ended_counters)
        if self._link is not None:
            _add(counters, self._link.counters)
        if self.refused:
            counters["readings_late"] = self.refused
        return LinkStatus(
            self.name,
            self.kind,
            self.state,
            self.reason,
            self._since_ns,
            self.attempts,
            self.readings,
            self._stale,
            counters,
        )

    @property
    def link(self) -> Link | None:
        """The link object of this attempt; None between attempts."""
        return self._link

    async def run(self) -> None:
        """Connect again and again until cancelled; the link is DOWN afterwards."""
        try:
            while True:
                up_s = await self._run_once()
                await asyncio.sleep(self._backoff.after(up_s))
        finally:
            if self.state is not LinkState.DOWN:
                self._change(LinkState.DOWN, STOPPING)

    async def _run_once(self) -> float:
        """Make one attempt; give the seconds for which it was up."""
        attempt = _Attempt(self, asyncio.get_running_loop())
        self._attempt = attempt
        self._up_since_s = None
        self._own_reason = ""
        self.attempts += 1
        again = f"again, after: {self.reason}" if self.attempts > 1 else ""
        self._change(LinkState.CONNECTING, again)
        reason = STOPPING
        try:
            self._link = self._factory(sink=attempt.sink, report=attempt)
            await self._link.run()
            reason = "the link ended by itself"
        except LinkLost as error:
            reason = str(error)
        except Exception as error:
            # A task boundary: a bug in one link must not end the gateway.
            reason = f"unexpected {type(error).__name__}: {error}"
            log.exception("link failed", link=self.name, kind=self.kind)
        finally:
            attempt.is_open = False
            self._end(reason)
        if self._up_since_s is None:
            return 0.0
        return self.clock.monotonic_s() - self._up_since_s

    def _end(self, reason: str) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._link is not None:
            # The object may still be held by an abandoned thread: what it counts from here on
            # is not seen.
            _add(self._ended_counters, self._link.counters)
            seen = self._attempt.seen if self._attempt is not None else {}
            stale = {*self._stale, *self._link.stale_s, *seen}
            self._link = None
            # Nothing that a link has read is fresh once the link is gone.
            self._set_stale(tuple(sorted(stale)))
        self._change(LinkState.DOWN, reason)

    def on_up(self, reason: str) -> None:
        """Take the link's word that the device answers."""
        self._own_reason = ""
        self._up_reason = reason
        if self._up_since_s is None:
            self._up_since_s = self.clock.monotonic_s()
        self.look()

    def on_degraded(self, reason: str) -> None:
        """Take the link's word that something is missing."""
        self._own_reason = reason
        if self._up_since_s is None:
            self._up_since_s = self.clock.monotonic_s()
        self.look()

    def on_vehicle(self, vin: str) -> None:
        """Hand on the vehicle's number."""
        self._observer.vehicle(vin)

    def look(self) -> None:
        """Find what is stale, set the state, and come back when the next signal could be.

        A signal that was stale before this attempt stays so until its first reading, but only
        counts as overdue (DEGRADED) once its limit has passed again.
        """
        attempt, link = self._attempt, self._link
        if attempt is None or link is None or self._up_since_s is None:
            return
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        now_s = self.clock.monotonic_s()
        stale = [signal for signal in self._stale if signal not in attempt.seen]
        overdue: list[int] = []
        next_s = math.inf
        for signal, limit_s in sorted(link.stale_s.items()):
            seen_s = attempt.seen.get(signal)
            due_s = limit_s + (self._up_since_s if seen_s is None else seen_s)
            if due_s <= now_s:
                overdue.append(signal)
            else:
                next_s = min(next_s, due_s)
        attempt.stale = frozenset((*stale, *overdue))
        self._set_stale(tuple(sorted(attempt.stale)))
        if next_s < math.inf:
            loop = asyncio.get_running_loop()
            # The extra millisecond keeps a rounded timer from firing just before the instant.
            self._watch = loop.call_later(next_s - now_s + 0.001, self.look)
        if self._own_reason:
            self._change(LinkState.DEGRADED, self._own_reason)
        elif missing := [signal for signal in overdue if signal not in link.absent]:
            self._change(LinkState.DEGRADED, f"stale: {_names(missing)}")
        else:
            self._change(LinkState.UP, self._up_reason)

    def _set_stale(self, stale: tuple[int, ...]) -> None:
        if stale != self._stale:
            self._stale = stale
            self._observer.signals_stale(self.name, stale, self.clock.now_ns())

    def _change(self, state: LinkState, reason: str) -> None:
        if state is self.state and reason == self.reason:
            return
        if state is not self.state:
            if state not in _ALLOWED[self.state]:
                raise LinkStateError(
                    f"link {self.name}: expected one of "
                    f"{', '.join(_ALLOWED[self.state])} after {self.state}, got {state}"
                )
            self._since_ns = self.clock.now_ns()
        self.state = state
        self.reason = reason
        self._log_change()
        self._observer.link_changed(self.status)

    def _log_change(self) -> None:
        """Log the state; attempts that fail again for the same reason only at level debug.

        A receiver that is not plugged in would otherwise write a line each second for ever.
        """
        is_down = self.state is LinkState.DOWN
        is_bad = self.state is LinkState.DEGRADED or (is_down and self.reason != STOPPING)
        level = log.warning if is_bad else log.info
        if self._told_reason and (
            self.state is LinkState.CONNECTING or (is_down and self.reason == self._told_reason)
        ):
            level = log.debug
        if self.state is not LinkState.CONNECTING:
            self._told_reason = self.reason if is_down else ""
        level("link state", link=self.name, state=self.state.value, reason=self.reason)


def _names(signals: Sequence[int]) -> str:
    """Name signals; of many the first: the status lists them all, and the log stays readable."""
    shown = ", ".join(SHORT_NAMES.get(signal, str(signal)) for signal in signals[:NAMES_SHOWN])
    return f"{shown} and others" if len(signals) > NAMES_SHOWN else shown


def _add(total: dict[str, int], counters: Mapping[str, int]) -> None:
    for counter, number in counters.items():
        total[counter] = total.get(counter, 0) + number
