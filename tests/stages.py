"""All tests of a submission, stage after stage.

    python -m tests.stages                          what CI runs, and `tox -e test`
    python -m tests.stages -x -k wire               other options of pytest in the unit stage

Every stage is run, also after one that failed; a table says what became of each. A stage of which a
few tests failed has one second chance, as CPython's own test runner gives it (`--rerun`): exactly
these tests again, alone, one at a time. What passes then is named loudly: it is a bug of the test
or of what it tests, to be mended, and no news about the change under test. Nothing else is
repeated: not a crash, not a run that was cut short, not tests that could not be collected.
"""

from __future__ import annotations

import os
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
PASSED, FAILED, INTERRUPTED = 0, 1, 130
ALONE = ("-n0", "--dist=no", "--last-failed", "--last-failed-no-failures=none")
SUMMARY = "GITHUB_STEP_SUMMARY"
APART = ("tests/reports/view", "tests/rig/stand", "tests/instances")


@dataclass(frozen=True, slots=True)
class Stage:
    """Tests that are run in one go.

    Attributes:
        words: for pytest: places, and how many processes share the tests.
    """

    name: str
    words: tuple[str, ...]


# By stealing work a file mostly stays in one process, and so do the servers that it starts.
UNIT = (
    *("-n", "auto", "--dist=worksteal", "-m", "not long"),
    *(f"--ignore={place}" for place in APART),
)
STAGES = (
    Stage("pages", ("tests/reports/view", "-n", "auto", "--dist=loadfile")),
    # Runs on a bench and gateways side by side go at the pace of the wall, beside nothing that
    # wants a whole core. Four at once, each with processes to start, are too many for two cores.
    Stage("bench stand", ("tests/rig/stand", "-n", "2", "--dist=loadfile")),
    Stage("gateways together", ("tests/instances", "-n", "1")),
    Stage("scenarios", ("scenarios",)),
)


def stages(words: Sequence[str] = ()) -> list[Stage]:
    """Return the stages; `words` stand in the place of the unit tests' own options."""
    return [Stage("unit", ("tests", *(words or UNIT))), *STAGES]


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


def run(stage: Stage, root: Path) -> Result:
    """Run a stage in `root`, with its second chance if it has one."""
    start_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="telerig-stage-") as folder:
        code, outcomes = _pytest(stage.words, root, Path(folder))
        result = Result(stage, outcomes, code)
        result.why = _why_no_second_chance(code, outcomes)
        if code != PASSED and not result.why:
            _second_chance(result, root, Path(folder))
    result.seconds = time.monotonic() - start_s
    return result


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
    code, again = _pytest((*result.stage.words, *ALONE), root, folder)
    result.again = again
    if again.chosen == set(failed):
        result.passed_alone = [name for name in failed if again.ended.get(name) == "passed"]
    if code != PASSED or again.exit_code != PASSED or result.passed_alone != failed:
        result.why = f"failed again (pytest ended with {code})"


def _pytest(words: Sequence[str], root: Path, folder: Path) -> tuple[int, Outcomes]:
    """Run pytest; return its exit code and what it wrote, which is nothing after a crash."""
    path = folder / "outcomes.json"
    path.unlink(missing_ok=True)
    own = ("-p", "tests.outcomes", f"--outcomes={path}", "-o", f"cache_dir={folder / 'cache'}",
           f"--durations={SLOWEST}", f"--durations-min={SLOW_S}")  # fmt: skip
    process = subprocess.Popen([sys.executable, "-m", "pytest", *words, *own], cwd=root)
    try:
        code = process.wait()
    except BaseException as error:
        if not isinstance(error, KeyboardInterrupt):  # Ctrl-C has reached both of us
            process.send_signal(signal.SIGINT)
        try:
            process.wait(END_S)
        finally:
            process.kill()
        raise
    if not path.is_file():
        return code, Outcomes()
    return code, msgspec.json.decode(path.read_bytes(), type=Outcomes)


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


def conduct(wanted: Sequence[Stage], root: Path) -> int:
    """Run the stages, say what became of them, and return the exit code."""
    results = []
    for stage in wanted:
        _say(f"{stage.name}: pytest {' '.join(stage.words)}")
        results.append(run(stage, root))
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
        return conduct(stages(words), Path(__file__).parents[1])
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
