from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from reports.svg.element import Markup, element, join
from reports.svg.histogram import draw_histogram
from reports.svg.lanes import Lane, draw_lanes
from reports.svg.map import LocalTrack, draw_map
from reports.svg.strip import LEFT, RIGHT, WIDTH, Band, Line, Mark, Strip, TimeSpan, draw_strip

SPAN = TimeSpan(0.0, 60.0)


def texts(svg):
    return [node.text for node in ET.fromstring(svg).iter("text")]


def points(svg, look):
    path = next(n for n in ET.fromstring(svg).iter("path") if look in n.get("class", ""))
    return [tuple(map(float, p.split(","))) for p in re.findall(r"[-\d.]+,[-\d.]+", path.get("d"))]


def test_text_is_escaped_and_markup_is_not():
    """A name with a tag in it stays text."""
    inner = element("b", "<i>&")
    assert inner == "<b>&lt;i&gt;&amp;</b>"
    assert element("p", inner, title='"x"') == f'<p title="&quot;x&quot;">{inner}</p>'
    assert isinstance(join("<", Markup("<br>")), Markup)
    assert join("<", Markup("<br>")) == "&lt;<br>"


def test_a_strip_draws_from_edge_to_edge():
    """The first instant stands on the left edge, the last on the right one, high values above."""
    line = Line("stored", "stored", np.array([0.0, 60.0]), np.array([0.0, 10.0]))
    drawn = points(draw_strip(Strip([line]), SPAN), "stored")
    assert drawn[0][0] == LEFT
    assert drawn[-1][0] == WIDTH - RIGHT
    assert drawn[0][1] > drawn[-1][1]


def test_limits_are_inside_the_picture_and_named():
    """A limit far above the values is seen all the same."""
    line = Line("p95", "p95", np.array([0.0, 60.0]), np.array([1.0, 2.0]))
    svg = draw_strip(Strip([line], [Band(5, 9, "drop")], [Mark(50.0, "p95 ≤ 50")]), SPAN, axis=True)
    assert "p95 ≤ 50" in texts(svg)
    assert {"0:00", "1:00"} <= set(texts(svg))
    limit = next(n for n in ET.fromstring(svg).iter("line") if n.get("class") == "limit")
    assert 0 < float(limit.get("y1")) < 100


def test_names_of_close_limits_do_not_lie_on_each_other():
    """Limits a hair apart get their names side by side."""
    line = Line("p95", "p95", np.array([0.0, 60.0]), np.array([0.0, 1000.0]))
    marks = [Mark(500.0, "p50 ≤ 500"), Mark(510.0, "p95 ≤ 510"), Mark(520.0, "p99 ≤ 520")]
    svg = ET.fromstring(draw_strip(Strip([line], marks=marks), SPAN))
    right = [float(n.get("x")) for n in svg.iter("text") if n.get("class") == "limit-label"]
    assert right[0] - right[1] > 50
    assert right[1] - right[2] > 50


def test_outliers_are_drawn_at_the_ceiling():
    """One lost reply of 2 s does not flatten everything else."""
    line = Line("each", "each", np.arange(4.0), np.array([10.0, 12.0, 2000.0, 11.0]))
    strip = Strip([line], ceiling=40.0, from_zero=True)
    assert strip.value_range == (0, 40)
    assert min(y for _, y in points(draw_strip(strip, SPAN), "each")) == 7


@pytest.mark.parametrize("value", [0.0, 800.0])
def test_a_constant_signal_has_a_range(value):
    """A still value is a line, and what is never negative gets no room below zero."""
    line = Line("stored", "stored", np.arange(3.0), np.full(3, value))
    low, high = Strip([line], smallest_range=20.0).value_range
    assert high - low >= 20
    assert low >= 0


def test_a_strip_without_values_is_still_a_strip():
    """Nothing stored: an empty picture, not an error."""
    line = Line("stored", "stored", np.array([]), np.array([]))
    ET.fromstring(draw_strip(Strip([line]), SPAN))
    ET.fromstring(draw_strip(Strip([]), SPAN))


def test_bars_are_named_where_there_is_room():
    """A long phase has its name inside, a short fault beside it, a sliver in its tooltip alone."""
    phases = [Band(0, 30, "cruise"), Band(30, 30.1, "short")]
    faults = [Band(10, 10.2, "drop"), Band(10.4, 10.5, "garbage"), Band(59, 59.9, "unplugged")]
    svg = draw_lanes([Lane("phase", "phase", phases), Lane("obd", "fault", faults)], SPAN)
    names = texts(svg)
    assert "cruise" in names
    assert "short" not in names
    assert "garbage" in names
    assert "unplugged" in names
    assert "<title>short</title>" in svg


def test_a_map_has_one_scale_for_both_directions():
    """A square of a kilometre is a square on the paper."""
    east = np.array([0.0, 1000, 1000, 0, 0])
    north = np.array([0.0, 0, 1000, 1000, 0])
    drawn = points(draw_map(LocalTrack(east, north), LocalTrack(east, north), 2), "truth")
    xs, ys = zip(*drawn, strict=True)
    assert max(xs) - min(xs) == pytest.approx(max(ys) - min(ys), abs=0.3)
    assert drawn[0][1] > drawn[2][1]  # north is up


def test_a_map_of_one_place_is_drawn():
    """A car that stands still has a map too."""
    here = LocalTrack(np.zeros(50), np.zeros(50))
    svg = draw_map(here, here)
    assert {"start", "end"} <= set(texts(svg))
    empty = LocalTrack(np.array([]), np.array([]))
    ET.fromstring(draw_map(empty, here))


def test_a_map_has_few_dots():
    """Laps over the same road are not drawn again and again."""
    angle = np.linspace(0, 200 * np.pi, 100_000)
    lap = LocalTrack(1000 * np.cos(angle), 600 * np.sin(angle))
    assert len(draw_map(lap, lap)) < 120_000


def test_a_histogram_names_its_limits():
    """Bars, an axis with the unit, and the limit's name inside the picture."""
    values = np.random.default_rng(1).normal(20, 2, 1000)
    svg = draw_histogram(values, [Mark(30.0, "p95 ≤ 30")], "ms", "x", width=400.0)
    assert "p95 ≤ 30" in texts(svg)
    assert any(text.endswith(" ms") for text in texts(svg))
    ET.fromstring(draw_histogram(np.array([5.0]), [], "ms", "x", width=400.0))
    ET.fromstring(draw_histogram(np.zeros(3), [], "m", "x", width=400.0))
