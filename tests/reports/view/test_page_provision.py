"""`/provision`: an admin gives the rig's modelled ESP32 its network and its key, from a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import pytest

from tests.reports.view.accessibility import check_axe, check_width
from tests.reports.view.served import ServedGateway
from tests.reports.view.waiting import comes, says
from tests.reports.view.watched import PHONE
from tests.rig.device.test_device_command import RunningDevice
from tests.server.provisioning.device_server import DeviceServer, serving

if TYPE_CHECKING:
    from playwright.sync_api import Page

    SignIn = Callable[[Page, ServedGateway, str], None]

pytest.importorskip("cryptography", reason="provisioning needs the library cryptography")


@pytest.fixture
def board(child_coverage: Mapping[str, str]) -> Iterator[RunningDevice]:
    """A board in factory state in a world of its own, its access point on loopback."""
    running = RunningDevice("esp32", variables=child_coverage)
    running.wait_for_name("access point")
    yield running
    running.end()
    for pipe in (running.process.stdout, running.process.stderr):
        assert pipe is not None
        pipe.close()


@pytest.fixture
def device() -> Iterator[DeviceServer]:
    """A board without a world, for what goes wrong."""
    with serving() as found:
        yield found


def begin(page: Page, port: int, **fields: str) -> None:
    """Fill the form and send it."""
    page.wait_for_selector("[data-part=provision] form")
    page.fill("[name=address]", f"127.0.0.1:{port}")
    page.fill("[name=password]", fields.pop("password", "abcd1234"))
    for name, text in fields.items():
        page.fill(f"[name={name}]", text)
    page.click("[data-part=provision] form button[type=submit]")


@pytest.mark.promise("P18")
def test_an_esp32_is_provisioned_from_the_page(
    page: Page, gateway: ServedGateway, board: RunningDevice, sign_in: SignIn
) -> None:
    """It is found, its networks are listed, it joins one, gets a key, and its first reading comes;
    then its page shows what it reads, and it carries out a command."""
    sign_in(page, gateway, "admin")
    page.goto(f"{gateway.url}/provision")
    begin(page, board.first["ports"]["http"], gateway_url=gateway.url, device="esp-of-the-page")
    page.wait_for_selector(".networks input")
    says(page.locator("[data-step=network]").first, "▶")
    page.check(".networks input[value=telerig]")
    comes(lambda: page.evaluate("document.activeElement.name"), "passphrase")
    page.keyboard.type("drive safely")
    page.keyboard.press("Enter")
    page.wait_for_selector(".provision-work[data-state=done]", timeout=60_000)
    says(page.locator(".lines").first, "first reading is there")
    comes(page.locator(".step.done").count, 5)
    assert "drive safely" not in page.content()
    latest = gateway.ask("/api/v1/devices/esp-of-the-page/latest")["latest"]
    assert latest
    page.click("text=Look at esp-of-the-page")
    page.wait_for_selector("table[data-listing=values] tbody tr")
    shown = page.locator("table[data-listing=values] tbody tr").evaluate_all(
        "all => all.map(one => one.dataset.key)"
    )
    assert {one["signal"] for one in latest} <= set(shown)
    page.click("[data-tab=commands]")
    page.select_option("[data-control=template]", "get_status")
    page.click("form[data-command=get_status] button[type=submit]")
    page.wait_for_selector("[data-part=device-command] .status[data-state=done]")


def test_what_goes_wrong_is_said_and_can_be_tried_again(
    new_page: Callable[..., Page],
    gateway: ServedGateway,
    device: DeviceServer,
    sign_in: SignIn,
    expected_errors: list[str],
) -> None:
    """A wrong password, a passphrase that is too short, an address out of bounds: on a phone."""
    expected_errors.append("400")
    page = new_page(size=PHONE)
    sign_in(page, gateway, "admin")
    page.goto(f"{gateway.url}/provision")
    begin(page, device.port, password="wrong")
    page.wait_for_selector(".provision-work[data-state=failed]")
    says(page.locator(".reason").first, "refused user 'wifiprov' with this password")
    says(page.locator("[data-step=device]").first, "✖")
    check_width(page)
    check_axe(page)
    page.click("[data-action=again]")
    device.rig.poll(60_000)
    begin(page, device.port)
    page.wait_for_selector(".networks input")
    page.check(".networks input[value=Home]")
    page.fill("#provision-passphrase", "short")
    page.click(".choice button[type=submit]")
    page.wait_for_selector(".choice .field-error >> text=expected 8 to 63 bytes")
    check_width(page)
    check_axe(page)
    page.click("[data-action=cancel]")
    page.wait_for_selector(".provision-work[data-state=cancelled]")
    assert "wifi.ssid" not in device.rig.board.nvs
    page.click("[data-action=again]")
    page.wait_for_selector("[data-part=provision] form")
    page.fill("[name=address]", "192.0.2.1")
    page.fill("[name=password]", "x")
    page.click("[data-part=provision] form button[type=submit]")
    page.wait_for_selector("[data-field=address] .field-error >> text=[provisioning] networks")


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_admins_provision(
    page: Page, gateway: ServedGateway, role: str, sign_in: SignIn
) -> None:
    """Others have neither the entry of the navigation nor the form."""
    sign_in(page, gateway, role)
    page.goto(f"{gateway.url}/provision")
    page.wait_for_selector("#page h1", state="attached")
    page.wait_for_selector("#page >> text=admin")
    comes(page.locator("#page form").count, 0)
    comes(page.locator("#nav >> text=Provisioning").is_hidden, True)
