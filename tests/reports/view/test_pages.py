"""Every page, as a browser shows it: within the security policy, readable, and from here alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from reports.view.addresses import PAGES
from tests.reports.view.accessibility import check_looks
from tests.reports.view.served import DEVICE, PASSWORD, ServedGateway, ServedView
from tests.reports.view.waiting import comes, until
from tests.reports.view.watched import Watched

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SignIn = Callable[["Page", "ServedGateway | ServedView", str], None]
NewPage = Callable[..., "Page"]
OF_RUNS = {"/", "/compare", "/run/<run>", "/runs", "/station"}
SETTLE_MS = 250


@pytest.fixture(scope="module")
def watched(browser: Browser) -> Iterator[Watched]:
    """One window for all pages: what each is made of is loaded once."""
    found = Watched(browser)
    yield found
    found.close()


@pytest.fixture(scope="module")
def of_runs(watched: Watched) -> Page:
    """A window that shows runs."""
    return watched.new_page(bypass_csp=False)


@pytest.fixture(scope="module")
def of_gateway(watched: Watched, gateway_pages: ServedGateway) -> Page:
    """A window in which an admin of a gateway with one session is signed in."""
    page = watched.new_page(bypass_csp=False)
    credentials = {"name": "admin", "password": PASSWORD}
    assert page.request.post(f"{gateway_pages.url}/api/v1/auth/login", data=credentials).ok
    gateway_pages.send([("RPM", 1_767_323_045_000_000_000, 800.0)])
    return page


def settled(page: Page, url: str) -> None:
    """Open a page and wait until its parts are there, without eval."""
    page.goto(url)
    page.wait_for_selector("#page h1", state="attached")
    page.wait_for_selector("[aria-busy=true]", state="detached")
    if page.locator(".stage").count():
        until(page, "(window.telerigView?.drawn ?? 0) > 0")
    page.wait_for_timeout(SETTLE_MS)


@pytest.mark.promise("P05")
@pytest.mark.parametrize("path", sorted(OF_RUNS))
def test_pages_of_runs(
    of_runs: Page, watched: Watched, view: ServedView, run_id: str, path: str
) -> None:
    """Nothing leaves 127.0.0.1, no complaint, nothing sticks out, all is readable."""
    query = f"?a=run:{run_id}&b=run:{run_id}" if path == "/compare" else ""
    settled(of_runs, view.url + path.replace("<run>", run_id) + query)
    check_looks(of_runs)
    watched.check()


@pytest.mark.promise("P05")
@pytest.mark.parametrize("path", sorted({*PAGES} - OF_RUNS - {"/setup"}))
def test_pages_of_a_gateway(
    of_gateway: Page, watched: Watched, gateway_pages: ServedGateway, path: str
) -> None:
    """The same for an admin at a gateway's own address."""
    session = gateway_pages.ask("/api/v1/sessions")["sessions"][0]["id"]
    shown = path.replace("<device>", DEVICE).replace("<session>", str(session))
    settled(of_gateway, gateway_pages.url + shown)
    check_looks(of_gateway)
    watched.check()


def test_the_index_page_has_its_headers(page: Page, view: ServedView) -> None:
    """Policy, no frames, no guessing of types, no referrer to elsewhere."""
    answer = page.request.get(view.url, headers={"accept": "text/html"})
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-cache"


def test_a_script_of_elsewhere_does_not_run(
    new_page: NewPage, view: ServedView, expected_errors: list[str]
) -> None:
    """The browser keeps to the policy: what is put into the page is not executed."""
    expected_errors.append("Content Security Policy")
    page = new_page(bypass_csp=False)
    settled(page, f"{view.url}/settings")
    page.evaluate(
        """() => {
            const made = document.createElement('script');
            made.textContent = 'window.ran = true';
            document.body.append(made);
        }"""
    )
    assert page.evaluate("window.ran") is None


@pytest.mark.promise("P16")
def test_settings_are_kept_and_used(
    page: Page, view_of_gateway: ServedView, gateway: ServedGateway, sign_in: SignIn
) -> None:
    """Another API address is asked from then on, within a policy that names it; what is no address
    is told; the defaults bring it back."""
    sign_in(page, view_of_gateway, "viewer")
    settled(page, f"{view_of_gateway.url}/settings")
    api = page.get_by_label("API", exact=True)
    api.fill("car:8000")
    api.evaluate("(input) => (input.type = 'text')")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("expected an address like").wait_for()
    api.fill(f"{view_of_gateway.url}/")
    page.get_by_label("WebSocket").fill(view_of_gateway.url.replace("http", "ws"))
    page.get_by_label("Device").fill(DEVICE)
    page.get_by_label("Theme", exact=True).select_option("dark")
    with page.expect_navigation():
        page.get_by_role("button", name="Save").click()
    page.wait_for_selector("#page form")
    comes(lambda: page.evaluate("telerig.config.apiBase"), view_of_gateway.url)
    comes(lambda: page.evaluate("telerig.settings.device"), DEVICE)
    comes(lambda: page.evaluate("document.documentElement.dataset.theme"), "dark")
    headers = page.request.get(f"{view_of_gateway.url}/").headers
    assert f"connect-src 'self' {view_of_gateway.url}" in headers["content-security-policy"]
    with page.expect_navigation():
        page.get_by_role("button", name="Back to the defaults").click()
    page.wait_for_selector("#page form")
    comes(lambda: page.evaluate("telerig.config.apiBase"), "")
    comes(lambda: page.evaluate("telerig.settings.device"), "")


@pytest.mark.promise("P16")
def test_an_api_of_another_origin_works(
    new_page: NewPage,
    view_of_gateway: ServedView,
    gateway: ServedGateway,
    expected_errors: list[str],
) -> None:
    """With the gateway's own address in the settings one signs in there with a token; pages, and
    sockets by ticket, work within the policy; signing out ends it."""
    expected_errors.append("401")  # what was on its way when the session ended
    page = new_page(bypass_csp=False)
    page.goto(f"{view_of_gateway.url}/settings")
    page.get_by_label("API", exact=True).fill(gateway.url)
    with page.expect_navigation():
        page.get_by_role("button", name="Save").click()
    page.goto(f"{view_of_gateway.url}/links")
    page.wait_for_url("**/login?next=%2Flinks")
    page.get_by_label("Name").fill("viewer")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/links")
    page.locator(".user-name", has_text="viewer").wait_for()
    first = page.evaluate(
        """async () => {
            const socket = await telerig.api.socket('/api/v1/live');
            const text = await new Promise((done, no) => {
                socket.onmessage = (event) => done(event.data);
                socket.onerror = () => no(new Error('refused'));
            });
            socket.close();
            return [socket.url, JSON.parse(text).type];
        }"""
    )
    assert first[0].startswith(gateway.url.replace("http", "ws"))
    assert first[1] == "hello"
    page.reload()
    page.locator(".user-name", has_text="viewer").wait_for()
    page.locator(".user summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login")
    comes(lambda: page.evaluate("telerig.state.me.kind"), "nobody")
