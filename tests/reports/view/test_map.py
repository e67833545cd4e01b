"""The map: the stored way, in metres, without a network."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.reports.view.live_device import Device, new_device
from tests.reports.view.served import ServedGateway
from tests.reports.view.waiting import comes

if TYPE_CHECKING:
    from playwright.sync_api import Page

    SignIn = Callable[[Page, ServedGateway, str], None]

COUNT = 60
PANEL = "telerigView.stage.panels.find((one) => one.name === 'map')"


@pytest.fixture(scope="module")
def driven(gateway: ServedGateway) -> tuple[Device, int, list[tuple[float, float]]]:
    """A device with a session of a minute that leads north, then east."""
    device = new_device(gateway, "way")
    body = {"device": device.id, "name": "Way"}
    session = gateway.ask("/api/v1/telemetry/start", body)["session_id"]
    begin_ns = time.time_ns() // 10**6 * 10**6 + 10**6
    places, readings = [], []
    for n in range(COUNT):
        north, east = (n * 10.0, 0.0) if n < 30 else (290.0, (n - 29) * 10.0)
        lat = 48.1 + north / 111_200
        lon = 11.5 + east / (111_320 * math.cos(math.radians(48.1)))
        places.append((lat, lon))
        at = begin_ns + n * 10**7
        readings += [("LAT", at, lat), ("LON", at, lon), ("HDOP", at, 1.5), ("SPEED", at, 36)]
    device.send(readings)
    time.sleep(0.7)  # the session must not end before its last reading
    gateway.ask(f"/api/v1/telemetry/stop?device={device.id}", method="POST")
    return device, session, places


def open_session(page: Page, gateway: ServedGateway, session: int) -> None:
    """Open the session's page and wait for its map."""
    page.goto(f"{gateway.url}/replay.html?session={session}")
    page.wait_for_selector(".map[data-state='drawn']")


@pytest.mark.promise("P13")
def test_the_way_is_the_stored_one(
    page: Page,
    gateway: ServedGateway,
    driven: tuple[Device, int, list[tuple[float, float]]],
    sign_in: SignIn,
) -> None:
    """Each fix is drawn where it was stored; metres are metres; nothing is asked of others."""
    _, session, _ = driven
    sign_in(page, gateway, "viewer")
    open_session(page, gateway, session)
    drawn = page.evaluate(
        f"""(() => {{ const map = {PANEL}, track = map.reported, n = track.count;
            return {{t: [...track.t.slice(0, n)], lat: [...track.lat.slice(0, n)],
                     lon: [...track.lon.slice(0, n)],
                     x: track.x[n - 1], y: track.y[n - 1]}}; }})()"""
    )
    stored = gateway.ask(f"/api/v1/sessions/{session}/series?signal=LAT,LON")["series"]
    lat, lon = (next(one for one in stored if one["signal"] == name) for name in ("LAT", "LON"))
    assert drawn["lat"] == lat["values"]
    assert drawn["lon"] == lon["values"]
    assert drawn["t"] == [at / 1e9 for at in lat["times_ns"]]
    assert len(drawn["t"]) == COUNT
    assert drawn["y"] == pytest.approx(290, abs=1)
    assert drawn["x"] == pytest.approx(300, abs=1)


@pytest.mark.promise("P13")
def test_a_click_on_the_way_seeks_and_the_readout_says_where(
    page: Page,
    gateway: ServedGateway,
    driven: tuple[Device, int, list[tuple[float, float]]],
    sign_in: SignIn,
) -> None:
    """A click puts the cursor of the whole page to the instant of that place; keys move the map."""
    _, session, places = driven
    sign_in(page, gateway, "viewer")
    open_session(page, gateway, session)
    look = f"""(() => {{ const map = {PANEL};
        map.canvas.scrollIntoView({{block: 'center'}});
        const at = map.canvas.getBoundingClientRect();
        return [at.left + map.sight.X(map.reported.x[20]),
                at.top + map.sight.Y(map.reported.y[20]), map.reported.t[20]]; }})()"""
    spot = page.evaluate(look)
    page.mouse.click(spot[0], spot[1])
    page.wait_for_function(f"telerigView.t === {spot[2]!r}")

    def read_out() -> bool:
        left, top, _ = page.evaluate(look)  # what is loaded above the map moves it
        page.mouse.move(left + 200, top + 5)
        return f"{places[20][0]:.6f}° N" in page.inner_text(".map-place")

    comes(read_out, True)
    words = page.inner_text(".map-place")
    assert "200 m N" in words
    assert "± 6.0 m" in words
    scale = page.evaluate(f"{PANEL}.sight.scale")
    page.focus(".map-canvas")
    page.keyboard.press("+")
    comes(lambda: page.evaluate(f"{PANEL}.sight.scale"), pytest.approx(scale * 1.5))
    page.keyboard.press("0")
    comes(lambda: page.evaluate(f"{PANEL}.sight.scale"), pytest.approx(scale))


def test_colours_of_a_signal(
    page: Page,
    gateway: ServedGateway,
    driven: tuple[Device, int, list[tuple[float, float]]],
    sign_in: SignIn,
) -> None:
    """The way can have the colours of any signal, whose range is said."""
    _, session, _ = driven
    sign_in(page, gateway, "viewer")
    open_session(page, gateway, session)
    page.select_option(".map-colour", "SPEED")
    page.wait_for_function(f"{PANEL}.colour?.low === 36 && {PANEL}.colour.high === 36")
    assert "km/h" in page.evaluate(f"{PANEL}.colour.words")


def test_a_live_way_grows(page: Page, gateway: ServedGateway, sign_in: SignIn) -> None:
    """Fixes that come are on the map at once; what is no fix is not."""
    device = new_device(gateway, "mover")
    sign_in(page, gateway, "viewer")
    device.now(LAT=48.0, LON=11.0)
    page.goto(f"{gateway.url}/live?device={device.id}")
    page.wait_for_selector(".live-connection[data-phase='up']")
    page.wait_for_function(f"telerigView?.stage.panels.length && {PANEL}")
    for step in range(1, 4):
        device.now(LAT=48.0 + step / 10_000, LON=11.0)
    page.wait_for_function(f"{PANEL}.reported.count === 4")
    page.wait_for_function(f"Math.abs({PANEL}.reported.y[3] - 33.36) < 0.1")


def test_a_session_without_gps_says_so(page: Page, gateway: ServedGateway, sign_in: SignIn) -> None:
    """Without a position there is a sentence, not an empty box."""
    device = new_device(gateway, "nogps")
    body = {"device": device.id}
    session = gateway.ask("/api/v1/telemetry/start", body)["session_id"]
    device.now(SPEED=3)
    gateway.ask(f"/api/v1/telemetry/stop?device={device.id}", method="POST")
    sign_in(page, gateway, "viewer")
    page.goto(f"{gateway.url}/session/{session}")
    page.wait_for_selector(".map-note >> text=This session has no GPS")
