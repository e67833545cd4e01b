"""Scenarios as tests on a bench: what it lacks, and what is broken, skips with the reason."""

from __future__ import annotations

import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

STAND_IN = Path(__file__).parents[1] / "bench" / "stand_in.py"
UNDER_WAY_S = 6.0
SCENARIO = """\
rig: 1
needs: [{needs}]
phases:
  - {{idle: 2 s}}
limits:
  readings.lost: {{equals: 0}}
"""


@pytest.fixture
def adapter(tmp_path: Path) -> Iterator[Path]:
    """The port of an ELM327 that is a process of its own."""
    link = tmp_path / "adapter"
    words = [sys.executable, str(STAND_IN), "elm327", "38400", str(link)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield link
        process.kill()


def write(folder: Path, name: str, needs: str) -> None:
    """Write a scenario file."""
    (folder / f"{name}.scenario.yaml").write_text(SCENARIO.format(needs=needs), encoding="utf-8")


def desk(folder: Path, links: str, more: str = "") -> Path:
    """Write a bench file."""
    path = folder / "desk.yaml"
    path.write_text(f"bench: 1\n{more}\nlinks: {{{links}}}\n", encoding="utf-8")
    return path


def test_a_session_on_a_bench(
    stranger: pytest.Pytester,
    adapter: Path,
    monkeypatch: pytest.MonkeyPatch,
    server_url: str,
) -> None:
    """What can be driven is; what the bench lacks, or what is broken, is skipped with the reason.

    JUnit's suite says on what it was driven; a session with a broken bench does not pass.
    """
    monkeypatch.setenv("TELERIG_DATABASE_URL", server_url)
    write(stranger.path, "drive", "gps")
    write(stranger.path, "outside", "gps, ignition")
    write(stranger.path, "radio", "mesh")
    desk(
        stranger.path,
        f"obd: {{real: {adapter}}}, mesh: {{real: /dev/ttyACM97}}",
        "features: [sky]",
    )
    result = stranger.runpytest_subprocess("--rig-bench", "desk.yaml", "--junitxml=out.xml")
    result.assert_outcomes(passed=1, skipped=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    text = "\n".join(result.outlines)
    assert "bench 'desk' lacks 'ignition'" in text
    trouble = f"bench broken: mesh: {stranger.path}/desk.yaml:3: expected a serial port"
    assert text.count(trouble) == 2  # beside the test, and at the end
    assert "look again: telerig bench check" in text
    suite = ET.parse(stranger.path / "out.xml").getroot()[0]
    said = {p.get("name"): p.get("value") for p in suite.findall("properties/property")}
    assert said["rig.bench"] == "desk"
    assert said["rig.bench.file"] == str(stranger.path / "desk.yaml")
    assert len(said["rig.bench.sha256"] or "") == 64
    assert said["rig.bench.obd"] == f"real {adapter}"
    assert said["rig.bench.obd.ATI"] == "ELM327 v1.5"
    of_run = {p.get("name"): p.get("value") for p in suite.findall("testcase/properties/property")}
    assert of_run["rig.mode"] == "paced"


def test_an_adapter_that_is_pulled_out(
    stranger: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, server_url: str
) -> None:
    """The run that is under way fails and keeps its record; the rest of the suite goes on.

    What needs the adapter is skipped from then on, what does not is driven.
    """
    pytest.importorskip("obd", reason="telerig[obd] is not installed")
    monkeypatch.setenv("TELERIG_DATABASE_URL", server_url)
    write(stranger.path, "a", "obd")
    write(stranger.path, "b", "obd")
    write(stranger.path, "c", "gps")
    port = stranger.path / "adapter"
    desk(stranger.path, f"obd: {{real: {port}}}")
    words = [sys.executable, "-m", "rig.cli", "device", "obd", "--link", str(port), "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as device:
        assert device.stdout is not None
        device.stdout.readline()
        log = stranger.path / "session.log"
        with log.open("wb") as file:
            session = subprocess.Popen(
                [sys.executable, "-m", "pytest", "-rs", "--rig-bench", "desk.yaml"],
                cwd=stranger.path,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        deadline_s = time.monotonic() + 60
        while not list(stranger.path.glob("runs/*/run.json")):
            assert time.monotonic() < deadline_s, "the run did not begin"
            time.sleep(0.2)
        time.sleep(UNDER_WAY_S)
        port.unlink()  # as udev does; the number of its PTY is soon another's
        device.kill()
        session.wait(timeout=120)
    text = log.read_text(encoding="utf-8")
    assert "1 failed, 1 passed, 1 skipped" in text, text
    assert "a.scenario.yaml F" in text, text
    assert "SKIPPED [1] b.scenario.yaml:1: bench broken: obd: " in text
    assert session.returncode == pytest.ExitCode.TESTS_FAILED
    (record,) = stranger.path.glob("runs/*-a-1")
    assert (record / "run.json").is_file()


def test_without_a_bench_features_are_lacking(stranger: pytest.Pytester) -> None:
    """A scenario that needs one is skipped, and the reason says what is wanted."""
    write(stranger.path, "outside", "gps, sky")
    result = stranger.runpytest_subprocess()
    result.assert_outcomes(skipped=1)
    assert "needs 'sky', which a bench must have among its features" in "\n".join(result.outlines)


def test_a_skip_in_ci_is_a_failure(
    stranger: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As any skip there: nothing falls asleep unseen."""
    monkeypatch.setenv("CI", "1")
    write(stranger.path, "outside", "gps, sky")
    result = stranger.runpytest_subprocess("--rig-bench", str(desk(stranger.path, "")))
    result.assert_outcomes(failed=1)
    assert "skipped in CI: bench 'desk' lacks 'sky'" in "\n".join(result.outlines)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rig-bench", "desk.yaml", "--rig-mode", "virtual"], "found --rig-mode virtual"),
        (["--rig-bench", "none.yaml"], "none.yaml: expected a readable bench file"),
        (["--rig-bench", "wrong.yaml"], "wrong.yaml:1: expected 'bench' in a bench"),
    ],
)
def test_options_that_are_wrong(stranger: pytest.Pytester, words: list[str], said: str) -> None:
    """One line and exit code 4, as pytest's own."""
    write(stranger.path, "drive", "gps")
    desk(stranger.path, "")
    (stranger.path / "wrong.yaml").write_text("name: x\n")
    result = stranger.runpytest_subprocess(*words)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert said in "\n".join(result.errlines)
    assert "Traceback" not in "\n".join(result.errlines)


def test_several_processes_have_one_desk(stranger: pytest.Pytester) -> None:
    """With xdist they would take each other's ports: refused before anything is driven."""
    pytest.importorskip("xdist")
    write(stranger.path, "drive", "gps")
    desk(stranger.path, "")
    result = stranger.runpytest_subprocess("--rig-bench", "desk.yaml", "-n", "2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "expected one process, found -n" in "\n".join(result.errlines)
