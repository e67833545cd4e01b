"""A run that stands still ends within its limit, with the stack of every thread, and fails."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from rig.runner.runner import Request, Run, Runner
from rig.scenario import load_scenario

SHORT = Path(__file__).parents[1] / "data" / "short.scenario.yaml"
PROGRAMS = Path(__file__).with_name("programs")
WALL_LIMIT_S = 8.0
JOBS = 4

# What stands still, and which function stands in the dump then.
FREEZES = {
    "loop_sleeps_for_real": "_sleep_for_real",
    "loop_spins": "_spin",
    "loop_holds_the_lock": "_hold_the_lock",
    "thread_yields_for_ever": "_yield_for_ever",
    "thread_reads_an_empty_pipe": "_read_an_empty_pipe",
    "two_threads_take_two_real_locks": "_take_both",
}
ENDLESS = "stop_never_ends"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Run]]]:
    """All of them, some at a time: each waits for its limit."""
    scenario = load_scenario(SHORT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(PROGRAMS), prepend=os.pathsep)
        with Runner(tmp_path_factory.mktemp("runs"), jobs=JOBS) as runner:
            yield {
                name: runner.submit(
                    Request(scenario, 1, "virtual", f"freezes:{name}", wall_limit_s=WALL_LIMIT_S)
                )
                for name in (*FREEZES, ENDLESS)
            }


@pytest.mark.parametrize("name", FREEZES)
def test_a_freeze_fails_the_run_and_shows_every_thread(
    name: str, runs: dict[str, Future[Run]]
) -> None:
    """One line says what happened and where the stacks are; who froze is among them."""
    run = runs[name].result()
    assert not run.passed
    assert not run.usage
    assert run.failure.startswith("no progress for 8 s of wall time; the stacks of all threads ")
    dump = run.folder / "worker.stderr.log"
    assert str(dump) in run.failure
    stacks = dump.read_text(encoding="utf-8").split("most recent call first")[1:]
    assert any(f"in {FREEZES[name]}" in stack for stack in stacks)
    # The loop, the readers of both links, and the frozen thread where it is one.
    assert len(stacks) >= 3
    assert any("in run_until_complete" in stack for stack in stacks)


def test_a_gateway_that_never_stops_fails_the_run(runs: dict[str, Future[Run]]) -> None:
    """Time passes, so nothing is frozen: the simulated time is what has an end."""
    run = runs[ENDLESS].result()
    assert not run.passed
    assert "expected the run to end before 141 s of simulated time" in run.failure
