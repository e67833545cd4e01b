"""The live dashboard: what is seen equals what is stored."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.reports.view.accessibility import check_width
from tests.reports.view.live_device import Device, new_device, text_of
from tests.reports.view.served import ServedGateway
from tests.reports.view.waiting import comes, says, until
from tests.reports.view.watched import PHONE

if TYPE_CHECKING:
    from playwright.sync_api import Page

    SignIn = Callable[[Page, ServedGateway, str], None]

VALUES = {
    "SPEED": 88,
    "RPM": 2750.25,
    "COOLANT_TEMP": -12,
    "MAF": 13.37,
    "LAT": 48.1234567,
    "LON": 11.7654321,
}


@pytest.fixture(scope="module")
def device(gateway: ServedGateway) -> Device:
    """A device that has sent one reading of six signals."""
    made = new_device(gateway, "dash")
    made.now(**VALUES)
    return made


@pytest.fixture
def live(
    page: Page, gateway: ServedGateway, device: Device, sign_in: SignIn
) -> Callable[[str], Page]:
    """Open the dashboard of that device as somebody with a role."""

    def open_as(role: str) -> Page:
        sign_in(page, gateway, role)
        page.goto(f"{gateway.url}/live?device={device.id}")
        page.wait_for_selector(".live-connection[data-phase='up']")
        page.wait_for_selector(".card[data-signal='RPM']:not([data-state='missing'])")
        return page

    return open_as


@pytest.mark.promise("P01")
def test_strips_show_what_is_stored(live: Callable[[str], Page], device: Device) -> None:
    """At least three strips grow with what comes; times and values are those of the API."""
    page = live("viewer")
    page.wait_for_function("window.telerigView?.stage?.selected.length >= 3")
    before = page.evaluate("telerigView.drawn")
    for step in range(3):
        device.now(SPEED=90 + step, RPM=2800 + step, COOLANT_TEMP=step, MAF=14.0)
    page.wait_for_function("telerigView.stage.valueAt('SPEED', Infinity)?.v === 92")
    until(page, f"telerigView.drawn > {before}")
    drawn = page.evaluate(
        """[...telerigView.stage.selected].map((name) => {
            const column = telerigView.stage.data(name);
            return [name, [...column.t].slice(-3), [...column.v].slice(-3)];
        })"""
    )
    path = f"/api/v1/devices/{device.id}/series"
    stored = {one["signal"]: one for one in device.gateway.ask(path)["series"]}
    assert {"SPEED", "RPM", "COOLANT_TEMP"} <= {name for name, *_ in drawn}
    for name, times, values in drawn:
        assert values == stored[name]["values"][-3:], name
        assert times == [at / 1e9 for at in stored[name]["times_ns"][-3:]], name


@pytest.mark.promise("P02")
def test_sixteen_cards(live: Callable[[str], Page], device: Device) -> None:
    """Sixteen cards: values as stored with their units; what is missing says so."""
    page = live("viewer")
    device.now(**{**VALUES, "RPM": 3000.5})
    page.wait_for_function(
        "document.querySelector('.card[data-signal=RPM] .card-value').textContent === '3000.50'"
    )
    cards = page.evaluate(
        """[...document.querySelectorAll('.card')].map((card) => [card.dataset.signal,
            ...['value', 'unit'].map((part) => card.querySelector(`.card-${part}`).textContent),
            card.dataset.state, card.querySelector('.card-note').textContent])"""
    )
    assert len(cards) == 16
    stored = device.latest()
    units = {one["name"]: one["unit"] for one in device.gateway.ask("/api/v1/signals")["signals"]}
    for name, value, unit, state, note in cards:
        if name in stored:
            shown = float(value.replace("−", "-"))
            assert shown == pytest.approx(stored[name], abs=5e-7), name
            assert (unit, state) == (units[name], "fresh"), name
        else:
            assert (value, state, note) == ("–", "missing", "no reading"), name
    assert [name for name, *_ in cards[:2]] == ["SPEED", "RPM"]


def test_an_old_value_is_grey_and_says_its_age(live: Callable[[str], Page], device: Device) -> None:
    """A reading that nothing followed is not shown as new."""
    page = live("viewer")
    device.send([("FUEL_LEVEL", time.time_ns() - 7_000_000_000_000, 42.35)])
    card = page.locator(".card[data-signal='FUEL_LEVEL'][data-state='stale']")
    says(card, "1 h old")
    says(card, "42.35")


@pytest.mark.promise("P03")
def test_alerts_come_by_themselves_and_are_acknowledged(
    live: Callable[[str], Page], device: Device
) -> None:
    """An alert that fires appears without a question, an operator takes note of it, its end is
    seen."""
    page = live("operator")
    rule = {"name": "too fast here", "signal": "SPEED", "condition": ">", "threshold": 200}
    device.gateway.ask("/api/v1/alerts/rules", {**rule, "device": device.id})
    device.now(SPEED=222)
    row = page.locator(".alert-row", has_text="too fast here")
    row.locator("text=SPEED 222").wait_for()
    comes(lambda: row.get_attribute("data-state"), "firing")
    row.get_by_role("button", name="Acknowledge").click()
    row.locator(".alert-acked").wait_for()
    (stored,) = device.gateway.ask(f"/api/v1/alerts?device={device.id}")["alerts"]
    assert (stored["acked_by"], stored["state"]) == ("operator", "firing")
    device.now(SPEED=20)
    page.wait_for_selector(f".alert-row[data-alert='{stored['id']}'][data-state='resolved']")


def test_a_viewer_is_offered_nothing_that_is_not_theirs(live: Callable[[str], Page]) -> None:
    """Buttons of operators are not shown to viewers."""
    page = live("viewer")
    page.wait_for_selector(".session-now[data-state]")
    assert page.locator(".session-now button").is_visible() is False
    assert (
        page.locator(".alert-row button").count() == 0
        or not page.locator(".alert-row button").first.is_visible()
    )


@pytest.mark.promise("P09")
@pytest.mark.promise("P10")
def test_one_click_starts_and_stops(live: Callable[[str], Page], device: Device) -> None:
    """A click starts a session, whose number, name and time are shown; another one stops it."""
    page = live("operator")
    page.fill(".session-name", "Lap 1")
    page.click(".session-now button:text('Start')")
    page.wait_for_selector(".session-now[data-state='running']")
    status = device.gateway.ask(f"/api/v1/telemetry/status?device={device.id}")
    comes(lambda: text_of(page, ".session-link"), f"Session {status['session_id']} · Lap 1")
    page.wait_for_function("document.querySelector('.session-time').textContent >= '0:01'")
    shown = text_of(page, ".session-time")
    assert re.fullmatch(r"\d+:[0-5]\d", shown), shown
    page.click(".session-now button:text('Stop')")
    page.wait_for_selector(".session-now:not([data-state='running'])")
    stored = device.gateway.ask(f"/api/v1/sessions/{status['session_id']}")
    assert (stored["state"], stored["name"]) == ("ended", "Lap 1")


def test_a_session_that_somebody_else_starts_is_seen(
    live: Callable[[str], Page], device: Device
) -> None:
    """The page follows what others do."""
    page = live("viewer")
    body = {"device": device.id, "name": "of another"}
    device.gateway.ask("/api/v1/telemetry/start", body)
    page.wait_for_selector(".session-now[data-state='running']")
    says(page.locator(".session-link"), "of another")
    device.gateway.ask(f"/api/v1/telemetry/stop?device={device.id}", method="POST")
    page.wait_for_selector(".session-now:not([data-state='running'])")


@pytest.mark.promise("P07")
def test_a_card_for_each_source_and_the_map(
    page: Page, gateway: ServedGateway, device: Device, sign_in: SignIn
) -> None:
    """`/index.html` has strips, a map and a card for the store and each device with its state."""
    sign_in(page, gateway, "viewer")
    page.goto(f"{gateway.url}/index.html")
    card = f".source-card[data-source='device {device.id}']"
    page.wait_for_selector(card)
    device.now(**VALUES)
    page.wait_for_function(f"document.querySelector(\"{card}\")?.dataset.tone === 'good'")
    says(page.locator(card), "sending")
    store = page.locator(".source-card[data-source='store']")
    store.wait_for()
    says(store, "ok")
    page.wait_for_selector(".map")
    page.wait_for_selector(".stage-canvas")


@pytest.mark.promise("P05")
def test_on_a_phone(
    new_page: Callable[..., Page], gateway: ServedGateway, device: Device, sign_in: SignIn
) -> None:
    """With fingers, in one column: nothing sticks out, buttons are large, a session is started."""
    page = new_page(size=PHONE, has_touch=True)
    sign_in(page, gateway, "operator")
    page.goto(f"{gateway.url}/live?device={device.id}")
    button = page.locator(".session-now button:text('Start')")
    button.wait_for()
    check_width(page)
    box = button.bounding_box()
    assert box is not None
    assert box["height"] >= 40
    button.tap()
    page.wait_for_selector(".session-now[data-state='running']")
    page.locator(".session-now button:text('Stop')").tap()
    page.wait_for_selector(".session-now:not([data-state='running'])")


def test_several_devices_are_told_apart(
    page: Page, gateway: ServedGateway, device: Device, sign_in: SignIn
) -> None:
    """Two devices on one page: each signal has its device's name, its values are its own."""
    other = new_device(gateway, "dash")
    device.now(RPM=1000)
    other.now(RPM=2000)
    sign_in(page, gateway, "viewer")
    page.goto(f"{gateway.url}/live?device={device.id},{other.id}")
    for one, value in ((device, "1000.00"), (other, "2000.00")):
        card = page.wait_for_selector(f".card[data-signal='{one.id}:RPM']")
        assert card is not None
        page.wait_for_function(
            "([name, value]) => document.querySelector(`.card[data-signal='${name}:RPM'] "
            ".card-value`)?.textContent === value",
            arg=[one.id, value],
        )
