"""`/compare`: two recordings, one over the other; what is shown is what their records hold."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from rig.record.compare import compare
from rig.record.reader import RecordReader
from tests.reports.view.accessibility import check_looks
from tests.reports.view.live_device import new_device
from tests.reports.view.recorded_runs import RecordedRuns
from tests.reports.view.served import ServedGateway, ServedView, serving_view
from tests.reports.view.waiting import comes, found_by, says, until

if TYPE_CHECKING:
    from playwright.sync_api import Page

DRAWN = "document.querySelectorAll('#compare-graph .trace.scatter').length > 0"
LINES = """[...document.querySelector('#compare-graph .js-plotly-plot').data].map((one) =>
    ({name: one.name, x: [...one.x], y: [...one.y]}))"""
RANGE = "document.querySelector('#compare-graph .js-plotly-plot').layout.xaxis.range"
AXIS = "document.querySelector('#compare-graph .js-plotly-plot').layout.xaxis.title.text"


@pytest.fixture(scope="module")
def served(recorded: RecordedRuns, child_coverage: Mapping[str, str]) -> Iterator[ServedView]:
    """A `telerig view` over them."""
    with serving_view(recorded.runs, child_coverage) as found:
        yield found


def compared(page: Page, view: ServedView, a: str, b: str, more: str = "") -> None:
    """Open two recordings and wait for their figure."""
    page.goto(f"{view.url}/compare?a={a}&b={b}{more}")
    until(page, DRAWN)
    until(page, "document.querySelector('.compare-trace, .compare-found p')?.textContent")


def lines(page: Page) -> list[dict[str, Any]]:
    """Give the lines of the figure: for each signal the first, the second, the difference."""
    found = page.evaluate(LINES)
    assert isinstance(found, list)
    return found


def table(page: Page, words: str) -> list[list[str]]:
    """Give a table's rows."""
    rows = page.locator(f"#compare-tables section:has(h2:text('{words}')) tbody tr")
    return [row.locator("th, td").all_inner_texts() for row in rows.all()]


def test_the_same_seed_differs_nowhere(
    page: Page, served: ServedView, recorded: RecordedRuns
) -> None:
    """Equal traces: that is said, every difference is nought, there is nothing to jump to."""
    compared(page, served, f"run:{recorded.first}", f"run:{recorded.again}", "&sig=RPM,SPEED")
    until(page, "document.querySelector('.compare-trace')?.textContent.includes('equal')")
    comes(lambda: {row[1] for row in table(page, "Differences")}, {"none"})
    differences = [one["y"] for one in lines(page) if one["name"] == "difference"]
    assert len(differences) == 2
    for values in differences:
        assert len(values) > 20
        assert set(values) <= {0, None}
    comes(page.locator("button:text('Jump')").count, 0)
    check_looks(page)


def test_lines_are_what_was_stored(page: Page, served: ServedView, recorded: RecordedRuns) -> None:
    """Values and instants of both lines; their divergence; the limits of both."""
    first, other = recorded.first, recorded.other
    compared(page, served, f"run:{first}", f"run:{other}", "&sig=RPM")
    until(page, "document.querySelector('.compare-trace')")
    for run, line in zip((first, other), lines(page), strict=False):
        info = served.ask(f"/api/runs/{run}")
        begin_s = min(phase["start_s"] for phase in info["phases"])
        stored = served.ask(f"/api/runs/{run}/series?signal=RPM&points=20000")["series"][0]
        assert line["y"] == pytest.approx(stored["values"])
        expected = [at / 1e9 - begin_s for at in stored["times_ns"]]
        assert line["x"] == pytest.approx(expected, abs=1e-5)
    found = compare(RecordReader(recorded.runs / first), RecordReader(recorded.runs / other))
    assert found is not None
    said = page.inner_text(".compare-trace")
    assert f"{found.stream}, row {found.row}," in said
    rows = {row[0].strip(): row for row in table(page, "Limits of both")}
    verdicts = served.ask(f"/api/runs/{first}/verdicts")["limits"]
    for limit in verdicts:
        assert limit["outcome"] in rows[limit["name"]][3]
    p95 = next(limit for limit in verdicts if limit["name"] == "gps.latency.p95")
    assert float(rows["gps.latency.p95"][2]) == pytest.approx(p95["value"], rel=1e-3)
    assert "✗ fail" in rows["gps.latency.p95"][3]


def test_jump_and_zoom_bring_finer_data(
    page: Page, served: ServedView, recorded: RecordedRuns
) -> None:
    """The first difference stands in the window; a drawn window asks for its own readings; the
    address holds it."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    compared(page, served, f"run:{recorded.first}", f"run:{recorded.other}", "&sig=RPM,SPEED")
    until(page, "document.querySelector('.compare-trace')")
    page.click("button:text('Jump to where the traces part')")
    until(page, f"({RANGE})[1] - ({RANGE})[0] < 20")
    low, high = page.evaluate(RANGE)
    found = compare(
        RecordReader(recorded.runs / recorded.first), RecordReader(recorded.runs / recorded.other)
    )
    assert found is not None
    info = served.ask(f"/api/runs/{recorded.first}")
    begin_s = min(phase["start_s"] for phase in info["phases"])
    assert low <= found.time_ns / 1e9 - begin_s <= high
    page.click("button:text('Show all')")
    until(page, f"!location.search.includes('x=') && ({RANGE})[1] - ({RANGE})[0] > 20")
    asked.clear()
    strip = page.locator("#compare-graph .nsewdrag").first
    strip.scroll_into_view_if_needed()
    box = strip.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.4, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, y, steps=4)
    page.mouse.up()
    until(page, "location.search.includes('x=')")
    low, high = page.evaluate(RANGE)
    margin_s = 3  # one reading beyond each end
    found_by(
        lambda: [x for one in lines(page)[:2] for x in one["x"]],
        lambda xs: bool(xs) and low - margin_s <= min(xs) <= max(xs) <= high + margin_s,
        f"readings from {low} to {high} only",
    )
    assert sum("/series" in url and "start_ns" in url for url in asked) == 2
    page.reload()
    until(page, DRAWN)
    comes(lambda: page.evaluate(RANGE), pytest.approx([low, high], abs=0.01))


def test_aligned_on_an_event_and_on_distance(
    page: Page, served: ServedView, recorded: RecordedRuns
) -> None:
    """The event stands at nought in both; metres are the speed summed up."""
    compared(page, served, f"run:{recorded.first}", f"run:{recorded.other}", "&sig=SPEED")
    page.select_option("select[name=align]", "event")
    page.select_option("select[name=event]", "fault pulled")
    until(page, f"{DRAWN} && ({AXIS}).includes('fault pulled')")
    for run, line in zip((recorded.first, recorded.other), lines(page), strict=False):
        info = served.ask(f"/api/runs/{run}")
        (fault,) = info["faults"]
        stored = served.ask(f"/api/runs/{run}/series?signal=SPEED&points=20000")["series"][0]
        first_s = stored["times_ns"][0] / 1e9 - fault["start_s"]
        assert line["x"][0] == pytest.approx(first_s, abs=1e-5)
    page.select_option("select[name=align]", "distance")
    until(page, f"({AXIS}).includes('metres')")
    stored = served.ask(f"/api/runs/{recorded.first}/series?signal=SPEED&points=20000")["series"][0]
    pairs = list(zip(stored["times_ns"], stored["values"], strict=True))
    way = sum((v + w) / 2 / 3.6 * (u - t) / 1e9 for (t, v), (u, w) in itertools.pairwise(pairs))
    comes(lambda: lines(page)[0]["x"][-1], pytest.approx(way, abs=0.5))
    until(page, "location.search.includes('align=distance')")


def test_signals_are_chosen_by_keyboard(
    page: Page, served: ServedView, recorded: RecordedRuns
) -> None:
    """One more comes as one more strip, and into the address; swap changes the sign."""
    compared(page, served, f"run:{recorded.first}", f"run:{recorded.other}", "&sig=RPM")
    before = [one["y"] for one in lines(page) if one["name"] == "difference"]
    page.focus(".compare-signals summary")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("throttle")
    page.focus(".compare-boxes input[name=THROTTLE_POS]")
    page.keyboard.press("Space")
    until(page, "location.search.includes('sig=RPM,THROTTLE_POS')")
    until(page, f"({LINES}).length === 6")
    page.click("button:text('Swap')")
    until(page, f"location.search.includes('a=run:{recorded.other}')")
    until(page, f"({LINES})[2].y.find((y) => y) === {-next(filter(None, before[0]))}")


def test_what_cannot_be_compared_is_said(
    page: Page, served: ServedView, recorded: RecordedRuns, expected_errors: list[str]
) -> None:
    """Nothing chosen, an unknown run, a damaged one, no kind, no gateway, no common signal."""
    expected_errors.append("404|422|400|409|500")
    page.goto(f"{served.url}/compare")
    page.wait_for_selector("text=Choose two recordings")
    first = f"run:{recorded.first}"
    for other, words in (
        ("run:nobody", "nobody"),
        ("car:7", "expected run:ID or session:ID"),
        ("session:7", "there is no gateway here"),
    ):
        page.goto(f"{served.url}/compare?a={first}&b={other}")
        page.wait_for_selector(".compare .error-box")
        says(page.locator(".compare .error-box").first, words)
        comes(lambda: page.is_visible("#compare-figures"), False)
        comes(page.locator("select[name=a]").input_value, first)

    compared(page, served, first, f"run:{recorded.damaged}")
    says(page.locator(".compare-damaged").first, "The second is damaged: ")
    until(page, "document.querySelector('.compare-trace')?.textContent.includes('run.json')")

    def without_signals(route: Any) -> None:
        info = served.ask(f"/api/runs/{recorded.other}")
        route.fulfill(body=json.dumps({**info, "signals": []}), content_type="application/json")

    page.route(f"**/api/runs/{recorded.other}", without_signals)
    page.goto(f"{served.url}/compare?a={first}&b=run:{recorded.other}")
    page.wait_for_selector("text=no signal in common")


@pytest.fixture(scope="module")
def both(
    recorded: RecordedRuns, gateway: ServedGateway, child_coverage: Mapping[str, str]
) -> Iterator[ServedView]:
    """A `telerig view` over the runs and a gateway."""
    with serving_view(recorded.runs, child_coverage, "--gateway", gateway.url) as found:
        yield found


def test_sessions_beside_runs(
    page: Page,
    both: ServedView,
    gateway: ServedGateway,
    recorded: RecordedRuns,
    sign_in: Callable[[Page, Any, str], None],
) -> None:
    """Two sessions, and a session with a run: their readings, one over the other."""
    sessions = []
    for shift in (0, 3):
        device = new_device(gateway, "compared")
        opened = gateway.ask("/api/v1/telemetry/start", {"device": device.id})
        begin_ns = time.time_ns() // 10**6 * 10**6
        device.send([("SPEED", begin_ns + n * 10**7, 40 + n + shift) for n in range(40)])
        time.sleep(0.45)
        gateway.ask(f"/api/v1/telemetry/stop?device={device.id}", method="POST")
        sessions.append(opened["session_id"])
    sign_in(page, both, "viewer")
    one, other = (f"session:{number}" for number in sessions)
    compared(page, both, one, other)
    first, second, _ = lines(page)
    assert [y for y in first["y"] if y is not None] == [40 + n for n in range(40)]
    assert [y for y in second["y"] if y is not None] == [43 + n for n in range(40)]
    says(page.locator(".compare-found").first, "Speed is the first to differ")
    compared(page, both, f"run:{recorded.first}", one, "&sig=SPEED")
    stored = both.ask(f"/api/runs/{recorded.first}/series?signal=SPEED&points=20000")["series"][0]
    first, second, _ = lines(page)
    assert first["y"] == pytest.approx(stored["values"])
    assert [y for y in second["y"] if y is not None] == [40 + n for n in range(40)]
