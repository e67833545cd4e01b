"""`/alerts`: what fires is seen and taken note of; rules, silences and receivers are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.reports.view.accessibility import check_axe, check_width
from tests.reports.view.live_device import new_device
from tests.reports.view.served import ServedGateway
from tests.reports.view.waiting import comes, says
from tests.reports.view.watched import PHONE

if TYPE_CHECKING:
    from playwright.sync_api import Page

    SignIn = Callable[[Page, ServedGateway, str], None]


def rule_of(gateway: ServedGateway, name: str) -> dict[str, Any] | None:
    """Give the rule of a name that the API has."""
    rules = gateway.ask("/api/v1/alerts/rules")["rules"]
    return next((one for one in rules if one["body"]["name"] == name), None)


def test_a_rule_is_made_fires_is_acknowledged_and_deleted(
    page: Page, gateway: ServedGateway, sign_in: SignIn
) -> None:
    """The alert stands on the page as the API has it, and so does who has seen it."""
    device = new_device(gateway, "hot")
    name = f"too hot {device.id}"
    sign_in(page, gateway, "operator")
    page.goto(f"{gateway.url}/alerts#rules")
    page.click("[data-action=add-rule]")
    page.fill(".dialog [name=name]", name)
    page.fill(".dialog [name=signal]", "COOLANT_TEMP")
    comes(page.locator(".dialog [name=stale_s]").is_hidden, True)
    page.select_option(".dialog [name=condition]", "ge")
    page.fill(".dialog [name=threshold]", "110")
    page.fill(".dialog [name=hysteresis]", "2,5")
    page.fill(".dialog [name=device]", device.id)
    page.click(".dialog button[type=submit]")
    page.wait_for_selector(f"table[data-listing=rules] >> text={name}")
    rule = rule_of(gateway, name)
    assert rule is not None
    body = rule["body"]
    assert (body["condition"], body["threshold"], body["hysteresis"]) == ("ge", 110, 2.5)
    device.now(COOLANT_TEMP=112)
    page.click("[data-tab=alerts]")
    page.wait_for_selector(f"table[data-listing=alerts] >> text={name}")
    (alert,) = gateway.ask(f"/api/v1/alerts?device={device.id}")["alerts"]
    row = page.locator(f"table[data-listing=alerts] tr[data-key='{alert['id']}']")
    comes(row.locator("[data-column=condition]").inner_text, alert["condition"])
    comes(row.locator("[data-column=value]").inner_text, "112")
    says(row.locator("[data-column=state]"), "firing")
    row.locator("[data-action=ack]").click()
    page.fill(".dialog [name=note]", "on it")
    page.click(".dialog button[type=submit]")
    page.wait_for_selector(f"tr[data-key='{alert['id']}'] [data-column=note] >> text=on it")
    (alert,) = gateway.ask(f"/api/v1/alerts?device={device.id}")["alerts"]
    assert (alert["acked_by"], alert["note"]) == ("operator", "on it")
    comes(row.locator("[data-action=ack]").count, 0)
    page.click("[data-tab=rules]")
    row = page.locator(f"table[data-listing=rules] tr[data-key='{rule['id']}']")
    row.locator("[data-action=edit]").click()
    comes(lambda: page.input_value(".dialog [name=threshold]"), "110")
    page.select_option(".dialog [name=kind]", "stale")
    page.fill(".dialog [name=stale_s]", "60")
    page.click(".dialog button[type=submit]")
    page.wait_for_selector(".status.good")
    changed = rule_of(gateway, name)
    assert changed is not None
    assert (changed["body"]["kind"], changed["body"]["stale_s"]) == ("stale", 60)
    row.locator("[data-action=delete]").click()
    page.click(".dialog [data-action=confirm]")
    page.wait_for_selector(f"table[data-listing=rules] >> text={name}", state="detached")
    assert rule_of(gateway, name) is None


def test_a_silence_and_a_receiver(
    page: Page, gateway: ServedGateway, sign_in: SignIn, expected_errors: list[str]
) -> None:
    """An operator silences; an admin adds a receiver, whose test says why it did not arrive."""
    device = new_device(gateway, "quiet")
    sign_in(page, gateway, "admin")
    page.goto(f"{gateway.url}/alerts#silences")
    page.click("[data-action=add-silence]")
    page.select_option(".dialog [name=duration_s]", "900")
    page.fill(".dialog [name=device]", device.id)
    page.click(".dialog button[type=submit]")
    page.wait_for_selector(f"table[data-listing=silences] >> text={device.id}")
    (silence,) = [
        one
        for one in gateway.ask("/api/v1/alerts/silences")["silences"]
        if one["device"] == device.id
    ]
    assert silence["to_ns"] - silence["from_ns"] == 900 * 10**9
    page.click(f"tr[data-key='{silence['id']}'] [data-action=end]")
    page.wait_for_selector(f"tr[data-key='{silence['id']}']", state="detached")
    page.click("[data-tab=receivers]")
    page.click("[data-action=add-target]")
    page.fill(".dialog [name=name]", device.id)
    page.fill(".dialog [name=webhook]", "https://192.168.250.250/hook")
    page.click(".dialog button[type=submit]")
    page.wait_for_selector(".dialog[data-name=reveal]")
    assert len(page.input_value(".dialog .secret")) >= 16
    page.keyboard.press("Escape")
    expected_errors += ["502", "400"]
    page.click(f"tr[data-key='{device.id}'] [data-action=test]")
    page.wait_for_selector(".status.bad")
    says(page.locator(".status.bad").first, "outbound")


@pytest.mark.parametrize("tab", ["alerts", "rules", "silences"])
def test_on_a_phone_in_the_dark(
    new_page: Callable[..., Page], gateway: ServedGateway, tab: str, sign_in: SignIn
) -> None:
    """A viewer reads it at 360 px; contrast, labels and roles are right, and nothing changes."""
    gateway.ask(
        "/api/v1/alerts/rules", {"name": tab, "signal": "RPM", "condition": "gt", "threshold": 9000}
    )
    page = new_page(size=PHONE, theme="dark")
    sign_in(page, gateway, "viewer")
    page.goto(f"{gateway.url}/alerts#{tab}")
    page.wait_for_selector(".table-foot > *", state="attached")
    check_width(page)
    check_axe(page)
    assert (
        page.locator(
            "[data-action=add-rule], [data-action=add-silence], [data-action=edit]"
        ).count()
        == 0
    )
