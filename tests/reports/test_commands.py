from __future__ import annotations

import json

import pytest


def test_a_run_is_judged_again_and_shown(report, run_folder, tmp_path):
    """The table and the page; exit code 1 because a limit is not kept."""
    code, out, _ = report(run_folder, "--html", tmp_path / "page.html")
    assert code == 1
    assert "obd.latency.p95" in out
    assert "repeat: telerig run scenarios/lossy.scenario.yaml --seed 7" in out
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")


def test_the_last_run_is_the_default(report, drive):
    """Without a name, the latest of the runs folder is reported, and the page lies beside it."""
    folder = drive(20.0, 5, "latest")
    code, out, _ = report("--runs", folder.parent)
    assert code == 1
    assert "latest, seed 5, virtual" in out
    assert (folder / "report.html").exists()


def test_json_holds_every_measure(report, run_folder):
    """For scripts: limits, and every measure with its unit; nothing is written."""
    code, out, _ = report(run_folder, "--json")
    document = json.loads(out)
    assert code == 1
    assert document["passed"] is False
    assert document["report"] is None
    run = document["runs"][0]
    assert run["measures"]["obd.latency.p50"]["unit"] == "ms"
    assert run["measures"]["readings.lost"]["value"] == 0
    outcomes = {limit["limit"]: limit["outcome"] for limit in run["limits"]}
    assert outcomes["mesh.latency.p95"] == "UNSET"
    assert outcomes["readings.lost"] == "PASS"


def test_markdown_goes_to_the_output(report, run_folder):
    """For `>> $GITHUB_STEP_SUMMARY`."""
    assert report(run_folder, "--markdown")[1].startswith("### ")


def test_other_limits_can_be_tried(report, run_folder, tmp_path):
    """Limits are tuned against a record, without driving again."""
    scenario = tmp_path / "mild.scenario.yaml"
    scenario.write_text(
        "rig: 1\nname: mild\nneeds: [obd]\nseed: 1\nphases:\n  - {idle: 30 s}\n"
        "limits:\n  obd.latency.p95: {max: 500 ms}\n"
    )
    code, out, _ = report(run_folder, "--scenario", scenario, "--markdown")
    assert code == 0
    assert "1 of 1 limit kept" in out


def test_two_runs_are_compared(report, run_folder, drive):
    """A run equals itself; another seed's first divergence is shown."""
    _, _, err = report(run_folder, "--json", "--against", run_folder)
    assert "no divergence" in err
    _, _, err = report(run_folder, "--json", "--against", drive(120.0, 99))
    assert "first divergence: stream" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nonesuch"], "expected a folder with run.json"),
        (["last", "--runs", "nowhere"], "expected a run, found none"),
    ],
)
def test_an_unknown_run_is_one_clear_line(report, words, message):
    """Exit code 2 and what was expected."""
    code, out, err = report(*words)
    assert code == 2
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


def test_a_wrong_scenario_is_one_clear_line(report, run_folder, tmp_path):
    """The scenario's own error, not a traceback."""
    (tmp_path / "x.scenario.yaml").write_text("rig: 1\n")
    code, _, err = report(run_folder, "--scenario", tmp_path / "x.scenario.yaml")
    assert code == 2
    assert "x.scenario.yaml" in err
