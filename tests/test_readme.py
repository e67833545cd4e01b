"""The README tells the truth: its example is a scenario, its commands and links exist."""

from __future__ import annotations

import re
import shlex
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from rig.scenario import expand_scenario

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_example_scenario_loads(tmp_path: Path) -> None:
    """The YAML of the README is a scenario that the loader accepts."""
    blocks = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 1
    path = tmp_path / "readme.scenario.yaml"
    path.write_text(blocks[0], encoding="utf-8")
    (scenario,) = expand_scenario(path)
    assert scenario.duration_s == 330.0
    assert [limit.name for limit in scenario.limits]


def test_every_command_of_the_table_exists() -> None:
    """Each `telerig …` of the README names an installed command and files that are there."""
    known = {point.name for point in entry_points(group="telerig.commands")}
    commands = re.findall(r"`telerig ([^`]*)`", README)
    assert commands
    for command in commands:
        name, *words = shlex.split(command)
        assert name.startswith("-") or name == "COMMAND" or name in known, command
        for word in words:
            if word.endswith(".scenario.yaml"):
                assert (ROOT / word).is_file(), command


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_every_link_leads_to_a_file(target: str) -> None:
    """No link of the README is dead."""
    assert (ROOT / target).is_file()


def test_the_set_up_commands_are_those_of_tox() -> None:
    """The two commands name tox environments that exist."""
    tox = (ROOT / "tox.ini").read_text(encoding="utf-8")
    for name in re.findall(r"tox -e (\w+)", README):
        assert f"[testenv:{name}]" in tox
