"""A strip: values over time, with faults shaded and limits drawn.

All strips of a page share width and margins, so one instant stands in one vertical line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reports.svg.decimate import Floats, decimate, gap_of, split_at_gaps
from reports.svg.element import Markup, element, number
from reports.svg.scale import Scale, round_range, ticks, time_ticks
from reports.text import clock, short

WIDTH = 1080.0
LEFT = 58.0
RIGHT = 14.0
_TOP = 7.0
_BOTTOM = 7.0
_AXIS_HEIGHT = 20.0
_LABEL_ROOM = 12.0
_CHARACTER_WIDTH = 6.6
_MARK_HEADROOM = 1.15  # room for the name of a limit above its line


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """What the strips of one run show, in virtual seconds."""

    start_s: float
    end_s: float

    @property
    def scale(self) -> Scale:
        """From seconds to x."""
        return Scale(self.start_s, self.end_s, LEFT, WIDTH - RIGHT)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a strip; `look` is its class in the style sheet. Times in order."""

    label: str
    look: str
    times_s: Floats
    values: Floats


@dataclass(frozen=True, slots=True)
class Band:
    """A span of time that is shaded, a fault for instance."""

    start_s: float
    end_s: float
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A horizontal line at a limit."""

    value: float
    label: str


@dataclass(frozen=True, slots=True)
class Strip:
    """What a strip shows.

    Attributes:
        lines: drawn in order, so the last one lies on top.
        bands: shaded spans.
        marks: limits; they belong to the range of values.
        height: of the plot in pixels.
        from_zero: the range begins at 0.
        ceiling: values above it are drawn at it; None draws all.
        smallest_range: from edge to edge, so that noise of a step or two looks small.
    """

    lines: Sequence[Line]
    bands: Sequence[Band] = ()
    marks: Sequence[Mark] = ()
    height: float = 92.0
    from_zero: bool = False
    ceiling: float | None = None
    smallest_range: float = 0.0

    @property
    def value_range(self) -> tuple[float, float]:
        """The values from the lower to the upper edge."""
        values = [line.values[np.isfinite(line.values)] for line in self.lines]
        marks = np.array([mark.value * _MARK_HEADROOM for mark in self.marks])
        known = np.concatenate([*values, marks])
        if not len(known):
            return 0.0, 1.0
        low = min(0.0, float(known.min())) if self.from_zero else float(known.min())
        high = float(known.max())
        if self.ceiling is not None:
            high = min(high, self.ceiling)
        lacking = self.smallest_range - (high - low)
        if lacking > 0:
            # Values that are never negative get no room below zero.
            below = lacking / 2 if low < 0 else min(lacking / 2, low)
            low, high = low - below, high + lacking - below
        return round_range(low, high, 3)


def draw_strip(strip: Strip, span: TimeSpan, *, axis: bool = False, label: str = "") -> Markup:
    """Return the strip as SVG; `axis` puts the times below it, `label` is for screen readers."""
    bottom = _TOP + strip.height
    low, high = strip.value_range
    y = Scale(low, high, bottom, _TOP)
    x = span.scale
    total = bottom + (_AXIS_HEIGHT if axis else _BOTTOM)
    return element(
        "svg",
        element("g", *_grid(x, y, span, bottom), class_="grid"),
        *(_band(band, x, bottom) for band in strip.bands),
        *(_line(line, x, y, span) for line in strip.lines),
        *_marks(strip.marks, y),
        *(_times(x, span, bottom) if axis else ()),
        element("line", class_="cursor", x1=-9.0, x2=-9.0, y1=_TOP, y2=bottom),
        class_="strip",
        viewBox=f"0 0 {number(WIDTH)} {number(total)}",
        role="img",
        aria_label=label,
        data_t0=f"{span.start_s:.9g}",
        data_t1=f"{span.end_s:.9g}",
        data_v0=f"{low:.9g}",
        data_v1=f"{high:.9g}",
        data_y0=bottom,
        data_y1=_TOP,
    )


def path_of(points: Sequence[tuple[Floats, Floats]]) -> str:
    """Return pieces of (x, y) as the text of a path."""
    parts = []
    for xs, ys in points:
        pairs = [f"{number(px)},{number(py)}" for px, py in zip(xs, ys, strict=True)]
        # A piece of one point becomes a dot: round line ends draw a line of no length.
        parts.append("M" + " ".join(pairs if len(pairs) > 1 else pairs * 2))
    return "".join(parts)


def _line(line: Line, x: Scale, y: Scale, span: TimeSpan) -> Markup:
    inside = (line.times_s >= span.start_s) & (line.times_s <= span.end_s)
    times_s, values = line.times_s[inside], line.values[inside]
    pieces = []
    for piece in split_at_gaps(times_s, values, gap_of(times_s)):
        ts, vs = decimate(*piece, span.start_s, span.end_s)
        pieces.append((x.of(ts), y.of(np.minimum(vs, y.high))))
    return element("path", class_=f"line {line.look}", d=path_of(pieces), data_label=line.label)


def _grid(x: Scale, y: Scale, span: TimeSpan, bottom: float) -> list[Markup]:
    parts = []
    for time_s in time_ticks(span.start_s, span.end_s):
        parts.append(element("line", x1=x(time_s), x2=x(time_s), y1=_TOP, y2=bottom))
    for value in ticks(y.low, y.high, 3):
        at = y(value)
        parts.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=at, y2=at))
        text = element("text", short(value), x=LEFT - 8, y=at + 3.5, text_anchor="end")
        parts.append(text)
    return parts


def _times(x: Scale, span: TimeSpan, bottom: float) -> list[Markup]:
    """Label the ticks; the first and last labels stay inside the drawing."""
    labels = []
    for time_s in time_ticks(span.start_s, span.end_s):
        at = x(time_s)
        anchor = "end" if at > WIDTH - RIGHT - 16 else "middle"
        at = WIDTH if anchor == "end" else at
        labels.append(
            element("text", clock(time_s), class_="time", x=at, y=bottom + 15, text_anchor=anchor)
        )
    return labels


def _band(band: Band, x: Scale, bottom: float) -> Markup:
    start, end = max(x(band.start_s), LEFT), min(x(band.end_s), WIDTH - RIGHT)
    return element(
        "rect",
        element("title", band.label),
        class_="band",
        x=start,
        y=_TOP,
        width=max(1.0, end - start),
        height=bottom - _TOP,
    )


def _marks(marks: Sequence[Mark], y: Scale) -> list[Markup]:
    """Draw limits with their names; where lines lie close, the names stand side by side."""
    ordered = sorted(marks, key=lambda mark: mark.value)
    parts = [
        element("line", class_="limit", x1=LEFT, x2=WIDTH - RIGHT, y1=y(m.value), y2=y(m.value))
        for m in ordered
    ]
    above, right = -_LABEL_ROOM, WIDTH - RIGHT - 4
    for mark in ordered:
        at = y(mark.value) - 3.5
        right = right if above - at < _LABEL_ROOM and above > 0 else WIDTH - RIGHT - 4
        label = element("text", mark.label, class_="limit-label", x=right, y=at, text_anchor="end")
        parts.append(label)
        above, right = at, right - len(mark.label) * _CHARACTER_WIDTH - 10
    return parts
