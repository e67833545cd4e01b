"""From power-up to the first fix: nothing, then time, then date, then position."""

from __future__ import annotations

from enum import IntEnum

# Shares of the time to first fix, judged from the recorded cold starts: the time of week comes with
# the first subframe, the week number within 30 s, the ephemeris last.
TIME_SHARE = 0.35
DATE_SHARE = 0.7

GAP_SHARE = 0.05  # assumed: a gap of 60 s costs 3 s to come back
MAX_REACQUISITION_S = 5.0


class Stage(IntEnum):
    """What the receiver knows; each stage includes those before it."""

    NOTHING = 0
    TIME = 1
    DATE = 2
    POSITION = 3


class Acquisition:
    """Counts the time during which the sky was seen.

    Args:
        first_fix_s: seconds of open sky until the first position; 0 is a hot start.
        reacquisition_s: least time from the end of a gap to the next position.
    """

    def __init__(self, first_fix_s: float, reacquisition_s: float) -> None:
        self._reacquisition_s = reacquisition_s
        self._needed_s = first_fix_s
        self._had_position = first_fix_s <= 0.0
        self._seen_s = 0.0
        self._gap_s = 0.0
        self.stage = Stage.POSITION if first_fix_s <= 0.0 else Stage.NOTHING

    def advance(self, step_s: float, sky_seen: bool) -> Stage:
        """Move on by `step_s` seconds; `sky_seen`: enough satellites are there for a position."""
        if not sky_seen:
            self._lose(step_s)
        elif self.stage < Stage.POSITION:
            self._search(step_s)
        return self.stage

    def _lose(self, step_s: float) -> None:
        self._gap_s += step_s
        if self.stage == Stage.POSITION:
            self.stage = Stage.DATE  # the clock runs on without the sky
        if self._had_position:
            gap_s = min(MAX_REACQUISITION_S, self._reacquisition_s + GAP_SHARE * self._gap_s)
            self._needed_s, self._seen_s = gap_s, 0.0

    def _search(self, step_s: float) -> None:
        self._seen_s += step_s
        # The tolerance keeps an epoch on its grid although 0.1 * 300 is not exactly 30.
        share = (self._seen_s + 1e-6) / self._needed_s if self._needed_s > 0.0 else 1.0
        if share >= 1.0:
            self.stage, self._gap_s, self._had_position = Stage.POSITION, 0.0, True
        elif self.stage < Stage.DATE and share >= DATE_SHARE:
            self.stage = Stage.DATE
        elif self.stage < Stage.TIME and share >= TIME_SHARE:
            self.stage = Stage.TIME
