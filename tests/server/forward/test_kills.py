"""Both gateways as processes that are killed: a short run of tests/benchmarks/forward_kills.py."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.forward_kills import run


async def test_kills_lose_and_double_nothing(
    tmp_path: Path, database_url: str, far_url: str
) -> None:
    """A gateway is killed in the midst of it: what was acknowledged arrives, once."""
    tally = await run(tmp_path, database_url, far_url, 1, 4, life_s=0.4)
    assert tally.acknowledged > 0
    assert tally.there >= tally.acknowledged
    assert (tally.lost, tally.doubled, tally.different) == (0, 0, 0)
