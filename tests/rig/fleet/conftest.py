"""Fixtures: an empty database, models that are quickly made."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import pytest

from rig.fleet.build import models_of
from rig.fleet.spec import FleetSpec
from server.store.embedded import EmbeddedPostgres
from sim.fleet.packets import Model

_numbers = itertools.count(1)


@pytest.fixture
def database_url(server: EmbeddedPostgres) -> Iterator[str]:
    """A database without a table."""
    name = f"fleet_{next(_numbers)}"
    yield server.create_database(name)
    server.drop_database(name)


@pytest.fixture(scope="session")
def quick_spec() -> FleetSpec:
    """Twelve vehicles in a hurry: a packet each half second, a boot each three seconds."""
    return FleetSpec(vehicles=12, rate_hz=20.0, signals=6, batch_s=0.5, models=2, lap_s=3.0)


@pytest.fixture(scope="session")
def quick_models(quick_spec: FleetSpec) -> Sequence[Model]:
    """Its drives."""
    return models_of(quick_spec, 1)
