"""How often each value came: bars, with the limits and percentiles marked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reports.svg.decimate import Floats
from reports.svg.element import Markup, element, number
from reports.svg.scale import Scale, round_range, ticks
from reports.svg.strip import Mark
from reports.text import short

_HEIGHT = 150.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 10.0, 14.0, 20.0, 30.0
_BARS = 60
_CHARACTER_WIDTH = 6.6
# The farthest values are few: beyond this percentile they share the last bar.
_SHOWN_PERCENTILE = 99.5


def draw_histogram(
    values: Floats, marks: Sequence[Mark], unit: str, label: str, *, width: float
) -> Markup:
    """Return the histogram as SVG, `width` pixels wide; `marks` are named places on its axis."""
    top = float(np.percentile(values, _SHOWN_PERCENTILE))
    known = [mark.value for mark in marks if mark.value <= 2.5 * top]
    low, high = round_range(min(0.0, float(values.min())), max([top, *known]), 5)
    counts, edges = np.histogram(np.minimum(values, high), bins=_BARS, range=(low, high))
    base = _HEIGHT - _BOTTOM
    x = Scale(low, high, _LEFT, width - _RIGHT)
    y = Scale(0.0, float(np.sqrt(counts.max())), base, _TOP)
    bars = "".join(
        f"M{number(x(left) + 0.5)},{number(base)}V{number(y(float(np.sqrt(count))))}"
        f"H{number(x(right) - 0.5)}V{number(base)}z"
        for count, left, right in zip(
            counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True
        )
        if count
    )
    return element(
        "svg",
        element("path", class_="bars", d=bars),
        element("line", class_="base", x1=_LEFT, x2=width - _RIGHT, y1=base, y2=base),
        *_axis(x, base, unit),
        *_marks([mark for mark in marks if low <= mark.value <= high], x, base, width),
        class_="histogram",
        viewBox=f"0 0 {number(width)} {number(_HEIGHT)}",
        role="img",
        aria_label=label,
    )


def _axis(x: Scale, base: float, unit: str) -> list[Markup]:
    values = ticks(x.low, x.high, 5)
    return [
        element(
            "text",
            f"{short(value)} {unit}" if value == values[-1] else short(value),
            x=x(value),
            y=base + 16,
            text_anchor="end" if value == values[-1] else "middle",
        )
        for value in values
    ]


def _marks(marks: Sequence[Mark], x: Scale, base: float, width: float) -> list[Markup]:
    """Draw limits; a name that has no room beside the one before it is left to the table."""
    parts: list[Markup] = []
    free_from = 0.0
    for mark in sorted(marks, key=lambda mark: mark.value):
        at = x(mark.value)
        parts.append(element("line", class_="limit", x1=at, x2=at, y1=_TOP, y2=base))
        room = len(mark.label) * _CHARACTER_WIDTH
        left = min(at - room / 2, width - room)
        if left >= free_from:
            parts.append(element("text", mark.label, class_="limit-label", x=left, y=_TOP - 7))
            free_from = left + room + 8
    return parts
