"""The list of runs: what each is, whatever is left of it, and who may be in it."""

from __future__ import annotations

import csv
import io
import os
import shutil
from pathlib import Path

import pytest

from reports.judged_run import judge_run
from reports.runs.listing import RunList, RunRow, Worst, as_csv, chosen, row_of
from reports.runs.problem import RunError
from rig.judge.limits import Outcome
from rig.record.manifest import Manifest
from rig.record.reader import RecordReader
from rig.record.streams import MANIFEST_FILE, VERDICT_FILE
from rig.record.watching import START_S
from rig.record.writer import RecordWriter

MADE = {"scenario": "s", "seed": 1, "mode": "virtual", "epoch_ns": 0}


def old(folder: Path) -> Path:
    """Let a folder look as if it was made long ago."""
    then_s = folder.stat().st_mtime - START_S - 60
    os.utime(folder, (then_s, then_s))
    return folder


def test_a_row_says_what_the_record_and_the_verdict_say(runs: Path) -> None:
    """Scenario, seed, length, outcome, counts and the worst margin come from the files."""
    manifest: Manifest = RecordReader(runs / "drive").manifest
    row = RunList(runs).rows()[0]
    assert (row.id, row.scenario, row.seed) == ("drive", manifest.scenario, manifest.seed)
    assert (row.mode, row.running, row.damaged) == ("virtual", False, None)
    assert row.duration_s == 120.0
    judged = judge_run(runs / "drive")
    assert row.outcome == judged.outcome.value.lower()
    assert sum(row.limits.values()) == len(manifest.limits)
    assert row.limits == {o.value.lower(): judged.count(o) for o in Outcome}
    margins = [v.margin_pct for v in judged.verdicts if v.margin_pct is not None]
    assert row.worst is not None
    assert row.worst.margin_pct == pytest.approx(min(margins))


def test_what_is_damaged_is_in_the_list_and_says_so(runs: Path) -> None:
    """No manifest, an empty one, half of one, a run that was killed, one that goes on."""
    for name in ("empty", "half", "text"):
        shutil.copytree(runs / "drive", runs / name)
    (runs / "empty" / MANIFEST_FILE).write_bytes(b"")
    whole = (runs / "half" / MANIFEST_FILE).read_bytes()
    (runs / "half" / MANIFEST_FILE).write_bytes(whole[: len(whole) // 2])
    (runs / "text" / MANIFEST_FILE).write_bytes(b'{"scenario": 7}')
    (runs / "20260101T100000-none-1").mkdir()
    old(runs / "20260101T100000-none-1")
    RecordWriter(runs / "killed", MADE).close(None)
    going = RecordWriter(runs / "going", MADE)
    (runs / "20260101T100001-new-1").mkdir()
    (runs / "notes").mkdir()
    rows = {row.id: row for row in RunList(runs).rows()}
    going.close(None)
    assert "notes" not in rows
    damaged = {
        "empty": "is empty",
        "half": "cannot be read",
        "text": "scenario",
        "20260101T100000-none-1": "no run.json",
        "killed": "cut off",
    }
    for name, word in damaged.items():
        assert rows[name].outcome == "damaged"
        assert word in str(rows[name].damaged), name
    for name in ("going", "20260101T100001-new-1"):
        assert (rows[name].outcome, rows[name].running) == ("running", True)
        assert rows[name].damaged is None


def test_a_run_without_a_verdict_is_not_judged_by_the_list(runs: Path) -> None:
    """A missing or damaged verdict costs the outcome, and nothing else."""
    path = runs / "drive" / VERDICT_FILE
    for text in ("", "[]", '{"limits": 7}'):
        path.write_text(text)
        assert row_of(runs / "drive").outcome == "unjudged"
    path.unlink()
    row = row_of(runs / "drive")
    assert (row.outcome, row.worst, row.damaged) == ("unjudged", None, None)


def test_a_list_is_made_again_only_of_what_has_changed(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second look reads no file of a run that is as it was; a new verdict is seen."""
    found = RunList(runs)
    before = found.rows()
    monkeypatch.setattr("reports.runs.listing.row_of", lambda _: pytest.fail("read again"))
    assert found.rows() == before
    monkeypatch.undo()
    (runs / "drive" / VERDICT_FILE).unlink()
    assert found.rows()[0].outcome == "unjudged"


@pytest.mark.parametrize(
    "name", ["..", "../runs/drive", "drive/..", "/etc", ".hidden", "", "a" * 300, "dr\x00ive", "-x"]
)
def test_what_is_no_name_of_a_run_is_refused(runs: Path, name: str) -> None:
    """No name leads out of the folder, or to a hidden place."""
    with pytest.raises(RunError) as caught:
        RunList(runs).folder_of(name)
    assert caught.value.status == 400


def test_a_link_out_of_the_folder_is_no_run(runs: Path, tmp_path: Path) -> None:
    """A link to a run elsewhere is not followed; one to a run beside it is."""
    elsewhere = tmp_path / "elsewhere" / "secret"
    shutil.copytree(runs / "drive", elsewhere)
    (runs / "out").symlink_to(elsewhere)
    (runs / "latest").symlink_to(runs / "drive")
    found = RunList(runs)
    assert {row.id for row in found.rows()} == {"drive", "latest"}
    with pytest.raises(RunError) as caught:
        found.folder_of("out")
    assert caught.value.status == 404
    assert found.folder_of("latest").name == "latest"


def test_filters_take_all_words_in_any_case() -> None:
    """Scenario and outcome are exact, words stand anywhere in the row."""
    rows = [
        RunRow("a-1", scenario="Idle", seed=7, outcome="pass", commit="beef"),
        RunRow("b-2", scenario="tunnel", seed=8, outcome="fail", worst=Worst("gps.rate", -3)),
    ]
    assert [r.id for r in chosen(rows, text="SEED 7 idle")] == ["a-1"]
    assert [r.id for r in chosen(rows, text="gps.rate")] == ["b-2"]
    assert [r.id for r in chosen(rows, outcome="pass")] == ["a-1"]
    assert chosen(rows, scenario="idle") == []
    assert chosen(rows) == rows


def test_a_table_for_spreadsheets_holds_no_formula() -> None:
    """Each run is a line; a cell that would be a formula is text."""
    row = RunRow("a-1", scenario="=SUM(A1)", seed=7, limits={"pass": 2}, worst=Worst("x", -1.5))
    lines = list(csv.DictReader(io.StringIO(as_csv([row]))))
    assert len(lines) == 1
    assert (lines[0]["id"], lines[0]["pass"], lines[0]["margin_pct"]) == ("a-1", "2", "-1.5")
    assert lines[0]["scenario"] == "'=SUM(A1)"


def test_a_folder_that_is_gone_is_told_of(tmp_path: Path) -> None:
    """No folder of runs: words, and what to do."""
    with pytest.raises(RunError, match="name another folder"):
        RunList(tmp_path / "none").rows()
