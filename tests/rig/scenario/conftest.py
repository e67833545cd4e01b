"""Scenario files written for one test."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from rig.scenario import Scenario, ScenarioError, expand_scenario

Load = Callable[..., Scenario]
Refuse = Callable[..., ScenarioError]

HEAD = "rig: 1\nphases:\n  - {idle: 30 s}\n  - {cruise: {speed: 90 km/h, for: 2 min}}\n"
LIMITS = "limits:\n  readings.lost: {equals: 0}\n"


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that writes a file of the given text."""

    def write(text: str) -> Path:
        path = tmp_path / "one.scenario.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def load(write: Callable[[str], Path]) -> Load:
    """Return a function that loads a small scenario with the given sections added."""

    def load(more: str = "", *, head: str = HEAD, limits: str = LIMITS) -> Scenario:
        (scenario,) = expand_scenario(write(head + textwrap.dedent(more) + limits))
        return scenario

    return load


@pytest.fixture
def refuse(write: Callable[[str], Path]) -> Refuse:
    """Return a function that loads the same and returns the error that it must give."""

    def refuse(more: str = "", *, head: str = HEAD, limits: str = LIMITS) -> ScenarioError:
        with pytest.raises(ScenarioError) as caught:
            expand_scenario(write(head + textwrap.dedent(more) + limits))
        return caught.value

    return refuse
