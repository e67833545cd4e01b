"""The project's own list of skips that CI allows is neither too wide nor stale."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
OPTIONS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]
ALLOWED = OPTIONS["ini_options"]["rig_allowed_skips"]
SOURCES = "\n".join(
    path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "tests").rglob("*.py"))
    if path != Path(__file__)
)


@pytest.mark.parametrize("pattern", ALLOWED)
def test_each_reason_is_one_that_a_test_gives(pattern: str) -> None:
    """The words of each pattern stand in some test: one whose test has gone is taken off."""
    words = [part for part in re.split(r"[\^$()|]|\.\*", pattern) if part.strip()]
    # A reason may be put together from a constant: `f"{PYTHONS} names no other interpreter"`.
    for part in words:
        assert part.strip() in SOURCES or part.partition(" ")[2].strip() in SOURCES, part


@pytest.mark.parametrize(
    "reason",
    [
        "no time today",
        "python-OBD (extra obd) is not installed",
        "could not import 'obd': No module named 'obd'",
        "this needs root and more",
        "no limit of idle.scenario.yaml can be judged in virtual mode",
    ],
)
def test_other_reasons_are_not_allowed(reason: str) -> None:
    """What CI must have, and reasons that nobody thought of, are not on the list."""
    assert not any(re.search(pattern, reason) for pattern in ALLOWED)
