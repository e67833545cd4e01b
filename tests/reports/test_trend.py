"""Runs over time on one page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from reports.trend import Trend
from rig.judge.judgement import judge_folder
from rig.judge.limits import Limit
from rig.record.errors import RecordError

LOOSE, TIGHT = Limit("obd.latency.p95", "ms", max=60), Limit("obd.latency.p95", "ms", max=1)


@pytest.fixture
def runs(drive, tmp_path) -> Path:
    """Four runs of two scenarios; the newest of one has failed, and one was cut off."""
    made = [
        drive(20.0, 1, "town", limits=[LOOSE], started="2026-01-01T10:00:00+00:00"),
        drive(20.0, 2, "town", limits=[LOOSE], started="2026-01-02T10:00:00+00:00"),
        drive(20.0, 3, "town", limits=[TIGHT], started="2026-01-03T10:00:00+00:00"),
        drive(20.0, 4, "hill", limits=[LOOSE], started="2026-01-01T11:00:00+00:00"),
    ]
    for folder in made:
        judge_folder(folder)
        folder.rename(tmp_path / folder.name)
    return tmp_path


def test_each_scenario_has_its_runs_in_order(runs):
    """The newest run decides, and a limit whose bound was changed begins anew."""
    trend = Trend.read(sorted(path for path in runs.iterdir() if path.is_dir()))
    hill, town = trend.histories
    assert [run.manifest.seed for run in town.runs] == [1, 2, 3]
    assert (town.passed, hill.passed) == (2, 1)
    assert not trend.passed
    assert trend.sentence() == "2 scenarios, 4 runs; newest run failed: town"


def test_the_page_needs_no_script(runs, report, tmp_path):
    """Verdicts are a table, values are drawings, nothing is fetched; exit code 1 for a failure."""
    page = tmp_path / "out" / "trend.html"
    code, out, _ = report("--runs", runs, "--trend", "--html", page)
    text = page.read_text()
    assert code == 1
    assert "town" in out
    assert "<script" not in text
    assert not re.search(r"(src|href)=\"(?!#)", text)
    newest = text[text.index("Newest verdicts") :]
    assert re.search(r"town</a>.*?✕ FAIL.*?obd\.latency\.p95 .*? ms.*?2 of 3", newest, re.DOTALL)
    assert "1 limit of older runs left out" in text
    assert text.count("<svg") == 2


def test_what_scripts_read(runs, report):
    """`--json` gives every limit of every run."""
    code, out, _ = report("--runs", runs, "--trend", "--json")
    document = json.loads(out)
    assert code == 1
    (hill, town) = document["scenarios"]
    assert [run["limits"][0]["outcome"] for run in town["runs"]] == ["PASS", "PASS", "FAIL"]
    assert hill["runs"][0]["limits"][0]["bound"] == "<= 60 ms"


def test_a_damaged_run_is_left_out_in_words(runs, tmp_path):
    """What cannot be read is said on the page; without any run it is an error."""
    folders = sorted(path for path in runs.iterdir() if path.is_dir())
    (folders[0] / "run.json").write_text("{")
    (folders[1] / "verdict.json").write_text('{"limits": 7}')
    trend = Trend.read(folders)
    assert len(trend.problems) == 2
    trend.write(tmp_path / "out" / "page.html")
    assert "Left out (2)" in (tmp_path / "out" / "page.html").read_text()
    with pytest.raises(RecordError, match="at least one run, found none"):
        Trend.read(folders[:2])


def test_options_of_single_runs_are_refused(runs, report):
    """What would be passed over is refused, in words."""
    code, _, errors = report("--runs", runs, "--trend", "--markdown")
    assert code == 2
    assert "found --markdown" in errors
