"""The stages of the tests: no green comes from a red."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import stages
from tests.stages import Result, Stage, conduct, run_round

ROOT = Path(stages.__file__).parents[1]
PASSES = "def test_passes():\n    pass\n"
FAILS = "def test_fails():\n    assert 0\n"
# Fails the first time; the file says that there was one.
FLAKY = """
from pathlib import Path
import pytest
@pytest.mark.parametrize("what", ["a::b [c]", "two"])
def test_flaky(what):
    seen = Path(__file__).with_suffix(".seen-" + what[0])
    if not seen.exists():
        seen.touch()
        assert 0
"""
SKIPS_THEN = FLAKY + "    pytest.skip('not today')\n"
ALSO_TEARDOWN = """
import pathlib, pytest
@pytest.fixture
def broken():
    yield
    seen = pathlib.Path(__file__).with_suffix(".seen")
    if not seen.exists():
        seen.touch()
        assert 0
def test_teardown(broken):
    pass
"""
ALONE_AT_LAST = """
import pathlib
def test_next():
    seen = pathlib.Path("next.seen")
    if not seen.exists():
        seen.touch()
        assert 0
"""
NO_TEST_FAILS = """
def pytest_runtest_teardown(item):
    item.session.shouldfail = "enough"
"""
LATE_NEWS = """
def pytest_sessionfinish(session):
    session.exitstatus = 1
"""


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the session around it: other plugins, options, the page of somebody's CI."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.delenv(stages.SUMMARY, raising=False)


def ran(folder: Path, *words: str, **files: str) -> Result:
    """Run a tiny project as a stage."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    stage = Stage("tiny", ("-p", "xdist.plugin", "-q", *words))
    (result,) = run_round(((stage,),), folder)
    return result


def test_what_passes_is_run_once(tmp_path: Path) -> None:
    """A stage without a failure, spread over two processes, is passed as it is."""
    result = ran(tmp_path, "-n2", test_it=PASSES, test_other=PASSES)
    assert (result.why, result.again, result.failed) == ("", None, [])
    assert len(result.outcomes.of("passed")) == 2


def test_what_failed_passes_alone(tmp_path: Path) -> None:
    """Just the tests that failed are run again, of two processes, and are named."""
    result = ran(tmp_path, "-n2", test_it=FLAKY + PASSES, test_down=ALSO_TEARDOWN)
    assert result.why == ""
    assert result.again is not None
    assert result.again.chosen == set(result.passed_alone)
    assert result.passed_alone == [
        "test_down.py::test_teardown",
        "test_it.py::test_flaky[a::b [c]]",
        "test_it.py::test_flaky[two]",
    ]


def test_what_fails_twice_has_failed(tmp_path: Path) -> None:
    """One of two passes alone; the stage has failed, and says which is which."""
    result = ran(tmp_path, test_it=FLAKY + FAILS)
    assert "failed again" in result.why
    assert result.failed == ["test_it.py::test_fails"]
    assert len(result.passed_alone) == 2


def test_skipping_is_not_passing(tmp_path: Path) -> None:
    """A test that failed and then is skipped has not passed."""
    result = ran(tmp_path, test_it=SKIPS_THEN)
    assert "failed again" in result.why
    assert len(result.failed) == 2


@pytest.mark.parametrize(
    ("why", "words", "files"),
    [
        ("pytest ended with 7", (), {"test_it": "def test_it():\n    __import__('os')._exit(7)"}),
        (
            "a process went down",
            ("-n1",),
            {"test_it": "def test_it():\n    __import__('os')._exit(0)\n" + FLAKY},
        ),
        ("pytest ended with -6", (), {"test_it": "def test_it():\n    __import__('os').abort()"}),
        ("pytest ended with 2", (), {"test_it": FLAKY, "test_bad": "1 / 0"}),
        ("cannot be collected: test_bad.py", ("-n1",), {"test_it": FLAKY, "test_bad": "1 / 0"}),
        (
            "cannot be collected: test_bad.py",
            ("--continue-on-collection-errors",),
            {"test_it": FLAKY, "test_bad": "1 / 0"},
        ),
        ("pytest ended with 5", (), {"test_it": ""}),
        ("pytest ended with 4", ("no_such_folder",), {}),
        ("pytest ended with 2", (), {"test_it": "def test_it():\n    raise KeyboardInterrupt"}),
        ("cut short: 1 tests did not run", ("-x",), {"test_it": FLAKY}),
        ("pytest ended with 2", ("-x", "-n1"), {"test_it": FLAKY + PASSES}),
        ("and no test failed", (), {"test_it": PASSES, "conftest": NO_TEST_FAILS}),
        ("after it had decided on 0", (), {"test_it": PASSES, "conftest": LATE_NEWS}),
        ("9 tests failed", (), {"test_it": FLAKY.replace('"two"', "*'two23456'")}),
    ],
)
def test_no_second_chance(
    why: str, words: tuple[str, ...], files: dict[str, str], tmp_path: Path
) -> None:
    """A crash, a run cut short, nothing to run, or too many failures: failed at once."""
    result = ran(tmp_path, *words, **files)
    assert why in result.why
    assert result.again is None


def test_all_stages_are_run_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A stage that failed ends nothing; the table and the page of CI name every test."""
    summary = tmp_path / "summary.md"
    monkeypatch.setenv(stages.SUMMARY, str(summary))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    for name, text in (("fails", FAILS), ("flaky", FLAKY), ("passes", PASSES)):
        (tmp_path / f"test_{name}.py").write_text(text)
    xdist = ("-p", "xdist.plugin")
    wanted = [Stage(n, (f"test_{n}.py", *xdist)) for n in ("fails", "flaky", "passes")]
    fails, flaky, passes = wanted
    assert conduct([((fails,), (flaky, passes))], tmp_path) == 1
    assert conduct([((passes,),)], tmp_path) == 0
    told = capfd.readouterr().out
    for text in (told, summary.read_text()):
        rows = [line.split("|") for line in text.splitlines() if line.startswith("| ")]
        cells = {row[1].strip(): [cell.strip() for cell in row[2:7]] for row in rows[1:4]}
        assert cells["fails"] == ["1", "0", "1", "0", "1"]
        assert cells["flaky"] == ["2", "2", "0", "0", "2"]
        assert cells["passes"] == ["1", "1", "0", "0", "0"]
        assert "- failed: test_fails.py::test_fails" in text
        assert (
            "PASSED ALONE, failed at first; a bug to mend: test_flaky.py::test_flaky[two]" in text
        )


TOGETHER = """
import os, pathlib, time
def test_beside():
    pathlib.Path("{own}").write_text(str(os.getpriority(os.PRIO_PROCESS, 0)))
    end_s = time.monotonic() + 60
    while not pathlib.Path("{other}").exists():
        assert time.monotonic() < end_s
        time.sleep(0.02)
"""


def test_lanes_run_beside_each_other(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Two stages that wait for each other; the next one of a lane begins after the first; output of
    the second lane comes in one piece; one gives way; a second chance is alone."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    for own, other in ("ab", "ba"):
        (tmp_path / f"test_{own}.py").write_text(TOGETHER.format(own=own, other=other))
    (tmp_path / "test_next.py").write_text(f"{ALONE_AT_LAST}    print('THE NEXT ONE')")
    a = Stage("a", ("test_a.py",), gives_way=True)
    b, after = (
        Stage("b", ("test_b.py",)),
        Stage("after", ("test_next.py", "-p", "xdist.plugin", "-s")),
    )
    results = run_round(((a,), (b, after)), tmp_path)
    assert [(result.stage, result.why) for result in results] == [(a, ""), (b, ""), (after, "")]
    assert results[2].passed_alone == ["test_next.py::test_next"]
    mine = os.getpriority(os.PRIO_PROCESS, 0)
    assert (tmp_path / "b").read_text() == str(mine)
    assert (tmp_path / "a").read_text() == str(min(mine + stages.NICE, 19))
    assert "THE NEXT ONE" in capfd.readouterr().out


def test_options_are_of_the_unit_stage() -> None:
    """What is given to tox goes to the unit stage alone, in the place of its own options."""
    own, given = (
        [stage for lanes in rounds for lane in lanes for stage in lane]
        for rounds in (stages.rounds(), stages.rounds(["-k", "wire"]))
    )
    assert given[0].words == ("tests", "-k", "wire")
    assert own[1:] == given[1:]
    apart = {stage.words[0] for stage in own[1:]}
    assert {f"--ignore={place}" for place in apart if place.startswith("tests/")} <= {*own[0].words}


def test_sigterm_ends_the_tests_too(tmp_path: Path) -> None:
    """Whoever ends the stages ends the runs of pytest below, which may unwind."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    for name in ("long", "longer"):
        (tmp_path / f"test_{name}.py").write_text(
            "import pathlib, time\n"
            "def test_long():\n"
            f"    pathlib.Path('begun-{name}').touch()\n"
            "    try:\n"
            "        time.sleep(200)\n"
            "    finally:\n"
            f"        pathlib.Path('unwound-{name}').touch()\n"
        )
    program = (
        "import sys; from pathlib import Path; from tests import stages\n"
        "lanes = [(stages.Stage(name, (f'test_{name}.py',)),) for name in ('long', 'longer')]\n"
        "stages.rounds = lambda words: [tuple(lanes)]\n"
        f"stages.__file__ = {str(tmp_path / 'tests' / 'stages.py')!r}\n"
        "sys.exit(stages.main([]))"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL) as process:
        end_s = time.monotonic() + 60
        while len([*tmp_path.glob("begun-*")]) < 2:
            assert time.monotonic() < end_s
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
    assert len([*tmp_path.glob("unwound-*")]) == 2
