"""The shapes of the built-in courses, as control points in local metres.

Pure data: `sim.route` draws smooth curves through it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

Point = tuple[float, float, float]
"""East, north and height in metres; the height is above mean sea level."""


@dataclass(frozen=True, slots=True)
class Course:
    """Control points of a course.

    Attributes:
        name: key in COURSES.
        origin: latitude and longitude in degrees of east 0, north 0.
        points: in driving order; a closed course does not repeat its first point.
        closed: True for a lap.
        length_m: arc length that the shape is scaled to; None leaves it as it is.
        spacing_m: distance of the points of the drawn curve.
    """

    name: str
    origin: tuple[float, float]
    points: tuple[Point, ...]
    closed: bool
    length_m: float | None = None
    spacing_m: float = 2.0


# An approximation, drawn by hand from the published order, names, heights and turning directions
# of the corners: it has the lap length (20.832 km), the 300 m between Breidscheid and Hohe Acht,
# the straight of Doettinger Hoehe and a corner where each corner is. It is no survey: positions are
# up to some hundred metres off, and no lap time should be compared with a real one.
_NORDSCHLEIFE: tuple[Point, ...] = (
    (0, 0, 617),  # T13
    (-250, -130, 612),
    (-520, -200, 600),
    (-690, -120, 591),  # Hatzenbach
    (-820, -170, 584),
    (-940, -60, 577),
    (-1070, -90, 571),
    (-1200, -40, 565),  # Hocheichen
    (-1310, 80, 560),
    (-1500, 220, 556),  # Quiddelbacher Hoehe
    (-1630, 420, 562),
    (-1680, 640, 570),  # Flugplatz
    (-1740, 860, 566),
    (-1840, 1150, 556),  # Kottenborn
    (-1950, 1480, 545),  # Schwedenkreuz
    (-2010, 1700, 535),
    (-2130, 1870, 526),
    (-2110, 1985, 520),  # Aremberg
    (-1960, 2000, 508),
    (-1780, 2080, 485),
    (-1680, 2250, 457),  # Fuchsroehre
    (-1610, 2430, 428),
    (-1540, 2590, 430),
    (-1450, 2680, 446),
    (-1360, 2720, 455),  # Adenauer Forst
    (-1370, 2800, 457),
    (-1450, 2880, 455),
    (-1490, 3060, 445),  # Metzgesfeld
    (-1420, 3240, 434),
    (-1270, 3370, 421),
    (-1150, 3350, 411),  # Kallenhard
    (-1040, 3430, 400),
    (-940, 3560, 388),  # Spiegelkurve
    (-780, 3630, 371),
    (-680, 3700, 360),  # Wehrseifen
    (-700, 3810, 349),
    (-590, 3900, 337),
    (-430, 3980, 322),  # Breidscheid
    (-300, 4060, 321),  # Ex-Muehle
    (-160, 4030, 334),
    (20, 4000, 347),  # Lauda-Links
    (210, 3980, 358),
    (300, 3890, 364),  # Bergwerk
    (420, 3810, 371),
    (700, 3790, 390),  # Kesselchen
    (1000, 3710, 411),
    (1300, 3640, 432),
    (1560, 3550, 450),
    (1780, 3480, 465),  # Mutkurve
    (1960, 3370, 478),  # Klostertal
    (2090, 3370, 487),
    (2180, 3470, 497),  # Steilstrecke
    (2320, 3600, 515),
    (2480, 3680, 531),
    (2640, 3690, 544),
    (2745, 3680, 551),  # Karussell
    (2790, 3730, 553),
    (2755, 3790, 556),
    (2730, 3880, 563),
    (2810, 4010, 577),
    (3000, 4080, 597),
    (3170, 4040, 611),  # Hohe Acht
    (3290, 3920, 616),
    (3400, 3790, 611),  # Hedwigshoehe
    (3530, 3690, 602),
    (3640, 3550, 592),  # Wippermann
    (3700, 3390, 578),
    (3820, 3260, 563),  # Eschbach
    (3800, 3090, 549),  # Bruennchen
    (3900, 2950, 548),
    (3960, 2790, 553),  # Eiskurve
    (3890, 2590, 545),
    (3820, 2420, 532),  # Pflanzgarten
    (3860, 2240, 524),
    (3930, 2080, 521),
    (3850, 1910, 519),  # Stefan-Bellof-S
    (3900, 1740, 521),
    (3960, 1590, 523),  # Schwalbenschwanz
    (3880, 1470, 525),
    (3760, 1450, 528),
    (3690, 1360, 532),
    (3630, 1230, 537),  # Galgenkopf
    (3490, 1110, 542),
    (3250, 1030, 546),  # Doettinger Hoehe
    (2800, 910, 549),
    (2350, 785, 554),
    (1900, 660, 564),
    (1450, 535, 580),
    (1000, 410, 597),
    (550, 265, 610),  # Antoniusbuche
    (250, 120, 616),
)


ARC_STEPS = 6
STRAIGHT_SHARE = 0.3  # of a street: where its straight part has certainly begun


def _rounded(corners: tuple[Point, ...], radius_m: float) -> tuple[Point, ...]:
    """Return control points of a closed polygon of right angles, its corners as quarter circles."""
    out: list[Point] = []
    for index, corner in enumerate(corners):
        back_e, back_n, back_u, back_m = _street(corner, corners[index - 1])
        on_e, on_n, on_u, on_m = _street(corner, corners[(index + 1) % len(corners)])
        out.append(_along(corner, (back_e, back_n, back_u), STRAIGHT_SHARE * back_m))
        for step in range(ARC_STEPS + 1):
            angle = math.pi / 2 * step / ARC_STEPS
            back_share = radius_m * (1.0 - math.sin(angle))
            on_share = radius_m * (1.0 - math.cos(angle))
            at = _along(corner, (back_e, back_n, back_u), back_share)
            out.append(_along(at, (on_e, on_n, on_u), on_share))
        out.append(_along(corner, (on_e, on_n, on_u), STRAIGHT_SHARE * on_m))
    return tuple(out)


def _street(start: Point, end: Point) -> tuple[float, float, float, float]:
    """Return east, north and height per metre from `start` to `end`, and the length in metres."""
    length_m = math.hypot(end[0] - start[0], end[1] - start[1])
    e, n, u = ((b - a) / length_m for a, b in zip(start, end, strict=True))
    return e, n, u, length_m


def _along(at: Point, direction: Point, length_m: float) -> Point:
    e, n, u = (a + d * length_m for a, d in zip(at, direction, strict=True))
    return e, n, u


# Streets of an invented quarter: right angles, blocks of 150-450 m, a bridge with a slope.
_CITY = _rounded(
    (
        (0, 0, 53),
        (0, 380, 55),
        (290, 380, 57),
        (290, 640, 61),
        (720, 640, 58),
        (720, 330, 54),
        (980, 330, 52),
        (980, -180, 49),
        (560, -180, 50),
        (560, -420, 51),
        (130, -420, 52),
        (130, -150, 53),
        (0, -150, 53),
    ),
    radius_m=12.0,
)


def _highway() -> tuple[Point, ...]:
    """Return 150 km towards the north-north-east: bends of 4 km radius and more, long 2 % hills."""
    points: list[Point] = []
    east_m = north_m = 0.0
    step_m = 250.0
    for index in range(601):
        along_m = index * step_m
        hills_m = 22.0 * math.sin(along_m / 1500.0) + 35.0 * math.sin(along_m / 9000.0 + 1.0)
        points.append((east_m, north_m, 120.0 + hills_m))
        bend_deg = 9.0 * math.sin(along_m / 2300.0) + 12.0 * math.sin(along_m / 12700.0)
        heading = math.radians(22.0 + bend_deg)
        east_m += step_m * math.sin(heading)
        north_m += step_m * math.cos(heading)
    return tuple(points)


SHAPES = {
    course.name: course
    for course in (
        Course("nordschleife", (50.3392, 6.9500), _NORDSCHLEIFE, True, length_m=20_832.0),
        Course("city", (50.9375, 6.9603), _CITY, True, spacing_m=1.0),
        Course("highway", (52.1000, 9.8000), _highway(), False, spacing_m=20.0),
    )
}
