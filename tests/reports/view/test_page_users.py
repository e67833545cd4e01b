"""`/users`: an admin manages users; others are told that they may not."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.reports.view.accessibility import check_axe, check_width
from tests.reports.view.served import PASSWORD, ServedGateway
from tests.reports.view.waiting import comes, says

if TYPE_CHECKING:
    from playwright.sync_api import Page

    SignIn = Callable[[Page, ServedGateway, str], None]

_numbers = itertools.count(1)


@pytest.fixture
def name() -> str:
    """A name that nobody has."""
    return f"ben-{next(_numbers)}"


def test_a_user_is_made_changed_and_signed_out(
    new_page: Callable[..., Page],
    gateway: ServedGateway,
    name: str,
    sign_in: SignIn,
    expected_errors: list[str],
) -> None:
    """The new one can sign in at once, sees only the devices of the scope, and is out at once."""
    expected_errors.append("404")  # of the gateway's own device, which is out of the scope
    page = new_page()
    sign_in(page, gateway, "admin")
    page.goto(f"{gateway.url}/users")
    page.click("[data-action=add-user]")
    page.fill(".dialog [name=name]", name)
    page.fill(".dialog [name=password]", PASSWORD)
    page.select_option(".dialog [name=role]", "viewer")
    page.check(".dialog [name=scope][value=esp-1]")
    check_axe(page)
    page.click(".dialog button[type=submit]")
    page.wait_for_selector(f"tr[data-key='{name}']")
    made = gateway.ask(f"/api/v1/users/{name}")["user"]
    assert (made["role"], made["scope"], made["active"]) == ("viewer", ["esp-1"], True)
    other = new_page()
    credentials = {"name": name, "password": PASSWORD}
    assert other.request.post(f"{gateway.url}/api/v1/auth/login", data=credentials).ok
    other.goto(f"{gateway.url}/devices")
    other.wait_for_selector("table[data-listing=devices] tbody tr")
    comes(other.locator("table[data-listing=devices] tbody tr").count, 1)
    row = page.locator(f"tr[data-key='{name}']")
    row.locator("[data-action=edit]").click()
    page.select_option(".dialog [name=role]", "operator")
    page.uncheck(".dialog [name=scope][value=esp-1]")
    page.click(".dialog button[type=submit]")
    page.wait_for_selector(f"tr[data-key='{name}'] >> text=operator")
    made = gateway.ask(f"/api/v1/users/{name}")["user"]
    assert (made["role"], made["scope"]) == ("operator", None)
    row.locator("[data-action=sessions]").click()
    page.wait_for_selector("table[data-listing=user-sessions] tbody tr")
    page.keyboard.press("Escape")
    row.locator("[data-action=end-sessions]").click()
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        page.click(".dialog [data-action=confirm]")
    page.wait_for_selector(".status.good")
    assert gateway.ask(f"/api/v1/users/{name}")["sessions"] == []


def test_what_is_wrong_stands_beside_its_field(
    page: Page,
    gateway: ServedGateway,
    sign_in: SignIn,
    expected_errors: list[str],
) -> None:
    """Before sending where a schema knows it, afterwards where only the gateway does."""
    expected_errors += ["400", "409"]
    sign_in(page, gateway, "admin")
    page.goto(f"{gateway.url}/users")
    page.click("[data-action=add-user]")
    page.fill(".dialog [name=name]", "-x")
    page.click(".dialog button[type=submit]")
    says(page.locator("[data-field=name] .field-error").first, "1 to 64 letters")
    says(page.locator("[data-field=password] .field-error").first, "is needed")
    comes(lambda: page.evaluate("document.activeElement.name"), "name")
    page.fill(".dialog [name=name]", "viewer")
    page.fill(".dialog [name=password]", "short")
    page.click(".dialog button[type=submit]")
    page.wait_for_selector("[data-field=password] .field-error >> text=expected")
    page.fill(".dialog [name=password]", PASSWORD)
    page.click(".dialog button[type=submit]")
    page.wait_for_selector("[data-field=name] .field-error >> text=expected")
    check_axe(page)


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_admins_see_it(page: Page, gateway: ServedGateway, role: str, sign_in: SignIn) -> None:
    """No list, no button, and a word that says why."""
    sign_in(page, gateway, role)
    page.goto(f"{gateway.url}/users")
    page.wait_for_selector("#page h1", state="attached")
    page.wait_for_selector("text=admin")
    comes(page.locator("tbody tr, [data-action=add-user]").count, 0)


def test_the_audit_log_tells_who_did_what(
    page: Page, gateway: ServedGateway, name: str, sign_in: SignIn
) -> None:
    """The same lines as the API's, filtered by who."""
    gateway.ask("/api/v1/users", {"name": name, "password": PASSWORD})
    sign_in(page, gateway, "admin")
    page.goto(f"{gateway.url}/users#audit")
    page.wait_for_selector("table[data-listing=audit] tbody tr")
    page.fill("[data-filter=who]", "operator secret")
    page.wait_for_function(
        "[...document.querySelectorAll('[data-column=who]')].every(one =>"
        " one.innerText === 'operator secret')"
    )
    page.wait_for_selector("table[data-listing=audit] tbody tr")
    shown = page.locator("tbody tr").evaluate_all("all => all.map(one => Number(one.dataset.key))")
    told = gateway.ask("/api/v1/audit?limit=100&who=operator%20secret")["entries"]
    assert shown == [one["id"] for one in told]
    says(page.locator("tbody").first, "Make a user")
    check_width(page)
