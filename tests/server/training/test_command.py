"""`telerig codec`: a stranger's drive in one command, and what is wrong in words."""

from __future__ import annotations

import argparse
import gzip
import json
import random
from pathlib import Path

import numpy as np
import pytest

from server.training.command import COMMAND
from server.training.drives import load
from server.wire.codec.profile import Profile


def run(*arguments: str) -> int:
    """Run `telerig codec` with these arguments."""
    parser = argparse.ArgumentParser(prog="telerig codec")
    COMMAND.add_arguments(parser)
    return COMMAND.run(parser.parse_args(arguments))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A drive as a logger of percent, km/h and gears prints it, with gaps."""
    rng = random.Random(1)
    pedal, speed = 100.0, 40.0
    lines = ["Time,Pedal (%),Speed (km/h),Gear,Empty"]
    for row in range(1600):
        pedal = min(255, max(0, pedal + rng.gauss(0, 4)))
        speed += (pedal / 4 - speed) / 50
        gear = "N" if speed < 5 else "D"
        shown = "" if row % 400 < 3 else f"{int(pedal) * 100 / 255:.1f}"
        lines.append(f"10:{row // 600:02}:{row / 10 % 60:06.3f},{shown},{speed:.0f},{gear},")
    path = tmp_path / "drive.csv.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


def test_a_drive_is_tried_in_one_command(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Train on the first half, measure the second: figures and what was found in the file."""
    assert run("try", str(table)) == 0
    out, err = capsys.readouterr()
    assert "drive@second" in out
    assert "every reading came back: exact" in out
    assert "Empty: empty, left out" in err
    assert "Gear: " in err
    assert "training" in err


def test_a_profile_is_trained_and_measured(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """train writes a profile of the found steps; measure --json tells what a drive costs."""
    profile = tmp_path / "car.profile"
    assert run("train", f"{table}@first", "-o", str(profile), "--flash-bytes", "9000") == 0
    assert "3 signals, trained on 800 rows" in capsys.readouterr().out
    signals = Profile.from_bytes(profile.read_bytes()).signals
    assert (signals[0].scale_num, signals[0].scale_den) == (20, 51)
    assert profile.stat().st_size <= 9000
    assert run("measure", str(profile), f"{table}@second", "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert [one["kind"] for one in figures] == ["K", "D"]
    assert figures[0]["readings"] == 3 * 800 - 6
    assert 0 < figures[1]["sent_bytes"] <= figures[0]["sent_bytes"]
    assert figures[0]["bits_per_reading"] == 8 * figures[0]["sent_bytes"] / 2394
    assert figures[0]["ratio_to_protobuf"] > 10
    assert figures[0]["max_error"] == {}


def test_bounds_are_given_in_units_and_kept(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bound of 2 % is 5 steps of 100/255; the largest error is told."""
    assert run("try", str(table), "--bound", "Pedal (%)=2", "--json") == 0
    errors = [one["max_error"] for one in json.loads(capsys.readouterr().out)]
    assert all(set(error) == {"Pedal (%)"} for error in errors)
    assert all(1 < error["Pedal (%)"] <= 2 for error in errors)


def test_drives_of_one_car_are_read_alike(tmp_path: Path) -> None:
    """Steps, codes of texts and names are those of the first drive, however a file spells them."""
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    first.write_text("Time,T [°C],Gear\n0,0.5,D\n1,1.5,N\n2,3,D\n", encoding="utf-8")
    second.write_bytes("Time,T [Â°C],Gear\n0,4,N\n1,5,R\n2,5.1,D\n".encode("latin-1"))
    one = load(str(first))
    other = load(str(second), one)
    assert (one.period_ms, float(one.steps[0])) == (1000, 0.5)
    assert [row[1] for row in one.rows] == [0, 1, 0]
    assert [row[1] for row in other.rows] == [1, 2, 0]
    assert [row[0] for row in other.rows] == [8, 10, 10]
    assert any("33.33% of the values lie beside the lattice" in note for note in other.notes)


def test_a_matrix_of_steps_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The .npz form, several drives: each and all together."""
    steps = np.cumsum(np.random.default_rng(1).integers(-1, 2, (600, 2)), axis=0)
    files = []
    for name in ("leon_x", "leon_y"):
        path = tmp_path / f"{name}.npz"
        np.savez(path, x=steps, names=["A", "B"], scale=[0.5, 1], offset=[0, 0], dt=0.1, t=[0])
        files.append(str(path))
    assert run("try", files[0], files[1], "--train", files[0]) == 0
    out = capsys.readouterr().out
    assert "all: leon_x, leon_y" in out
    assert " %" in out  # the limit of these data is known


def test_what_is_wrong_is_said_in_words(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and one line: what was expected, what came, where."""
    other = tmp_path / "other.csv"
    other.write_text("Time,X\n1,2\n2,3\n3,4\n")
    text = tmp_path / "text.csv"
    text.write_text("hello\n")
    profile = tmp_path / "p"
    for arguments, message in (
        (("try", "none.csv"), "none.csv: a file expected, found none"),
        (("try", str(table), "--train", f"{table}@third"), "@first or @second expected"),
        (("try", str(text)), "text.csv: a drive expected (.npz, .csv, .csv.gz): a heading"),
        (("try", str(table), "--train", str(other)), "the signals of other expected (X); found"),
        (("try", str(table), "--bound", "Speed=1"), "NAME=UNITS expected, with one of: Pedal"),
        (("try", str(table), "--bound", "Gear=x"), "a number expected, found 'x'"),
        (("train", str(table), "-o", str(profile), "--flash-bytes", "100"), "allowed 100"),
        (("measure", str(text), str(table)), "a profile begins with TRP1; found b'hell'"),
    ):
        assert run(*arguments) == 2
        assert message in capsys.readouterr().err.splitlines()[-1]
    assert run("train", str(other), "-o", str(profile)) == 0
    capsys.readouterr()
    assert run("measure", str(profile), str(table)) == 2
    assert "the profile's 1 signals expected, found 3" in capsys.readouterr().err


def test_without_numpy_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The gateway's own requirements have no numpy; the command says so in one line."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run("try", "drive.csv") == 2
    assert "numpy is not installed (pip install telerig[rig])" in capsys.readouterr().err
