"""`/sessions`: what is listed is what the API has; an operator starts, stops, edits, deletes."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.reports.view.accessibility import check_axe, check_width
from tests.reports.view.live_device import Device, new_device
from tests.reports.view.served import ServedGateway, ServedView
from tests.reports.view.waiting import comes, says
from tests.reports.view.watched import PHONE

if TYPE_CHECKING:
    from playwright.sync_api import Page

    SignIn = Callable[[Page, ServedGateway | ServedView, str], None]

TABLE = "table[data-listing=sessions]"


@pytest.fixture
def device(gateway: ServedGateway) -> Device:
    """A device of its own, so that other tests' sessions do not matter."""
    return new_device(gateway, "drive")


def sessions_of(gateway: ServedGateway, device: Device) -> list[dict[str, Any]]:
    """Give the sessions that the API has."""
    found: list[dict[str, Any]] = gateway.ask(f"/api/v1/sessions?device={device.id}")["sessions"]
    return found


def opened(page: Page, gateway: ServedGateway, device: Device) -> None:
    """Go to the sessions of the device."""
    page.goto(f"{gateway.url}/sessions?device={device.id}")
    page.wait_for_selector(".part-table .table-foot > *", state="attached")


@pytest.mark.promise("P09")
def test_an_operator_starts_edits_stops_and_deletes(
    page: Page, gateway: ServedGateway, device: Device, sign_in: SignIn
) -> None:
    """Each step is at once in the API as it was typed, and in the table as the API has it."""
    sign_in(page, gateway, "operator")
    opened(page, gateway, device)
    page.click("[data-action=start-now]")
    page.fill(".dialog [name=name]", "Nürburg & back")
    page.fill(".dialog [name=driver]", "Ada")
    page.fill(".dialog [name=device]", device.id)
    page.click(".dialog button[type=submit]")
    page.wait_for_selector(f"{TABLE} tbody tr >> text=running")
    (made,) = sessions_of(gateway, device)
    assert (made["name"], made["driver"], made["state"]) == ("Nürburg & back", "Ada", "running")
    row = page.locator(f"{TABLE} tr[data-key='{made['id']}']")
    comes(row.locator("[data-column=name]").inner_text, "Nürburg & back")
    comes(lambda: row.locator("th a").get_attribute("href"), f"/session/{made['id']}")
    row.locator("[data-action=edit]").click()
    comes(lambda: page.input_value(".dialog [name=driver]"), "Ada")
    page.fill(".dialog [name=driver]", "")
    page.fill(".dialog [name=notes]", "two\nlines")
    page.click(".dialog button[type=submit]")
    page.wait_for_selector(f"{TABLE} [data-column=notes] >> text=lines")
    (changed,) = sessions_of(gateway, device)
    assert (changed["driver"], changed["notes"]) == ("", "two\nlines")
    assert changed["name"] == "Nürburg & back"
    row.locator("[data-action=stop]").click()
    page.wait_for_selector(f"{TABLE} tbody >> text=ended")
    assert sessions_of(gateway, device)[0]["closed_how"] == "stopped"
    row.locator("[data-action=delete]").click()
    says(page.locator(".dialog .question").first, "Nürburg & back")
    page.keyboard.press("Escape")
    assert len(sessions_of(gateway, device)) == 1
    row.locator("[data-action=delete]").click()
    page.click(".dialog [data-action=confirm]")
    page.wait_for_selector("text=Nothing passes these filters.")
    assert sessions_of(gateway, device) == []


def test_a_viewer_sees_and_has_no_button(
    page: Page, gateway: ServedGateway, device: Device, sign_in: SignIn
) -> None:
    """Statistics and files are offered to whoever may look, and nothing that changes."""
    number = gateway.ask("/api/v1/telemetry/start", {"device": device.id})["session_id"]
    device.now(SPEED=50, RPM=1500)
    sign_in(page, gateway, "viewer")
    opened(page, gateway, device)
    row = page.locator(f"{TABLE} tr[data-key='{number}']")
    names = row.locator("[data-action]").evaluate_all("all => all.map(one => one.dataset.action)")
    assert names == ["statistics", "export"]
    comes(page.locator("[data-action=start-now], [data-action=plan]").count, 0)
    row.locator("[data-action=statistics]").click()
    page.wait_for_selector("table[data-listing=session-signals] tbody tr")
    stored = gateway.ask(f"/api/v1/sessions/{number}/statistics")
    for one in stored["signals"]:
        cells = page.locator(f"table[data-listing=session-signals] tr:has-text('{one['signal']}')")
        assert int(cells.locator("[data-column=count]").inner_text()) == one["count"]
        assert float(cells.locator("[data-column=max]").inner_text()) == one["max"]


@pytest.mark.promise("P04")
def test_files_come_as_the_api_gives_them(
    page: Page,
    gateway: ServedGateway,
    device: Device,
    sign_in: SignIn,
    tmp_path: Path,
    expected_errors: list[str],
) -> None:
    """From the menu, with choices, and what is shown; what is refused is said in words."""
    number = gateway.ask("/api/v1/telemetry/start", {"device": device.id})["session_id"]
    at_ns = device.now(SPEED=50, RPM=1500)
    sign_in(page, gateway, "viewer")
    opened(page, gateway, device)
    row = page.locator(f"{TABLE} tr[data-key='{number}']")
    row.locator("summary").click()
    with page.expect_download() as coming:
        page.click("[data-action='export-signals.csv']")
    path = f"/api/v1/export/sessions/{number}/signals.csv"
    whole = page.request.get(gateway.url + path).body()
    assert Path(coming.value.path()).read_bytes() == whole
    assert {line["signal"] for line in csv.DictReader(io.StringIO(whole.decode()))} == {
        "RPM",
        "SPEED",
    }
    page.click("[data-action=export-chosen]")
    page.select_option(".dialog [name=file]", "signals.json")
    page.fill(".dialog [name=signals]", "SPEED")
    with page.expect_download() as coming:
        page.click(".dialog button[type=submit]")
    rows = json.loads(Path(coming.value.path()).read_bytes())
    assert str(at_ns) in json.dumps(rows)
    assert "RPM" not in json.dumps(rows)
    expected_errors.append("404")
    row.locator("summary").click()
    page.click("[data-action='export-track.gpx']")
    page.wait_for_selector(".status.bad")
    assert "404" not in page.inner_text(".status.bad")
    with page.expect_download() as coming:
        page.click("[data-action=csv]")
    shown = list(csv.DictReader(io.StringIO(Path(coming.value.path()).read_text())))
    assert [line["Session"] for line in shown] == [
        str(one["id"]) for one in sessions_of(gateway, device)
    ]


def test_filters_go_to_the_api_and_into_the_address(
    page: Page, gateway: ServedGateway, device: Device, sign_in: SignIn
) -> None:
    """Reloaded, the page shows the same; a search is among what is loaded."""
    for name in ("alpha", "beta"):
        gateway.ask("/api/v1/sessions", {"device": device.id, "name": name})
    device.now(SPEED=1)
    sign_in(page, gateway, "viewer")
    opened(page, gateway, device)
    page.select_option("[data-filter=state]", "planned")
    page.wait_for_function("document.querySelectorAll('tbody tr').length === 2")
    page.wait_for_url("**state=planned**")
    page.reload()
    page.wait_for_function("document.querySelectorAll('tbody tr').length === 2")
    page.locator("body").press("/")
    page.keyboard.type("beta")
    page.wait_for_function("document.querySelectorAll('tbody tr').length === 1")
    says(page.locator(".table-foot").first, "1 of the 2 that are loaded")
    page.click("[data-sort=name]")
    says(page.locator("th[aria-sort=ascending]"), "Name")


def test_more_than_a_page_is_loaded_on_demand(
    page: Page, gateway: ServedGateway, device: Device, sign_in: SignIn
) -> None:
    """The foot says that there are more, and the button brings them, each once."""
    for _ in range(103):
        gateway.ask("/api/v1/sessions", {"device": device.id})
    sign_in(page, gateway, "viewer")
    opened(page, gateway, device)
    page.wait_for_function("document.querySelectorAll('tbody tr').length === 100")
    says(page.locator(".table-foot").first, "and there are more")
    page.click("[data-action=more]")
    page.wait_for_function("document.querySelectorAll('tbody tr').length === 103")
    keys = page.locator("tbody tr").evaluate_all("all => all.map(one => Number(one.dataset.key))")
    assert keys == [one["id"] for one in sessions_of(gateway, device)]


def test_by_keyboard_alone_on_a_phone(
    new_page: Callable[..., Page], gateway: ServedGateway, device: Device, sign_in: SignIn
) -> None:
    """A session is started and stopped without a pointer; cards fit 360 px; nothing is nameless."""
    page = new_page(size=PHONE)
    sign_in(page, gateway, "operator")
    opened(page, gateway, device)
    page.focus("[data-action=start-now]")
    page.keyboard.press("Enter")
    page.wait_for_selector(".dialog")
    comes(lambda: page.evaluate("document.activeElement.name"), "name")
    page.keyboard.type("by keys")
    page.focus(".dialog [name=device]")
    page.keyboard.type(device.id)
    check_axe(page)
    page.keyboard.press("Enter")
    page.wait_for_selector(f"{TABLE} tbody tr")
    comes(lambda: page.evaluate("document.activeElement.dataset.action"), "start-now")
    check_width(page)
    check_axe(page)
    page.focus("tbody th a")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.action") == "stop":
            break
    page.keyboard.press("Enter")
    deadline_s = time.monotonic() + 20
    while sessions_of(gateway, device)[0]["state"] != "ended":
        assert time.monotonic() < deadline_s, "the session was not stopped"
        page.wait_for_timeout(50)


def test_a_gateway_that_is_away_is_said_and_comes_back(
    page: Page,
    gateway: ServedGateway,
    device: Device,
    sign_in: SignIn,
    expected_errors: list[str],
) -> None:
    """What was shown stays, marked as old; the way back is a button."""
    gateway.ask("/api/v1/sessions", {"device": device.id, "name": "kept"})
    sign_in(page, gateway, "viewer")
    opened(page, gateway, device)
    expected_errors += ["ERR_FAILED", "Failed to load"]
    page.route("**/api/v1/sessions**", lambda route: route.abort())
    page.click("[data-action=refresh]")
    page.wait_for_selector(".part-table .error-box >> text=No connection")
    comes(lambda: page.inner_text(".table-foot"), "What is shown may be old.")
    comes(page.locator("tbody tr").count, 1)
    page.unroute("**/api/v1/sessions**")
    page.click(".part-table .error-box button")
    page.wait_for_selector(".part-table .error-box", state="detached")


def test_the_same_through_telerig_view(
    page: Page,
    gateway: ServedGateway,
    view_of_gateway: ServedView,
    device: Device,
    sign_in: SignIn,
) -> None:
    """Its proxy brings the API and its document: limits are known before anything is sent."""
    sign_in(page, view_of_gateway, "operator")
    page.goto(f"{view_of_gateway.url}/sessions?device={device.id}")
    page.click("[data-action=plan]")
    page.fill(".dialog [name=name]", "x" * 201)
    page.fill(".dialog [name=device]", device.id)
    page.click(".dialog button[type=submit]")
    says(page.locator("[data-field=name] .field-error").first, "at most 200 characters, got 201")
    page.fill(".dialog [name=name]", "planned")
    page.click(".dialog button[type=submit]")
    page.wait_for_selector(f"{TABLE} tbody >> text=planned")
    assert [one["name"] for one in sessions_of(gateway, device)] == ["planned"]
