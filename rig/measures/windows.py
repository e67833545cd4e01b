"""Windows of a run: the whole run, a phase, and either without the times of its faults."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from rig.measures.arrays import Bools, Ints
from rig.record.manifest import Manifest

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Window:
    """Disjoint spans of time in order, each from its start to before its end, in ns."""

    spans: tuple[Span, ...]

    @property
    def duration_s(self) -> float:
        """The length of all spans together."""
        return sum(end - start for start, end in self.spans) / 1e9

    def holds(self, times_ns: Ints) -> Bools:
        """Return, for each time, whether it lies in the window."""
        inside = np.zeros(len(times_ns), dtype=bool)
        for start, end in self.spans:
            inside |= (times_ns >= start) & (times_ns < end)
        return inside

    def without(self, holes: Iterable[Span]) -> Window:
        """Return the window less the `holes`."""
        spans = list(self.spans)
        for hole_start, hole_end in holes:
            spans = [
                piece
                for start, end in spans
                for piece in ((start, min(end, hole_start)), (max(start, hole_end), end))
                if piece[0] < piece[1]
            ]
        return Window(tuple(spans))


def window_of(
    manifest: Manifest, phase: str | None, except_faults: bool, link: str | None
) -> Window | None:
    """Return the window that a measure is taken over; None if there is no such phase.

    Args:
        manifest: the run's manifest.
        phase: a phase's name, or None for the whole run, which is from the first phase's start to
            the last one's end: start-up and wind-down lie outside. Phases of one name count
            together.
        except_faults: leave out the faults.
        link: the link that the measure is about: only its own faults and those of no single link
            are left out; None leaves out every fault.
    """
    if phase is None:
        spans: tuple[Span, ...] = ((manifest.start_ns, manifest.end_ns),)
    else:
        spans = tuple((p.start_ns, p.end_ns) for p in manifest.phases if p.name == phase)
        if not spans:
            return None
    window = Window(spans)
    if except_faults:
        holes = [
            (f.start_ns, f.end_ns) for f in manifest.faults if link in (None, f.link) or not f.link
        ]
        window = window.without(holes)
    return window
