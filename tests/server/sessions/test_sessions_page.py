"""The page docs/sessions.md."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from server.api.decode import document_path
from server.app import declared
from server.sessions.cli import COMMAND

PAGE = Path(__file__).parents[3] / "docs" / "sessions.md"


async def test_commands_and_paths_are_there(run_gateway: Callable[..., Any]) -> None:
    """Each command of the page is understood, and each path is one of the API."""
    text = PAGE.read_text(encoding="utf-8")
    parser = argparse.ArgumentParser()
    COMMAND.add_arguments(parser)
    commands = re.findall(r"^telerig sessions.*$", text, re.MULTILINE)
    assert len(commands) >= 6
    for command in commands:
        words = shlex.split(command, comments=True)
        assert parser.parse_args(words[2:]) is not None
    async with run_gateway() as gateway:
        known = {document_path(one.path) for one in declared(gateway)}
    paths = set(re.findall(r"(/api/v1/[a-z/{}_]+)", text))
    assert len(paths) > 15
    assert paths <= known
