"""Lanes along the time axis: phases and faults as bars with their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports.svg.element import Markup, element, number
from reports.svg.strip import LEFT, RIGHT, WIDTH, Band, TimeSpan

_LANE_HEIGHT = 20.0
_GAP = 4.0
_CHARACTER_WIDTH = 6.3
_PADDING = 7.0


@dataclass(frozen=True, slots=True)
class Lane:
    """One row of bars; `look` is its class in the style sheet, `name` stands on the left."""

    name: str
    look: str
    bars: Sequence[Band]


def draw_lanes(lanes: Sequence[Lane], span: TimeSpan) -> Markup:
    """Return the lanes, one below the other, as SVG."""
    height = len(lanes) * (_LANE_HEIGHT + _GAP)
    parts: list[Markup] = []
    for index, lane in enumerate(lanes):
        top = index * (_LANE_HEIGHT + _GAP)
        parts.append(
            element(
                "text", lane.name, class_="lane-name", x=LEFT - 8, y=top + 14, text_anchor="end"
            )
        )
        parts += _bars(lane, span, top)
    parts.append(element("line", class_="cursor", x1=-9.0, x2=-9.0, y1=0.0, y2=height))
    return element(
        "svg",
        *parts,
        class_="strip lanes",
        viewBox=f"0 0 {number(WIDTH)} {number(height)}",
        role="img",
        aria_label="phases and faults",
        data_t0=f"{span.start_s:.9g}",
        data_t1=f"{span.end_s:.9g}",
    )


def _bars(lane: Lane, span: TimeSpan, top: float) -> list[Markup]:
    x = span.scale
    parts: list[Markup] = []
    free_from = LEFT
    for index, bar in enumerate(lane.bars):
        start, end = max(x(bar.start_s), LEFT), min(x(bar.end_s), WIDTH - RIGHT)
        width = max(2.0, end - start)
        parts.append(
            element(
                "rect",
                element("title", bar.label),
                class_=f"{lane.look} {lane.look}-{index % 2}",
                x=start,
                y=top,
                width=width,
                height=_LANE_HEIGHT,
                rx=3.0,
            )
        )
        room = len(bar.label) * _CHARACTER_WIDTH + 2 * _PADDING
        next_start = x(lane.bars[index + 1].start_s) if index + 1 < len(lane.bars) else WIDTH
        if width >= room:
            text_x = start + _PADDING
        elif lane.look == "fault" and end + room <= next_start and end >= free_from:
            text_x = end + _PADDING - 2
            free_from = end + room
        elif lane.look == "fault" and start - room >= free_from:
            text_x = start - room + _PADDING
            free_from = end
        else:
            continue
        parts.append(element("text", bar.label, class_="bar-name", x=text_x, y=top + 14))
    return parts
