"""Roads: smooth, measured along the curve, and at home on the earth."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.courses import SHAPES
from sim.route import COURSES, Place, Route, RouteError

ORIGIN = (50.0, 7.0, 0.0)
SQUARE = ((0.0, 0.0, 0.0), (100.0, 0.0, 10.0), (100.0, 100.0, 0.0), (0.0, 100.0, -10.0))
STRAIGHT = Route([(0.0, 0.0, 50.0), (0.0, 1000.0, 70.0)], ORIGIN)


def _apart_m(a: Place, b: Place) -> float:
    return math.dist((a.east_m, a.north_m, a.up_m), (b.east_m, b.north_m, b.up_m))


# -- the courses -------------------------------------------------------------------
def test_nordschleife_has_its_published_figures() -> None:
    """20.832 km a lap, 300 m of height, climbs up to 17 % and falls down to 16 %."""
    course = COURSES["nordschleife"]
    assert course.closed
    assert course.length_m == pytest.approx(20_832.0, abs=0.1)
    places = [course.at(float(metre)) for metre in range(0, 20_832, 5)]
    heights = [place.up_m for place in places]
    assert max(heights) - min(heights) == pytest.approx(300.0, abs=10.0)
    assert min(place.grade for place in places) > -0.16
    assert max(place.grade for place in places) < 0.17


def test_nordschleife_is_driven_clockwise_with_a_long_straight() -> None:
    """Headings turn once to the right in a lap; the straight is over 2 km long."""
    course = COURSES["nordschleife"]
    headings = [course.at(metre * 10.0).heading_deg for metre in range(2084)]
    turns = [math.remainder(b - a, 360.0) for a, b in pairwise(headings)]
    assert sum(turns) == pytest.approx(360.0, abs=15.0)
    straight = longest = 0
    for start, heading in enumerate(headings):
        straight = 0
        while (
            start + straight < len(headings)
            and abs(math.remainder(headings[start + straight] - heading, 360.0)) < 6.0
        ):
            straight += 1
        longest = max(longest, straight)
    assert longest * 10.0 > 2000.0


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_courses_are_smooth(name: str) -> None:
    """Ten centimetres on, the car is ten centimetres on, and turned by at most one degree."""
    course = COURSES[name]
    total_m = course.length_m
    for index in range(4000):
        distance_m = index * total_m / 4000.0
        here, there = course.at(distance_m), course.at(distance_m + 0.1)
        assert _apart_m(here, there) == pytest.approx(0.1, abs=0.002)
        turn_deg = math.remainder(there.heading_deg - here.heading_deg, 360.0)
        assert abs(turn_deg) < 1.0
        assert abs(there.grade - here.grade) < 0.01


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_heading_and_grade_are_those_of_the_curve(name: str) -> None:
    """The heading points to where the car is a metre later, the grade says how much higher."""
    course = COURSES[name]
    for index in range(500):
        distance_m = index * course.length_m / 501.0
        before, here, after = (course.at(distance_m + off) for off in (-0.5, 0.0, 0.5))
        east_m, north_m = after.east_m - before.east_m, after.north_m - before.north_m
        heading_deg = math.degrees(math.atan2(east_m, north_m))
        assert abs(math.remainder(heading_deg - here.heading_deg, 360.0)) < 4.0
        grade = (after.up_m - before.up_m) / math.hypot(east_m, north_m)
        assert grade == pytest.approx(here.grade, abs=0.01)


def test_closed_courses_wrap_in_both_directions() -> None:
    """The place after any number of laps is the place, before the start as well."""
    for name in ("nordschleife", "city"):
        course = COURSES[name]
        for laps in (-2, 1, 40):
            there = course.at(123.4 + laps * course.length_m)
            assert _apart_m(course.at(123.4), there) < 1e-4
        assert _apart_m(course.at(0.0), course.at(course.length_m - 1e-6)) < 1e-4


def test_courses_can_be_listed_and_are_drawn_once() -> None:
    """The mapping knows its names without drawing, and hands out one object per name."""
    assert {"nordschleife", "city", "highway"} <= set(COURSES)
    assert len(COURSES) == len(list(COURSES))
    assert COURSES["city"] is COURSES["city"]
    with pytest.raises(KeyError):
        COURSES["spa"]


def test_highway_is_nearly_straight() -> None:
    """No bend under 3 km radius and no slope over 4 %: a car may do any legal speed."""
    course = COURSES["highway"]
    for index in range(1400):
        here, there = course.at(index * 100.0), course.at(index * 100.0 + 50.0)
        turn = math.radians(abs(math.remainder(there.heading_deg - here.heading_deg, 360.0)))
        assert turn < 50.0 / 3000.0
        assert abs(here.grade) < 0.04


# -- any route ---------------------------------------------------------------------
def test_distance_is_measured_along_the_slope() -> None:
    """On a 2 % climb 500 m of driving are half of the way, 10 m up."""
    place = STRAIGHT.at(STRAIGHT.length_m / 2.0)
    assert place == Place(0.0, 500.0, 60.0, 0.0, pytest.approx(0.02))
    assert STRAIGHT.length_m == pytest.approx(math.hypot(1000.0, 20.0))


def test_open_routes_go_on_straight_and_level() -> None:
    """Beyond its ends an open road keeps direction and height."""
    after = STRAIGHT.at(STRAIGHT.length_m + 100.0)
    assert (after.north_m, after.up_m, after.grade) == (pytest.approx(1100.0), 70.0, 0.0)
    before = STRAIGHT.at(-30.0)
    assert (before.north_m, before.up_m, before.heading_deg) == (-30.0, 50.0, 0.0)


def test_a_closed_square_turns_all_the_way() -> None:
    """A lap through four corners has continuous headings, the one over north included."""
    route = Route.through(SQUARE, ORIGIN, closed=True)
    for index in range(2000):
        here = route.at(index * route.length_m / 1000.0)
        there = route.at(index * route.length_m / 1000.0 + 0.2)
        assert abs(math.remainder(there.heading_deg - here.heading_deg, 360.0)) < 2.5


@given(st.floats(-1e7, 1e7))
def test_every_distance_has_a_place(distance_m: float) -> None:
    """Any finite distance is answered, in range, on closed and open routes."""
    for name in ("nordschleife", "highway"):
        place = COURSES[name].at(distance_m)
        assert 0.0 <= place.heading_deg < 360.0
        lat_deg, lon_deg, _ = COURSES[name].to_geodetic(place)
        assert math.isfinite(lat_deg)
        assert -180.0 <= lon_deg <= 180.0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_no_distance_no_place(bad: float) -> None:
    """A distance that is no number is refused with the route's name."""
    with pytest.raises(RouteError, match="nordschleife: expected a finite distance"):
        COURSES["nordschleife"].at(bad)


@pytest.mark.parametrize("points", [[], [(0, 0, 0)], [(1, 1, 1)] * 5])
def test_a_route_needs_two_points(points: list[tuple[float, float, float]]) -> None:
    """Too few different points are refused, however they come in."""
    with pytest.raises(RouteError, match=r"expected at least 2 different points, got [01]"):
        Route(points, ORIGIN)
    with pytest.raises(RouteError, match="at least 2 different points"):
        Route.through(points, ORIGIN)


def test_a_closed_route_may_repeat_its_first_point() -> None:
    """A lap that ends where it began is the same lap as without that point."""
    assert Route((*SQUARE, SQUARE[0]), ORIGIN, closed=True).length_m == pytest.approx(
        Route(SQUARE, ORIGIN, closed=True).length_m
    )


# -- the earth -----------------------------------------------------------------------
@given(st.floats(-20_000, 20_000), st.floats(-20_000, 20_000))
def test_local_and_geodetic_round_trip(east_m: float, north_m: float) -> None:
    """To the earth and back costs less than a micrometre."""
    course = COURSES["nordschleife"]
    lat_deg, lon_deg, _ = course.to_geodetic(Place(east_m, north_m, 0.0, 0.0, 0.0))
    assert course.to_local(lat_deg, lon_deg) == pytest.approx((east_m, north_m), abs=1e-6)


def test_metres_per_degree_are_those_of_wgs84() -> None:
    """One degree at 45 degrees north is 111,132 m of latitude and 78,847 m of longitude."""
    route = Route([(0, 0, 0), (1, 0, 0)], (45.0, 0.0, 0.0))
    east_m, north_m = route.to_local(46.0, 1.0)
    assert north_m == pytest.approx(111_132.0, abs=1.0)
    assert east_m == pytest.approx(78_847.0, abs=1.0)


def test_the_date_line_is_no_border() -> None:
    """A road over 180 degrees east goes on at -180."""
    route = Route([(0, 0, 0), (5000, 0, 0)], (0.0, 179.99, 0.0))
    _, lon_deg, _ = route.to_geodetic(route.at(4000.0))
    assert -180.0 < lon_deg < -179.9
    assert route.to_local(0.0, lon_deg)[0] == pytest.approx(4000.0)


# -- recorded drives ---------------------------------------------------------------------
def _recorded(count: int = 60) -> list[tuple[float, float, float]]:
    """A quarter circle of 1 km radius, one position each 26 m, heights that jump by 3 m."""
    out = []
    for index in range(count):
        angle = math.pi / 2 * index / (count - 1)
        north_m, east_m = 1000.0 * math.sin(angle), 1000.0 * (1.0 - math.cos(angle))
        out.append(
            (48.0 + north_m / 111_200.0, 11.0 + east_m / 74_500.0, 500.0 + 3.0 * (index % 2))
        )
    return out


def test_a_recorded_drive_becomes_a_route() -> None:
    """It has the arc's length, starts and ends where the recording does, and is open."""
    positions = _recorded()
    route = Route.from_positions(positions)
    assert not route.closed
    assert route.length_m == pytest.approx(math.pi / 2 * 1000.0, rel=0.005)
    for distance_m, position in ((0.0, positions[0]), (route.length_m, positions[-1])):
        lat_deg, lon_deg, _ = route.to_geodetic(route.at(distance_m))
        assert (lat_deg, lon_deg) == pytest.approx(position[:2], abs=1e-9)
    assert route.at(route.length_m / 2).heading_deg == pytest.approx(45.0, abs=2.0)


def test_recorded_heights_are_smoothed() -> None:
    """Heights that jump by 3 m each 26 m (11 %) leave slopes of less than 2.5 %."""
    route = Route.from_positions(_recorded())
    steepest = max(abs(route.at(m * 5.0).grade) for m in range(10, 300))
    assert steepest < 0.025


def test_a_standing_car_does_not_lengthen_the_road() -> None:
    """A minute of positions within half a metre adds nothing."""
    positions = _recorded()
    lat_deg, lon_deg, alt_m = positions[30]
    standing = [(lat_deg + (i % 3) * 2e-6, lon_deg + (i % 5) * 1e-6, alt_m) for i in range(60)]
    route = Route.from_positions([*positions[:30], *standing, *positions[30:]])
    assert route.length_m == pytest.approx(Route.from_positions(positions).length_m, rel=0.003)


@pytest.mark.parametrize(
    ("positions", "words"),
    [
        ([], "got 0"),
        ([(50.0, 7.0, 0.0), (math.nan, 7.0, 0.0)], "as position 2"),
        ([(50.0, 7.0, 0.0), (95.0, 7.0, 0.0)], "as position 2"),
        ([(50.0, 7.0, 0.0), (50.0, 7.1, 0.0), (0.0, 0.0, 0.0)], "before position 3"),
    ],
)
def test_wrong_recordings_are_refused(
    positions: list[tuple[float, float, float]], words: str
) -> None:
    """The message names the recording and the position that is wrong."""
    with pytest.raises(RouteError, match=words):
        Route.from_positions(positions)


def test_a_car_that_stood_all_the_time_has_a_course() -> None:
    """It stands where the recording says, with a straight road north before it."""
    route = Route.from_positions([(50.0, 7.0, 120.0), (50.000001, 7.0, 121.0)] * 5)
    assert route.origin[:2] == pytest.approx((50.0, 7.0), abs=1e-5)
    place = route.at(0.0)
    assert (place.east_m, place.heading_deg, place.grade) == pytest.approx((0.0, 0.0, 0.0))
    assert place.up_m == pytest.approx(120.0, abs=1.0)


POSITIONS = st.tuples(st.floats(-89.0, 89.0), st.floats(-180.0, 180.0), st.floats(-400.0, 9000.0))


@given(st.lists(POSITIONS, min_size=2, max_size=6))
def test_any_recording_gives_a_route_or_an_error(
    positions: list[tuple[float, float, float]],
) -> None:
    """Jumps of kilometres are a strange road and still a road; longer ones are refused."""
    near = [(p[0] / 700.0, p[1] / 700.0, p[2]) for p in positions]
    try:
        route = Route.from_positions(near)
    except RouteError:
        return
    for share in (0.0, 0.3, 1.0, 1.5):
        place = route.at(route.length_m * share)
        assert math.isfinite(place.grade)
        assert math.isfinite(place.east_m + place.north_m + place.up_m)
