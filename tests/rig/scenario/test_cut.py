"""A window of a run as a scenario of its own."""

from __future__ import annotations

import json
from bisect import bisect_left
from pathlib import Path

import pytest

from rig.record.reader import RecordReader
from rig.runner.request import Request, Run
from rig.runner.runner import Runner
from rig.scenario import load_scenario
from rig.scenario.cut import CutError, cut_scenario
from tests.rig.conftest import TelerigCommand

TEXT = """\
rig: 1
name: two speeds
needs: [obd, gps]
seed: 5
matrix: {baud: [38400, 115200]}
world: {obd: {baud: $baud}, gps: {rate: 5 Hz, baud: 38400}}
phases:
  - {idle: 10 s}
  - {cruise: {speed: 60 km/h, for: 30 s}}
  - {cruise: {speed: 90 km/h, for: 20 s}, as: faster}
faults:
  - {at: 2 s, on: gps, tunnel: 3 s}
  - {at: cruise+25 s, on: gps, drop: {probability: 30 %, direction: to_host}, for: 10 s, as: holes}
  - {in: faster, on: obd, delay: 2 ms, every: 5 s, for: 1 s}
limits:
  obd.coverage: [{min: 10 %, phase: idle}, {min: 20 %, phase: [cruise, faster]}]
  gps.outage.max: {max: 1 min, phase: idle}
  readings.lost: {equals: 0}
after: [gateway.exit == 0]
"""
START_S, END_S = 42.0, 62.0  # the drive begins at 12 s: cruise to 52 s, then faster


@pytest.fixture(scope="module")
def driven(runner: Runner, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of one variant of the scenario."""
    path = tmp_path_factory.mktemp("scenarios") / "two_speeds.scenario.yaml"
    path.write_text(TEXT)
    return runner.run(Request(load_scenario(path, "baud=115200"), 5, "virtual"))


def test_the_window_is_driven_again(driven: Run, runner: Runner) -> None:
    """Run again, the car has in each phase of the window the speed that it had then."""
    path = cut_scenario(RecordReader(driven.folder), START_S, END_S, name="again")
    scenario = load_scenario(path)
    assert [phase.name for phase in scenario.phases] == ["approach", "cruise", "faster"]
    assert scenario.world.obd.baud == 115200
    assert scenario.variant == ""

    again = runner.run(Request(scenario, scenario.seed, "virtual"))
    assert again.passed, again.failure_lines()
    then, now = RecordReader(driven.folder), RecordReader(again.folder)
    begins_ns = now.manifest.phases[1].start_ns
    for offset_s in (1.0, 5.0, 9.0, 12.0, 19.0):
        expected = _speed(then, then.manifest.epoch_ns + (START_S + offset_s) * 1e9)
        assert _speed(now, begins_ns + offset_s * 1e9) == pytest.approx(expected, abs=3.0)


def test_faults_and_limits_are_those_of_the_window(driven: Run) -> None:
    """What lies outside is left out, what reaches in is clipped, what repeats goes on doing so."""
    path = cut_scenario(RecordReader(driven.folder), START_S, END_S, name="faults")
    scenario = load_scenario(path)
    approach_s = scenario.phases[0].duration_s
    holes, delays = scenario.faults
    assert (holes.name, holes.word("direction")) == ("holes", "to_host")
    assert holes.windows == ((approach_s + 5.0, approach_s + 15.0),)
    assert [round(start_s - approach_s, 3) for start_s, _ in delays.windows] == [10.0, 15.0]
    assert [(limit.name, limit.phase) for limit in scenario.limits] == [
        ("obd.coverage", "cruise"),
        ("obd.coverage", "faster"),
        ("readings.lost", None),
    ]
    assert [check.name for check in scenario.after] == ["gateway.exit"]


def test_what_cannot_be_cut(driven: Run, tmp_path: Path) -> None:
    """A window, a name or a file that is in the way is refused in words, and nothing is left."""
    record = RecordReader(driven.folder)
    with pytest.raises(CutError, match=r"at least 5 s of the drive \(12 s to 72 s\), found 2 s"):
        cut_scenario(record, 70.0, 900.0, name="short", folder=tmp_path)
    with pytest.raises(CutError, match="small letters"):
        cut_scenario(record, START_S, END_S, name="../out", folder=tmp_path)
    (tmp_path / "taken.faster.csv").write_text("mine")
    with pytest.raises(CutError, match="File exists"):
        cut_scenario(record, START_S, END_S, name="taken", folder=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["taken.faster.csv"]


def test_the_command(driven: Run, telerig: TelerigCommand, tmp_path: Path) -> None:
    """`telerig cut` takes times as views show them, and says how to run what it wrote."""
    words = ("cut", driven.folder, "--from", "0:12", "--to", "21 s", "--name", "standing")
    ended = telerig(*words, "--folder", tmp_path, "--json")
    path = Path(json.loads(ended.out)["scenario"])
    assert [phase.kind for phase in load_scenario(path).phases] == ["idle"]
    assert [fault.kind for fault in load_scenario(path).faults] == ["tunnel"]
    telerig(*words, "--folder", tmp_path).complaint(2, "expected a new file", "another name")


def _speed(record: RecordReader, time_ns: float) -> float:
    rows = record.truth
    at = record.manifest.truth_columns.index("SPEED") + 1
    row = rows[bisect_left(rows, time_ns, key=lambda row: row[0] or 0)]
    return row[at] or 0.0
