"""Waits of the adapter: an alarm that can be superseded, and adaptive timing."""

from __future__ import annotations

from collections.abc import Callable

import simpy

from sim.can.deadline import Deadline


class Alarm:
    """Calls one action at one instant; starting it again supersedes it, stopping forgets it."""

    __slots__ = ("_action", "_deadline")

    def __init__(self, env: simpy.Environment) -> None:
        self._deadline = Deadline(env, self._expired)
        self._action: Callable[[], None] | None = None

    def start(self, delay_s: float, action: Callable[[], None]) -> None:
        """Call `action` in `delay_s` seconds unless started again or stopped before."""
        self._action = action
        self._deadline.set(delay_s)

    def stop(self) -> None:
        """Forget the pending action."""
        self._deadline.lift()
        self._action = None

    def _expired(self) -> None:
        action, self._action = self._action, None
        if action is not None:
            action()


class AdaptiveTiming:
    """How long to wait for *more* replies after one came (`AT AT0`, `AT1`, `AT2`).

    The datasheet says that the wait is derived from the replies' measured times, never exceeds the
    AT ST setting, and that AT2 is the more aggressive one. The algorithm is not published. Assumed
    here: a slowly decaying maximum of the measured times; for AT1 three times that plus 24 ms, for
    AT2 twice that plus 8 ms.
    """

    _FACTOR = (0.0, 3.0, 2.0)
    _MARGIN_S = (0.0, 0.024, 0.008)
    _DECAY = 0.125  # share by which a faster reply pulls the estimate down

    def __init__(self) -> None:
        self._reply_s: float | None = None

    def measured(self, reply_s: float) -> None:
        """The first reply came `reply_s` seconds after its request."""
        known_s = self._reply_s
        if known_s is None or reply_s > known_s:
            self._reply_s = reply_s
        else:
            self._reply_s = known_s + (reply_s - known_s) * self._DECAY

    def wait_s(self, mode: int, limit_s: float) -> float:
        """The wait in seconds for mode 0, 1 or 2; at most `limit_s`, the AT ST setting."""
        if mode == 0 or self._reply_s is None:
            return limit_s
        return min(limit_s, self._reply_s * self._FACTOR[mode] + self._MARGIN_S[mode])
