"""`telerig bench` and `telerig run --bench`, as they are typed."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import pytest

from rig.cli import Parser, main
from rig.commands.bench import COMMAND, BenchUsageError
from rig.errors import RigError

SHIPPED = Path(__file__).parents[3] / "bench"
SCENARIO = (
    "rig: 1\nneeds: [{}]\nphases: [{{idle: 5 s}}]\nlimits: {{readings.lost: {{equals: 0}}}}\n"
)


def bench(*words: str | Path) -> int:
    """Run the command."""
    parser = Parser(prog="telerig bench")
    COMMAND.add_arguments(parser)
    arguments: argparse.Namespace = parser.parse_args(list(map(str, words)))
    return COMMAND.run(arguments)


def write(folder: Path, text: str) -> Path:
    """Write a bench file."""
    path = folder / "desk.yaml"
    path.write_text(f"bench: 1\n{text}\n", encoding="utf-8")
    return path


def test_a_bench_that_can_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Name, features, the wiring and what was found; exit code 0."""
    path = write(tmp_path, "about: all simulated\nfeatures: [sky]")
    assert bench("check", path) == 0
    said = capsys.readouterr().out
    assert f"bench desk ({path}): all simulated" in said.replace("\n", "")
    assert "features: sky" in said
    for link in ("obd", "gps", "esp32", "mesh", "can"):
        assert f"\n{link} " in said
    assert "ok       gateway: a process that the rig starts here" in said
    assert said.endswith("the bench can be used\n")


def test_a_bench_that_cannot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong, where, and what to do; exit code 1; the same as JSON."""
    path = write(tmp_path, "links: {obd: {real: /dev/ttyUSB97}}")
    assert bench("check", path) == 1
    said = capsys.readouterr().out
    assert f"FAILURE  obd: {path}:2: expected a serial port /dev/ttyUSB97, found none" in said
    assert "         -> plug it in" in said
    assert said.endswith("cannot be used: obd\n")
    assert bench("check", path, "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    assert document["findings"][0]["check"] == "obd"
    assert document["wiring"][0]["wire"] == "/dev/ttyUSB97, 38400 baud"
    assert document["bench"]["links"] == {"obd": {"kind": "real", "where": "/dev/ttyUSB97"}}
    assert bench("check", path, "--only", "gps") == 0


def test_it_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a word it says what can be done; its help has a bench file in it."""
    assert bench() == 2
    assert "look at everything that a bench file names" in capsys.readouterr().err
    assert "obd: {real: /dev/serial/by-id/" in (COMMAND.__doc__ or "")


def test_wrong_words(tmp_path: Path) -> None:
    """A link that there is not, a link without a switch, a file that is none."""
    path = write(tmp_path, "links: {obd: {real: /dev/ttyUSB97}}")
    with pytest.raises(BenchUsageError, match="found 'odb'; did you mean 'obd'"):
        bench("check", path, "--only", "odb")
    with pytest.raises(BenchUsageError, match="expected a power switch at 'obd', found none"):
        bench("power", path, "obd", "off")
    with pytest.raises(RigError, match="expected a readable bench file") as caught:
        bench("check", tmp_path / "none.yaml")
    assert caught.value.usage


def test_the_switch_is_tried(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`power` runs the commands of the file."""
    flag = tmp_path / "is-on"
    word = f"[{sys.executable}, -c, \"import pathlib; pathlib.Path('{flag}').{{}}\"]"
    off, on = word.format("unlink()"), word.format("touch()")
    switch = f"{{off: {off}, on: {on}, off_for: 10 ms, settle: 10 ms}}"
    path = write(tmp_path, f"links: {{obd: {{real: /dev/ttyUSB97, power: {switch}}}}}")
    assert bench("power", path, "obd", "on") == 0
    assert flag.exists()
    assert bench("power", path, "obd", "cycle") == 0
    assert flag.exists()
    assert bench("power", path, "obd", "off") == 0
    assert not flag.exists()
    assert capsys.readouterr().out.splitlines()[1] == "obd: off and on again"


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.name)
def test_the_examples(path: Path) -> None:
    """Each shipped bench file is right, and says what it is."""
    if path.name.endswith(".scenario.yaml"):
        return
    from rig.bench import read_bench

    assert read_bench(path).about


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (
            ["--bench", "desk.yaml", "--mode", "virtual"],
            2,
            "found --mode virtual, in which nothing",
        ),
        (["--bench", "desk.yaml", "--twice"], 2, "expected virtual runs, found a paced one"),
        (["--bench", "desk.yaml", "--pace", "2"], 2, "obd of desk.yaml can be no faster than wall"),
        (["--bench", "none.yaml"], 2, "none.yaml: expected a readable bench file"),
        (["--bench", "desk.yaml"], 1, "bench broken: obd: desk.yaml:2: expected a serial port"),
    ],
)
def test_run_on_a_bench(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    said: str,
) -> None:
    """Nothing starts where the options contradict each other, or an adapter is not there."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "links: {obd: {real: /dev/ttyUSB97}}")
    (tmp_path / "a.scenario.yaml").write_text(SCENARIO.format("obd"), encoding="utf-8")
    assert main(["run", "a.scenario.yaml", *words]) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_what_a_bench_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of several scenarios those are skipped with the reason; none left is the user's mistake."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "features: [sky]")
    for name, needs in (("a", "gps, ignition"), ("b", "obd, ignition")):
        (tmp_path / f"{name}.scenario.yaml").write_text(SCENARIO.format(needs), encoding="utf-8")
    assert main(["run", "a.scenario.yaml", "b.scenario.yaml", "--bench", "desk.yaml"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "skipped: a, seed 1: bench 'desk' lacks 'ignition'"
    assert "expected a scenario that can be driven here, found none" in lines[-1]
    assert main(["run", "a.scenario.yaml"]) == 2
    assert "needs 'ignition', which a bench must have" in capsys.readouterr().err
