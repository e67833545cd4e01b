"""All tests of a submission, stage after stage.

    python -m tests.stages                          what CI runs, and `tox -e test`
    python -m tests.stages -x -k wire               other options of pytest in the unit stage

Every stage is run, also after one that failed; a table says what became of each. Stages that mostly
wait are run beside the unit tests, which give way to them. A stage of which a few tests failed has
one second chance, as CPython's own test runner gives it (`--rerun`): exactly these tests again,
alone, one at a time. What passes then is named loudly: it is a bug of the test or of what it tests,
to be mended, and no news about the change under test. Nothing else is repeated: not a crash, not a
run that was cut short, not tests that could not be collected.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import msgspec

from tests.outcomes import Outcomes

MOST_AGAIN = 8  # of more than a handful the machine is not the reason
SLOWEST, SLOW_S = 25, 3.0  # tests whose times each stage prints
END_S = 10.0  # for an interrupted pytest to end what it started
LOOK_S = 0.05
NICE = 10  # of what gives way
PASSED, FAILED, INTERRUPTED = 0, 1, 130
ALONE = ("-n0", "--dist=no", "--last-failed", "--last-failed-no-failures=none")
SUMMARY = "GITHUB_STEP_SUMMARY"
APART = ("tests/reports/view", "tests/rig/stand", "tests/instances")
# A test waits half its time, for a process or for a time: two processes keep a core at work.
UNIT_PROCESSES = 2 * len(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class Stage:
    """Tests that are run in one go.

    Attributes:
        words: for pytest: places, and how many processes share the tests.
        gives_way: they run at a lower priority.
    """

    name: str
    words: tuple[str, ...]
    gives_way: bool = False


Lane = tuple[Stage, ...]
"""Stages that are run one after the other."""
Round = tuple[Lane, ...]
"""Lanes that are run beside each other; the output of the first one is seen at once."""

# By stealing work a file mostly stays in one process, and so do the servers that it starts.
UNIT = (
    *("-n", str(UNIT_PROCESSES), "--dist=worksteal", "-m", "not long"),
    *(f"--ignore={place}" for place in APART),
)
# Runs on a bench, gateways side by side and pages go at the pace of the wall: not beside each
# other, nor beside what wants a whole core and does not give way. Of the bench four at once, each
# with processes to start, are too many for two cores. Those that judge delays have no company.
STAND = ("tests/rig/stand", "-n", "2", "--dist=loadfile")
WAITING = (
    Stage("bench stand", (*STAND, "-m", "not on_time")),
    Stage("gateways together", ("tests/instances", "-n", "1")),
    Stage("pages", ("tests/reports/view", "-n", "auto", "--dist=loadfile")),
)
LAST = (Stage("bench on time", (*STAND, "-m", "on_time")), Stage("scenarios", ("scenarios",)))


def rounds(words: Sequence[str] = ()) -> list[Round]:
    """Return the rounds of stages; `words` stand in the place of the unit tests' own options."""
    unit = Stage("unit", ("tests", *(words or UNIT)), gives_way=True)
    return [((unit,), WAITING), (LAST,)]


@dataclass(slots=True)
class Result:
    """What became of a stage.

    Attributes:
        outcomes: of the first run.
        exit_code: of pytest; negative for a signal.
        again: of the second chance; None when there was none.
        why: why it failed, in words; "" when it passed.
        seconds: of both runs.
    """

    stage: Stage
    outcomes: Outcomes
    exit_code: int
    again: Outcomes | None = None
    why: str = ""
    seconds: float = 0.0
    passed_alone: list[str] = field(default_factory=list)

    @property
    def failed(self) -> list[str]:
        """Return the ids of the tests that failed for good."""
        of_first = {*self.outcomes.of("failed"), *self.outcomes.of("crashed")}
        return sorted(of_first - set(self.passed_alone))


class Pytest:
    """A run of pytest on a stage.

    Args:
        folder: for what it leaves behind; its memory of what failed stays there for a second run.
        is_seen: its output is seen at once, and not by `tell`.
    """

    def __init__(self, stage: Stage, root: Path, folder: Path, is_seen: bool, *more: str) -> None:
        self.stage = stage
        self._path = folder / "outcomes.json"
        self._path.unlink(missing_ok=True)
        own = ("-p", "tests.outcomes", f"--outcomes={self._path}",
               "-o", f"cache_dir={folder / 'cache'}",
               f"--durations={SLOWEST}", f"--durations-min={SLOW_S}")  # fmt: skip
        self._output = None if is_seen else (folder / "output.txt").open("w+b")
        self._start_s = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *stage.words, *more, *own],
            cwd=root,
            stdout=self._output,
            stderr=subprocess.STDOUT if self._output else None,
        )
        if stage.gives_way:  # what it starts inherits this
            own_nice = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, self._process.pid, own_nice + NICE)

    @property
    def is_over(self) -> bool:
        """True once it has ended."""
        return self._process.poll() is not None

    def result(self) -> tuple[int, Outcomes, float]:
        """Wait; return exit code, what it wrote (nothing after a crash), and seconds."""
        code = self._process.wait()
        seconds = time.monotonic() - self._start_s
        if not self._path.is_file():
            return code, Outcomes(), seconds
        return code, msgspec.json.decode(self._path.read_bytes(), type=Outcomes), seconds

    def tell(self) -> None:
        """Print what was not seen."""
        if self._output is not None:
            self._output.seek(0)
            shutil.copyfileobj(self._output, sys.stdout.buffer)
            sys.stdout.flush()
            self._output.close()
            self._output = None

    def interrupt(self) -> None:
        """Ask it to unwind and end."""
        self._process.send_signal(signal.SIGINT)

    def end(self) -> None:
        """Give it the time to do so, and no more."""
        try:
            self._process.wait(END_S)
        finally:
            self._process.kill()
            self.tell()


def first_runs(lanes: Round, root: Path, folder: Path) -> list[Result]:
    """Run the stages of a round; `folder` holds one for each stage by its name."""
    waiting = [list(lane) for lane in lanes]
    running: dict[int, Pytest] = {}
    results: dict[Stage, Result] = {}
    try:
        while running or any(waiting):
            for number, lane in enumerate(waiting):
                if number in running and running[number].is_over:
                    of_lane = running[number]
                    of_lane.tell()
                    code, outcomes, seconds = of_lane.result()
                    results[of_lane.stage] = Result(of_lane.stage, outcomes, code, seconds=seconds)
                    del running[number]
                if number not in running and lane:
                    stage = lane.pop(0)
                    _say(f"{stage.name}: pytest {' '.join(stage.words)}")
                    (folder / stage.name).mkdir()
                    running[number] = Pytest(stage, root, folder / stage.name, number == 0)
            time.sleep(LOOK_S)
    except BaseException as error:
        _end([*running.values()], error)
        raise
    return [results[stage] for lane in lanes for stage in lane]


def _end(running: Sequence[Pytest], error: BaseException) -> None:
    """End what was interrupted, all at the same time."""
    for run in running:
        if not isinstance(error, KeyboardInterrupt):  # Ctrl-C has reached them as well
            run.interrupt()
    for run in running:
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.end()


def run_round(lanes: Round, root: Path) -> list[Result]:
    """Run the stages of a round in `root`, then the second chances, when nothing else runs."""
    with tempfile.TemporaryDirectory(prefix="telerig-stage-") as folder:
        results = first_runs(lanes, root, Path(folder))
        for result in results:
            result.why = _why_no_second_chance(result.exit_code, result.outcomes)
            if result.exit_code != PASSED and not result.why:
                _second_chance(result, root, Path(folder) / result.stage.name)
    return results


def _why_no_second_chance(code: int, outcomes: Outcomes) -> str:
    """Return why a run failed for good; "" for one that passed, or may try again."""
    failed = outcomes.of("failed")
    if code not in (PASSED, FAILED):
        return f"pytest ended with {code}"
    if outcomes.exit_code != code:
        return f"pytest ended with {code} after it had decided on {outcomes.exit_code}"
    if crashed := outcomes.of("crashed"):
        return f"a process went down in {crashed[0]}"
    if outcomes.uncollected:
        return f"cannot be collected: {', '.join(sorted(outcomes.uncollected))}"
    if missing := outcomes.chosen - set(outcomes.ended):
        return f"cut short: {len(missing)} tests did not run"
    if code == PASSED:
        return f"{failed[0]} failed, and yet pytest ended with 0" if failed else ""
    if not failed:
        return "pytest ended with 1, and no test failed"
    if len(failed) > MOST_AGAIN:
        return f"{len(failed)} tests failed; at most {MOST_AGAIN} are run again"
    return ""


def _second_chance(result: Result, root: Path, folder: Path) -> None:
    failed = result.outcomes.of("failed")
    _say(f"{result.stage.name}: {len(failed)} failed; they are run again, alone")
    alone = Pytest(result.stage, root, folder, True, *ALONE)
    try:
        code, again, seconds = alone.result()
    except BaseException as error:
        _end([alone], error)
        raise
    result.seconds += seconds
    result.again = again
    if again.chosen == set(failed):
        result.passed_alone = [name for name in failed if again.ended.get(name) == "passed"]
    if code != PASSED or again.exit_code != PASSED or result.passed_alone != failed:
        result.why = f"failed again (pytest ended with {code})"


# -- telling ---------------------------------------------------------------------------------------
def table(results: Sequence[Result]) -> Iterator[str]:
    """Yield a table in Markdown, then what is to be said about single tests."""
    head = ("stage", "tests", "passed", "failed", "skipped", "run again", "seconds", "verdict")
    rows = [head, *(_row(result) for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for number, row in enumerate(rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"| {' | '.join(cells)} |"
        if not number:
            yield f"|{'|'.join('-' * (width + 2) for width in widths)}|"
    for result in results:
        lines = [f"- {result.stage.name}: {result.why}"] if result.why else []
        lines += [f"- failed: {name}" for name in result.failed]
        lines += [
            f"- PASSED ALONE, failed at first; a bug to mend: {name}"
            for name in result.passed_alone
        ]
        yield from ("", *lines) if lines else ()


def _row(result: Result) -> tuple[str, ...]:
    outcomes = result.outcomes
    verdict = "failed" if result.why else "passed alone" if result.passed_alone else "passed"
    return (
        result.stage.name,
        str(len(outcomes.ended)),
        str(len(outcomes.of("passed")) + len(result.passed_alone)),
        str(len(result.failed)),
        str(len(outcomes.of("skipped"))),
        str(len(result.again.chosen) if result.again else 0),
        f"{result.seconds:.0f}",
        verdict,
    )


def _say(text: str) -> None:
    print(f"\n==== {text}", flush=True)


def _summarise(lines: Sequence[str]) -> None:
    if path := os.environ.get(SUMMARY):
        with open(path, "a", encoding="utf-8") as file:
            file.write("\n".join(("### Tests", "", *lines, "")))


def conduct(wanted: Sequence[Round], root: Path) -> int:
    """Run the stages, say what became of them, and return the exit code."""
    results = [result for lanes in wanted for result in run_round(lanes, root)]
    lines = list(table(results))
    _say("all stages")
    print("\n".join(lines), flush=True)
    _summarise(lines)
    return FAILED if any(result.why for result in results) else PASSED


def main(words: Sequence[str]) -> int:
    """Run all stages of this repository."""

    def end(number: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, end)
    try:
        return conduct(rounds(words), Path(__file__).parents[1])
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
