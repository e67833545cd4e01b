"""Fixtures: one runner for all tests, workers that can be broken, and short shipped scenarios."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from rig.runner.runner import Runner
from rig.scenario import expand_scenario
from rig.scenario.model import Scenario

SHIPPED = Path(__file__).parents[2] / "scenarios"


@pytest.fixture(scope="session")
def mutations() -> Iterator[None]:
    """Let workers import `mutations`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        yield


@pytest.fixture(scope="session")
def runner(mutations: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """A runner for all tests: one database server."""
    with Runner(tmp_path_factory.mktemp("runs")) as runner:
        yield runner


@pytest.fixture
def shortened(tmp_path: Path) -> Callable[[str, Mapping[str, str]], Scenario]:
    """Return `shorten(name, cuts)`: the first variant of a shipped scenario, cut short.

    `cuts` says what replaces what in the file's text. Each text must be there once, and only times
    may change: the limits stay the shipped ones.
    """

    def shorten(name: str, cuts: Mapping[str, str]) -> Scenario:
        shipped = SHIPPED / f"{name}.scenario.yaml"
        text = shipped.read_text(encoding="utf-8")
        for old, new in cuts.items():
            assert text.count(old) == 1, f"{shipped.name}: expected {old!r} once: cut it elsewhere"
            text = text.replace(old, new)
        copy = tmp_path / shipped.name
        copy.write_text(text, encoding="utf-8")
        long, short = expand_scenario(shipped)[0], expand_scenario(copy)[0]
        assert (short.limits, short.after) == (long.limits, long.after)
        assert (short.world, short.gateway) == (long.world, long.gateway)
        return short

    return shorten
