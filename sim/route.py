"""Where the car is: a road as a curve in local metres, with height, and its place on the earth.

Covers: closed courses and open roads, recorded drives, heading and grade, the local tangent plane.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sim.courses import SHAPES, Course, Point

WGS84_AXIS_M = 6_378_137.0
WGS84_ECCENTRICITY_SQUARED = 6.69437999014e-3

RECORDED_SPACING_M = 5.0
RECORDED_STEP_M = 2.0  # closer positions of a recording are noise of a standing car
RECORDED_PARKED_M = 1_000.0  # length of the course of a car that stood all the time
RECORDED_GAP_M = 20_000.0  # a longer jump is null island, or another drive
RECORDED_HEIGHT_WINDOW_M = 120.0  # GNSS heights wander by metres; roads do not


class RouteError(ValueError):
    """A route was given points or a distance that it cannot work with."""


@dataclass(frozen=True, slots=True)
class Place:
    """A point of the road.

    Attributes:
        east_m, north_m: local metres from the route's origin.
        up_m: height above mean sea level in metres.
        heading_deg: direction of travel, 0-360 clockwise from north.
        grade: slope as rise over horizontal run, positive uphill.
    """

    east_m: float
    north_m: float
    up_m: float
    heading_deg: float
    grade: float


class Route:
    """A road of which every point is found by the distance driven.

    A closed route begins again at its end, for any distance in either direction. An open one goes
    on straight and level beyond its ends, so a drive may be longer than its road.

    Args:
        points: dense points (east, north, up) in metres, at least two different ones; a closed
            route does not repeat its first.
        origin: latitude and longitude in degrees of east 0, north 0, and a height in metres that is
            for information only (up_m is above sea level already).
        closed: True for a lap.
        name: for messages.
    """

    def __init__(
        self,
        points: Sequence[Point],
        origin: tuple[float, float, float],
        *,
        closed: bool = False,
        name: str = "route",
    ) -> None:
        nodes = _distinct(points, 1e-6)
        if closed and len(nodes) > 1 and math.dist(nodes[0], nodes[-1]) <= 1e-6:
            nodes.pop()
        if len(nodes) < 2 + closed:
            raise RouteError(
                f"{name}: expected at least {2 + closed} different points, got {len(nodes)}"
            )
        self.name = name
        self.origin = origin
        self.closed = closed
        self._directions, self._grades = _tangents(nodes, closed)
        if closed:
            nodes.append(nodes[0])
            turn = _turn(self._directions[-1], self._directions[0])
            self._directions.append(self._directions[-1] + turn)
            self._grades.append(self._grades[0])
        self._nodes = nodes
        self._distances_m = _arc_lengths(nodes)
        self._metres_per_degree = _metres_per_degree(origin[0])

    @classmethod
    def through(
        cls,
        points: Sequence[Point],
        origin: tuple[float, float, float],
        *,
        closed: bool = False,
        spacing_m: float = 2.0,
        length_m: float | None = None,
        name: str = "route",
    ) -> Route:
        """Return a smooth curve (centripetal Catmull-Rom) through control points.

        With `length_m` the shape is scaled in the plane, not in height, until its arc is that long.
        """
        dense = _catmull_rom(points, closed, spacing_m)
        route = cls(dense, origin, closed=closed, name=name)
        if length_m is None:
            return route
        # Heights are not scaled, so two rounds are needed where there are hills.
        for _ in range(3):
            factor = length_m / route.length_m
            dense = [(e * factor, n * factor, u) for e, n, u in dense]
            route = cls(dense, origin, closed=closed, name=name)
        return route

    @classmethod
    def from_positions(
        cls, positions: Sequence[tuple[float, float, float]], name: str = "recorded"
    ) -> Route:
        """Return an open route along recorded (latitude deg, longitude deg, altitude m).

        Positions closer than 2 m to the last one are left out, heights are averaged over 120 m:
        without that a standing car would turn on the spot and drive over walls. One that never
        left its place has a straight course north. RouteError names
        the first position that is no place, or is over 20 km from the one before.
        """
        if not positions:
            raise RouteError(f"{name}: expected at least 2 different points, got 0")
        for number, position in enumerate(positions, 1):
            if not all(map(math.isfinite, position)) or abs(position[0]) > 90.0:
                raise RouteError(
                    f"{name}: expected latitude, longitude and altitude, got {position} "
                    f"as position {number}"
                )
        middle = (min(p[0] for p in positions) + max(p[0] for p in positions)) / 2.0
        origin = (middle, positions[0][1], positions[0][2])
        north_scale, east_scale = _metres_per_degree(middle)
        local = [
            (
                math.remainder(lon_deg - origin[1], 360.0) * east_scale,
                (lat_deg - middle) * north_scale,
                alt_m,
            )
            for lat_deg, lon_deg, alt_m in positions
        ]
        for number, (before, after) in enumerate(pairwise(local), 2):
            if math.dist(before, after) > RECORDED_GAP_M:
                raise RouteError(
                    f"{name}: expected steps of at most {RECORDED_GAP_M / 1000.0:g} km, "
                    f"got {math.dist(before, after) / 1000.0:.0f} km before position {number} "
                    f"{positions[number - 1]}: leave out positions without a fix"
                )
        points = _distinct(local, RECORDED_STEP_M)
        if len(points) == 1:  # parked: the speeds keep the car where it stands
            east_m, north_m, up_m = points[0]
            points.append((east_m, north_m + RECORDED_PARKED_M, up_m))
        for _ in range(2):  # twice an average is a triangle, which leaves no kinks
            points = _smooth_heights(points, RECORDED_HEIGHT_WINDOW_M)
        return cls.through(points, origin, spacing_m=RECORDED_SPACING_M, name=name)

    @property
    def length_m(self) -> float:
        """Arc length in metres, hills included; of one lap where the route is closed."""
        return self._distances_m[-1]

    def at(self, distance_m: float) -> Place:
        """Return the place after `distance_m` metres of driving (any finite number)."""
        if not math.isfinite(distance_m):
            raise RouteError(f"{self.name}: expected a finite distance in metres, got {distance_m}")
        distances_m = self._distances_m
        length_m = distances_m[-1]
        if self.closed:
            distance_m %= length_m
        elif not 0.0 <= distance_m <= length_m:
            return self._beyond(distance_m)
        index = min(bisect_right(distances_m, distance_m), len(distances_m) - 1) - 1
        start_m = distances_m[index]
        share = (distance_m - start_m) / (distances_m[index + 1] - start_m)
        e0, n0, u0 = self._nodes[index]
        e1, n1, u1 = self._nodes[index + 1]
        direction = self._directions[index]
        grade = self._grades[index]
        return Place(
            e0 + (e1 - e0) * share,
            n0 + (n1 - n0) * share,
            u0 + (u1 - u0) * share,
            math.degrees(direction + (self._directions[index + 1] - direction) * share) % 360.0,
            grade + (self._grades[index + 1] - grade) * share,
        )

    def _beyond(self, distance_m: float) -> Place:
        last = distance_m > 0.0
        index = -1 if last else 0
        over_m = distance_m - self.length_m if last else distance_m
        east_m, north_m, up_m = self._nodes[index]
        direction = self._directions[index]
        return Place(
            east_m + over_m * math.sin(direction),
            north_m + over_m * math.cos(direction),
            up_m,
            math.degrees(direction) % 360.0,
            0.0,
        )

    def to_geodetic(self, place: Place) -> tuple[float, float, float]:
        """Return (latitude deg, longitude deg, metres above sea level) of a place.

        Local tangent plane with the WGS84 radii at the origin: lengths are right to 0.1 % within
        6 km north or south of it at middle latitudes.
        """
        north_scale, east_scale = self._metres_per_degree
        lon_deg = self.origin[1] + place.east_m / east_scale
        return (
            self.origin[0] + place.north_m / north_scale,
            lon_deg if -180.0 <= lon_deg <= 180.0 else math.remainder(lon_deg, 360.0),
            place.up_m,
        )

    def to_local(self, lat_deg: float, lon_deg: float) -> tuple[float, float]:
        """Return (east, north) in metres: the inverse of `to_geodetic`."""
        north_scale, east_scale = self._metres_per_degree
        return (
            math.remainder(lon_deg - self.origin[1], 360.0) * east_scale,
            (lat_deg - self.origin[0]) * north_scale,
        )


def _metres_per_degree(lat_deg: float) -> tuple[float, float]:
    """Return metres per degree of latitude and of longitude on the WGS84 ellipsoid."""
    lat = math.radians(lat_deg)
    root = math.sqrt(1.0 - WGS84_ECCENTRICITY_SQUARED * math.sin(lat) ** 2)
    meridian_m = WGS84_AXIS_M * (1.0 - WGS84_ECCENTRICITY_SQUARED) / root**3
    across_m = WGS84_AXIS_M / root * max(1e-6, math.cos(lat))  # a pole has no east
    return math.radians(meridian_m), math.radians(across_m)


def _distinct(points: Sequence[Point], least_m: float) -> list[Point]:
    out: list[Point] = []
    for point in points:
        if not out or math.dist(out[-1], point) > least_m:
            out.append(point)
    return out


def _arc_lengths(nodes: Sequence[Point]) -> list[float]:
    total_m, out = 0.0, [0.0]
    for before, after in pairwise(nodes):
        total_m += math.dist(before, after)
        out.append(total_m)
    return out


def _turn(from_rad: float, to_rad: float) -> float:
    """Return the smaller turn from one direction to another, -pi to pi."""
    return math.remainder(to_rad - from_rad, math.tau)


def _tangents(nodes: Sequence[Point], closed: bool) -> tuple[list[float], list[float]]:
    """Return direction in radians (continuous, not wrapped) and grade at each node."""
    directions: list[float] = []
    grades: list[float] = []
    last = len(nodes) - 1
    for index, node in enumerate(nodes):
        before = nodes[index - 1] if index or closed else node
        after = nodes[index + 1] if index < last else nodes[0] if closed else node
        east_m, north_m = after[0] - before[0], after[1] - before[1]
        run_m = math.hypot(east_m, north_m)
        direction = math.atan2(east_m, north_m)
        if directions:
            # A point on the spot (a vertical step, a reversal) keeps the direction.
            turn = _turn(directions[-1], direction) if run_m > 1e-9 else 0.0
            direction = directions[-1] + turn
        directions.append(direction)
        grades.append((after[2] - before[2]) / run_m if run_m > 1e-9 else 0.0)
    return directions, grades


def _smooth_heights(points: Sequence[Point], window_m: float) -> list[Point]:
    """Return the points with heights averaged over a window of arc length."""
    distances_m = _arc_lengths([(e, n, 0.0) for e, n, _ in points])
    sums = [0.0]
    for point in points:
        sums.append(sums[-1] + point[2])
    out = []
    low = high = 0
    for index, (e, n, _) in enumerate(points):
        centre_m = distances_m[index]
        while distances_m[low] < centre_m - window_m / 2.0:
            low += 1
        while high < len(points) and distances_m[high] <= centre_m + window_m / 2.0:
            high += 1
        out.append((e, n, (sums[high] - sums[low]) / (high - low)))
    return out


def _catmull_rom(points: Sequence[Point], closed: bool, spacing_m: float) -> list[Point]:
    """Return points about `spacing_m` apart on a centripetal Catmull-Rom spline.

    Centripetal, because it neither loops nor overshoots where control points stand unevenly
    (Yuksel, Schaefer and Keyser 2011).
    """
    controls = _distinct(points, 1e-3)
    count = len(controls)
    if count < 2:
        return list(controls)
    dense: list[Point] = []
    for index in range(count if closed else count - 1):
        p1, p2 = controls[index], controls[(index + 1) % count]
        p0 = controls[index - 1] if index or closed else _mirrored(p1, p2)
        p3 = controls[(index + 2) % count] if closed or index + 2 < count else _mirrored(p2, p1)
        dense.extend(_segment(p0, p1, p2, p3, spacing_m))
    if not closed:
        dense.append(controls[-1])
    return dense


def _mirrored(at: Point, other: Point) -> Point:
    return (2 * at[0] - other[0], 2 * at[1] - other[1], 2 * at[2] - other[2])


def _segment(p0: Point, p1: Point, p2: Point, p3: Point, spacing_m: float) -> Iterator[Point]:
    """Yield the spline from p1 up to, not including, p2."""
    t01 = math.sqrt(math.dist(p0, p1)) or 1e-3
    t12 = math.sqrt(math.dist(p1, p2)) or 1e-3
    t23 = math.sqrt(math.dist(p2, p3)) or 1e-3
    starts, ends = [], []
    for a, b, c, d in zip(p0, p1, p2, p3, strict=True):
        starts.append(t12 * ((b - a) / t01 - (c - a) / (t01 + t12) + (c - b) / t12))
        ends.append(t12 * ((c - b) / t12 - (d - b) / (t12 + t23) + (d - c) / t23))
    pieces = max(1, math.ceil(math.dist(p1, p2) / spacing_m))
    for piece in range(pieces):
        t = piece / pieces
        h00, h10 = (1 + 2 * t) * (1 - t) ** 2, t * (1 - t) ** 2
        h01, h11 = t * t * (3 - 2 * t), t * t * (t - 1)
        e, n, u = (
            h00 * b + h10 * s + h01 * c + h11 * z
            for b, s, c, z in zip(p1, starts, p2, ends, strict=True)
        )
        yield (e, n, u)


def _draw(course: Course) -> Route:
    return Route.through(
        course.points,
        (*course.origin, course.points[0][2]),
        closed=course.closed,
        spacing_m=course.spacing_m,
        length_m=course.length_m,
        name=course.name,
    )


class _Courses(Mapping[str, Route]):
    """Draws a course when it is first asked for: the longest takes some tens of milliseconds."""

    def __init__(self) -> None:
        self._drawn: dict[str, Route] = {}

    def __getitem__(self, name: str) -> Route:
        if name not in self._drawn:
            self._drawn[name] = _draw(SHAPES[name])
        return self._drawn[name]

    def __iter__(self) -> Iterator[str]:
        return iter(SHAPES)

    def __len__(self) -> int:
        return len(SHAPES)


COURSES: Mapping[str, Route] = _Courses()
"""Built-in courses: "nordschleife" (closed, 20.832 km, an approximation), "city" (closed, 4 km),
"highway" (open, 150 km)."""
