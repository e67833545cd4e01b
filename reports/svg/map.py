"""A map in local metres: the way that was truly driven, and the positions that were stored."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from reports.svg.decimate import Floats
from reports.svg.element import Markup, element, number
from reports.svg.scale import nice_step
from reports.svg.strip import path_of
from reports.text import short

_WIDTH = 640.0
_MIN_HEIGHT, _MAX_HEIGHT = 260.0, 460.0
_MARGIN = 26.0
_DOT_SPACING = 2.2
_LINE_SPACING = 1.5
_CELL = 2.0
_SMALLEST_SPAN_M = 20.0
_NAME_ROOM = 34.0
_FOOT = 24.0


@dataclass(frozen=True, slots=True)
class LocalTrack:
    """A track in metres east and north of one point, in order of time."""

    east_m: Floats
    north_m: Floats


@dataclass(frozen=True, slots=True)
class _Frame:
    """Metres to pixels, the same in both directions, north up."""

    west_m: float
    north_m: float
    pixels_per_m: float
    width: float
    height: float
    offset_x: float
    offset_y: float

    def __call__(self, track: LocalTrack) -> tuple[Floats, Floats]:
        return (
            self.offset_x + (track.east_m - self.west_m) * self.pixels_per_m,
            self.offset_y + (self.north_m - track.north_m) * self.pixels_per_m,
        )


def draw_map(truth: LocalTrack, stored: LocalTrack, worst: int | None = None) -> Markup:
    """Return the map as SVG; `worst` is the index of the stored position to ring."""
    frame = _frame_of(truth if len(truth.east_m) else stored)
    line_x, line_y = frame(truth)
    dot_x, dot_y = frame(stored)
    parts = [_grid(frame)]
    if len(line_x):
        parts.append(element("path", class_="line truth", d=path_of(_way(line_x, line_y))))
    parts.append(_dots(dot_x, dot_y))
    if len(line_x):
        parts += _ends(line_x, line_y)
    if worst is not None:
        parts.append(
            element(
                "circle",
                element("title", "largest position error"),
                class_="worst",
                cx=float(dot_x[worst]),
                cy=float(dot_y[worst]),
                r=7.0,
            )
        )
    parts.append(_scale_bar(frame))
    return element(
        "svg",
        *parts,
        class_="map",
        viewBox=f"0 0 {number(frame.width)} {number(frame.height + _FOOT)}",
        role="img",
        aria_label="map of the drive, north up",
    )


def _frame_of(track: LocalTrack) -> _Frame:
    west, east = float(track.east_m.min()), float(track.east_m.max())
    south, north = float(track.north_m.min()), float(track.north_m.max())
    wide = max(east - west, _SMALLEST_SPAN_M)
    tall = max(north - south, _SMALLEST_SPAN_M)
    inner = _WIDTH - 2 * _MARGIN
    height = min(_MAX_HEIGHT, max(_MIN_HEIGHT, inner * tall / wide + 2 * _MARGIN))
    pixels_per_m = min(inner / wide, (height - 2 * _MARGIN) / tall)
    return _Frame(
        west,
        north,
        pixels_per_m,
        _WIDTH,
        height,
        (_WIDTH - (east - west) * pixels_per_m) / 2,
        (height - (north - south) * pixels_per_m) / 2,
    )


def _grid(frame: _Frame) -> Markup:
    """Lines at each round distance, so that the eye can measure."""
    step = nice_step(frame.width / frame.pixels_per_m, 7) * frame.pixels_per_m
    lines = [
        element("line", x1=x, x2=x, y1=0.0, y2=frame.height)
        for x in np.arange(frame.offset_x % step, frame.width, step).tolist()
    ]
    lines += [
        element("line", x1=0.0, x2=frame.width, y1=y, y2=y)
        for y in np.arange(frame.offset_y % step, frame.height, step).tolist()
    ]
    return element("g", *lines, class_="grid")


def _dots(xs: Floats, ys: Floats) -> Markup:
    """One dot for each cell of `_DOT_SPACING` pixels that holds a position."""
    if not len(xs):
        return element("g")
    cells = np.stack((xs // _DOT_SPACING, ys // _DOT_SPACING), axis=1)
    first = np.sort(np.unique(cells, axis=0, return_index=True)[1])
    dots = "".join(f"M{number(xs[i])},{number(ys[i])}h0" for i in first.tolist())
    return element("path", class_="dots", d=dots)


def _way(xs: Floats, ys: Floats) -> list[tuple[Floats, Floats]]:
    """Return the line in steps of `_LINE_SPACING` pixels; what a lap drew is not drawn again."""
    along = np.concatenate(([0.0], np.cumsum(np.hypot(np.diff(xs), np.diff(ys)))))
    kept = np.flatnonzero(np.diff(along // _LINE_SPACING, prepend=-1.0))
    kept = np.unique(np.append(kept, len(xs) - 1))
    xs, ys = xs[kept], ys[kept]
    cells = [*zip((xs // _CELL).tolist(), (ys // _CELL).tolist(), strict=True)]
    drawn: set[object] = set()
    begins, ends = [0], []
    for index, step in enumerate(pairwise(cells)):
        if step in drawn:
            ends.append(index + 1)
            begins.append(index + 1)
        drawn.add(step)
    ends.append(len(xs))
    pieces = zip(begins, ends, strict=True)
    return [(xs[a:b], ys[a:b]) for a, b in pieces if b - a > 1 or len(xs) == 1]


def _ends(xs: Floats, ys: Floats) -> list[Markup]:
    """Mark start and end; where they lie together, their names stand one above the other."""
    start, end = (float(xs[0]), float(ys[0])), (float(xs[-1]), float(ys[-1]))
    close = abs(start[0] - end[0]) < _NAME_ROOM and abs(start[1] - end[1]) < _NAME_ROOM
    lower = -6.0 if not close else (-6.0 if start[1] <= end[1] else 14.0)
    return [
        _end("end", *end, -6.0 if not close else 8.0 - lower),
        _end("start", *start, lower),
    ]


def _end(name: str, x: float, y: float, lower: float) -> Markup:
    """Mark a place, its name towards the middle of the map."""
    side = -1 if x > _WIDTH / 2 else 1
    return element(
        "g",
        element("circle", cx=x, cy=y, r=4.5),
        element(
            "text",
            name,
            x=x + side * 10,
            y=y + lower,
            text_anchor="start" if side > 0 else "end",
        ),
        class_=f"end end-{name}",
    )


def _scale_bar(frame: _Frame) -> Markup:
    metres = nice_step(frame.width / frame.pixels_per_m, 7)
    length = metres * frame.pixels_per_m
    left, base = 1.0, frame.height + _FOOT - 8
    text = f"{short(metres / 1000)} km" if metres >= 1000 else f"{short(metres)} m"
    return element(
        "g",
        element(
            "path",
            d=f"M{number(left)},{number(base - 4)}v4h{number(length)}v-4",
        ),
        element("text", f"{text}, north up", x=left + length + 8, y=base),
        class_="scale-bar",
    )
