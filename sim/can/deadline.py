"""A time limit that is set and lifted often and runs out seldom."""

from __future__ import annotations

import math
from collections.abc import Callable

import simpy


class Deadline:
    """Calls `on_expired()` at a set instant unless it was moved or lifted before.

    SimPy cannot withdraw a timeout, and ISO-TP sets and lifts a limit per frame. So at
    most one SimPy event is under way as long as the limit only moves to later instants; it sees the
    new limit and sleeps on.
    """

    __slots__ = ("_due_s", "_env", "_event", "_event_s", "_on_expired")

    def __init__(self, env: simpy.Environment, on_expired: Callable[[], None]) -> None:
        self._env = env
        self._on_expired = on_expired
        self._due_s = math.inf
        self._event: simpy.Event | None = None
        self._event_s = math.inf

    @property
    def armed(self) -> bool:
        """True while a limit is set."""
        return self._due_s != math.inf

    def set(self, after_s: float) -> None:
        """Let the limit run out `after_s` seconds from now; an earlier setting is replaced."""
        self._due_s = self._env.now + after_s
        if self._event is None or self._event_s > self._due_s:
            self._sleep(after_s)

    def lift(self) -> None:
        """Take the limit away."""
        self._due_s = math.inf

    def _sleep(self, for_s: float) -> None:
        event = self._env.timeout(for_s)
        event.callbacks.append(self._wake)
        self._event = event
        self._event_s = self._env.now + for_s

    def _wake(self, event: simpy.Event) -> None:
        if event is not self._event:
            return
        self._event = None
        if self._due_s == math.inf:
            return
        left_s = self._due_s - self._env.now
        if left_s > 0:
            self._sleep(left_s)
        else:
            self._due_s = math.inf
            self._on_expired()
