"""Cars for the tests of the vehicle."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Protocol

import pytest

from sim.vehicle import FOCUS_ST, Ambient, Drive, Phase, Vehicle


class MakeCar(Protocol):
    """Builds a Focus ST on the given phases."""

    def __call__(
        self,
        *phases: Phase,
        seed: int = 1,
        ambient: Ambient | None = None,
        coolant_c: float | None = None,
        grade: Callable[[float], float] | None = None,
    ) -> Vehicle: ...


def _car(
    *phases: Phase,
    seed: int = 1,
    ambient: Ambient | None = None,
    coolant_c: float | None = None,
    grade: Callable[[float], float] | None = None,
) -> Vehicle:
    return Vehicle(FOCUS_ST, Drive(phases), random.Random(seed), ambient, coolant_c, grade)


@pytest.fixture(scope="session")
def make_car() -> MakeCar:
    """Builder of cars."""
    return _car
