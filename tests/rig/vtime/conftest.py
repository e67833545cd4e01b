"""One helper: run a small program in virtual time, in a process of its own.

Virtual time replaces clocks, locks and threads of the whole process, so no test does it in
pytest's.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).with_name("programs")
TIMEOUT_S = 60.0

PROLOGUE = """
from stage import *
import asyncio, concurrent.futures, os, queue, select, threading, time
"""
# Behind it, for a program with a database: that of the keyword `url`.
DATABASE = """
import asyncpg
URL = os.environ["STAGE_URL"]
"""


@dataclass(frozen=True, slots=True)
class Played:
    """What a program did."""

    lines: list[str]
    stderr: str
    code: int
    wall_s: float


Play = Callable[..., Played]


def play_program(
    source: str,
    *,
    code: int = 0,
    hash_seed: str = "0",
    prologue: str = PROLOGUE,
    timeout_s: float = TIMEOUT_S,
    variables: Mapping[str, str] | None = None,
    **stage: object,
) -> Played:
    """Run `source` behind the prologue; keywords become STAGE_* variables for `programs/stage.py`.

    Fails the test when the program ends with another exit code than `code`.
    """
    environment = {
        **os.environ,
        **(variables or {}),
        "PYTHONPATH": str(PROGRAMS),
        "PYTHONHASHSEED": hash_seed,
        **{f"STAGE_{key.upper()}": str(value) for key, value in stage.items()},
    }
    start_s = time.monotonic()
    process = subprocess.run(
        [sys.executable, "-c", prologue + textwrap.dedent(source)],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=timeout_s,
    )
    played = Played(
        process.stdout.splitlines(), process.stderr, process.returncode, time.monotonic() - start_s
    )
    assert played.code == code, f"{played.lines}\n{played.stderr}"
    return played


@pytest.fixture
def play(child_coverage: Mapping[str, str]) -> Play:
    """`play_program`, its lines counted."""
    return functools.partial(play_program, variables=child_coverage)
