"""For every test: repeatable Hypothesis runs, and coverage of child processes where it is asked."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from server import catalogue

# One set of examples on every machine and every run; a failing one prints how to repeat it. No
# deadline: this is a test of behaviour, not of speed.
settings.register_profile(
    "telerig",
    derandomize=True,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("telerig")

# A background job of a shell, or one under nohup, ignores these, and so would every child of these
# tests: some are about what a signal does. A handler of ours is not inherited by a program.
for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, lambda *_: None)

CHILD_COVERAGE = "COVERAGE_PROCESS_CONFIG"  # by which coverage reaches the processes of a test


def pytest_collection_finish() -> None:
    """Thousands of tests and their modules stay: nobody needs to look for garbage among them."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def child_coverage() -> Iterator[Mapping[str, str]]:
    """Environment variables for child processes whose lines count; all others run undisturbed.

    Measuring doubles the time of a run, and it gets in the way of tests that close pipes, send
    signals or limit what may be written.
    """
    kept = {CHILD_COVERAGE: os.environ.pop(CHILD_COVERAGE)} if CHILD_COVERAGE in os.environ else {}
    yield kept
    os.environ.update(kept)


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """Signals that a test registers are gone after it: the catalogue is one for the process."""
    tables: list[dict[Any, Any]] = [
        catalogue._own,
        catalogue._BY_ID,
        catalogue._BY_NAME,
        catalogue._BY_PATH,
        catalogue.SHORT_NAMES,
    ]
    before = [dict(table) for table in tables]
    yield
    if catalogue._own != before[0]:
        for table, content in zip(tables, before, strict=True):
            table.clear()
            table.update(content)
