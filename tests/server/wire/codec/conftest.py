"""A profile that is trained once for all tests of the codec."""

from __future__ import annotations

import pytest

from server.training.learning import train
from server.wire.codec.profile import Profile
from tests.server.wire.codec.drives import drive, plan


@pytest.fixture(scope="session")
def trained() -> Profile:
    """A profile of the five signals of `drives.drive`."""
    return train([drive(3000, seed=7)], plan(5, minimum=0, maximum=8000), period_ms=100)
