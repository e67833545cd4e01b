"""The frame around all pages: navigation, roles, signing in, errors in words, keyboard, phone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.reports.view.accessibility import check_looks
from tests.reports.view.served import PASSWORD, ServedGateway, ServedView
from tests.reports.view.waiting import comes, says

if TYPE_CHECKING:
    from playwright.sync_api import Page

PHONE = (360, 740)
SignIn = Callable[["Page", "ServedGateway | ServedView", str], None]
NewPage = Callable[..., "Page"]


def open_page(page: Page, url: str) -> None:
    """Open a page, and wait until its parts are there."""
    page.goto(url)
    page.wait_for_selector("#page h1", state="attached")
    page.wait_for_function("!document.querySelector('[aria-busy=true]')")


def names(page: Page) -> list[str]:
    """Give the shown names of the navigation."""
    return [one.inner_text() for one in page.locator("#nav a").all() if one.is_visible()]


@pytest.mark.parametrize("path", ["/login", "/setup", "/settings", "/no/such/page"])
def test_pages_of_the_frame_are_readable(
    page: Page, gateway: ServedGateway, path: str, expected_errors: list[str]
) -> None:
    """Contrast, labels and width are right, in light and dark, on a desk and on a phone."""
    expected_errors.append("404.*no/such/page")
    open_page(page, gateway.url + path)
    check_looks(page)


def test_nobody_is_asked_to_sign_in_and_comes_back(
    page: Page, gateway: ServedGateway, sign_in: SignIn
) -> None:
    """Who is not signed in gets the form, and then the page that was wanted."""
    page.goto(gateway.url + "/links?x=1")
    page.wait_for_url("**/login?next=%2Flinks%3Fx%3D1")
    page.get_by_label("Name").fill("operator")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/links?x=1")
    page.locator("#page h1", has_text="Links").wait_for()
    page.locator(".user-name", has_text="operator").wait_for()


def test_a_wrong_password_is_told_in_words(
    page: Page, gateway: ServedGateway, expected_errors: list[str]
) -> None:
    """The form says what was wrong and stays."""
    expected_errors.append("401.*login")
    open_page(page, gateway.url + "/login")
    page.get_by_label("Name").fill("viewer")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_function("document.querySelector('.field-error').textContent")
    comes(lambda: "password" in page.inner_text(".field-error").lower(), True)
    assert page.url.endswith("/login")


@pytest.mark.parametrize(
    ("next_page", "expected"),
    [
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("/links", "/links"),
    ],
)
def test_signing_in_leads_to_pages_of_ours_only(
    page: Page, gateway: ServedGateway, next_page: str, expected: str
) -> None:
    """An address of elsewhere in `next` is not followed."""
    open_page(page, gateway.url + "/login")
    found = page.evaluate(
        """async (next) => {
            const main = document.querySelector('script[type=module]').src;
            const login = await import(main.replace('main.js', 'parts/login.js'));
            return login.nextOf('?next=' + encodeURIComponent(next));
        }""",
        next_page,
    )
    assert found == expected


def test_the_navigation_follows_the_role(
    new_page: NewPage, gateway: ServedGateway, sign_in: SignIn
) -> None:
    """A viewer sees no page of admins; nobody sees runs where there are none."""
    shown = {}
    for role in ("viewer", "admin"):
        page = new_page()
        sign_in(page, gateway, role)
        open_page(page, gateway.url + "/settings")
        page.locator("#nav a", has_text="Live").wait_for()
        shown[role] = names(page)
    assert set(shown["admin"]) - set(shown["viewer"]) == {"Provisioning", "Users"}
    assert "Runs" not in shown["admin"]


def test_a_page_of_another_role_says_so(
    page: Page, gateway: ServedGateway, sign_in: SignIn
) -> None:
    """Who knows the address gets words, and no part asks the API."""
    sign_in(page, gateway, "viewer")
    page.goto(gateway.url + "/users")
    page.get_by_text("This page is for the role admin").wait_for()


def test_signing_out_ends_the_session(page: Page, gateway: ServedGateway, sign_in: SignIn) -> None:
    """After it the pages ask who one is, and the cookie counts no more."""
    sign_in(page, gateway, "viewer")
    open_page(page, gateway.url + "/settings")
    page.locator(".user summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login")
    assert page.request.get(gateway.url + "/api/v1/auth/me").json()["role"] == "public"


def test_a_session_that_ends_leads_to_the_form_and_back(
    page: Page, gateway: ServedGateway, sign_in: SignIn, expected_errors: list[str]
) -> None:
    """The next call of a page whose session was ended elsewhere asks to sign in again."""
    expected_errors += ["401", "no valid credentials"]  # the latter of its socket, if that is first
    sign_in(page, gateway, "viewer")
    open_page(page, gateway.url + "/links")
    page.context.clear_cookies()
    page.evaluate("telerig.api.get('/api/v1/links').catch(() => {})")
    page.wait_for_url("**/login?next=%2Flinks")


def test_runs_alone_have_nobody_to_sign_in(page: Page, view: ServedView) -> None:
    """`telerig view` over a folder shows its pages to whoever reaches it, and says so."""
    open_page(page, view.url + "/login")
    says(page.locator("#page").first, "nobody to sign in as")
    comes(lambda: names(page), ["Runs", "Station", "Compare", "Settings"])


def test_pages_without_their_data_say_what_brings_it(page: Page, view: ServedView) -> None:
    """The live page of a folder of runs names the option that shows a gateway."""
    open_page(page, view.url + "/live")
    says(page.locator("#page").first, "telerig view --gateway")


def test_an_unknown_page_says_so_with_links(
    page: Page, view: ServedView, expected_errors: list[str]
) -> None:
    """It is answered with 404, and the pages that are there can be reached from it."""
    expected_errors.append("404.*nowhere")
    answer = page.goto(view.url + "/nowhere")
    assert answer is not None
    assert answer.status == 404
    page.locator("#page a", has_text="Settings").click()
    page.wait_for_url("**/settings")


def test_an_error_of_the_api_becomes_words(
    page: Page, gateway: ServedGateway, expected_errors: list[str]
) -> None:
    """A part that the API refuses shows its problem and offers to try again; then it recovers."""
    expected_errors.append("503")
    problem = '{"title": "Busy", "status": 503, "detail": "the store is away: disk full"}'
    page.route(
        "**/api/v1/setup",
        lambda route: route.fulfill(
            status=503, body=problem, content_type="application/problem+json"
        ),
        times=1,
    )
    page.goto(gateway.url + "/setup")
    page.locator(".error-box", has_text="disk full").wait_for()
    page.get_by_role("button", name="Try again").click()
    page.get_by_text("has users already").wait_for()
    comes(page.locator(".error-box").count, 0)


def test_the_theme_is_kept(page: Page, view: ServedView) -> None:
    """A chosen theme holds after a reload, against the system's."""
    open_page(page, view.url + "/settings")
    button = page.get_by_role("button", name="Theme")
    button.click()
    button.click()
    comes(lambda: page.evaluate("document.documentElement.dataset.theme"), "dark")
    page.reload()
    comes(lambda: page.evaluate("document.documentElement.dataset.theme"), "dark")
    comes(
        lambda: page.evaluate("getComputedStyle(document.body).backgroundColor"), "rgb(14, 16, 19)"
    )


def test_the_shell_can_be_used_by_keyboard(page: Page, view: ServedView) -> None:
    """The first Tab offers to skip to the page; links and buttons follow in their order, each with
    a visible focus."""
    open_page(page, view.url + "/settings")
    page.keyboard.press("Tab")
    comes(lambda: page.evaluate("document.activeElement.className"), "skip-link")
    page.keyboard.press("Enter")
    comes(lambda: page.evaluate("document.activeElement.id"), "page")
    page.reload()
    page.wait_for_selector("#nav a")
    reached = []
    for _ in range(7):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.innerText.trim()"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", reached
    assert reached[2:6] == ["Runs", "Station", "Compare", "Settings"]
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/compare")


@pytest.mark.promise("P05")
def test_the_menu_of_a_phone(new_page: NewPage, view: ServedView) -> None:
    """On 360 px the navigation is behind a button, opens by touch, closes by Escape and a link."""
    page = new_page(PHONE, has_touch=True)
    open_page(page, view.url + "/settings")
    runs = page.locator("#nav a", has_text="Compare")
    comes(runs.is_visible, False)
    menu = page.get_by_role("button", name="Menu")
    menu.tap()
    comes(runs.is_visible, True)
    comes(lambda: menu.get_attribute("aria-expanded"), "true")
    page.keyboard.press("Escape")
    comes(runs.is_visible, False)
    menu.tap()
    runs.tap()
    page.wait_for_url("**/compare")
    comes(runs.is_visible, False)


def test_without_scripts_the_page_says_what_there_is(browser: object, view: ServedView) -> None:
    """A browser without scripts shows words, not nothing."""
    context = browser.new_context(java_script_enabled=False)  # type: ignore[attr-defined]
    page = context.new_page()
    page.goto(view.url)
    says(page.locator("body").first, "telerig report")
    context.close()


def test_a_gateway_that_is_away_is_told_and_comes_back(
    page: Page, gateway: ServedGateway, sign_in: SignIn, expected_errors: list[str]
) -> None:
    """The header says that nothing answers, the page what was tried; both come back by themselves,
    with who is signed in."""
    expected_errors.append("502")
    sign_in(page, gateway, "viewer")
    problem = '{"title": "Bad Gateway", "status": 502, "detail": "found that car does not answer"}'
    page.route(
        "**/api/**",
        lambda route: route.fulfill(
            status=502, body=problem, content_type="application/problem+json"
        ),
    )
    page.goto(gateway.url + "/links")
    page.get_by_text("found that car does not answer").first.wait_for()
    page.get_by_text("no answer").wait_for()
    page.unroute_all(behavior="ignoreErrors")
    page.get_by_text("found that car does not answer").first.wait_for(state="detached")
    page.locator(".link-state[data-state=up]").wait_for()
    page.locator(".user-name", has_text="viewer").wait_for()
