"""The stages of the tests: no green comes from a red."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import stages
from tests.stages import Result, Stage, conduct, run

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
    return run(Stage("tiny", ("-p", "xdist.plugin", "-q", *words)), folder)


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
    assert conduct(wanted, tmp_path) == 1
    assert conduct(wanted[2:], tmp_path) == 0
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


def test_options_are_of_the_unit_stage() -> None:
    """What is given to tox goes to the unit stage alone, in the place of its own options."""
    own, given = stages.stages(), stages.stages(["-k", "wire"])
    assert given[0].words == ("tests", "-k", "wire")
    assert own[1:] == given[1:]
    apart = {stage.words[0] for stage in own[1:]}
    assert {f"--ignore={place}" for place in apart if place.startswith("tests/")} <= {*own[0].words}


def test_sigterm_ends_the_tests_too(tmp_path: Path) -> None:
    """Whoever ends the stages ends the run of pytest below, which may unwind."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_long.py").write_text(
        "import pathlib, time\n"
        "def test_long():\n"
        "    pathlib.Path('begun').touch()\n"
        "    try:\n"
        "        time.sleep(200)\n"
        "    finally:\n"
        "        pathlib.Path('unwound').touch()\n"
    )
    program = (
        "import sys; from pathlib import Path; from tests import stages\n"
        "stages.stages = lambda words: [stages.Stage('long', ('test_long.py',))]\n"
        f"stages.__file__ = {str(tmp_path / 'tests' / 'stages.py')!r}\n"
        "sys.exit(stages.main([]))"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL) as process:
        end_s = time.monotonic() + 60
        while not (tmp_path / "begun").exists():
            assert time.monotonic() < end_s
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
    assert (tmp_path / "unwound").exists()
