"""The stage on the pages of a gateway and of a run: what is seen equals what is stored."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.reports.view.served import DEVICE, ServedGateway, ServedView
from tests.reports.view.waiting import says, until

if TYPE_CHECKING:
    from playwright.sync_api import Page

SignIn = Callable[["Page", "ServedGateway | ServedView", str], None]
# A column as plain values: instants in ns (of whole ms: float64 has no more), values.
COLUMN = (
    "((name, layer) => { const {t, v} = telerigView.stage.book.column(name, layer);"
    " return [...t].map((at, i) => [Math.round(at * 1e3), v[i]]); })"
)


def in_ms(times_ns: list[int]) -> list[int]:
    """Round instants to ms."""
    return [round(at / 1e6) for at in times_ns]


@pytest.fixture(scope="module")
def session(gateway: ServedGateway) -> int:
    """A session of 0.6 s with two signals and no position, just ended."""
    number = gateway.ask("/api/v1/sessions", {"name": "stage", "device": DEVICE})["id"]
    gateway.ask(f"/api/v1/sessions/{number}/start", {})
    now_ns = time.time_ns()
    gateway.send(
        [
            (name, now_ns + i * 10**7, round(base + i * 0.25, 2))
            for i in range(60)
            for name, base in (("RPM", 800.0), ("COOLANT_TEMP", 20.0))
        ]
    )
    time.sleep(0.7)  # the readings are of the next 0.6 s: they belong to the session
    gateway.ask(f"/api/v1/sessions/{number}/stop", {})
    return int(number)


def test_live_strips_show_what_the_gateway_has(
    page: Page, gateway: ServedGateway, sign_in: SignIn
) -> None:
    """Readings that a device sends are drawn as they are stored, and the newest stands beside."""
    sign_in(page, gateway, "viewer")
    page.goto(f"{gateway.url}/live?device={DEVICE}&sig=RPM,SPEED&win=30")
    until(page, "window.telerigView?.connection === 'up'")
    at_ns = time.time_ns() // 10**6 * 10**6
    for i in range(5):
        gateway.send([("RPM", at_ns + i * 10**7, 900.25 + i), ("SPEED", at_ns + i * 10**7, 50 + i)])
    until(page, "document.querySelector('[data-key=RPM] .row-value').textContent === '904.25'")
    until(page, "document.querySelector('[data-key=SPEED] .row-value').textContent === '54'")
    drawn = page.evaluate(f"{COLUMN}('RPM', '')")
    query = f"signal=RPM&start_ns={at_ns}"
    (stored,) = gateway.ask(f"/api/v1/devices/{DEVICE}/series?{query}")["series"]
    expected = [
        list(pair) for pair in zip(in_ms(stored["times_ns"]), stored["values"], strict=True)
    ]
    assert [pair for pair in drawn if pair[0] >= at_ns // 10**6] == expected
    assert len(expected) == 5


@pytest.mark.promise("P11")
def test_a_session_without_gps_is_shown_as_it_is_stored(
    page: Page, gateway: ServedGateway, session: int, sign_in: SignIn
) -> None:
    """Every reading of a session is in its strip; reload gives the same view; there is no map."""
    sign_in(page, gateway, "viewer")
    page.goto(f"{gateway.url}/session/{session}")
    until(page, "window.telerigView?.stage.book?.has('RPM') ?? false")
    drawn = page.evaluate(f"{COLUMN}('RPM', '')")
    found = gateway.ask(f"/api/v1/sessions/{session}/series?signal=RPM")["series"]
    (stored,) = [line for line in found if line["signal"] == "RPM"]
    assert drawn == [
        list(pair) for pair in zip(in_ms(stored["times_ns"]), stored["values"], strict=True)
    ]
    assert len(drawn) == 60
    page.evaluate("telerigView.stage.time.seek(telerigView.stage.time.last_s)")
    until(page, "document.querySelector('[data-key=RPM] .row-value').textContent === '814.75'")
    until(page, "location.search.includes('t=')")
    before = page.evaluate("[telerigView.t, telerigView.start, telerigView.end]")
    page.reload()
    until(page, "(window.telerigView?.drawn ?? 0) > 0")
    after = page.evaluate("[telerigView.t, telerigView.start, telerigView.end]")
    assert after == pytest.approx(before, abs=0.0015)


def test_a_run_is_shown_as_it_was_recorded(page: Page, view: ServedView, run_id: str) -> None:
    """Strips of a run hold the record's readings, its phases, its fault and its broken limit."""
    info = view.ask(f"/api/runs/{run_id}")
    page.goto(f"{view.url}/run/{run_id}?sig=RPM,obd.latency&layers=truth")
    until(page, "window.telerigView?.stage.book?.has('RPM', 'truth') ?? false")
    for layer in ("", "truth"):
        until(page, f"telerigView.stage.book.has('RPM', '{layer}')")
        drawn = page.evaluate(f"{COLUMN}('RPM', '{layer}')")
        asked = f"/api/runs/{run_id}/series?signal=RPM&points=2000"
        (line,) = view.ask(asked + (f"&layer={layer}" if layer else ""))["series"]
        assert drawn == [
            list(pair) for pair in zip(in_ms(line["times_ns"]), line["values"], strict=True)
        ]
        assert drawn
    failed = [limit for limit in info["limits"] if limit["outcome"] == "fail" and limit["signal"]]
    seen = page.evaluate("telerigView.stage.info.faults.map((fault) => fault.start_s)")
    assert seen == [fault["start_s"] for fault in info["faults"]]
    assert info["phases"]
    assert failed
    page.keyboard.press("f")
    until(page, f"telerigView.stage.time.t > {info['start_s']}")


def test_a_run_that_is_not_there_is_told_in_words(
    page: Page, view: ServedView, expected_errors: list[str]
) -> None:
    """An unknown run is a sentence with a way on, not a blank page."""
    expected_errors.append("404")
    page.goto(f"{view.url}/run/no-such-run")
    until(page, "document.querySelector('.part-stage .error-box') !== null")
    says(page.locator(".part-stage .error-box").first, "no-such-run")


def test_plotly_is_loaded_when_figures_are_asked_for_and_not_before(
    page: Page, view: ServedView, run_id: str
) -> None:
    """A button draws histogram, one signal against another and all strips on one time axis."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{view.url}/run/{run_id}?sig=RPM,SPEED,GPS_SPEED")
    until(page, "window.telerigView?.stage.book?.has('RPM') ?? false")
    assert not [url for url in asked if "plotly" in url]
    page.get_by_role("button", name="Draw the window").click()
    until(page, "document.querySelectorAll('.analysis-figure .js-plotly-plot').length === 3")
    assert [url for url in asked if "plotly" in url]
    figure: dict[str, Any] = page.evaluate(
        "(({data, layout}) => ({axes: [...new Set(data.map((one) => one.xaxis))],"
        " rows: data.length, hover: layout.hoversubplots, y: data[0].y.filter((v) => v !== null)}))"
        "(document.querySelector('#analysis-strips .js-plotly-plot'))"
    )
    assert (figure["axes"], figure["rows"], figure["hover"]) == (["x"], 3, "axis")
    (line,) = view.ask(f"/api/runs/{run_id}/series?signal=RPM&points=2000")["series"]
    assert figure["y"] == [value for value in line["values"] if value is not None]
