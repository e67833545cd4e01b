"""The predictor of the older edge loggers, restated: simple exponential smoothing.

Both sides keep a level for each field of a vehicle. A field that is sent moves it,

    level = value                              the first time
    level = 0.3 * value + 0.7 * level          afterwards

and the level is what both sides expect next. The logger leaves out a field that is near enough to
its level; the gateway completes the record with the level, as a value that was held, never as one
that was measured. A field that was left out does not move its level (0.3 * level + 0.7 * level is
the level again), so that both sides stay in step whatever is left out.

A field that was never sent is not known: nothing is completed for it.
"""

from __future__ import annotations

from collections.abc import Mapping

ALPHA = 0.3


class Smoothing:
    """The levels of one vehicle's fields; the fields are ids of signals.

    Args:
        levels: where an earlier run was.
    """

    def __init__(self, levels: Mapping[int, float] | None = None) -> None:
        self.levels = dict(levels or {})

    def after(self, sent: Mapping[int, float]) -> Smoothing:
        """Give the predictor as it is after a record; this one stays as it is."""
        levels = dict(self.levels)
        for field, value in sent.items():
            level = levels.get(field)
            levels[field] = value if level is None else ALPHA * value + (1 - ALPHA) * level
        return Smoothing(levels)

    def left_out(self, sent: Mapping[int, float]) -> dict[int, float]:
        """Give the expected values of the fields that a record left out."""
        return {field: level for field, level in self.levels.items() if field not in sent}
