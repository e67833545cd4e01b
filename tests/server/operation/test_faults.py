"""A short form of `tests.benchmarks.faults`: kill -9 under load, and nothing is lost or doubled."""

from __future__ import annotations

import pytest

from tests.benchmarks.faults import kills


@pytest.mark.promise("O08")
async def test_killed_under_load() -> None:
    """A kill at a random moment: everything sent is stored, once."""
    outcome = await kills(1, count=2, seed=3)
    assert outcome.faults == 1
    assert outcome.sent == outcome.acknowledged > 0
    assert outcome.wrong == 0
