"""A paced run has the machine to itself: CPU and throughput are measured there."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from rig.runner.request import Request, Run
from rig.runner.runner import Runner
from rig.scenario import expand_scenario

MODES = ("virtual", "virtual", "paced", "virtual", "paced", "virtual", "virtual")
Spans = list[tuple[str, float, float]]


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Spans:
    """Runs that only take a moment; gives (mode, start, end) of each."""
    found: Spans = []

    def run_one(runner: Runner, order: object) -> Run:
        request = order.request  # type: ignore[attr-defined]
        start_s = time.monotonic()
        time.sleep(0.05)
        found.append((request.mode, start_s, time.monotonic()))
        return Run(request, Path())

    monkeypatch.setattr(Runner, "_run_one", run_one)
    return found


def beside_paced(spans: Spans) -> int:
    """How many pairs of runs overlap of which at least one is paced."""
    return sum(
        "paced" in (one[0], other[0]) and one[1] < other[2] and other[1] < one[2]
        for number, one in enumerate(spans)
        for other in spans[:number]
    )


def test_within_one_runner(tiny: Path, spans: Spans) -> None:
    """Virtual runs go side by side, a paced one never beside another."""
    (scenario,) = expand_scenario(tiny)
    with Runner(tiny.parent / "runs", jobs=3) as runner:
        futures = [runner.submit(Request(scenario, 1, mode)) for mode in MODES]
        for future in futures:
            future.result(timeout=30)
    assert len(spans) == len(MODES)
    assert beside_paced(spans) == 0
    longest = max(end for _, _, end in spans) - min(start for _, start, _ in spans)
    assert longest < sum(end - start for _, start, end in spans), "nothing ran side by side"


def test_between_runners(tiny: Path, spans: Spans) -> None:
    """Runners that share a lock file (workers of xdist) keep a paced run alone too."""
    (scenario,) = expand_scenario(tiny)
    lock = tiny.parent / "lock"
    runners = [Runner(tiny.parent / "runs", machine_lock=lock) for _ in range(3)]
    futures = [runner.submit(Request(scenario, 1, m)) for runner in runners for m in MODES]
    for future in futures:
        future.result(timeout=60)
    for runner in runners:
        runner.close()
    assert len(spans) == 3 * len(MODES)
    assert beside_paced(spans) == 0
