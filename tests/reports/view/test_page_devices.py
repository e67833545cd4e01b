"""`/devices` and `/device/<id>`: the registry, values now and before, keys, statistics."""

from __future__ import annotations

import itertools
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.reports.view.accessibility import check_axe, check_width
from tests.reports.view.live_device import Device, new_device
from tests.reports.view.served import ServedGateway
from tests.reports.view.waiting import comes, says
from tests.reports.view.watched import PHONE

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

    SignIn = Callable[[Page, ServedGateway, str], None]

_numbers = itertools.count(1)


def test_a_device_is_registered_and_sends_with_the_key_that_is_shown(
    page: Page, gateway: ServedGateway, sign_in: SignIn
) -> None:
    """The key works, is nowhere in the page afterwards, and the list says when it was heard."""
    name = f"new-{next(_numbers)}"
    sign_in(page, gateway, "admin")
    page.goto(f"{gateway.url}/devices")
    page.click("[data-action=register]")
    page.fill(".dialog [name=id]", name)
    page.fill(".dialog [name=name]", "The <b>new</b> one")
    page.click(".dialog button[type=submit]")
    page.wait_for_selector(".dialog[data-name=reveal]")
    key = page.input_value(".dialog .secret")
    page.click(".dialog footer button")
    page.wait_for_selector(".dialog", state="detached")
    assert key not in page.content()
    says(page.locator(f"tr[data-key='{name}']").first, "The <b>new</b> one")
    says(page.locator(f"tr[data-key='{name}'] [data-column=heard_ns]").first, "never")
    Device(gateway, name, key).now(SPEED=12)
    page.click("[data-action=refresh]")
    page.wait_for_selector(f"tr[data-key='{name}'] [data-column=heard_ns] >> text=20")
    (listed,) = [one for one in gateway.ask("/api/v1/devices")["devices"] if one["id"] == name]
    title = page.get_attribute(f"tr[data-key='{name}'] [data-column=heard_ns] span", "title") or ""
    at_s = listed["heard_ns"] // 10**9
    assert time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_s)) in title
    page.click(f"tr[data-key='{name}'] [data-action=deactivate]")
    page.click(".dialog [data-action=confirm]")
    page.wait_for_selector(f"tr[data-key='{name}']", state="detached")
    with pytest.raises(urllib.error.HTTPError):
        Device(gateway, name, key).now(SPEED=13)
    page.check("[data-filter=all]")
    page.wait_for_selector(f"tr[data-key='{name}'] >> text=deactivated")


def test_keys_are_made_and_revoked(page: Page, gateway: ServedGateway, sign_in: SignIn) -> None:
    """A second key works beside the first; a revoked one does not; a viewer has no button."""
    device = new_device(gateway, "keys")
    sign_in(page, gateway, "viewer")
    page.goto(f"{gateway.url}/device/{device.id}#keys")
    page.wait_for_selector("table[data-listing=keys] tbody tr")
    comes(page.locator("[data-action=new-key], [data-action=revoke]").count, 0)
    sign_in(page, gateway, "admin")
    page.click("[data-action=new-key]")
    page.select_option(".dialog [name=overlap_s]", "null")
    page.click(".dialog button[type=submit]")
    page.wait_for_selector(".dialog[data-name=reveal]")
    second = Device(gateway, device.id, page.input_value(".dialog .secret"))
    page.keyboard.press("Escape")
    device.now(SPEED=1)
    second.now(SPEED=2)
    first = min(one["id"] for one in gateway.ask(f"/api/v1/devices/{device.id}")["keys"])
    page.click(f"table[data-listing=keys] tr[data-key='{first}'] [data-action=revoke]")
    page.click(".dialog [data-action=confirm]")
    page.wait_for_selector(f"table[data-listing=keys] tr[data-key='{first}'] >> text=ended")
    with pytest.raises(urllib.error.HTTPError):
        device.now(SPEED=3)
    second.now(SPEED=4)


@pytest.mark.promise("P14")
@pytest.mark.promise("P15")
def test_values_come_live_and_history_is_drawn(
    page: Page, gateway: ServedGateway, sign_in: SignIn
) -> None:
    """What is read stands in the table within moments; old signals say their age; charts follow."""
    device = new_device(gateway, "seen")
    now_ns = time.time_ns()
    device.send([("COOLANT_TEMP", now_ns - 60 * 10**9, 88.0)])
    device.send([("RPM", now_ns - n * 10**9, 1000.0 + n) for n in range(600, 0, -1)])
    sign_in(page, gateway, "viewer")
    page.goto(f"{gateway.url}/device/{device.id}")
    page.wait_for_selector("table[data-listing=values] tr[data-key=RPM]")
    comes(lambda: page.inner_text("tr[data-key=COOLANT_TEMP] [data-label=Value]"), "88")
    comes(lambda: page.inner_text("tr[data-key=COOLANT_TEMP] [data-label=Age]"), "1 min")
    page.wait_for_selector("tr[data-key=COOLANT_TEMP].old")
    # Heard by the live stream: the page itself asks every ten seconds only.
    page.wait_for_function(
        "!document.querySelector('[data-part=device-values]').hasAttribute('aria-busy')"
    )
    for value in (2000, 2500.5):
        device.now(RPM=value)
        page.wait_for_function(
            "value => Number(document.querySelector('tr[data-key=RPM] [data-label=Value]')"
            ".innerText) === value",
            arg=value,
        )
    comes(lambda: page.inner_text("tr[data-key=RPM] [data-label=Unit]"), "rpm")
    page.click("[data-part=device-history] [data-action=refresh]")
    chart = page.locator("figure[data-signal=RPM]")
    page.wait_for_selector("figure[data-signal=RPM] >> text=602 readings")
    says(chart, "1001 to 2500.5 rpm")
    chart.locator("polyline").first.wait_for(state="attached")
    page.select_option("[data-control=span]", "86400")
    page.wait_for_selector("figure[data-signal=RPM] >> text=602 readings")
    check_axe(page)


@pytest.mark.promise("P14")
def test_statistics_are_those_of_the_api(
    new_page: Callable[..., Page], gateway: ServedGateway, sign_in: SignIn
) -> None:
    """By day and by boot, on a phone."""
    device = new_device(gateway, "stats")
    device.now(RPM=1000, SPEED=10)
    page = new_page(size=PHONE, theme="dark")
    sign_in(page, gateway, "viewer")
    page.goto(f"{gateway.url}/device/{device.id}#statistics")
    page.wait_for_selector("table[data-listing=boots] tbody tr")
    stored = gateway.ask(f"/api/v1/devices/{device.id}/stats")
    (boot,) = stored["boots"]
    row = page.locator(f"table[data-listing=boots] tr[data-key='{boot['boot']}']")
    comes(row.locator("[data-column='sums.readings'] span").inner_text, "2")
    comes(
        lambda: row.locator("[data-column=session_id] a").get_attribute("href"),
        f"/session/{boot['session_id']}",
    )
    (day,) = stored["days"]
    says(page.locator("table[data-listing=days] tbody").first, day["day"])
    check_width(page)
    check_axe(page)


def test_the_gateways_own_device_and_an_unknown_one(
    page: Page, gateway: ServedGateway, sign_in: SignIn, expected_errors: list[str]
) -> None:
    """Both have a page that says what they are."""
    expected_errors.append("404")
    sign_in(page, gateway, "operator")
    page.goto(f"{gateway.url}/devices")
    page.click(".part-facts a")
    page.wait_for_selector("h1 >> text=Device car-1")
    page.wait_for_selector("text=not in the registry")
    page.click("[data-tab=codes]")
    page.click("[data-action=read-codes]")
    page.wait_for_selector("[data-part=trouble-codes] .error-box >> text=OBD link")
    page.goto(f"{gateway.url}/device/nobody#keys")
    page.wait_for_selector("text=A device that is not in the registry has no keys.")


def test_a_command_is_ordered_and_followed_to_its_end(
    page: Page, gateway: ServedGateway, sign_in: SignIn
) -> None:
    """Its form comes from the device's template; what writes is asked about; its end is shown."""
    device = new_device(gateway, "told")
    answering = AnsweringDevice(device)
    answering.exchange()
    sign_in(page, gateway, "viewer")
    page.goto(f"{gateway.url}/device/{device.id}#commands")
    page.wait_for_selector("[data-control=template]")
    comes(page.locator("[data-part=device-command] button").count, 0)
    sign_in(page, gateway, "operator")
    page.select_option("[data-control=template]", "set_interval")
    page.wait_for_selector("form[data-command=set_interval]")
    page.fill("[name=interval_ms]", "5")
    page.click("form[data-command] button[type=submit]")
    says(page.locator("[data-field=interval_ms] .field-error").first, "at least 10")
    page.fill("[name=interval_ms]", "250")
    page.click("form[data-command] button[type=submit]")
    says(page.locator(".dialog .question").first, '{"interval_ms":250}')
    page.click(".dialog [data-action=confirm]")
    page.wait_for_selector("[data-part=device-command] .status[data-state]")
    answering.exchange()
    (order,) = answering.orders
    assert (order.name, json.loads(order.parameters)) == ("set_interval", {"interval_ms": 250})
    page.wait_for_selector("[data-part=device-command] .status[data-state=sent]")
    answering.exchange(done="set to 250")
    page.wait_for_selector("[data-part=device-command] .status[data-state=done]")
    says(page.locator("[data-part=device-command] .status").first, "set to 250")
    page.wait_for_selector("table[data-listing=commands] >> text=done")
    (stored,) = gateway.ask(f"/api/v1/devices/{device.id}/commands")["commands"]
    assert (stored["state"], stored["parameters"]) == ("done", {"interval_ms": 250})
    check_axe(page)


class AnsweringDevice:
    """A device that tells one template, takes orders, and answers when it is told to.

    Args:
        device: whose key it has.
    """

    def __init__(self, device: Device) -> None:
        from server.wire import telemetry_pb2

        self._device, self._pb = device, telemetry_pb2
        self.orders: list[telemetry_pb2.Command] = []

    def exchange(self, done: str = "") -> None:
        """Send an uplink; take the orders of its answer. `done` answers all that were taken."""
        uplink = self._pb.Uplink(device=self._device.id, boot=7)
        uplink.hello.firmware = "test"
        schema = {
            "type": "object",
            "properties": {"interval_ms": {"type": "integer", "minimum": 10}},
            "required": ["interval_ms"],
            "additionalProperties": False,
        }
        uplink.hello.templates.add(
            name="set_interval", description="Readings apart.", schema=json.dumps(schema)
        )
        for order in self.orders if done else ():
            uplink.results.add(id=order.id, status=1, detail=done)
        request = urllib.request.Request(
            f"{self._device.gateway.url}/api/v1/uplink",
            uplink.SerializeToString(),
            {"x-api-key": self._device.key, "content-type": "application/x-protobuf"},
        )
        with urllib.request.urlopen(request) as answer:
            downlink = self._pb.Downlink.FromString(answer.read())
        known = {order.id for order in self.orders}
        self.orders += [order for order in downlink.commands if order.id not in known]


def test_thousands_of_rows_are_drawn_in_parts(
    page: Page, gateway: ServedGateway, sign_in: SignIn
) -> None:
    """All are searched, sorted and counted; a part of them is in the page."""
    rows = [
        {
            "id": f"d-{n}",
            "name": "",
            "vin": None,
            "active": True,
            "registered_ns": 1,
            "last_used_ns": None,
            "heard_ns": n * 10**9,
        }
        for n in range(2000)
    ]
    page.route("**/api/v1/devices", lambda route: route.fulfill(json={"devices": rows}))
    sign_in(page, gateway, "viewer")
    page.goto(f"{gateway.url}/devices")
    page.wait_for_selector("table[data-listing=devices] tbody tr")
    comes(page.locator("tbody tr").count, 300)
    says(page.locator(".table-foot"), "2000 rows")
    page.click("[data-action=more]")
    comes(page.locator("tbody tr").count, 600)
    page.fill("input[type=search]", "d-1999")
    comes(page.locator("tbody tr").count, 1)
    page.fill("input[type=search]", "")
    page.click("[data-sort=heard_ns]")
    page.click("[data-sort=heard_ns]")
    comes(lambda: page.get_attribute("tbody tr", "data-key"), "d-1999")


def test_trouble_codes_are_read_and_cleared_after_a_question(
    page: Page, gateway: ServedGateway, sign_in: SignIn, expected_errors: list[str]
) -> None:
    """Of the gateway's own car, answered here in its place; nothing is sent before the answer."""
    expected_errors.append("404.*/devices/car-1")  # it is in no registry
    sent: list[str] = []

    def clear(route: Route) -> None:
        sent.append(route.request.post_data or "")
        left = {"stored": {}, "pending": {}, "permanent": {"7E8": ["P0420"]}}
        route.fulfill(
            json={"link": "obd", "cleared": ["7E8"], "refused": {"7E9": "busy"}, "left": left}
        )

    codes = {"stored": {"7E8": ["P0301", "P0420"]}, "pending": {}, "permanent": {}}
    read = {"link": "obd", "vin": None, "codes": codes, "count": 2}
    page.route("**/api/v1/obd/dtcs", lambda route: route.fulfill(json=read))
    page.route("**/api/v1/obd/dtcs/clear", clear)
    sign_in(page, gateway, "viewer")
    page.goto(f"{gateway.url}/device/car-1#codes")
    page.wait_for_selector("[role=tab]")
    comes(page.locator("[data-tab=codes]").count, 0)
    sign_in(page, gateway, "operator")
    page.click("[data-action=read-codes]")
    page.wait_for_selector("table[data-listing=codes] >> text=P0301")
    page.click("[data-action=clear-codes]")
    page.click(".dialog footer >> text=Cancel")
    assert sent == []
    page.click("[data-action=clear-codes]")
    page.click(".dialog [data-action=confirm]")
    page.wait_for_selector("table[data-listing=codes] >> text=Permanent")
    assert [json.loads(body) for body in sent] == [{"confirm": True}]
    says(page.locator("[data-part=trouble-codes] .status").first, "refused: 7E9 busy")


def test_values_fit_a_phone(
    new_page: Callable[..., Page], gateway: ServedGateway, sign_in: SignIn
) -> None:
    """All five columns of the current values, without scrolling sideways inside the table."""
    device = new_device(gateway, "small")
    device.now(RPM=1234.5, COOLANT_TEMP=90, LAT=48.1234567)
    page = new_page(size=PHONE)
    sign_in(page, gateway, "viewer")
    page.goto(f"{gateway.url}/device/{device.id}")
    page.wait_for_selector("table[data-listing=values] tr[data-key=LAT]")
    page.wait_for_function(
        "[...document.querySelectorAll('td[data-label=State]')].every(one => one.innerText)"
    )
    widths = page.evaluate(
        "() => { const box = document.querySelector('.table-scroll:has(> .values)');"
        " return [box.scrollWidth, box.clientWidth]; }"
    )
    assert widths[0] <= widths[1]
    check_width(page)
    check_axe(page)
