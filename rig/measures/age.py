"""How old the newest value of each signal is when somebody looks.

Once a second from the link's first publication on, for each signal that was published by then: the
time since the newest published value was measured. What was never published has no age; coverage
tells that.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rig.measures.arrays import Floats, Ints, floats, ints
from rig.measures.matching import Matched
from rig.measures.windows import Window

LOOK_EVERY_NS = 1_000_000_000


def ages(published: Mapping[str, Matched], end_ns: int) -> tuple[Ints, Floats]:
    """Return (instants of looking in ns, ages in s), one row per look and signal, to `end_ns`."""
    arrivals = [m.readings.shown_ns for m in published.values() if len(m.readings)]
    if not arrivals:
        return ints([]), floats([])
    first_ns = min(int(shown.min()) for shown in arrivals)
    looks = np.arange(first_ns, end_ns, LOOK_EVERY_NS, dtype=np.int64)
    times, seconds = [ints([])], [floats([])]
    for matched in published.values():
        order = np.argsort(matched.readings.shown_ns, kind="stable")
        shown = matched.readings.shown_ns[order]
        newest = np.maximum.accumulate(matched.measured_ns[order])
        index = np.searchsorted(shown, looks, side="right") - 1
        seen = index >= 0
        times.append(looks[seen])
        seconds.append((looks[seen] - newest[index[seen]]) / 1e9)
    return np.concatenate(times), np.concatenate(seconds)


def ages_in(series: tuple[Ints, Floats], window: Window) -> Floats:
    """Return the ages of `series` that were looked at in `window`."""
    looks, seconds = series
    return seconds[window.holds(looks)]
