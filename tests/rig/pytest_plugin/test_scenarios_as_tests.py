"""Scenario files as tests, in a folder of a stranger who has installed telerig."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from rig.scenario.load import EXTRA_PACKAGES

pytest_plugins = ["pytester"]

SCENARIO = """\
rig: 1
needs: [gps]
seed: 5
{more}
phases:
  - {{idle: 5 s}}
limits:
{limits}
"""
GOOD = "  gps.coverage: {min: 90 %, phase: idle}\n  readings.lost: {equals: 0}"
STRICT = "  gps.position_error.p95: {max: 1 mm, phase: idle}"
PACED_ONLY = "  gateway.rss: {max: 90 MB, mode: paced}"


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch, server_url: str) -> None:
    """One server for all sessions: its start is not what is tested here."""
    monkeypatch.setenv("TELERIG_DATABASE_URL", server_url)


def write(folder: Path, name: str, limits: str = GOOD, more: str = "") -> Path:
    """Write a scenario file."""
    path = folder / f"{name}.scenario.yaml"
    path.write_text(SCENARIO.format(limits=limits, more=more), encoding="utf-8")
    return path


def collected(stranger: pytest.Pytester, *words: str) -> list[str]:
    """Return the node ids that pytest would run."""
    result = stranger.runpytest_inprocess("--collect-only", "-q", *words)
    return [line for line in result.outlines if "::" in line and ": " not in line]


def test_what_is_collected(stranger: pytest.Pytester) -> None:
    """A file gives an item for each seed; -k and node ids choose; the mode is a marker."""
    write(stranger.path, "one")
    write(stranger.path, "two")
    ids = collected(stranger, "--rig-seeds", "2")
    assert ids == [
        f"{name}.scenario.yaml::{name}[seed={seed}]" for name in ("one", "two") for seed in (5, 6)
    ]
    assert collected(stranger, "-k", "two") == ids[2:3]
    assert collected(stranger, "--rig-seeds", "2", ids[1]) == ids[1:2]
    assert collected(stranger, "-m", "paced") == []
    assert collected(stranger, "-m", "paced", "--rig-mode", "paced") == [ids[0], ids[2]]


def test_slow_scenarios_wait_to_be_asked_for(stranger: pytest.Pytester) -> None:
    """`long` and `nightly` are left out by default; -m, or the file's own name, brings them."""
    write(stranger.path, "short")
    write(stranger.path, "far", more="tags: [long]")
    write(stranger.path, "further", more="tags: [nightly]")
    name = "{0}.scenario.yaml::{0}[seed=5]".format
    assert collected(stranger) == [name("short")]
    assert collected(stranger, "-m", "long") == [name("far")]
    assert collected(stranger, "-m", "nightly or long") == [name("far"), name("further")]
    assert collected(stranger, "further.scenario.yaml") == [name("further")]
    assert len(collected(stranger, "-m", "long or not long", "-k", "short or far")) == 2


def test_a_wrong_file_is_one_clear_error(stranger: pytest.Pytester) -> None:
    """A scenario that cannot be read is a collection error of one line, without a traceback."""
    write(stranger.path, "wrong", more="sead: 3")
    write(stranger.path, "right")
    result = stranger.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(errors=1)
    text = "\n".join(result.outlines)
    assert text.count("wrong.scenario.yaml:4: expected a key of a scenario, found 'sead'") >= 1
    assert "did you mean 'seed'?" in text
    assert "Traceback" not in text + "\n".join(result.errlines)
    assert "collect(" not in text


def test_options_that_are_wrong(stranger: pytest.Pytester) -> None:
    """A number of seeds that is none is refused by name; exit code 4, as pytest's own."""
    result = stranger.runpytest_subprocess("--rig-seeds", "none")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--rig-seeds: expected a whole number from 1, found 'none'"])


@pytest.mark.usefixtures("database")
def test_a_session(stranger: pytest.Pytester) -> None:
    """Verdicts, a readable failure, a property for each figure, and a summary for a CI page."""
    write(stranger.path, "good")
    write(stranger.path, "strict", STRICT)
    result = stranger.runpytest_subprocess(
        "--junitxml=out.xml",
        "--rig-summary=summary.md",
        "--rig-seeds",
        "2",
        "-k",
        "not (strict and 6)",
    )
    result.assert_outcomes(passed=2, failed=1)
    text = "\n".join(result.outlines)
    # Limit, bound, value, where, how to repeat it; and no line of ours or pytest's code.
    failure = text.partition("= FAILURES =")[2].partition("= telerig =")[0]
    assert re.search(r"gps\.position_error\.p95 .*\d.* m\b", failure), failure
    assert "0.001 m" in failure
    assert "strict.scenario.yaml:8" in failure
    assert "repeat: telerig run strict.scenario.yaml --seed 5" in failure
    assert "runtest" not in failure
    assert "FAIL  strict, seed 5, virtual" in text
    assert "PASS  good, seed 6, virtual" in text

    cases = {
        case.get("name"): case for case in ET.parse(stranger.path / "out.xml").iter("testcase")
    }
    properties = {
        str(entry.get("name")): str(entry.get("value"))
        for entry in cases["good[seed=6]"].iter("property")
    }
    assert 20.0 <= float(properties["rig.sim_s"]) < 21.0
    assert float(properties["rig.wall_s"]) > 0
    assert properties["rig.seed"] == "6"
    assert properties["rig.mode"] == "virtual"
    assert re.fullmatch("[0-9a-f]{64}", properties["rig.trace_sha256"])
    assert float(properties["gps.coverage[idle]"]) >= 90
    assert properties["gps.coverage[idle].outcome"] == "PASS"
    assert float(properties["gps.latency.p95"]) > 0, "figures without a limit are there too"
    record = Path(properties["rig.record"])
    assert record.parent == stranger.path / "runs"
    assert (record / "run.json").is_file()

    summary = (stranger.path / "summary.md").read_text(encoding="utf-8")
    assert "| strict | 5 | virtual | **FAIL** |" in summary
    assert summary.count("| pass |") == 2
    assert "repeat: telerig run strict.scenario.yaml --seed 5" in summary


@pytest.mark.usefixtures("database")
def test_with_xdist(stranger: pytest.Pytester) -> None:
    """Workers of xdist share the scenarios; properties and summary come from all of them."""
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    write(stranger.path, "one")
    write(stranger.path, "two")
    result = stranger.runpytest_subprocess("-n", "2", "--junitxml=o.xml", "--rig-summary=s.md")
    result.assert_outcomes(passed=2)
    names = [entry.get("name") for entry in ET.parse(stranger.path / "o.xml").iter("property")]
    assert names.count("rig.trace_sha256") == 2
    assert (stranger.path / "s.md").read_text(encoding="utf-8").count("| pass |") == 2
    assert sum("virtual: 20 s" in line for line in result.outlines) == 2


# -- skips in CI -----------------------------------------------------------------------------------
SKIPPING = """
import pytest
def test_one():
    pytest.skip("no oscilloscope here")
@pytest.mark.skipif(True, reason="needs a car")
def test_two():
    pass
@pytest.mark.xfail
def test_three():
    assert False
"""
MODULE = 'import pytest\npytest.skip("no bench", allow_module_level=True)\n'


@pytest.mark.parametrize(
    ("ci", "allowed", "outcomes"),
    [
        ("", "no car", {"skipped": 2, "xfailed": 1}),
        ("false", "no car", {"skipped": 2, "xfailed": 1}),
        ("1", None, {"skipped": 2, "xfailed": 1}),
        ("1", "no oscilloscope", {"skipped": 1, "errors": 1, "xfailed": 1}),
        ("true", "no osc.*here$\n  needs a", {"skipped": 2, "xfailed": 1}),
    ],
)
def test_skips_of_other_tests(
    stranger: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    ci: str,
    allowed: str | None,
    outcomes: dict[str, int],
) -> None:
    """In CI, once a list is set, a skip whose reason is not on it fails."""
    monkeypatch.setenv("CI", ci)
    if allowed is not None:
        stranger.makeini(f"[pytest]\nrig_allowed_skips =\n  {allowed}\n")
    stranger.makepyfile(SKIPPING)
    result = stranger.runpytest_inprocess()
    result.assert_outcomes(**outcomes)
    if "errors" in outcomes:
        result.stdout.fnmatch_lines(["skipped in CI: needs a car; make it run, or add*"])


def test_a_module_that_is_skipped(
    stranger: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole module that falls asleep in CI is an error too."""
    monkeypatch.setenv("CI", "1")
    stranger.makeini("[pytest]\nrig_allowed_skips = nothing\n")
    stranger.makepyfile(MODULE)
    result = stranger.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*skipped in CI: no bench*"])


@pytest.mark.usefixtures("database")
def test_a_scenario_without_a_judged_limit(
    stranger: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scenario that judges nothing is a skip; in CI it fails, until its reason is on the list."""
    write(stranger.path, "other_clock", PACED_ONLY)
    stranger.runpytest_subprocess().assert_outcomes(skipped=1)
    monkeypatch.setenv("CI", "1")
    result = stranger.runpytest_subprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*skipped in CI: no limit of other_clock.scenario.yaml*"])
    stranger.makeini("[pytest]\nrig_allowed_skips = no limit of \\S+ can be judged\n")
    stranger.runpytest_subprocess().assert_outcomes(skipped=1)


def test_a_scenario_whose_package_is_missing_is_skipped(
    stranger: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the reason and what installs it; the others run on."""
    monkeypatch.setitem(EXTRA_PACKAGES, "mesh", ("meshtastic_is_not_here",))
    write(stranger.path, "one")
    write(stranger.path, "radio")
    text = (stranger.path / "radio.scenario.yaml").read_text().replace("[gps]", "[gps, mesh]")
    (stranger.path / "radio.scenario.yaml").write_text(text)
    result = stranger.runpytest_inprocess("--collect-only", "-q", "-rs")
    assert [line for line in result.outlines if "::" in line] == ["one.scenario.yaml::one[seed=5]"]
    assert "pip install 'telerig[mesh]'" in result.stdout.str()
    assert result.ret == 0
