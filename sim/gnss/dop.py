"""Dilution of precision from the geometry of the satellites in use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

NO_DOP = 99.99  # what u-blox prints when there is no solution


@dataclass(frozen=True, slots=True)
class Dop:
    """Dilution of precision: metres of error per metre of ranging error, 0.3-99.99."""

    pdop: float
    hdop: float
    vdop: float


NO_GEOMETRY = Dop(NO_DOP, NO_DOP, NO_DOP)


def dop(directions: Sequence[tuple[float, float]]) -> Dop:
    """Return the DOPs of satellites given as (elevation, azimuth) in degrees.

    Four unknowns (east, north, up, clock), equal weights: trace parts of (G^T G)^-1, as in Kaplan &
    Hegarty, Understanding GPS, ch. 7. Fewer than four satellites or a singular geometry give 99.99.
    """
    if len(directions) < 4:
        return NO_GEOMETRY
    ee = en = eu = nn = nu = uu = e1 = n1 = u1 = 0.0
    for elevation_deg, azimuth_deg in directions:
        elevation, azimuth = math.radians(elevation_deg), math.radians(azimuth_deg)
        flat = math.cos(elevation)
        e, n, u = flat * math.sin(azimuth), flat * math.cos(azimuth), math.sin(elevation)
        ee += e * e
        en += e * n
        eu += e * u
        nn += n * n
        nu += n * u
        uu += u * u
        e1 += e
        n1 += n
        u1 += u
    count = len(directions)
    # The clock is eliminated first (Schur complement): what is left is 3 x 3.
    return _from_information(
        ee - e1 * e1 / count,
        en - e1 * n1 / count,
        eu - e1 * u1 / count,
        nn - n1 * n1 / count,
        nu - n1 * u1 / count,
        uu - u1 * u1 / count,
    )


def dop_shares(directions: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """Return the dilutions of precision of north, east and time, which NMEA does not tell.

    From the same matrix as `dop`; 99.99 each where that has none.
    """
    if dop(directions) == NO_GEOMETRY:
        return NO_DOP, NO_DOP, NO_DOP
    rows = []
    for elevation_deg, azimuth_deg in directions:
        elevation, azimuth = math.radians(elevation_deg), math.radians(azimuth_deg)
        flat = math.cos(elevation)
        rows.append((flat * math.sin(azimuth), flat * math.cos(azimuth), math.sin(elevation), 1.0))
    normal = [[sum(row[i] * row[j] for row in rows) for j in range(4)] for i in range(4)]
    east, north, _, time = (math.sqrt(_inverse_diagonal(normal, axis)) for axis in range(4))
    return north, east, time


def _inverse_diagonal(matrix: list[list[float]], axis: int) -> float:
    """Return a diagonal element of the inverse: 1 over what elimination of the others leaves."""
    order = [index for index in range(len(matrix)) if index != axis] + [axis]
    work = [[matrix[i][j] for j in order] for i in order]
    for pivot in range(len(work) - 1):
        for row in range(pivot + 1, len(work)):
            factor = work[row][pivot] / work[pivot][pivot]
            for column in range(pivot, len(work)):
                work[row][column] -= factor * work[pivot][column]
    return 1.0 / work[-1][-1]


def _from_information(a: float, b: float, c: float, d: float, e: float, f: float) -> Dop:
    """Return the DOPs of the symmetric information matrix [[a b c], [b d e], [c e f]]."""
    east = d * f - e * e
    north = a * f - c * c
    up = a * d - b * b
    determinant = a * east - b * (b * f - c * e) + c * (b * e - c * d)
    if determinant < 1e-9 or min(east, north, up) < 0.0:
        return NO_GEOMETRY
    horizontal = (east + north) / determinant
    vertical = up / determinant
    return Dop(
        min(NO_DOP, math.sqrt(horizontal + vertical)),
        min(NO_DOP, math.sqrt(horizontal)),
        min(NO_DOP, math.sqrt(vertical)),
    )
