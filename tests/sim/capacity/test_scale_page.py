"""docs/scale.md: its tables are those of the model, and what it names is there."""

from __future__ import annotations

import argparse
import re

import pytest

from rig.commands.capacity import COMMAND
from sim.capacity.tables import markdown
from tests.sim.capacity.scale_page import PAGE, TABLES, tables_of

TEXT = PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_what_the_model_gives_today(name: str) -> None:
    """A figure that was measured anew changes the page: python -m tests.sim.capacity.scale_page."""
    assert tables_of(TEXT)[name] == markdown(TABLES[name]())


def test_its_commands_are_commands() -> None:
    """Each `telerig capacity …` of the page is one that the command takes."""
    commands = re.findall(r"`telerig capacity ([^`]*)`", TEXT)
    assert commands
    for words in commands:
        parser = argparse.ArgumentParser()
        COMMAND.add_arguments(parser)
        parser.parse_args(words.split())


def test_the_page_names_what_is_there() -> None:
    """No table without a maker; files, links and keys exist."""
    assert set(tables_of(TEXT)) == set(TABLES)
    root = PAGE.parents[1]
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", TEXT):
        assert (PAGE.parent / target).exists(), target
    for path in re.findall(r"`((?:deploy|server|sim|tests)/[\w/.@-]+\w)`", TEXT):
        assert (root / path).exists(), path
