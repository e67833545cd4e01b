"""The page of a run of an hour (--quick: five minutes) with 40 signals: first paint, seek, memory.

The run is that of `view_runs`: 282 readings a second, a million in all, written by the rig's own
writer. `telerig view` serves it, Chromium without a GPU shows all 40 signals. Cold: columns,
browser and its cache are new; warm: both have seen the page. Painted is the frame after the one
that drew lines in every strip that can be seen, since the navigation began. A seek goes to any
minute of the hour: painted with what is there, and again as fine as the screen.
"""

from __future__ import annotations

import random
import shutil
import statistics
import tempfile
from pathlib import Path

from playwright.sync_api import Page

from reports.runs import cache
from rig.judge.judgement import judge_folder
from tests.benchmarks.chromium import Chromium, chromium, wait_for
from tests.benchmarks.figures import Beside, Goal, Row
from tests.benchmarks.view_runs import CAN, GPS, HOUR_S, OBD, QUICK_S, write_run
from tests.reports.view.served import ServedView, serving_view

TIMES, QUICK_TIMES, SEEKS = 5, 2, 30
SIGNALS = ",".join([*OBD, *GPS, *CAN])
SPAN_S = 60
# Dash alone: what a page of the application costs before anything of ours is shown.
EMPTY_PAGE = "/settings"
SEEK = """async ([t, span]) => {
    const { stage } = telerigView, frame = () => new Promise(requestAnimationFrame);
    const names = [...stage.rows.onScreen()], began = performance.now();
    stage.time.window(t, t + span);
    stage.time.seek(t + span / 2);
    await frame();
    await frame();
    const painted = performance.now() - began;
    const covers = (one) => one !== undefined && one.start_s <= t && one.end_s >= t + span;
    const isFine = (name) => stage.data(name).raw || covers(stage.book.detail.get(`|${name}`));
    while (!names.every(isFine) && performance.now() - began < 5000) await frame();
    await frame();
    return [painted, performance.now() - began];
}"""
NEXT_FRAMES = """new Promise((done) => requestAnimationFrame(() =>
    requestAnimationFrame(() => done(performance.now()))))"""


def measure(is_quick: bool) -> list[Row]:
    """Measure everything."""
    times = QUICK_TIMES if is_quick else TIMES
    length_s = QUICK_S if is_quick else HOUR_S
    with tempfile.TemporaryDirectory(prefix="view-replay-") as name:
        root = Path(name) / "runs"
        run = write_run(root / "20260101T100000-hour-1", length_s)
        judge_folder(run)
        cold = [_cold(root, run) for _ in range(times)]
        with serving_view(root, {}) as view, chromium() as browser:
            shell = [_shell(browser, view) for _ in range(times + 1)][1:]
            warm = [_closed(*_first(browser, view, run)) for _ in range(times + 1)][1:]
            page, _ = _first(browser, view, run)
            coarse, fine = _seeks(page, length_s, SEEKS)
            memory = browser.memory_mb(page)
            held = page.evaluate("telerigView.bytes") / 1e6
            points = page.evaluate("telerigView.points")
            page.close()
    application = Beside("a page of the application without data", statistics.median(shell))
    frame = Beside("two frames of 60 Hz", 2000 / 60)
    return [
        Row("first paint, warm", warm, "ms", Goal(most=1500), application),
        Row("first paint, cold", cold, "ms", Goal(most=3500), application),
        Row("seek, painted with what is there, p95", [_p95(coarse)], "ms", Goal(most=50), frame),
        Row("seek, painted with what is there", coarse, "ms", None, frame),
        Row("seek, as fine as the screen", fine, "ms", None, frame),
        Row("memory of the page, all seeks done", [memory], "MB", Goal(most=300)),
        Row("columns that it holds", [held], "MB"),
        Row("points of the last drawing", [points], "points"),
    ]


def _p95(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


def _cold(root: Path, run: Path) -> float:
    shutil.rmtree(run / cache.FOLDER, ignore_errors=True)
    with serving_view(root, {}) as view, chromium() as browser:
        return _closed(*_first(browser, view, run))


def _closed(page: Page, took_ms: float) -> float:
    page.close()
    return took_ms


def _first(browser: Chromium, view: ServedView, run: Path) -> tuple[Page, float]:
    page = browser.page()
    page.goto(f"{view.url}/run/{run.name}?sig={SIGNALS}", wait_until="commit")
    wait_for(page, "Number.isFinite(window.telerigView?.firstPainted_ms ?? NaN)", 60)
    took_ms = float(page.evaluate("telerigView.firstPainted_ms"))
    wait_for(page, "telerigView.stage.strips.every((one) => telerigView.stage.book.has(one.name))")
    return page, took_ms


def _shell(browser: Chromium, view: ServedView) -> float:
    page = browser.page()
    page.goto(view.url + EMPTY_PAGE, wait_until="commit")
    wait_for(page, "document.querySelector('#page h1') !== null")
    took_ms = page.evaluate(NEXT_FRAMES)
    page.close()
    return float(took_ms)


def _seeks(page: Page, length_s: int, count: int) -> tuple[list[float], list[float]]:
    where = random.Random(1)
    first_s = page.evaluate("telerigView.stage.time.first_s")
    coarse, fine = [], []
    for _ in range(count):
        painted, done = page.evaluate(SEEK, [first_s + where.uniform(0, length_s - SPAN_S), SPAN_S])
        coarse.append(painted)
        fine.append(done)
    return coarse, fine
