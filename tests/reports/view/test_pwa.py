"""Installed on a phone: the shell and the last state are there without a connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.reports.view.live_device import new_device
from tests.reports.view.served import ServedGateway, ServedView
from tests.reports.view.waiting import comes, says

if TYPE_CHECKING:
    from playwright.sync_api import Page

SignIn = Callable[["Page", "ServedGateway | ServedView", str], None]
NewPage = Callable[..., "Page"]
KEPT = """async () => {
    const found = [];
    for (const request of await (await caches.open('telerig-kept')).keys())
        found.push(new URL(request.url).pathname);
    return found;
}"""


def with_worker(new_page: NewPage, url: str) -> Page:
    """Open a page whose service worker is at work."""
    page = new_page(service_workers="allow")
    page.goto(url)
    page.wait_for_function("navigator.serviceWorker.controller", polling=100)
    page.wait_for_function("telerig.state.connection === 'up'")
    return page


def kept(page: Page, path: str) -> bool:
    """Ask until an answer of the API is kept: it is written a moment after it came, and only once
    the worker knows who is signed in."""
    for _ in range(200):
        assert page.evaluate(f"telerig.api.get('{path}')")
        if path in page.evaluate(KEPT):
            return True
        page.wait_for_timeout(100)
    return False


@pytest.mark.promise("P06")
def test_without_a_connection_the_last_state_is_shown(
    new_page: NewPage, gateway: ServedGateway, sign_in: SignIn, expected_errors: list[str]
) -> None:
    """A page that was looked at comes again, says that there is no connection and of when its
    values are; a page that was not looked at says so; with the connection all is as before."""
    expected_errors.append("Failed to load resource|WebSocket|ERR_INTERNET_DISCONNECTED")
    device = new_device(gateway, "offline")
    device.now(RPM=1234)
    latest = f"/api/v1/devices/{device.id}/latest"
    page = new_page(service_workers="allow")
    sign_in(page, gateway, "viewer")
    page.goto(f"{gateway.url}/links")
    page.wait_for_function("navigator.serviceWorker.controller", polling=100)
    page.wait_for_timeout(200)
    page.reload()
    page.wait_for_selector("#page h1", state="attached")
    assert kept(page, latest)
    page.context.set_offline(True)
    page.reload()
    page.wait_for_selector("#page h1", state="attached")
    says(page.locator("#page h1").first, "Links")
    found = page.evaluate(f"telerig.api.get('{latest}')")
    assert "1234" in str(found)
    page.get_by_text("What is shown is the last state, of").wait_for()
    comes(page.locator(".user-name").inner_text, "viewer")
    page.evaluate("telerig.go('/users')")
    page.get_by_text("not kept on this device").wait_for()
    page.context.set_offline(False)
    page.goto(f"{gateway.url}/settings")
    page.wait_for_function("telerig.state.connection === 'up'")
    page.get_by_text("What is shown is the last state").wait_for(state="detached")


def test_nothing_is_kept_of_nobody_and_for_nobody(
    new_page: NewPage, gateway: ServedGateway, sign_in: SignIn
) -> None:
    """Without somebody who is signed in no answer is kept; who signs out takes them along; and
    never kept are users and sign-in."""
    page = with_worker(new_page, f"{gateway.url}/settings")
    page.evaluate("telerig.api.get('/api/v1/health')")
    page.wait_for_timeout(300)
    assert page.evaluate(KEPT) == []
    sign_in(page, gateway, "admin")
    page.wait_for_selector(".user summary")
    page.evaluate("telerig.api.get('/api/v1/users')")
    assert kept(page, "/api/v1/devices")
    found = page.evaluate(KEPT)
    assert not [path for path in found if "user" in path or "auth" in path]
    page.locator(".user summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login")
    comes(lambda: page.evaluate(KEPT), [])
