"""`telerig campaign` as a user meets it: what it prints, and every mistake in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rig.campaign.ledger import Ledger, Plan
from rig.cli import main

from .conftest import broken

Told = Callable[..., tuple[int, str, str]]


@pytest.fixture
def campaign(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Told:
    """Return `campaign(*words)`: exit code, output and complaint of the command."""

    def run(*words: str | Path) -> tuple[int, str, str]:
        try:
            code = main(["campaign", "--folder", str(tmp_path / "all"), *map(str, words)])
        except SystemExit as error:  # of argparse
            code = int(error.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_a_run_can_be_looked_at(campaign: Told) -> None:
    """`--draw` prints the file, the same each time; the campaign keeps its seed."""
    code, first, _ = campaign("x", "--seed", "3", "--draw", "17")
    assert code == 0
    assert first.startswith("rig: 1\nname: run 17\n")
    assert campaign("x", "--draw", "17")[1] == first


def test_what_was_found_is_told_and_explained(campaign: Told, tmp_path: Path) -> None:
    """A failure makes the exit code 1 until somebody says why; the report is a page, too."""
    with Ledger(tmp_path / "all" / "x", Plan(seed=1), {}) as ledger:
        ledger.keep(5, broken("readings.lost"), "", ["mute on gps"], "s")
    code, out, _ = campaign("x", "--runs", "0")
    assert code == 1
    assert "1 runs, 0.0 simulated hours: 1 failed, 1 of them unexplained" in out
    page = (tmp_path / "all" / "x" / "report.md").read_text(encoding="utf-8")
    assert "| 5 | readings.lost | mute on gps | not shrunk yet |" in page
    code, out, _ = campaign("x", "--explain", "5", "--because", "known, 3", "--json")
    found = json.loads(out)
    assert (code, found["unexplained"], found["failures"][0]["explained"]) == (0, 0, "known, 3")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--runs", "-1"], "expected a whole number from 0"),
        (["--for", "soon"], "expected a duration such as '30 min'"),
        (["--for", "0 s"], "expected a duration above 0 s"),
        (["../x"], "expected a name of letters"),
        (["--explain", "3"], "--explain NUMBER and --because TEXT together"),
        (["--explain", "3", "--because", "x"], "found one that was not driven"),
        (["--base", "absent.scenario.yaml"], "absent.scenario.yaml"),
        (["--draw", "0"], "expected a whole number from 1"),
    ],
)
def test_a_mistake_is_one_line(campaign: Told, words: list[str], complaint: str) -> None:
    """What was expected, what came; exit code 2."""
    code, _, said = campaign(*words)
    assert code == 2
    assert said.count("\n") == 1
    assert complaint in said


def test_a_wrong_executor_is_one_line(campaign: Told) -> None:
    """Nothing is driven."""
    code, _, said = campaign("--executor", "here", "--runs", "1")
    assert (code, said.count("\n")) == (1, 1)
    assert "expected dask://HOST:PORT" in said
