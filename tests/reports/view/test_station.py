"""`/station`: a scenario that runs, with steps and limits, and the page when nothing runs."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.reports.view.accessibility import check_looks
from tests.reports.view.served import ServedView, running
from tests.reports.view.waiting import comes, found_by, says, until

if TYPE_CHECKING:
    from playwright.sync_api import Page

LONG = """\
rig: 1
name: long wait
needs: [gps]
seed: 3
mode: paced
world:
  vehicle: focus_st
  gps: {profile: ublox_m9, rate: 10 Hz, baud: 115200, sentences: [RMC, GGA]}
phases:
  - {idle: 1 s, as: begin}
  - {idle: 3000 s, as: stand}
  - {idle: 30 s, as: later}
limits:
  gps.latency.p95: {max: 1 ms, phase: stand}
  gps.fidelity.max: {max: 1 step}
  gps.coverage: {min: 10 %, phase: later}
  readings.lost: {equals: 0}
"""
TRIES = 3
EVERY_S = 3.0
"""The list of runs is asked for so often."""
STATES = """Object.fromEntries([...document.querySelectorAll('.station-run tbody tr')].map((row) =>
    [row.cells[0].firstChild.data, row.cells[4].textContent]))"""
NEWEST = "((name) => telerigView.stage.data(name).t.at(-1) ?? 0)"
STEPS = "[...document.querySelectorAll('.station-steps li')].map((one) => one.className).join(' ')"


def listened(page: Page, heard: list[float]) -> int:
    """Let the browser say what it has asked for; give how often."""
    page.wait_for_timeout(50)
    return len(heard)


def test_nothing_runs(page: Page, view: ServedView, run_id: str) -> None:
    """Said so, with the command, and the last verdicts lead to their runs."""
    page.goto(f"{view.url}/station")
    page.wait_for_selector("text=No scenario runs now.")
    says(page.locator(".station-none").first, "telerig run FILE --pace 1 --view")
    last = page.locator(".station-last li")
    says(last.first, "✗ fail")
    comes(lambda: last.first.locator("a").get_attribute("href"), f"/run/{run_id}")
    check_looks(page)


@pytest.fixture(scope="module")
def watched_run(
    tmp_path_factory: pytest.TempPathFactory, child_coverage: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A long run at four times the pace of time, and where it can be watched."""
    folder = tmp_path_factory.mktemp("watched")
    scenario = folder / "long.scenario.yaml"
    scenario.write_text(LONG, encoding="utf-8")
    command = [
        sys.executable, "-m", "rig.cli", "run", str(scenario), "--pace", "4", "--view",
        "--port", "0", "--runs", str(folder / "runs"),
    ]  # fmt: skip
    # A gateway has 20 s to begin, which a machine that does ten other things may not give it.
    for _ in range(TRIES):
        with running(command, child_coverage, r"watch it at (http://\S+)", "stdout") as found:
            if has_readings(*found):
                yield found
                return
    pytest.fail(f"no run of {TRIES} came so far that its gateway had readings: {scenario}")


def has_readings(process: subprocess.Popen[str], url: str) -> bool:
    """Wait until a run has readings; give False where it ends before."""
    base, _, run = url.partition("/run/")
    while process.poll() is None:
        with contextlib.suppress(OSError, ValueError):
            with urllib.request.urlopen(f"{base}/api/runs/{run}", timeout=60) as answer:
                names = [one["name"] for one in json.loads(answer.read())["signals"]]
            if "GPS_SPEED" in names:
                return True
        time.sleep(0.1)
    return False


def test_strips_of_a_run_that_is_watched_go_on(
    page: Page, watched_run: tuple[subprocess.Popen[str], str]
) -> None:
    """At a pace other than 1 readings are drawn as they come, up to the right edge, not grey, as
    the record has them; figures come along."""
    url = watched_run[1]
    page.goto(f"{url}?sig=GPS_SPEED,gps.latency")
    until(page, f"window.telerigView?.mode === 'following' && {NEWEST}('GPS_SPEED') > 0")
    for name in ("GPS_SPEED", "gps.latency"):
        first_s = until(page, f"{NEWEST}('{name}')")
        until(page, f"{NEWEST}('{name}') > {first_s + 20}")
        until(page, f"!document.querySelector('[data-key=\"{name}\"].is-stale')")
    until(page, f"telerigView.end - {NEWEST}('GPS_SPEED') < 2")
    assert page.evaluate("telerigView.stage.events.filter((one) => one.kind === 'jump')") == []
    drawn = page.evaluate(
        "(({t, v}) => [...t].map((at, i) => [Math.round(at * 1e3), v[i]]).slice(-50))"
        "(telerigView.stage.data('GPS_SPEED'))"
    )
    base, _, run = url.partition("/run/")
    path = f"{base}/api/runs/{run}/series?signal=GPS_SPEED&layer=reported&points=20000"
    line = json.loads(page.request.get(path).text())["series"][0]
    told = zip(line["times_ns"], line["values"], strict=True)
    stored = {round(at / 1e6): value for at, value in told}
    assert drawn == [[at, stored.get(at)] for at, _ in drawn]


def test_a_run_is_watched_and_stopped(
    page: Page, watched_run: tuple[subprocess.Popen[str], str], expected_errors: list[str]
) -> None:
    """Steps go on, limits are judged as it goes, the list is asked for rarely, Stop ends it."""
    # The pages end with the run.
    expected_errors.append("WebSocket|Failed to load|ERR_CONNECTION")
    process, url = watched_run
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{url.partition('/run/')[0]}/station")
    page.wait_for_selector(".station-run")
    page.wait_for_selector(".station-run h2 a:text-is('long wait, seed 3')")
    until(page, f"({STEPS}) === 'is-done is-now is-next'")
    clock = page.inner_text(".station-clock")
    for limit, state in (
        ("gps.latency.p95", "beyond so far"),
        ("gps.fidelity.max", "kept so far"),
        ("gps.coverage", "not begun"),
        ("readings.lost", "at the end"),
    ):
        until(page, f"({STATES})['{limit}']?.includes('{state}')")
    until(page, f"document.querySelector('.station-clock').textContent > '{clock}'")
    check_looks(page)
    lists = []
    page.on("request", lambda one: "/api/runs?" in one.url and lists.append(time.monotonic()))
    found_by(partial(listened, page, lists), lambda count: count >= 3, "three lists")
    assert lists[2] - lists[0] > EVERY_S
    assert not any("/series" in one for one in asked)
    page.click(".station-run button:text('Stop')")
    assert process.wait(60) == 1
