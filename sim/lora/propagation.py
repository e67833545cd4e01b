"""How much a signal loses between two antennas: distance, heights, and what stands in between."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Protocol

SPEED_OF_LIGHT_M_S = 299_792_458.0
LEAST_DISTANCE_M = 1.0  # nearer antennas are coupled, not far away
WAVES = 24  # of a shadowing field; its values are then normal within what a run can tell


@dataclass(frozen=True, slots=True)
class Place:
    """Where an antenna is: metres east and north of the world's origin, and above ground."""

    x_m: float
    y_m: float
    height_m: float = 1.5


def distance_m(a: Place, b: Place) -> float:
    """Give the way between two antennas through the air."""
    return math.sqrt((a.x_m - b.x_m) ** 2 + (a.y_m - b.y_m) ** 2 + (a.height_m - b.height_m) ** 2)


class PathLoss(Protocol):
    """The mean loss between two places, in decibels; the same both ways."""

    def __call__(self, a: Place, b: Place) -> float: ...


@dataclass(frozen=True, slots=True)
class FixedLoss:
    """The same loss everywhere: a bench with attenuators."""

    loss_db: float

    def __call__(self, a: Place, b: Place) -> float:
        """Give the loss."""
        return self.loss_db


class LogDistance:
    """Free space up to `reference_m`, then `exponent` times ten decibels per decade."""

    def __init__(
        self, frequency_mhz: float, *, exponent: float = 2.9, reference_m: float = 10.0
    ) -> None:
        self._slope = 10.0 * exponent
        self._reference_m = reference_m
        self._at_reference_db = free_space_db(reference_m, frequency_mhz)

    def __call__(self, a: Place, b: Place) -> float:
        """Give the mean loss in decibels."""
        way_m = max(distance_m(a, b), LEAST_DISTANCE_M)
        return self._at_reference_db + self._slope * math.log10(way_m / self._reference_m)


class TwoRay:
    """Direct ray and ground reflection: 20 dB per decade up to the break point, 40 beyond it.

    The break point 4 h1 h2 / wavelength is where the first Fresnel zone touches the ground; that
    is what the height of an antenna is worth. `clutter_db` is what houses and trees cost on top,
    in full from `clutter_full_m` on and in proportion before.
    """

    def __init__(
        self, frequency_mhz: float, *, clutter_db: float = 20.0, clutter_full_m: float = 500.0
    ) -> None:
        self._frequency_mhz = frequency_mhz
        self._wavelength_m = SPEED_OF_LIGHT_M_S / (frequency_mhz * 1e6)
        self._clutter_db = clutter_db
        self._clutter_full_m = clutter_full_m

    def __call__(self, a: Place, b: Place) -> float:
        """Give the mean loss in decibels."""
        way_m = max(distance_m(a, b), LEAST_DISTANCE_M)
        heights_m2 = max(a.height_m, 0.5) * max(b.height_m, 0.5)
        break_m = max(4.0 * heights_m2 / self._wavelength_m, LEAST_DISTANCE_M)
        loss_db = free_space_db(way_m, self._frequency_mhz)
        if way_m > break_m:
            loss_db += 20.0 * math.log10(way_m / break_m)
        return loss_db + self._clutter_db * min(1.0, way_m / self._clutter_full_m)


def free_space_db(way_m: float, frequency_mhz: float) -> float:
    """Give Friis' loss between isotropic antennas."""
    return 20.0 * math.log10(4.0 * math.pi * way_m * frequency_mhz * 1e6 / SPEED_OF_LIGHT_M_S)


class ShadowField:
    """A random field over the plane: mean 0, deviation 1, correlation exp(-distance / d).

    A sum of plane waves whose wave numbers follow the spectrum of Gudmundson's model (Electronics
    Letters 27, 1991; sum of sinusoids: Cai and Giannakis, IEEE TVT 52, 2003). The value is a
    function of the place alone, so neither the order nor the number of questions matters.
    """

    __slots__ = ("_scale", "_waves")

    def __init__(self, stream: random.Random, decorrelation_m: float) -> None:
        self._waves = []
        for _ in range(WAVES):
            # The radial spectrum k d^2 / (1 + k^2 d^2)^1.5, inverted.
            tail = 1.0 - stream.random() * 0.999
            k = math.sqrt(1.0 / (tail * tail) - 1.0) / decorrelation_m
            direction = stream.random() * 2.0 * math.pi
            phase = stream.random() * 2.0 * math.pi
            self._waves.append((k * math.cos(direction), k * math.sin(direction), phase))
        self._scale = math.sqrt(2.0 / WAVES)

    def at(self, x_m: float, y_m: float) -> float:
        """Give the value at a point."""
        cos = math.cos
        total = 0.0
        for kx, ky, phase in self._waves:
            total += cos(kx * x_m + ky * y_m + phase)
        return self._scale * total


class Shadowing:
    """Log-normal shadowing of every link, correlated along the way of whoever moves.

    A link between fixed antennas has one value. Where one end moves the link has a field over that
    end's places; where both move each end contributes half of the variance.
    """

    def __init__(
        self, seed: int, *, deviation_db: float = 6.0, decorrelation_m: float = 50.0
    ) -> None:
        self._seed = seed
        self.deviation_db = deviation_db
        self._decorrelation_m = decorrelation_m
        self._fields: dict[tuple[int, int, int], ShadowField] = {}
        self._fixed: dict[tuple[int, int], float] = {}

    def loss_db(self, a: int, place_a: Place | None, b: int, place_b: Place | None) -> float:
        """Give what a link loses on top; the place of an end that never moves is None."""
        if not self.deviation_db:
            return 0.0
        if a > b:
            a, place_a, b, place_b = b, place_b, a, place_a
        if place_a is None and place_b is None:
            return self.deviation_db * self._fixed_value(a, b)
        total = 0.0
        for end, place in ((a, place_a), (b, place_b)):
            if place is not None:
                total += self._field(a, b, end).at(place.x_m, place.y_m)
        if place_a is not None and place_b is not None:
            total *= math.sqrt(0.5)
        return self.deviation_db * total

    def _fixed_value(self, a: int, b: int) -> float:
        value = self._fixed.get((a, b))
        if value is None:
            value = random.Random(f"{self._seed}/{a}/{b}").gauss(0.0, 1.0)
            self._fixed[a, b] = value
        return value

    def _field(self, a: int, b: int, end: int) -> ShadowField:
        field = self._fields.get((a, b, end))
        if field is None:
            stream = random.Random(f"{self._seed}/{a}/{b}/{end}")
            field = self._fields[a, b, end] = ShadowField(stream, self._decorrelation_m)
        return field
